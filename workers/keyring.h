/*
 * The public keys of each provider, as a worker verifies with them: of `jwks_file` from the
 * configuration, of the others from the store, where the controller has had them put after its
 * checks. One per worker.
 */
#pragma once
#include "conf/conf.h"
#include "proto/jwks.h"
#include "shm/db.h"

struct keyring;

struct keyring_set {
	struct arena *arena; /* private */
	struct jwks_key *keys;
	unsigned count;
	uint64_t fetched_ms; /* wall clock; 0: never */
	bool fixed;	     /* of a file: no newer ones can come before a reload */
};

struct keyring *keyring_new(const struct conf *); /* aborts when out of memory */
void keyring_free(struct keyring **);

/* Reads all sets of the store again. A set that cannot be read leaves the old one in force. */
void keyring_refresh(struct keyring *, struct db *);
/* provider: its index in the configuration. Never NULL; maybe without keys. */
const struct keyring_set *keyring_get(const struct keyring *, unsigned provider);
