/*
 * The history of the gateway as the controller sees it: process rows, verdicts and readiness in,
 * events out.
 *
 *	look() --> what differs from the last look? --> note() --> ring --> file, if anything
 *
 * A seat is a kind of process and, of workers, its number. In it counts the process that was
 * started last: during a reload the old and the new one live side by side.
 */
#include "controller/history.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/procs.h"

#define HISTORY_MAGIC 0x68697374u
#define FILE_NAME     "history.json"
#define WORDS	      192u
#define KINDS	      (PROC_CONTROLLER + 1u)
#define SEATS	      (KINDS + SEGMENT_PROCS)
#define LOOKS	      2u /* in a row, until readiness is another */

struct event {
	uint64_t at_ms;
	char what[16], words[WORDS];
};
struct seat {
	uint32_t pid, generation;
	uint64_t started_ms;
};
struct seen { /* of a driver */
	uint32_t id, state;
	bool draining;
};

struct history {
	unsigned magic;
	struct view *view;
	const char *folder;
	struct loop *loop;
	struct loop_timer timer;
	uint64_t since_ms, looked_ms; /* wall clock; looked_ms 0: never, nor anybody before us */
	unsigned count;		      /* of events ever; the latest is at (count - 1) % EVENTS */
	struct event events[HISTORY_EVENTS];
	struct seat seats[SEATS];
	struct seen drivers[SEGMENT_DRIVERS]; /* by slot */
	unsigned generation;
	int ready;	 /* -1: not known */
	unsigned doubts; /* looks in a row that say otherwise */
	bool changed, warned;
};

__attribute__((format(printf, 3, 4))) static void
note(struct history *h, const char *what, const char *fmt, ...)
{
	struct event *e = &h->events[h->count++ % HISTORY_EVENTS];
	va_list ap;

	e->at_ms = clock_wall_ms();
	str_copy(e->what, sizeof(e->what), str_from(what));
	va_start(ap, fmt);
	vsnprintf(e->words, sizeof(e->words), fmt, ap);
	va_end(ap);
	h->changed = true;
}

static struct seat *
seat_of(struct history *h, uint32_t kind, uint32_t slot)
{
	if (kind == PROC_WORKER)
		return slot < SEGMENT_PROCS ? &h->seats[KINDS + slot] : NULL;
	return kind > PROC_NONE && kind < KINDS ? &h->seats[kind] : NULL;
}

static void
tell_process(struct history *h, const struct procs_row *row, const struct seat *before)
{
	unsigned kind = atomic_load(&row->kind), pid = atomic_load(&row->pid);
	char name[32];

	if (kind == PROC_SUPERVISOR) {
		note(h, "start", "the gateway was started (pid %u)", pid);
		return;
	}
	/* another generation is a reload, or a start: told as such */
	if (before->pid == 0 || before->generation != atomic_load(&row->generation))
		return;
	str_copy(name, sizeof(name), str_from(procs_kind_name(kind)));
	if (kind == PROC_WORKER)
		snprintf(name, sizeof(name), "worker %u", (unsigned)atomic_load(&row->slot));
	note(h, "restart", "%s is a new process (pid %u, before %u), restart %u", name, pid,
	     (unsigned)before->pid, (unsigned)atomic_load(&row->restarts));
}

static void
look_at_process(struct history *h, unsigned i)
{
	const struct procs_row *row = &segment_procs(h->view->segment)[i];
	struct seat *s = seat_of(h, atomic_load(&row->kind), atomic_load(&row->slot));
	uint64_t started_ms = atomic_load(&row->started_wall_ms);
	uint32_t pid = atomic_load(&row->pid);

	if (s == NULL || pid == s->pid || started_ms < s->started_ms || !view_is_alive(h->view, i))
		return;
	tell_process(h, row, s);
	*s = (struct seat){pid, atomic_load(&row->generation), started_ms};
	h->changed = true; /* the next controller must know */
}

/* Supervisor first: a start comes before what comes with it. The same numbers mean other processes
 * then. */
