/*
 * The keys of one `oidc` provider: found, fetched, checked, stored, and fetched again before they
 * are old. The last good ones stay in the store whatever happens.
 *
 *	IDLE --due, wanted--> DESCRIBING --> FETCHING --> STORING --> IDLE
 *	                      (only where neither jwks_url nor jwks_file is given)
 *	keys of a jwks_file: IDLE --start--> STORING --> IDLE
 *	any failure --> IDLE, and due again sooner
 *
 * One line of log for each change from good to bad, back, and of the keys themselves.
 */
#pragma once
#include <jansson.h>
#include "conf/conf.h"
#include "controller/asks.h"
#include "controller/discovery.h"
#include "controller/fetch.h"
#include "controller/view.h"
#include "shm/keys.h"

enum keyset_state { KEYSET_IDLE, KEYSET_DESCRIBING, KEYSET_FETCHING, KEYSET_STORING };

struct keyset_world { /* what all of them share */
	struct loop *loop;
	struct fetch *fetch;
	struct asks *asks;
	const struct view *view; /* its store */
};

struct keyset { /* private */
	unsigned magic;
	const struct keyset_world *world;
	const struct conf_provider *provider;
	enum keyset_state state;
	uint8_t source[KEYS_SOURCE];
	struct fetch_job *job;
	struct loop_timer timer;
	uint64_t due_ms;   /* of the timer; loop_ms() */
	uint64_t extra_ms; /* of the last fetch that workers asked for; 0: none yet */
	bool stopped;
	unsigned count, storing;       /* keys in the store, of this source; on their way there */
	uint64_t fetched_ms, tried_ms; /* wall clock; 0: never */
	unsigned failures;	       /* in a row */
	char error[192];	       /* of the last one */
};

/* The store is open. The provider is of type oidc. */
void keyset_start(struct keyset *, const struct keyset_world *, const struct conf_provider *);
/* A worker met a key that it does not know: at once, or as soon as BACKOFF_EXTRA_MS allow it. */
void keyset_want(struct keyset *);
/* No more fetches; an answer of the keeper may still come. */
void keyset_stop(struct keyset *);
json_t *keyset_show(const struct keyset *);
