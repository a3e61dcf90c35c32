/*
 * The life of the gateway: start the children in order, stand by, stop them in order.
 *
 * Process: supervisor. In: signals, deaths, leashes. Out: children, log lines, news for the service
 * manager.
 *
 *	START_KEEPER -> START_REST -> RUNNING -> STOP_WORKERS -> STOP_HELPERS -> STOP_CONTROLLER
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/children.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/supervisor.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/leftover.h"

#define SUPERVISOR_MAGIC 0x50be4150u
#define HELPER_LIMIT_MS	 5000u /* keeper, checker, controller: from DRAIN to SIGKILL */
#define DRAIN_SPARE_MS	 5000u /* workers: beyond drain_timeout */
#define RENEW_MS	 50u   /* after a reload, until its controller is started: of a burst, one */

enum phase { START_KEEPER, START_REST, RUNNING, STOP_WORKERS, STOP_HELPERS, STOP_CONTROLLER };

struct supervisor {
	unsigned magic;
	enum phase phase;
	int status;
	struct loop *loop;
	struct segment *segment;
	struct listeners listeners;
	struct children children;
	struct reload reload;
	struct loop_timer watchdog, renew;
};

/* The one writer of the phase. */
static void
enter(struct supervisor *v, enum phase phase)
{
	ASSERT(phase > v->phase);
	v->phase = phase;
}

/* ---- start ---- */

static void
give_up(struct supervisor *v, const char *words)
{
	log_error(NULL, "cannot start: %s", words);
	v->status = 1;
	loop_stop(v->loop);
}

static void
start_rest(struct supervisor *v)
{
	struct seat *s = NULL;

	enter(v, START_REST);
	while ((s = children_next(&v->children, s)) != NULL)
		if (s->kind == PROC_WORKER || s->kind == PROC_CHECKER)
			children_start(s);
}

static bool
rest_is_ready(struct supervisor *v)
{
	struct seat *s = NULL;

	while ((s = children_next(&v->children, s)) != NULL)
		if ((s->kind == PROC_WORKER || s->kind == PROC_CHECKER) && s->state != SEAT_READY)
			return false;
	return true;
}

static void
tell_ready(struct supervisor *v)
{
	const struct world *w = v->reload.current;

	notify_ready("generation %u, %u workers", w->generation, w->conf->workers);
}

static void
open_up(struct supervisor *v)
{
	struct world *w = v->reload.current;
	struct seat *s = NULL;

	enter(v, RUNNING);
	listeners_commit(&v->listeners, w);
	w->live = true;
	while ((s = children_next(&v->children, s)) != NULL)
		children_go(s);
	s = children_find(&v->children, PROC_CONTROLLER);
	ASSERT(s != NULL);
	children_start(s);
	log_info(NULL, "started: generation %u, %u workers", w->generation, w->conf->workers);
	tell_ready(v);
}

/* ---- stop ---- */

static bool
none_left(struct supervisor *v, enum proc_kind kind)
{
	return children_find(&v->children, kind) == NULL;
}

static void
drain_kind(struct supervisor *v, enum proc_kind kind, uint64_t limit_ms)
{
	struct seat *s = NULL;

	while ((s = children_next(&v->children, s)) != NULL)
		if (s->kind == kind && !s->last)
			children_drain(s, limit_ms);
}

/* Called whenever a seat has become empty; drain_kind() may come back here at once. */
static void
go_on_stopping(struct supervisor *v)
{
	if (v->phase == STOP_WORKERS && none_left(v, PROC_WORKER)) {
		enter(v, STOP_HELPERS);
		drain_kind(v, PROC_CHECKER, HELPER_LIMIT_MS);
		drain_kind(v, PROC_KEEPER, HELPER_LIMIT_MS);
	}
	if (v->phase == STOP_HELPERS && none_left(v, PROC_CHECKER) && none_left(v, PROC_KEEPER)) {
		enter(v, STOP_CONTROLLER);
		drain_kind(v, PROC_CONTROLLER, HELPER_LIMIT_MS);
	}
	if (v->phase == STOP_CONTROLLER && none_left(v, PROC_CONTROLLER))
		loop_stop(v->loop);
}

static void
stop(struct supervisor *v)
{
	uint64_t limit_ms = v->reload.current->conf->drain_timeout_ms;

	log_info(NULL, "stopping: connections drain for at most %llu s",
		 (unsigned long long)(limit_ms / 1000));
	enter(v, STOP_WORKERS);
	notify_stopping();
	loop_timer_stop(&v->renew);
	reload_abort(&v->reload, "the gateway is stopping");
	drain_kind(v, PROC_WORKER, limit_ms + DRAIN_SPARE_MS);
	go_on_stopping(v);
}