static void
look_at_processes(struct history *h)
{
	const struct procs_row *rows = segment_procs(h->view->segment);
	uint32_t gateway = h->seats[PROC_SUPERVISOR].pid;

	for (unsigned i = 0; i < SEGMENT_PROCS; i++)
		if (atomic_load(&rows[i].kind) == PROC_SUPERVISOR)
			look_at_process(h, i);
	if (gateway != h->seats[PROC_SUPERVISOR].pid) {
		memset(&h->seats[PROC_SUPERVISOR + 1], 0,
		       sizeof(*h->seats) * (SEATS - PROC_SUPERVISOR - 1));
		h->generation = 0;
	}
	for (unsigned i = 0; i < SEGMENT_PROCS; i++)
		look_at_process(h, i);
}

static void
look_at_generation(struct history *h)
{
	unsigned now = view_generation(h->view);

	if (now == h->generation)
		return;
	if (h->generation != 0)
		note(h, "reload", "configuration generation %u is in force, before %u", now,
		     h->generation);
	h->generation = now;
	h->changed = true;
}

/* Of a driver that is seen for the first time: only what is newer than the last look. */
static void
look_at_driver(struct history *h, const struct registry_driver *d)
{
	struct health health = view_health(h->view, d);
	struct seen *s = &h->drivers[d->slot];
	bool known = s->id == d->id;

	if (health.state != HEALTH_UNKNOWN &&
	    (known ? health.state != s->state
		   : h->looked_ms != 0 && health.since_wall_ms > h->looked_ms))
		note(h, "driver", "%.*s/%.*s is %s%s%s%s", STR_ARG(d->cluster->name),
		     STR_ARG(d->name), health_state_name(health.state),
		     health.state == HEALTH_DOWN ? " (" : "",
		     health.state == HEALTH_DOWN ? health_reason_name(health.reason) : "",
		     health.state == HEALTH_DOWN ? ")" : "");
	if (known && d->draining != s->draining)
		note(h, "drain", "%.*s/%.*s is %s", STR_ARG(d->cluster->name), STR_ARG(d->name),
		     d->draining ? "draining" : "no longer draining");
	*s = (struct seen){d->id, health.state, d->draining};
}

static void
look_at_drivers(struct history *h)
{
	if (view_refresh(h->view) != 0)
		return;
	for (unsigned i = 0; i < h->view->registry->drivers_count; i++)
		look_at_driver(h, h->view->registry->by_id[i]);
}

/* A moment without a keeper is part of every reload. */
static void
look_at_readiness(struct history *h)
{
	json_t *missing = view_missing(h->view);
	bool ready = json_array_size(missing) == 0;

	h->doubts = h->ready != ready ? h->doubts + 1 : 0;
	if (h->doubts == LOOKS && h->ready >= 0)
		note(h, "ready", ready ? "ready" : "not ready: %s",
		     ready ? "" : json_string_value(json_array_get(missing, 0)));
	if (h->doubts == LOOKS) {
		h->ready = ready;
		h->changed = true;
	}
	json_decref(missing);
}

/* ---- the file ---- */

static json_t *
show_events(const struct history *h)
{
	unsigned have = h->count < HISTORY_EVENTS ? h->count : HISTORY_EVENTS;
	json_t *events = json_array();

	for (unsigned i = 1; i <= have; i++) {
		const struct event *e = &h->events[(h->count - i) % HISTORY_EVENTS];

		json_array_append_new(events, json_pack("{s:I, s:s, s:o}", "at_ms",
							(json_int_t)e->at_ms, "what", e->what,
							"words", view_text(str_from(e->words))));
	}
	return events;
}

json_t *
history_show(const struct history *h)
{
	CHECK_MAGIC(h, HISTORY_MAGIC);
	return json_pack("{s:I, s:o}", "since_ms", (json_int_t)h->since_ms, "events",
			 show_events(h));
}

static json_t *
show_seats(const struct history *h)
{
	json_t *seats = json_array();

	for (unsigned i = 0; i < SEATS; i++)
		if (h->seats[i].pid != 0)
			json_array_append_new(seats, json_pack("[i, i, i, I]", (int)i,
							       (int)h->seats[i].pid,
							       (int)h->seats[i].generation,
							       (json_int_t)h->seats[i].started_ms));
	return seats;
}

