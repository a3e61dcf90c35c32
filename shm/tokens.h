/*
 * The tokens that the gateway itself gave out: whom each stands for, and until when. The token is
 * not in the store, only a digest of it. Table `tokens`:
 *
 *	32 bytes  a personal token's keyed digest (proto/pat), or SHA-256 of a service token's
 *		  `jti`, which is its id: {"id":…, "type":"personal"|"service", "user":…, "name":…,
 *		  "team":…, "envs":[…], "note":…, "created_ms":…, "expires_ms":…, "used_ms":…,
 *		  "revoked_ms":…}
 *	id:ID	  that digest
 *
 * Writer: keeper. Readers: workers, on a token they do not know yet; controller, scans in bounded
 * steps. segment_generation(SEGMENT_TOKENS) moves after each creation and revocation, not when a
 * token was used: load it before the row, and keep what was found no longer than it stands.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/str.h"
#include "shm/db.h"

#define TOKEN_DIGEST	32
#define TOKEN_ID	12 /* characters of an id that tokens_id() makes: 60 bits */
#define TOKEN_ID_MAX	24 /* of any id, with the NUL; below 32 with its prefix */
#define TOKEN_NAME_MAX	128
#define TOKEN_NOTE_MAX	200
#define TOKEN_ENVS_MAX	16
#define TOKEN_TIME_MAX	((uint64_t)1 << 53) /* the largest of its times */
#define TOKEN_ROW_ARENA ((size_t)32 * 1024) /* room enough for one row */

enum token_type { TOKEN_PERSONAL = 1, TOKEN_SERVICE };

struct token {
	enum token_type type;
	struct str id;
	struct str user; /* 1 to SESSION_USER_MAX bytes */
	struct str name; /* for display; STR_NONE: as the user */
	struct str team; /* of this team only; STR_NONE: as its user's groups say */
	const struct str *envs;
	unsigned envs_count; /* 0: as the team */
	struct str note;     /* what it is for, in its owner's words; STR_NONE */
	uint64_t created_ms; /* wall clock, as all */
	uint64_t expires_ms; /* 0: never */
	uint64_t used_ms;    /* to the minute; 0: never yet */
	uint64_t revoked_ms; /* 0: not revoked */
};

const char *tokens_type_name(unsigned type); /* "personal" "service" */
/* From as many random bytes: characters of 0-9 and a-z without i, l, o, u. */
void tokens_id(const uint8_t random[TOKEN_ID], char ret[TOKEN_ID + 1]);
/* 1 to TOKEN_ID_MAX - 1 characters of 0-9 a-z and '-'. */
bool tokens_is_id(struct str s);

/* Between db_read_begin() and db_read_end(). Strings are copied into the arena. E_NOT_FOUND,
 * E_SYNTAX (unreadable row), E_NOMEM, E_IO. */
int tokens_get(struct db *, const uint8_t digest[TOKEN_DIGEST], struct arena *,
	       struct token *ret) MUST_CHECK;
/* By digest, from the first one >= from (NULL: from the start); passes over unreadable rows and
 * stops when visit answers non-zero. The token's strings are valid within the visit. */
int tokens_scan(struct db *, const uint8_t from[TOKEN_DIGEST],
		int (*visit)(void *arg, const uint8_t digest[TOKEN_DIGEST], const struct token *),
		void *arg) MUST_CHECK;

/* Inside a write transaction of the keeper. tokens_put() writes the row and the id's; E_SYNTAX: not
 * UTF-8. */
int tokens_write_get(struct db *, const uint8_t digest[TOKEN_DIGEST], struct arena *,
		     struct token *ret) MUST_CHECK;
int tokens_write_find(struct db *, struct str id, uint8_t ret_digest[TOKEN_DIGEST]) MUST_CHECK;
int tokens_put(struct db *, const uint8_t digest[TOKEN_DIGEST], const struct token *) MUST_CHECK;
void tokens_del(struct db *, const uint8_t digest[TOKEN_DIGEST], struct str id);