/* ---- the controller after a reload ---- */

/*
 * A controller of the new world is started beside the old one, which goes when that is ready. Not
 * in the middle of a reload, whose answer the old one may be waiting for.
 */
static void
renew_controller(void *arg)
{
	struct supervisor *v = arg;
	struct seat *s = NULL;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->reload.state != RELOAD_IDLE || v->reload.again)
		return;
	while ((s = children_next(&v->children, s)) != NULL) {
		if (s->kind != PROC_CONTROLLER || s->last)
			continue;
		if (s->world == v->reload.current)
			return;
		if (s->state != SEAT_READY) /* outdated before it could serve */
			children_end(s);
	}
	if (children_take(&v->children, PROC_CONTROLLER, 0, v->reload.current, &s) == E_OK)
		children_start(s);
	else
		log_error(NULL, "no room for a new controller: the old one stays");
}

static void
retire_controllers(struct supervisor *v, const struct seat *successor)
{
	struct seat *s = NULL;

	while ((s = children_next(&v->children, s)) != NULL)
		if (s->kind == PROC_CONTROLLER && s->world != successor->world && !s->last)
			children_drain(s, HELPER_LIMIT_MS);
}

/* ---- news of children ---- */

static void
on_ready(void *arg, struct seat *s)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase == START_KEEPER && s->kind == PROC_KEEPER)
		start_rest(v);
	else if (v->phase == START_REST && rest_is_ready(v))
		open_up(v);
	else if (v->phase == RUNNING && s->kind == PROC_CONTROLLER)
		retire_controllers(v, s);
	else if (v->phase == RUNNING)
		reload_ready(&v->reload, s);
}

static void
on_gone(void *arg, struct seat *s)
{
	struct supervisor *v = arg;
	char words[96];

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase < RUNNING) {
		snprintf(words, sizeof(words), "the %s ended before all were ready",
			 procs_kind_name(s->kind));
		give_up(v, words);
		children_end(s);
	} else if (v->phase == RUNNING) {
		reload_gone(&v->reload, s);
	}
}

static void
on_left(void *arg)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	go_on_stopping(v);
}

static void
on_asked(void *arg, struct seat *s, uint32_t id)
{
	struct supervisor *v = arg;
	const struct reload_asker asker = {.pid = s->pid, .id = id};
	struct leash_reloaded m = {
		.head = {.type = LEASH_RELOADED, .size = sizeof(m), .id = id},
		.failed = 1,
		.words = "the gateway is stopping",
	};

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase == RUNNING)
		reload_request(&v->reload, &asker);
	else
		children_answer(s, &m);
}

static const struct children_hooks children_hooks = {
	.ready = on_ready,
	.gone = on_gone,
	.left = on_left,
	.asked = on_asked,
};

/* ---- news of reloads ---- */

static void
on_began(void *arg)
{
	notify_reloading();
}

static void
on_finished(void *arg, bool failed)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase != RUNNING)
		return;
	tell_ready(v);
	loop_timer_start(v->loop, &v->renew, RENEW_MS, 0, renew_controller, v);
}

static const struct reload_hooks reload_hooks = {.began = on_began, .finished = on_finished};

/* ---- signals and timers ---- */

static void
on_reload_signal(void *arg, int signo)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase == RUNNING)
		reload_request(&v->reload, NULL);
	else
		log_warn(NULL, "SIGHUP ignored: the gateway is %s",
			 v->phase < RUNNING ? "starting" : "stopping");
}

static void
on_stop_signal(void *arg, int signo)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (signo == SIGTERM && v->phase == RUNNING) {
		stop(v);
		return;
	}
	log_info(NULL, "%s: ended at once", signo == SIGTERM ? "SIGTERM" : "SIGINT");
	loop_stop(v->loop);
}

static void
on_reopen_signal(void *arg, int signo)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (log_reopen() != E_OK)
		log_error(NULL, "cannot reopen the log: %s", strerror(errno));
	children_reopen(&v->children);
}

static void
on_child_signal(void *arg, int signo)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	children_reap(&v->children);
}

static void
on_watchdog(void *arg)
{
	notify_watchdog();
}

static void
watch_signals(struct supervisor *v)
{
	loop_signal(v->loop, SIGHUP, on_reload_signal, v);
	loop_signal(v->loop, SIGTERM, on_stop_signal, v);
	loop_signal(v->loop, SIGINT, on_stop_signal, v);
	loop_signal(v->loop, SIGUSR1, on_reopen_signal, v);
	loop_signal(v->loop, SIGCHLD, on_child_signal, v);
	signal(SIGUSR2, SIG_IGN);
	if (notify_watchdog_ms() > 0)
		loop_timer_start(v->loop, &v->watchdog, notify_watchdog_ms(), notify_watchdog_ms(),
				 on_watchdog, v);
}