/* Whoever is started next goes on from it. Nobody waits for a disk: it is in the run directory. */
static void
save(struct history *h)
{
	char path[PATH_MAX], fresh[PATH_MAX + 16];
	json_t *json =
		json_pack("{s:I, s:I, s:i, s:i, s:o, s:o}", "since_ms", (json_int_t)h->since_ms,
			  "looked_ms", (json_int_t)h->looked_ms, "generation", (int)h->generation,
			  "ready", h->ready, "seats", show_seats(h), "events", show_events(h));

	snprintf(path, sizeof(path), "%s/%s", h->folder, FILE_NAME);
	snprintf(fresh, sizeof(fresh), "%s.%d", path, (int)getpid());
	if (json_dump_file(json, fresh, JSON_COMPACT) != 0 || rename(fresh, path) != 0) {
		if (!h->warned)
			log_warn(NULL, "%s cannot be written: %s", path, strerror(errno));
		h->warned = true;
		unlink(fresh);
	}
	json_decref(json);
}

static void
load_seats(struct history *h, const json_t *seats)
{
	json_t *row;
	size_t i;

	json_array_foreach(seats, i, row)
	{
		json_int_t at, pid, generation, started_ms;

		if (json_unpack(row, "[I, I, I, I]", &at, &pid, &generation, &started_ms) == 0 &&
		    at > 0 && at < (json_int_t)SEATS)
			h->seats[at] = (struct seat){(uint32_t)pid, (uint32_t)generation,
						     (uint64_t)started_ms};
	}
}

static void
load_events(struct history *h, const json_t *events)
{
	size_t n = json_array_size(events);

	for (n = n < HISTORY_EVENTS ? n : HISTORY_EVENTS; n > 0; n--) {
		json_t *row = json_array_get(events, n - 1);
		struct event *e = &h->events[h->count];
		const char *what, *words;
		json_int_t at_ms;

		if (json_unpack(row, "{s:I, s:s, s:s}", "at_ms", &at_ms, "what", &what, "words",
				&words) != 0)
			continue;
		e->at_ms = (uint64_t)at_ms;
		str_copy(e->what, sizeof(e->what), str_from(what));
		str_copy(e->words, sizeof(e->words), str_from(words));
		h->count++;
	}
}

/* A file that makes no sense is as good as none. */
static void
load(struct history *h)
{
	json_int_t since_ms, looked_ms, generation, ready;
	json_t *json, *seats, *events;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", h->folder, FILE_NAME);
	json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	if (json != NULL &&
	    json_unpack(json, "{s:I, s:I, s:I, s:I, s:o, s:o}", "since_ms", &since_ms, "looked_ms",
			&looked_ms, "generation", &generation, "ready", &ready, "seats", &seats,
			"events", &events) == 0) {
		h->since_ms = (uint64_t)since_ms;
		h->looked_ms = (uint64_t)looked_ms;
		h->generation = (unsigned)generation;
		h->ready = (int)ready;
		load_seats(h, seats);
		load_events(h, events);
	}
	json_decref(json);
}

/* ---- life ---- */

int
history_new(struct view *v, const char *folder, struct history **ret)
{
	struct history *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return E_NOMEM;
	h->magic = HISTORY_MAGIC;
	h->view = v;
	h->folder = folder;
	h->since_ms = clock_wall_ms();
	h->ready = -1;
	load(h);
	*ret = h;
	return 0;
}

void
history_look(struct history *h)
{
	CHECK_MAGIC(h, HISTORY_MAGIC);
	h->changed = false;
	look_at_processes(h);
	look_at_generation(h);
	look_at_drivers(h);
	look_at_readiness(h);
	h->looked_ms = clock_wall_ms();
	if (h->changed)
		save(h);
}

static void
on_timer(void *arg)
{
	history_look(arg);
}

void
history_start(struct history *h, struct loop *loop)
{
	CHECK_MAGIC(h, HISTORY_MAGIC);
	h->loop = loop;
	loop_timer_start(loop, &h->timer, 0, HISTORY_LOOK_MS, on_timer, h);
}

void
history_stop(struct history *h)
{
	CHECK_MAGIC(h, HISTORY_MAGIC);
	loop_timer_stop(&h->timer);
}

void
history_free(struct history **history)
{
	struct history *h = *history;

	if (h == NULL)
		return;
	history_stop(h);
	h->magic = 0;
	free(h);
	*history = NULL;
}
