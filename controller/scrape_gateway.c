/*
 * Metrics of what the gateway is made of: processes, configuration, drivers, providers, store and
 * audit.
 */
#include <stdio.h>
#include "controller/certificates.h"
#include "controller/scrape.h"
#include "controller/ship.h"
#include "lib/panic.h"
#include "shm/earlier.h"
#include "shm/procs.h"
#include "shm/ring.h"

#define MS   3 /* digits behind the point of seconds that are counted so */
#define US   6
#define FILL 1000000u /* 1, with US digits */

static uint64_t
age_ms(uint64_t now_ms, uint64_t then_ms)
{
	return now_ms > then_ms ? now_ms - then_ms : 0;
}

static void
write_labelled(struct scrape *s, const char *key, const char *word, uint64_t value, unsigned digits)
{
	exposition_begin(&s->x);
	exposition_label(&s->x, key, str_from(word));
	exposition_value(&s->x, value, digits);
}

/* ---- configuration ---- */

void
scrape_build_info(struct scrape *s, unsigned what)
{
	write_labelled(s, "version", SPARKGW_VERSION, 1, 0);
}

void
scrape_ready(struct scrape *s, unsigned what)
{
	json_t *missing = view_missing(s->from->view);

	exposition_value(&s->x, json_array_size(missing) == 0, 0);
	json_decref(missing);
}

void
scrape_start(struct scrape *s, unsigned what)
{
	exposition_value(&s->x, view_started_ms(s->from->view), MS);
}

void
scrape_configured(struct scrape *s, unsigned what)
{
	const struct scrape_from *from = s->from;

	switch (what) {
	case SCRAPE_CONNECTIONS: exposition_value(&s->x, from->conf->limit_connections, 0); break;
	case SCRAPE_GENERATION: exposition_value(&s->x, view_generation(from->view), 0); break;
	default: exposition_value(&s->x, (uint64_t)from->rollout, 0);
	}
}

void
scrape_reloads(struct scrape *s, unsigned what)
{
	write_labelled(s, "result", "ok", s->counters[COUNTER_reloads_ok], 0);
	write_labelled(s, "result", "failed", s->counters[COUNTER_reloads_failed], 0);
}

/* what: 0: its result, 1: its time */
void
scrape_last_reload(struct scrape *s, unsigned what)
{
	uint64_t ended_ms = s->counters[COUNTER_reload_ended_ms];

	if (what == 0)
		exposition_value(&s->x, s->counters[COUNTER_reload_bad] == 0, 0);
	else if (ended_ms != 0)
		exposition_value(&s->x, ended_ms, MS);
}

void
scrape_certificate(struct scrape *s, unsigned what)
{
	const struct certificates *all = s->from->certificates;
	char listener[SOCK_ADDR_TEXT];

	for (unsigned i = 0; all != NULL && i < certificates_count(all); i++) {
		const struct certificate *c = certificates_get(all, i);

		if (c->expires_ms == 0)
			continue;
		sock_addr_text(c->listener, listener, sizeof(listener));
		exposition_begin(&s->x);
		exposition_label(&s->x, "listener", str_from(listener));
		exposition_label(&s->x, "certificate", c->path);
		exposition_value(&s->x, c->expires_ms, MS);
	}
}

/* ---- processes ---- */

static void
write_kind(struct scrape *s, enum proc_kind kind, unsigned what)
{
	const struct procs_row *rows = segment_procs(s->segment);
	uint64_t oldest_ms = 0;
	unsigned alive = 0;

	for (unsigned i = 0; i < SEGMENT_PROCS; i++) {
		uint64_t beat_ms = age_ms(s->mono_ms, atomic_load(&rows[i].beat_ms));

		if (atomic_load(&rows[i].kind) != kind || !view_is_alive(s->from->view, i))
			continue;
		alive++;
		oldest_ms = beat_ms > oldest_ms ? beat_ms : oldest_ms;
	}
	if (what == SCRAPE_ALIVE)
		write_labelled(s, "kind", procs_kind_name(kind), alive, 0);
	else if (alive > 0 && kind != PROC_SUPERVISOR) /* which has no beat */
		write_labelled(s, "kind", procs_kind_name(kind), oldest_ms, MS);
}

void
scrape_process(struct scrape *s, unsigned what)
{
	for (unsigned kind = PROC_SUPERVISOR; kind <= PROC_CONTROLLER; kind++)
		write_kind(s, kind, what);
}

