/*
 * Who is asking, as the gateway found out: made by the data path's authn from a verified token or
 * certificate, or by the controller for `explain`; read by every decision of policy/.
 *
 * Immutable once made; counted references, because RPCs under way outlive the cache entry they were
 * made with. All of it is one block of memory.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"

struct identity {
	unsigned refs;
	bool verified; /* false: auth.required is false, and there was no token */
	bool expired;  /* its token's time is over: only for the methods that grace covers */
	struct str user;	  /* STR_NONE: take the request's */
	struct str name;	  /* for display; STR_NONE: as the user */
	const struct str *groups; /* of a verified one */
	unsigned groups_count;
	struct str team;	/* member of this team and no other; STR_NONE: as the groups say */
	const struct str *envs; /* these environments only; none: as the team */
	unsigned envs_count;
	struct str provider; /* who vouched; STR_NONE: nobody */
	struct str token_id; /* of the gateway's own tokens, or the `jti`; STR_NONE */
	uint64_t expires_ms; /* wall clock; 0: never */
	/* Of the gateway's own tokens: where the store has it, and when (monotonic) the store was told
	 * last that it is used; the one thing here that changes, by authn. */
	uint8_t store_digest[32];
	uint64_t used_ms;
};

/* A copy of all that `from` says (its refs are not looked at). NULL: out of memory. */
struct identity *identity_new(const struct identity *from);
struct identity *identity_ref(struct identity *);
void identity_unref(struct identity **);
