/*
 * A worker's life: open the store, take the registry, say READY, accept after GO, drain, leave. The
 * data path itself is in client.c and rpc.c.
 */
#include <malloc.h>
#include "h2/mem.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/pool.h"
#include "policy/rollout.h"
#include "shm/settings.h"
#include "workers/accept.h"
#include "workers/audit.h"
#include "workers/authn.h"
#include "workers/binder.h"
#include "workers/client.h"
#include "workers/context.h"
#include "workers/driver_pool.h"
#include "workers/misgivings.h"
#include "workers/rpc.h"

#define WORKER_MAGIC	 0x574F524Bu
#define OPEN_RETRY_MS	 50u
#define SECOND_MS	 1000u
#define GIVE_BACK_MS	 5000u
#define LEAVE_MS	 20u
#define LAST_WORDS_MS	 500u /* for the trailers of RPCs that a drain ended */
#define EXIT_CANNOT_WORK 2

static int exit_status;

/* What cannot be read leaves what was read last in force. */
static void
refresh_settings(struct worker *w)
{
	uint64_t now = atomic_load_explicit(segment_generation(w->setup->segment, SEGMENT_SETTINGS),
					    memory_order_acquire);
	int rollout, rc;

	if (now == w->settings_generation)
		return;
	w->settings_generation = now;
	rc = db_read_begin(w->db);
	if (rc == 0)
		rc = settings_rollout(w->db, &rollout);
	db_read_end(w->db);
	if (rc == 0)
		w->rollout = rollout;
	else
		log_error(NULL, "cannot read the settings: %s", err_text(rc));
}

static void
refresh_registry(struct worker *w)
{
	uint64_t now = atomic_load_explicit(segment_registry_generation(w->setup->segment),
					    memory_order_acquire);
	struct registry *fresh;
	const char *words = "";

	if (w->registry != NULL && w->registry->generation == now)
		return;
	int rc = registry_load(w->db, now, &fresh, &words);
	if (rc != 0) { /* the old snapshot serves on; tried again at the next look */
		log_error(NULL, "cannot read the registry: %s: %s", err_text(rc), words);
		return;
	}
	registry_unref(&w->registry);
	w->registry = fresh;
}

void
worker_refresh(struct worker *w)
{
	refresh_settings(w);
	refresh_registry(w);
}

bool
worker_health(const struct worker *w, const struct registry_driver *d, struct health *ret)
{
	return health_read(&w->health[d->slot], ret) == 0 && ret->driver_id == d->id;
}

/* ---- leaving ---- */

static void
leave(void *arg)
{
	struct worker *w = arg;

	if (w->clients_count > 0) { /* comes back through worker_maybe_leave() */
		client_close_all(w);
		return;
	}
	loop_stop(w->loop);
}

void
worker_maybe_leave(struct worker *w)
{
	if (!w->draining || w->clients_count > 0)
		return;
	driver_pool_close_all(w->drivers);
	loop_timer_start(w->loop, &w->second, LEAVE_MS, 0, leave,
			 w); /* their ends come at the end of the turn */
}

/* drain_timeout has passed: what still runs is told to come again, then the connections go. */
static void
drain_is_over(void *arg)
{
	struct worker *w = arg;

	if (client_end_all(w) > 0)
		log_warn(NULL, "drain_timeout: the RPCs still under way were ended");
	loop_timer_start(w->loop, &w->drain_limit, LAST_WORDS_MS, 0, leave, w);
}

static void
drain(void *arg)
{
	struct worker *w = arg;

	CHECK_MAGIC(w, WORKER_MAGIC);
	if (w->draining)
		return;
	w->draining = true;
	child_draining(&w->child);
	accept_stop(w);
	client_drain_all(w);
	loop_timer_start(w->loop, &w->drain_limit, w->conf->drain_timeout_ms, 0, drain_is_over, w);
	worker_maybe_leave(w);
}

static void
go(void *arg)
{
	struct worker *w = arg;

	CHECK_MAGIC(w, WORKER_MAGIC);
	if (!w->going && !w->draining) {
		w->going = true;
		accept_start(w);
	}
}

/* ---- starting ---- */

/* Memory of a burst goes back to the system when it is over; while RPCs run it is about to be used
 * again. */
static void
give_back(struct worker *w)
{
	static uint64_t total_then, then_ms;
	uint64_t open =
		atomic_load_explicit(&w->counters->v[COUNTER_rpcs_open], memory_order_relaxed);
	uint64_t total =
		atomic_load_explicit(&w->counters->v[COUNTER_rpcs_total], memory_order_relaxed);

	if (open > 0 || total == total_then || loop_ms(w->loop) - then_ms < GIVE_BACK_MS)
		return;
	total_then = total;
	then_ms = loop_ms(w->loop);
	rpc_trim();
	pool_trim();
	mem_trim();
	malloc_trim(0);
}

static void
second(void *arg)
{
	struct worker *w = arg;

	worker_refresh(w);
	driver_pool_tick(w->drivers);
	audit_second(w->audit);
	give_back(w);
}

static void
open_store(void *arg)
{
	struct worker *w = arg;
	const char *words = "";

	if (w->db == NULL) {
		int rc = db_open(w->conf->state_dir.p, false, 0, &w->db, &words);
		if (rc == E_NOT_FOUND)
			return; /* the keeper has not made it yet */
		if (rc != 0) {
			log_error(NULL, "cannot open the store in %s: %s: %s", w->conf->state_dir.p,
				  err_text(rc), words);
			exit_status = EXIT_CANNOT_WORK;
			loop_stop(w->loop);
			return;
		}
	}
	if (atomic_load(segment_registry_generation(w->setup->segment)) == 0)
		return;
	worker_refresh(w);
	if (w->registry == NULL)
		return;
	loop_timer_start(w->loop, &w->second, SECOND_MS, SECOND_MS, second, w);
	child_ready(&w->child);
}

static int
cannot_work(struct worker *w)
{
	child_leave(&w->child);
	return EXIT_CANNOT_WORK;
}

int
worker_run(const struct worker_setup *setup)
{
	struct worker w = {.magic = WORKER_MAGIC,
			   .setup = setup,
			   .conf = setup->conf,
			   .settings_generation = UINT64_MAX,
			   .rollout = ROLLOUT_CONFIGURED};

	w.child = (struct child){.go = go, .drain = drain, .arg = &w};
	child_enter(&w.child, &setup->seat, setup->segment);
	w.loop = w.child.loop;
	w.counters = &segment_counters(setup->segment)[setup->seat.row];
	w.health = segment_health(setup->segment);
	w.audit = audit_new(&w);
	if (w.audit == NULL)
		return cannot_work(&w);
	w.authn = authn_new(&w);
	w.binder = binder_new(&w);
	w.misgivings = misgivings_new();
	w.drivers = driver_pool_new(&w);
	loop_timer_start(w.loop, &w.second, 1, OPEN_RETRY_MS, open_store, &w);
	loop_run(w.loop);

	loop_timer_stop(&w.second);
	loop_timer_stop(&w.drain_limit);
	accept_stop(&w);
	rpc_trim();
	driver_pool_free(&w.drivers);
	binder_free(&w.binder);
	misgivings_free(&w.misgivings);
	authn_free(&w.authn);
	audit_free(&w.audit);
	registry_unref(&w.registry);
	db_close(&w.db);
	counters_clear(w.counters);
	pool_trim();
	mem_trim();
	child_leave(&w.child);
	return exit_status;
}
