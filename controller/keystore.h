/*
 * Key sets and the store: read from there, and put there through the keeper, one key at a time.
 */
#pragma once
#include <stdbool.h>
#include "controller/asks.h"
#include "shm/keys.h"

#define KEYSTORE_ARENA ((size_t)64 * 1024) /* the ceiling for a set */

/* In a read transaction of its own. As keys_load(); E_STATE: no store yet (db NULL). */
int keystore_read(struct db *, struct str provider, struct arena *, struct keys *ret) MUST_CHECK;
bool keystore_same(const struct keys *, const struct keys *); /* kids, algorithms, keys, order */

/* err: 0, as the keeper answers, E_TIMEOUT, E_CLOSED. */
typedef void keystore_done(void *arg, int err);

/* Makes the set current under a new number; its own is not looked at. All is copied; `done` comes
 * later. E_NOMEM, E_CLOSED. */
int keystore_write(struct asks *, struct str provider, const struct keys *, keystore_done *done,
		   void *arg) MUST_CHECK;
