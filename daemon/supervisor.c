/*
 * The life of the gateway: start the children in order, stand by, stop them in order.
 *
 * Process: supervisor. In: signals, deaths, leashes. Out: children, log lines, news for the service
 * manager.
 *
 *	START_KEEPER -> START_REST -> RUNNING -> STOP_WORKERS -> STOP_HELPERS -> STOP_CONTROLLER
 *	      a new binary: START_REST -> START_LINKED -> RUNNING
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/children.h"
#include "daemon/ground.h"
#include "daemon/listeners.h"
#include "daemon/notify.h"
#include "daemon/reload.h"
#include "daemon/successor.h"
#include "daemon/supervisor.h"
#include "daemon/upgrade.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/sock.h"
#include "shm/leftover.h"

#define SUPERVISOR_MAGIC 0x50be4150u
#define HELPER_LIMIT_MS	 5000u /* keeper, checker, controller: from DRAIN to SIGKILL */
#define DRAIN_SPARE_MS	 5000u /* workers: beyond drain_timeout */
#define RENEW_MS	 50u /* after a reload, until its controller is started: of a burst, one */

enum phase {
	START_KEEPER,
	START_REST,
	START_LINKED, /* until the predecessor says GO */
	RUNNING,
	STOP_WORKERS,
	STOP_HELPERS,
	STOP_CONTROLLER
};

struct supervisor {
	unsigned magic;
	enum phase phase;
	int status;
	struct loop *loop;
	struct supervisor_setup *setup;
	struct segment *segment;
	struct listeners listeners;
	struct children children;
	struct reload reload;
	struct upgrade upgrade;
	struct successor successor;
	bool keep_controller; /* the successor's does not answer yet */
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
	successor_fail(v->successor.fd, words);
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
	v->children.probe_first = false;
	log_info(NULL, "started: generation %u, %u workers", w->generation, w->conf->workers);
	if (v->successor.fd >= 0)
		successor_say(&v->successor, LINK_TOOK); /* it tells the service manager */
	else
		tell_ready(v);
}

static void
stand_by(struct supervisor *v)
{
	enter(v, START_LINKED);
	successor_say(&v->successor, LINK_READY);
}

/* ---- stop ---- */

/* Called whenever a seat has become empty; children_drain_kind() may come back here at once. */
static void
go_on_stopping(struct supervisor *v)
{
	if (v->phase == STOP_WORKERS && children_none(&v->children, PROC_WORKER)) {
		enter(v, STOP_HELPERS);
		children_drain_kind(&v->children, PROC_CHECKER, HELPER_LIMIT_MS);
		children_drain_kind(&v->children, PROC_KEEPER, HELPER_LIMIT_MS);
	}
	if (v->phase == STOP_HELPERS && children_none(&v->children, PROC_CHECKER) &&
	    children_none(&v->children, PROC_KEEPER) && !v->keep_controller) {
		enter(v, STOP_CONTROLLER);
		children_drain_kind(&v->children, PROC_CONTROLLER, HELPER_LIMIT_MS);
	}
	if (v->phase == STOP_CONTROLLER && children_none(&v->children, PROC_CONTROLLER))
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
	upgrade_close(&v->upgrade);
	reload_abort(&v->reload, "the gateway is stopping");
	children_drain_kind(&v->children, PROC_WORKER, limit_ms + DRAIN_SPARE_MS);
	go_on_stopping(v);
}

/* ---- upgrade ---- */

static void
write_pid(int fd, long pid)
{
	if (ftruncate(fd, 0) != 0 || lseek(fd, 0, SEEK_SET) != 0 || dprintf(fd, "%ld\n", pid) < 0)
		log_warn(NULL, "the pid file cannot be written: %s", strerror(errno));
}

/* It serves: from now on this one only finishes what it carries. */
static void
on_upgraded(void *arg, pid_t pid)
{
	struct supervisor *v = arg;
	const struct world *w = v->reload.current;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	write_pid(v->setup->lock_fd, (long)pid);
	sock_close(&v->setup->lock_fd);
	notify_successor((long)pid, w->generation + 1);
	loop_timer_stop(&v->watchdog);
	loop_timer_stop(&v->renew);
	log_info(NULL, "process %ld has taken over: connections drain for at most %llu s",
		 (long)pid, (unsigned long long)(w->conf->drain_timeout_ms / 1000));
	enter(v, STOP_WORKERS);
	v->keep_controller = true;
	listeners_close(&v->listeners);
	children_drain_kind(&v->children, PROC_WORKER, w->conf->drain_timeout_ms + DRAIN_SPARE_MS);
	go_on_stopping(v);
}

static void
on_upgrade_answers(void *arg)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	v->keep_controller = false;
	children_drain_kind(&v->children, PROC_CONTROLLER, HELPER_LIMIT_MS);
	go_on_stopping(v);
}

static void
on_upgrade_failed(void *arg)
{
	struct supervisor *v = arg;
	char path[4096];

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	leftover_take_back(ground_segment_path(v->reload.current, path, sizeof(path)), v->segment);
}

static const struct upgrade_hooks upgrade_hooks = {
	.done = on_upgraded,
	.answers = on_upgrade_answers,
	.failed = on_upgrade_failed,
};

/* NULL: nothing is. */
static const char *
what_is_under_way(const struct supervisor *v)
{
	if (v->phase != RUNNING)
		return v->phase < RUNNING ? "the gateway is starting" : "the gateway is stopping";
	if (v->upgrade.state != UPGRADE_IDLE)
		return "an upgrade is under way";
	return v->reload.state != RELOAD_IDLE ? "a reload is under way" : NULL;
}

