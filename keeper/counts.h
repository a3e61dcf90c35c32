/*
 * Live bindings per driver slot and per pair of team and env, and the registry by which they are
 * counted.
 *
 * The keeper's own numbers, published in the segment after a commit and never before: what a batch
 * adds stays pending until counts_keep(). Bindings to a driver that left the registry are not
 * counted.
 */
#pragma once
#include "shm/db.h"
#include "shm/procs.h"
#include "shm/registry.h"
#include "shm/segment.h"
#include "shm/sessions.h"

struct counts {
	struct segment *segment;
	struct registry *registry;
	int64_t live[SEGMENT_DRIVERS];
	int32_t pending[SEGMENT_DRIVERS];
	int64_t pair_live[SEGMENT_PAIRS];
	int32_t pair_pending[SEGMENT_PAIRS];
	bool dirty; /* something is pending */
};

/* Loads the registry and counts all bindings in one scan (a second or so per million), beating the
 * while. E_IO, E_NOMEM, E_SYNTAX with words. */
int counts_start(struct counts *, struct segment *, struct db *, struct procs_row *,
		 const char **ret_words) MUST_CHECK;
int counts_recount(struct counts *, struct db *, struct procs_row *) MUST_CHECK; /* E_IO: as before */
void counts_stop(struct counts *);
int counts_reload(struct counts *, struct db *,
		  const char **ret_words) MUST_CHECK; /* the registry changed: tells everybody */

void counts_add(struct counts *, const struct session *, int by);
void counts_keep(struct counts *); /* committed */
void counts_drop(struct counts *); /* not committed */