/* ---- the whole ---- */

static int
put_by_leftover(const char *path)
{
	const char *words;
	int err = leftover_put_by(path, &words);

	if (err == E_OK && words != NULL)
		log_warn(NULL, "%s: %s", path, words);
	else if (err == E_FULL)
		log_error(NULL,
			  "%s: there are %d such files already, whose audit records could not be "
			  "written; make room in state_dir, or move them away",
			  path, LEFTOVER_FILES);
	else if (err != E_OK)
		log_error(NULL, "%s of an earlier life cannot be put by: %s", path,
			  strerror(errno));
	return err;
}

/* The only moment at which the supervisor writes to the segment. */
static int
make_segment(struct supervisor *v)
{
	struct str dir = v->reload.current->conf->run_dir;
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "%.*s/segment", STR_ARG(dir));
	err = put_by_leftover(path);
	if (err != E_OK)
		return err;
	err = segment_create(path, &v->segment);
	if (err == E_OK)
		err = segment_enter_row(v->segment, 0);
	if (err != E_OK) {
		log_error(NULL, "cannot make %s: %s", path, strerror(errno));
		return err;
	}
	procs_enter(&segment_procs(v->segment)[0], PROC_SUPERVISOR, 0, 1, 0);
	procs_set_state(&segment_procs(v->segment)[0], PROC_READY);
	return E_OK;
}

static int
bind_all(struct supervisor *v)
{
	struct world *w = v->reload.current;
	char line[1024];
	int err = listeners_prepare(&v->listeners, w, true);

	for (struct conf_error *e = w->errors; err != E_OK && e != NULL; e = e->next) {
		conf_error_text(w->conf, e, line, sizeof(line));
		line[strcspn(line, "\n")] = '\0';
		log_error(NULL, "%s", line);
	}
	return err;
}

/* All seats before the first fork: the keeper needs every worker's channel. */
static int
take_seats(struct supervisor *v)
{
	struct world *w = v->reload.current;
	struct seat *s;
	int err;

	err = children_take(&v->children, PROC_KEEPER, 0, w, &s);
	if (err == E_OK)
		err = children_take(&v->children, PROC_CHECKER, 0, w, &s);
	if (err == E_OK)
		err = children_take(&v->children, PROC_CONTROLLER, 0, w, &s);
	for (unsigned i = 0; err == E_OK && i < w->conf->workers; i++)
		err = children_take(&v->children, PROC_WORKER, i, w, &s);
	if (err != E_OK)
		log_error(NULL, "no room for %u workers: %s", w->conf->workers, err_text(err));
	return err;
}

static void
wire(struct supervisor *v, struct world *first, const char *controller_path, uint8_t *pepper)
{
	*v = (struct supervisor){.magic = SUPERVISOR_MAGIC, .loop = loop_new()};
	v->reload = (struct reload){
		.children = &v->children,
		.listeners = &v->listeners,
		.hooks = &reload_hooks,
		.arg = v,
		.current = first,
		.generation = first->generation,
	};
	v->children.loop = v->loop;
	v->children.listeners = &v->listeners;
	v->children.controller_path = controller_path;
	v->children.pepper = pepper;
	v->children.hooks = &children_hooks;
	v->children.arg = v;
}

static void
clean_up(struct supervisor *v)
{
	children_kill_all(&v->children);
	children_close(&v->children);
	loop_timer_stop(&v->watchdog);
	loop_timer_stop(&v->renew);
	loop_timer_stop(&v->reload.limit);
	loop_free(&v->loop);
	listeners_close(&v->listeners);
	segment_detach(&v->segment);
	world_unref(&v->reload.next);
	world_unref(&v->reload.current);
}

int
supervisor_run(struct world *first, const char *controller_path, uint8_t *pepper)
{
	struct supervisor *v = calloc(1, sizeof(*v));
	int status;

	ASSERT(v != NULL);
	wire(v, first, controller_path, pepper);
	v->status = 1;
	if (children_open(&v->children) != E_OK) {
		log_error(NULL, "cannot make a socket pair: %s", strerror(errno));
		goto out;
	}
	if (make_segment(v) != E_OK || bind_all(v) != E_OK || take_seats(v) != E_OK)
		goto out;
	v->children.segment = v->segment;
	v->status = 0;
	watch_signals(v);
	children_start(children_find(&v->children, PROC_KEEPER));
	loop_run(v->loop);
	log_info(NULL, "ended");
out:
	status = v->status;
	clean_up(v);
	free(v);
	return status;
}
