/*
 * How many sessions each driver holds. Enter: the changes of each batch; leave: the row of numbers
 * in the segment by which workers place new sessions, and the one per pair of team and env.
 */
#include <string.h>
#include "keeper/counts.h"
#include "lib/clock.h"
#include "shm/labels.h"
#include "shm/sessions.h"

#define BEAT_ROWS 8192 /* rows between two beats of a long scan */

struct scan {
	struct counts *counts;
	struct procs_row *row;
	uint64_t rows;
};

static int
count_session(void *arg, const struct session_key *key, const struct session *s)
{
	struct scan *scan = arg;

	(void)key;
	if (s->state == SESSION_BOUND)
		counts_add(scan->counts, s, 1);
	if (++scan->rows % BEAT_ROWS == 0)
		procs_beat(scan->row, clock_ms());
	return 0;
}

static int
count_all(struct counts *c, struct db *db, struct procs_row *row)
{
	struct scan scan = {.counts = c, .row = row};
	int err = db_read_begin(db);

	if (err == 0)
		err = sessions_scan(db, NULL, count_session, &scan);
	db_read_end(db);
	return err;
}

/* While one binary replaces another, two keepers may write: what the other bound is not counted
 * here, and must not lead below nothing when it is released here. */
static void
publish(struct counts *c, unsigned slot)
{
	if (c->live[slot] < 0)
		c->live[slot] = 0;
	atomic_store_explicit(&segment_driver_sessions(c->segment)[slot], (uint32_t)c->live[slot],
			      memory_order_relaxed);
}

static void
publish_pair(struct counts *c, unsigned pair)
{
	if (c->pair_live[pair] < 0)
		c->pair_live[pair] = 0;
	atomic_store_explicit(&segment_pair_sessions(c->segment)[pair],
			      (uint32_t)c->pair_live[pair], memory_order_relaxed);
}

static void
publish_all(struct counts *c)
{
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		publish(c, i);
	for (unsigned i = 0; i < SEGMENT_PAIRS; i++)
		publish_pair(c, i);
}

int
counts_recount(struct counts *c, struct db *db, struct procs_row *row)
{
	int err;

	counts_drop(c);
	err = count_all(c, db, row);
	if (err != 0) {
		counts_drop(c);
		return err;
	}
	memset(c->live, 0, sizeof(c->live));
	memset(c->pair_live, 0, sizeof(c->pair_live));
	counts_keep(c);
	publish_all(c);
	return 0;
}

int
counts_start(struct counts *c, struct segment *segment, struct db *db, struct procs_row *row,
	     const char **ret_words)
{
	int err;

	memset(c, 0, sizeof(*c));
	c->segment = segment;
	err = counts_reload(c, db, ret_words);
	if (err != 0)
		return err;
	err = counts_recount(c, db, row);
	if (err != 0)
		*ret_words = "the sessions could not be counted";
	return err;
}

void
counts_stop(struct counts *c)
{
	registry_unref(&c->registry);
}

/* The number only ever moves, over restarts too; 0 is what a segment holds before any keeper. */
int
counts_reload(struct counts *c, struct db *db, const char **ret_words)
{
	_Atomic uint64_t *generation = segment_registry_generation(c->segment);
	uint64_t next = atomic_load(generation) + 1;
	struct registry *r;
	int err = registry_load(db, next, &r, ret_words);

	if (err != 0)
		return err;
	registry_unref(&c->registry);
	c->registry = r;
	atomic_store(generation, next);
	return 0;
}

void
counts_add(struct counts *c, const struct session *s, int by)
{
	const struct registry_driver *d = registry_driver(c->registry, s->driver_id);

	if (d == NULL)
		return;
	c->pending[d->slot] += by;
	c->pair_pending[labels_find(segment_labels(c->segment), s->team, s->env)] += by;
	c->dirty = true;
}

void
counts_keep(struct counts *c)
{
	if (!c->dirty)
		return;
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++) {
		if (c->pending[i] == 0)
			continue;
		c->live[i] += c->pending[i];
		publish(c, i);
	}
	for (unsigned i = 0; i < SEGMENT_PAIRS; i++) {
		if (c->pair_pending[i] == 0)
			continue;
		c->pair_live[i] += c->pair_pending[i];
		publish_pair(c, i);
	}
	counts_drop(c);
}

void
counts_drop(struct counts *c)
{
	if (!c->dirty)
		return;
	memset(c->pending, 0, sizeof(c->pending));
	memset(c->pair_pending, 0, sizeof(c->pair_pending));
	c->dirty = false;
}