void
scrape_restarts(struct scrape *s, unsigned what)
{
	static const struct {
		enum proc_kind kind;
		enum counter counter;
	} kinds[] = {{PROC_WORKER, COUNTER_restarts_worker},
		     {PROC_CHECKER, COUNTER_restarts_checker},
		     {PROC_KEEPER, COUNTER_restarts_keeper},
		     {PROC_CONTROLLER, COUNTER_restarts_controller}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		write_labelled(s, "kind", procs_kind_name(kinds[i].kind),
			       s->counters[kinds[i].counter], 0);
}

/* ---- drivers ---- */

static void
write_driver(struct scrape *s, const struct registry_driver *d, unsigned what)
{
	struct health h = view_health(s->from->view, d);
	const _Atomic uint32_t *bound = segment_driver_sessions(s->segment);
	uint64_t value = 0;

	switch ((enum scrape_driver)what) {
	case SCRAPE_UP: value = h.state == HEALTH_UP; break;
	case SCRAPE_DRAINING: value = d->draining; break;
	case SCRAPE_SESSIONS: value = atomic_load(&bound[d->slot]); break;
	case SCRAPE_RUNNING: value = view_running(s->from->view, d->slot); break;
	case SCRAPE_WEIGHT: value = d->weight; break;
	case SCRAPE_PROBE: value = h.rtt_us; break;
	}
	exposition_begin(&s->x);
	exposition_label(&s->x, "cluster_id", d->cluster->name);
	exposition_label(&s->x, "driver", d->name);
	exposition_value(&s->x, value, what == SCRAPE_PROBE ? US : 0);
}

/* Without the store nothing is known of them, and nothing printed. */
void
scrape_driver(struct scrape *s, unsigned what)
{
	const struct registry *registry;

	if (view_refresh(s->from->view) != 0)
		return;
	registry = s->from->view->registry;
	for (unsigned i = 0; i < registry->clusters_count; i++)
		for (unsigned j = 0; j < registry->clusters[i].drivers_count; j++)
			write_driver(s, &registry->clusters[i].drivers[j], what);
}

/* ---- providers ---- */

static uint64_t
number(const json_t *row, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(row, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void
write_provider(struct scrape *s, const json_t *row, unsigned what)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	uint64_t fetched_ms = number(row, "fetched_ms");

	if (name == NULL)
		return;
	if (what == SCRAPE_KEYS)
		write_labelled(s, "provider", name, number(row, "keys"), 0);
	else if (what == SCRAPE_FAILURES)
		write_labelled(s, "provider", name, number(row, "failures"), 0);
	else if (fetched_ms != 0)
		write_labelled(s, "provider", name, age_ms(s->wall_ms, fetched_ms), MS);
}

void
scrape_provider(struct scrape *s, unsigned what)
{
	for (size_t i = 0; i < json_array_size(s->from->providers); i++)
		write_provider(s, json_array_get(s->from->providers, i), what);
}

/* ---- store and audit ---- */

void
scrape_keeper_ok(struct scrape *s, unsigned what)
{
	exposition_value(&s->x, atomic_load(segment_keeper_ok(s->segment)) != 0, 0);
}

void
scrape_keeper(struct scrape *s, unsigned what)
{
	ASSERT(what < METRICS_KEEPER_COUNT);
	exposition_value(&s->x,
			 scrape_load(&segment_metrics_keeper(s->segment)->number[what]) +
				 scrape_load(&segment_earlier(s->segment)->keeper.number[what]),
			 0);
}

/* what: 0: commits, 1: syncs of the audit file */
void
scrape_keeper_times(struct scrape *s, unsigned what)
{
	const struct metrics_keeper *keeper = segment_metrics_keeper(s->segment);
	const struct metrics_keeper *earlier = &segment_earlier(s->segment)->keeper;
	struct scrape_histogram h = scrape_read(what == 0 ? &keeper->commit : &keeper->audit_sync);
	struct scrape_histogram before =
		scrape_read(what == 0 ? &earlier->commit : &earlier->audit_sync);

	for (unsigned i = 0; i < METRICS_BUCKETS; i++)
		h.count[i] += before.count[i];
	h.sum_us += before.sum_us;
	exposition_bounds(&s->x, metrics_bounds_us, METRICS_BUCKETS - 1, US);
	exposition_histogram(&s->x, h.count, h.sum_us);
}

void
scrape_rings(struct scrape *s, unsigned what)
{
	uint64_t lost = scrape_load(&segment_earlier(s->segment)->lost), fullest = 0;

	for (unsigned i = 0; i < SEGMENT_PROCS; i++) {
		const struct ring *ring = segment_ring(s->segment, i);
		uint64_t fill = ring != NULL ? ring_fill(ring) : 0;

		if (ring == NULL)
			continue;
		lost += scrape_load(&ring->lost);
		fullest = fill > fullest ? fill : fullest;
	}
	if (what == SCRAPE_LOST)
		exposition_value(&s->x, lost, 0);
	else
		exposition_value(&s->x, fullest * FILL / RING_BYTES, US);
}

void
scrape_synced_age(struct scrape *s, unsigned what)
{
	const struct metrics_keeper *keeper = segment_metrics_keeper(s->segment);
	uint64_t synced_ms = scrape_load(&keeper->number[METRICS_KEEPER_audit_synced_ms]);

	if (synced_ms != 0)
		exposition_value(&s->x, age_ms(s->wall_ms, synced_ms), MS);
}

void
scrape_shipping(struct scrape *s, unsigned what)
{
	const struct ship_numbers *n = s->from->shipping;

	if (n == NULL)
		return;
	switch ((enum scrape_shipping)what) {
	case SCRAPE_PENDING: exposition_value(&s->x, n->pending, 0); break;
	case SCRAPE_PENDING_BYTES: exposition_value(&s->x, n->pending_bytes, 0); break;
	case SCRAPE_SUCCESS:
		if (n->success_ms != 0)
			exposition_value(&s->x, n->success_ms, MS);
		break;
	}
}
