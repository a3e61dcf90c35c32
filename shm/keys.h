/*
 * Public keys of the providers that sign tokens, as the controller fetched (or made) them. Table
 * `keys`; PROVIDER is a name of the configuration:
 *
 *	PROVIDER \0			the set that is current: its number, how many, since when
 *	PROVIDER \0 SET INDEX		one key of a set (8 bytes and 1, big-endian)
 *
 * Writer: keeper, from messages of one key each. A set becomes current as a whole, with the message
 * that completes it; what it replaces, and sets that were never completed, go in that same commit.
 * Readers: workers, controller. segment_generation(SEGMENT_KEYS) moves after each such commit.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/str.h"
#include "shm/db.h"

#define KEYS_MAX	  16 /* of a provider */
#define KEYS_PROVIDER_MAX 64 /* bytes of its name, with the NUL where there is one */
#define KEYS_KID_MAX	  128
#define KEYS_DER_MAX	  1100 /* RSA of 8192 bits takes 1062 */
#define KEYS_SOURCE	  32

struct key {
	struct str kid; /* STR_NONE: it has none */
	uint32_t algs;	/* a bit per enum jwt_alg that it may verify */
	struct str der; /* SubjectPublicKeyInfo */
};

struct keys {
	uint64_t set;	     /* its number */
	uint64_t fetched_ms; /* wall clock */
	/* SHA-256 of where they came from, so that another URL is not served by old keys */
	uint8_t source[KEYS_SOURCE];
	unsigned count; /* may be 0 */
	struct key *list;
};

/* Between db_read_begin() and db_read_end(); all in the arena (at most 24 KiB). E_NOT_FOUND: no set
 * was completed yet. E_SYNTAX (unreadable row), E_NOMEM, E_IO. */
int keys_load(struct db *, struct str provider, struct arena *, struct keys *ret) MUST_CHECK;

/* url: what the configuration says; STR_NONE: found by the issuer's own description, or made here. */
void keys_source(struct str issuer, struct str url, uint8_t ret[KEYS_SOURCE]);

/* In a write transaction of the keeper; index < KEYS_MAX. A set that is current stays as it is. */
void keys_put(struct db *, struct str provider, uint64_t set, unsigned index, const struct key *);
/* The set is whole: makes it current. E_STATE: not all of its keys are there. When it was current
 * already, only fetched_ms moves, and *ret_changed is false. The list is not looked at. */
int keys_complete(struct db *, struct str provider, const struct keys *,
		  bool *ret_changed) MUST_CHECK;
