/*
 * What `POST /v1/tokens` is asked for. Pure.
 */
#pragma once
#include <jansson.h>
#include "conf/conf.h"
#include "lib/arena.h"
#include "shm/tokens.h"

#define TOKEN_WISH_TTL_MS     (30ull * 24 * 3600 * 1000) /* when it is not said */
#define TOKEN_WISH_TTL_MAX_MS (366ull * 24 * 3600 * 1000)
#define TOKEN_WISH_SERVICE    "service:" /* before its name: nobody's user id */

struct token_wish {
	enum token_type type;
	struct str user; /* as sessions know it: "alice", "service:nightly" */
	struct str service; /* its name; STR_NONE for personal ones */
	struct str team, note;
	struct str envs[TOKEN_ENVS_MAX];
	unsigned envs_count;
	uint64_t ttl_ms;
};

/* {"user": "U" or "service": "NAME", "team": "T", "envs": [...], "ttl_ms": n, "note": "..."}: the
 * first two are needed. Texts are the body's or in the arena. E_SYNTAX with words for the asker. */
int token_wish_parse(const json_t *body, const struct conf *, struct arena *,
		     struct token_wish *ret, const char **ret_words) MUST_CHECK;
