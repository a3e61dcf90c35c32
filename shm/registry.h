/*
 * The registry: which clusters and drivers there are and what is wanted of them. Table `registry`;
 * rows are JSON (jansson).
 *
 *	cluster/NAME	{"team":…, "env":…, "region":…, "shared":…, "teams":[…], "hosts":[…],
 *			 "origin":"config"}
 *	driver/ID	{"cluster":…, "name":…, "address":"host:port", "weight":1, "slot":7,
 *			 "wanted":"active"|"drain", "origin":…}
 *
 * Writer: keeper. Everybody else takes a snapshot when segment_registry_generation() has moved. A
 * driver's id is never used again; its slot (health row, counters) is, after the id is gone.
 * Another address under the same name is another driver.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/arena.h"
#include "shm/cluster.h"
#include "shm/db.h"

/* A snapshot, in its own arena; immutable; counted references (an RPC under way keeps its own). */
struct registry {
	unsigned refs;
	uint64_t generation;
	struct arena *arena;
	struct registry_cluster *clusters;
	unsigned clusters_count;
	struct registry_driver **by_id; /* sorted by id */
	unsigned drivers_count;
};

/* Reads all rows in one read transaction. E_IO, E_NOMEM, E_SYNTAX (bad row; see the words). */
int registry_load(struct db *, uint64_t generation, struct registry **ret,
		  const char **ret_words) MUST_CHECK;
struct registry *registry_ref(struct registry *);
void registry_unref(struct registry **);
struct registry_driver *registry_driver(const struct registry *, uint32_t id); /* NULL */
struct registry_cluster *registry_cluster(const struct registry *, struct str name);

/* Keeper, inside a write transaction: make the rows of origin `config` equal to the wanted ones,
 * keeping ids, slots and wanted states of those that stay. *ret_changed: anything differed. E_FULL:
 * more than SEGMENT_DRIVERS drivers. */
int registry_reconcile(struct db *, const struct registry_cluster *wanted, unsigned count,
		       bool *ret_changed) MUST_CHECK;
/* By "CLUSTER/NAME", or NAME if only one cluster has it. E_NOT_FOUND, E_EXISTS (ambiguous). */
int registry_set_drain(struct db *, struct str name, bool drain, uint32_t *ret_id) MUST_CHECK;
