/*
 * Rows of the registry: JSON text to plain structs and back. For registry.c and reconcile.c alone.
 *
 * Strings handed out live in the given arena. Keys: "cluster/NAME", "driver/ID".
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/err.h"
#include "shm/cluster.h"

#define REGISTRY_CLUSTER "cluster/"
#define REGISTRY_DRIVER	 "driver/"
#define REGISTRY_KEY_MAX 511 /* of a key in LMDB */

struct registry_row { /* of a driver */
	uint32_t id, slot, weight;
	bool draining;
	struct str cluster, name, address, origin;
};

/* E_SYNTAX; memory that runs out shows in arena_failed(). */
int registry_row_read_cluster(struct arena *, struct str key, struct str json,
			      struct registry_cluster *ret) MUST_CHECK;
int registry_row_read_driver(struct arena *, struct str key, struct str json,
			     struct registry_row *ret) MUST_CHECK;

/* Canonical: equal rows give equal text. STR_NONE: not UTF-8, or the arena's ceiling. */
struct str registry_row_cluster(struct arena *, const struct registry_cluster *);
struct str registry_row_driver(struct arena *, const struct registry_row *);
/* STR_NONE: too long for a key, or the arena's ceiling. */
struct str registry_row_cluster_key(struct arena *, struct str name);
struct str registry_row_driver_key(struct arena *, uint32_t id);
