/*
 * What all parts of one worker share. Made by worker.c, one per process; the parts keep a pointer.
 */
#pragma once
#include <stdint.h>
#include "conf/conf.h"
#include "lib/loop.h"
#include "shm/child.h"
#include "shm/counters.h"
#include "shm/db.h"
#include "shm/health.h"
#include "shm/registry.h"
#include "workers/worker.h"

struct binder;
struct misgivings;
struct driver_pool;
struct client;
struct acceptor;
struct authn;
struct audit;

struct worker {
	unsigned magic;
	const struct worker_setup *setup;
	const struct conf *conf;
	struct child child;
	struct loop *loop;
	struct db *db;
	struct registry *registry; /* renewed when its generation moves */
	uint64_t settings_generation;
	int rollout; /* percentage set live, or ROLLOUT_CONFIGURED */
	struct counters_slot *counters;
	struct health_row *health;
	struct authn *authn;
	struct audit *audit;
	struct binder *binder;
	struct misgivings *misgivings;
	struct driver_pool *drivers;
	struct acceptor *acceptors;
	struct client *clients; /* list */
	unsigned clients_count;
	struct loop_timer second; /* registry, lost drivers, stale connections */
	struct loop_timer drain_limit;
	bool going, draining;
};

/* The driver with this id in the worker's snapshot, or NULL. */
static inline struct registry_driver *
worker_driver(const struct worker *w, uint32_t id)
{
	return w->registry != NULL ? registry_driver(w->registry, id) : NULL;
}
/* Takes a new snapshot of the registry when its generation has moved; one atomic load otherwise. */
void worker_refresh(struct worker *);
void worker_maybe_leave(struct worker *); /* draining, and the last client has gone */
/* The checker's row about this driver; false when it has none (yet). */
bool worker_health(const struct worker *, const struct registry_driver *, struct health *ret);
