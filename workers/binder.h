/*
 * Bindings as a worker sees them: looked up in the store, made by the keeper.
 *
 * A look-up is one short read transaction. A binding is asked for over the keeper's channel and
 * answered after the commit; the asker embeds a struct binder_ask and is called back once, unless
 * it cancels. `touch`, `release`, `lost` and `token_used` are told, not asked.
 */
#pragma once
#include <stdint.h>
#include "keeper/talk.h"
#include "lib/loop.h"
#include "shm/sessions.h"

struct worker;
struct binder;

struct binder_found {
	enum session_state state;
	uint32_t driver_id;
	uint64_t created_ms, seen_ms;
	/* NUL-terminated copies */
	char cluster[SESSION_NAME_MAX], team[SESSION_NAME_MAX], env[SESSION_NAME_MAX];
};

struct binder_ask {
	struct binder_ask *next, *prev; /* private */
	uint32_t id;
	uint64_t asked_ms, sent_ms;
	bool waiting;
	struct keeper_bind message;
	/* err: 0, E_TIMEOUT (no keeper), E_FULL, E_IO, E_NOT_FOUND (driver gone) */
	void (*done)(struct binder_ask *, int err, const struct binder_found *);
};

struct binder *binder_new(struct worker *);
void binder_free(struct binder **);

/* E_NOT_FOUND: unbound; E_IO. */
int binder_find(struct binder *, const struct session_key *, struct binder_found *ret) MUST_CHECK;

/* Asks for a binding; done() comes later, never from inside. */
void binder_bind(struct binder *, struct binder_ask *, const struct session_key *,
		 uint32_t driver_id, struct str cluster, struct str team, struct str env);
/* The same driver, cluster, team and env as `like` has (CloneSession). E_NOT_FOUND, E_IO: done()
 * does not come. */
int binder_bind_like(struct binder *, struct binder_ask *, const struct session_key *,
		     const struct session_key *like) MUST_CHECK;
void binder_cancel(struct binder *, struct binder_ask *); /* safe when not waiting */

/* at most once a minute */
void binder_touch(struct binder *, const struct session_key *, const struct binder_found *);
void binder_release(struct binder *, const struct session_key *, uint32_t driver_id);
void binder_lost(struct binder *, const struct session_key *, uint32_t driver_id,
		 uint64_t created_ms);
/* The store shall say that this token was used; at most once a minute per token. */
void binder_token_used(struct binder *, const uint8_t digest[TOKEN_DIGEST]);