static void
on_upgrade_signal(void *arg, int signo)
{
	struct supervisor *v = arg;
	struct handover h = {.link_fd = -1};
	const char *busy;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	busy = what_is_under_way(v);
	if (busy != NULL) {
		log_warn(NULL, "SIGUSR2 refused: %s", busy);
		return;
	}
	h.lock_fd = v->setup->lock_fd;
	h.generation = v->reload.generation;
	h.state_dir = strdup(v->reload.current->conf->state_dir.p);
	if (h.state_dir != NULL && listeners_describe(&v->listeners, &h) == E_OK)
		upgrade_begin(&v->upgrade, &h);
	else
		log_error(NULL, "SIGUSR2 refused: out of memory");
	handover_free(&h);
}

/* ---- the new binary's side ---- */

static void
on_go(void *arg)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase == START_LINKED)
		open_up(v);
}

static void
on_predecessor_ended(void *arg)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase < RUNNING)
		give_up(v, "the program that started this one has ended");
	else
		children_recount(&v->children);
}

/* ---- the controller after a reload ---- */

/* Not in the middle of a reload, whose answer the old one may be waiting for. */
static void
renew_controller(void *arg)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->reload.state == RELOAD_IDLE && !v->reload.again)
		reload_renew_controller(&v->reload);
}

/* ---- news of children ---- */

static void
on_ready(void *arg, struct seat *s)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	if (v->phase == START_KEEPER && s->kind == PROC_KEEPER)
		start_rest(v);
	else if (v->phase == START_REST && rest_is_ready(v) && v->successor.fd >= 0)
		stand_by(v);
	else if (v->phase == START_REST && rest_is_ready(v))
		open_up(v);
	else if (v->phase == RUNNING && s->kind == PROC_CONTROLLER) {
		successor_say(&v->successor, LINK_ANSWERS);
		reload_retire_controllers(&v->reload, s);
	} else if (v->phase == RUNNING) {
		reload_ready(&v->reload, s);
	}
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
	if (v->phase == RUNNING && v->upgrade.state == UPGRADE_IDLE) {
		reload_request(&v->reload, &asker);
		return;
	}
	if (v->phase == RUNNING)
		str_copy(m.words, sizeof(m.words), str_from("an upgrade is under way"));
	children_answer(s, &m);
}

static void
on_stranger(void *arg, pid_t pid, int status)
{
	struct supervisor *v = arg;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	upgrade_reaped(&v->upgrade, pid, status);
}

static const struct children_hooks children_hooks = {
	.ready = on_ready,
	.gone = on_gone,
	.left = on_left,
	.asked = on_asked,
	.stranger = on_stranger,
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
	const char *busy;

	CHECK_MAGIC(v, SUPERVISOR_MAGIC);
	busy = what_is_under_way(v);
	if (busy == NULL || (v->phase == RUNNING && v->reload.state != RELOAD_IDLE))
		reload_request(&v->reload, NULL);
	else
		log_warn(NULL, "SIGHUP ignored: %s", busy);
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
	loop_signal(v->loop, SIGUSR2, on_upgrade_signal, v);
	if (notify_watchdog_ms() > 0)
		loop_timer_start(v->loop, &v->watchdog, notify_watchdog_ms(), notify_watchdog_ms(),
				 on_watchdog, v);
}

/* ---- the whole ---- */

static void
wire_upgrade(struct supervisor *v)
{
	v->upgrade = (struct upgrade){
		.loop = v->loop,
		.program = v->setup->program,
		.argv = v->setup->argv,
		.hooks = &upgrade_hooks,
		.arg = v,
		.link_fd = -1,
	};
	v->successor = (struct successor){
		.fd = v->setup->handover->link_fd,
		.go = on_go,
		.ended = on_predecessor_ended,
		.arg = v,
	};
	v->children.probe_first = v->successor.fd >= 0;
}

static void
wire(struct supervisor *v, struct supervisor_setup *setup)
{
	struct world *first = setup->first;

	*v = (struct supervisor){.magic = SUPERVISOR_MAGIC, .loop = loop_new(), .setup = setup};
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
	v->children.controller_path = setup->controller_path;
	v->children.pepper = setup->pepper;
	v->children.hooks = &children_hooks;
	v->children.arg = v;
	wire_upgrade(v);
}

static void
clean_up(struct supervisor *v)
{
	upgrade_close(&v->upgrade);
	successor_close(&v->successor);
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
supervisor_run(struct supervisor_setup *setup)
{
	struct supervisor *v = calloc(1, sizeof(*v));
	int status;

	ASSERT(v != NULL);
	wire(v, setup);
	v->status = 1;
	if (children_open(&v->children) != E_OK) {
		log_error(NULL, "cannot make a socket pair: %s", strerror(errno));
		goto out;
	}
	if (ground_bind(&v->listeners, setup->first, setup->handover) != E_OK ||
	    ground_make_segment(setup->first, setup->handover->link_fd >= 0, &v->segment) != E_OK ||
	    ground_take_seats(&v->children, setup->first) != E_OK)
		goto out;
	v->children.segment = v->segment;
	v->status = 0;
	watch_signals(v);
	successor_open(&v->successor, v->loop);
	children_start(children_find(&v->children, PROC_KEEPER));
	loop_run(v->loop);
	log_info(NULL, "ended");
out:
	status = v->status;
	if (v->phase < RUNNING && setup->handover->link_fd >= 0)
		sock_close(&setup->lock_fd); /* the pid file is the predecessor's yet */
	clean_up(v);
	free(v);
	return status;
}
