/*
 * The seats of the children: fork, leash, deaths, hangs.
 *
 * Process: supervisor. In: SIGCHLD, messages on the leashes, heartbeats in the segment. Out: forks,
 * signals, messages; what a death means for a start, a reload or a stop is decided by the hooks.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/children.h"
#include "daemon/spawn.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/sock.h"
#include "shm/counters.h"

#define WATCH_MS       500u
#define START_LIMIT_MS 30000u /* fork to READY */
#define ABORT_MS       5000u  /* without a beat: SIGABRT, for an obituary */
#define KILL_MS	       10000u
#define YOUNG_MS       5000u
#define DELAY_MIN_MS   100u
#define DELAY_MAX_MS   30000u
#define CANNOT_WORK    2 /* exit status of a child that need not be tried again soon */

static void on_restart(void *arg);

static const char *
name(const struct seat *s, char *buf, size_t size)
{
	if (s->kind == PROC_WORKER)
		snprintf(buf, size, "worker=%u gen=%u", s->slot, s->generation);
	else
		snprintf(buf, size, "child=%s gen=%u", procs_kind_name(s->kind), s->generation);
	return buf;
}
#define NAME(s) name(s, (char[64]){0}, 64)

/* The one writer of the state. */
static void
enter(struct seat *s, enum seat_state state)
{
	static const unsigned predecessors[] = {
		[SEAT_EMPTY] = 1u << SEAT_WAITING,
		[SEAT_WAITING] = 1u << SEAT_EMPTY | 1u << SEAT_WAITING | 1u << SEAT_STARTING |
				 1u << SEAT_READY | 1u << SEAT_DRAINING,
		[SEAT_STARTING] = 1u << SEAT_WAITING,
		[SEAT_READY] = 1u << SEAT_STARTING,
		[SEAT_DRAINING] = 1u << SEAT_STARTING | 1u << SEAT_READY | 1u << SEAT_DRAINING,
	};

	ASSERT(predecessors[state] & 1u << s->state);
	s->state = state;
}

static void
make_empty(struct children *c, unsigned row)
{
	c->seats[row] = (struct seat){
		.children = c,
		.row = row,
		.leash_fd = -1,
		.keeper_fds = {-1, -1},
		.checker_fds = {-1, -1},
	};
}

static void
close_channels(struct seat *s)
{
	for (unsigned i = 0; i < 2; i++) {
		sock_close(&s->keeper_fds[i]);
		sock_close(&s->checker_fds[i]);
	}
}

static void
vacate(struct seat *s)
{
	struct children *c = s->children;

	ASSERT(s->pid == 0 && s->leash_fd < 0);
	enter(s, SEAT_EMPTY);
	loop_timer_stop(&s->restart);
	close_channels(s);
	world_unref(&s->world);
	make_empty(c, s->row);
	c->hooks->left(c->arg);
}

int
children_take(struct children *c, enum proc_kind kind, unsigned slot, struct world *w,
	      struct seat **ret)
{
	struct seat *s = NULL;

	for (unsigned i = 1; s == NULL && i < SEGMENT_PROCS; i++)
		if (c->seats[i].state == SEAT_EMPTY)
			s = &c->seats[i];
	if (s == NULL)
		return E_FULL;
	if (kind == PROC_WORKER) {
		if (sock_pair(s->keeper_fds) != E_OK)
			return E_IO;
		if (sock_pair(s->checker_fds) != E_OK) {
			close_channels(s);
			return E_IO;
		}
	}
	s->kind = kind;
	s->slot = slot;
	s->world = world_ref(w);
	s->generation = w->generation;
	enter(s, SEAT_WAITING);
	*ret = s;
	return E_OK;
}

/* ---- the leash ---- */

static void
drop_leash(struct seat *s)
{
	msg_close(&s->leash);
	sock_close(&s->leash_fd);
}

/* A child that leaves its leash unread does not live. */
static void
tell_with(struct seat *s, enum leash_type type, int fd)
{
	const struct leash_plain m = {.head = {.type = type, .size = sizeof(m)}};

	if (s->leash_fd >= 0 && msg_send_fd(s->leash_fd, &m.head, fd) == E_AGAIN) {
		log_error(NAME(s), "does not read what it is told: killed");
		kill(s->pid, SIGKILL);
	}
}

static void
tell(struct seat *s, enum leash_type type)
{
	tell_with(s, type, -1);
}

static void
on_leash(void *arg, const struct msg_head *head)
{
	struct seat *s = arg;
	struct children *c = s->children;

	if (!MSG_IS(head, leash_plain))
		return;
	if (head->type == LEASH_RELOAD && s->kind == PROC_CONTROLLER) {
		c->hooks->asked(c->arg, s, head->id);
	} else if (head->type == LEASH_READY && s->state == SEAT_STARTING) {
		enter(s, SEAT_READY);
		log_info(NAME(s), "ready after %llu ms (process %ld)",
			 (unsigned long long)(clock_ms() - s->forked_ms), (long)s->pid);
		children_go(s);
		c->hooks->ready(c->arg, s);
	}
}

void
children_go(struct seat *s)
{
	if (s->kind == PROC_WORKER && s->state == SEAT_READY && s->world->live)
		tell(s, LEASH_GO);
}

void
children_answer(struct seat *s, const struct leash_reloaded *m)
{
	if (s->leash_fd >= 0 && msg_send(s->leash_fd, &m->head) != E_OK)
		log_warn(NAME(s), "could not be told the outcome of the reload");
}

/* ---- birth ---- */

_Noreturn static void
be_born(struct seat *s, int leash_fd, pid_t parent)
{
	struct children *c = s->children;
	int fds[SEGMENT_PROCS];
	struct spawn spawn = {
		.seat = {.kind = s->kind,
			 .slot = s->slot,
			 .generation = s->generation,
			 .restarts = s->restarts,
			 .row = s->row,
			 .leash_fd = leash_fd,
			 .parent = parent},
		.segment = c->segment,
		.world = s->world,
		.listeners = c->listeners,
		.keeper_fd = s->kind == PROC_CONTROLLER ? c->controller_fds[0] : s->keeper_fds[0],
		.checker_fd = s->checker_fds[0],
		.worker_fds = fds,
		.controller_fd = c->controller_fds[1],
		.controller_path = c->controller_path,
		.pepper = c->pepper,
		.probe_first = c->probe_first,
	};

	for (struct seat *w = children_next(c, NULL); w != NULL; w = children_next(c, w))
		if (w->kind == PROC_WORKER)
			fds[spawn.worker_fds_count++] =
				s->kind == PROC_KEEPER ? w->keeper_fds[1] : w->checker_fds[1];
	spawn_live(&spawn);
}

static void
plan_restart(struct seat *s, uint64_t delay_ms)
{
	loop_timer_start(s->children->loop, &s->restart, delay_ms, 0, on_restart, s);
}

/* How long the successor waits, from how the predecessors ended. */
static uint64_t
delay_of(const struct seat *s, bool cannot_work)
{
	if (cannot_work)
		return DELAY_MAX_MS;
	if (s->quick <= 1)
		return 0;
	if (s->quick > 10)
		return DELAY_MAX_MS;
	return DELAY_MIN_MS << (s->quick - 2);
}

static void
fail_fork(struct seat *s)
{
	uint64_t delay_ms;

	s->quick++;
	delay_ms = delay_of(s, false);
	log_error(NAME(s), "cannot start a process: %s; next try in %llu ms", strerror(errno),
		  (unsigned long long)delay_ms);
	plan_restart(s, delay_ms);
}

void
children_start(struct seat *s)
{
	struct children *c = s->children;
	pid_t parent = getpid(), pid = -1;
	int pair[2] = {-1, -1}, saved;
	sigset_t all, before;

	ASSERT(s->state == SEAT_WAITING && s->pid == 0);
	loop_timer_stop(&s->restart);
	s->generation = s->world->generation;
	/* no handler of the supervisor may run in the child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	if (sock_pair(pair) == E_OK)
		pid = fork();
	if (pid == 0)
		be_born(s, pair[1], parent);
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	sock_close(&pair[1]);
	errno = saved;
	if (pid < 0) {
		fail_fork(s);
		sock_close(&pair[0]);
		return;
	}
	s->pid = pid;
	s->leash_fd = pair[0];
	s->forked_ms = s->beat_ms = clock_ms();
	s->kill_ms = 0;
	s->aborted = false;
	enter(s, SEAT_STARTING);
	msg_open(&s->leash, c->loop, s->leash_fd, on_leash, NULL, s);
}

static void
on_restart(void *arg)
{
	struct seat *s = arg;

	if (s->state == SEAT_WAITING)
		children_start(s);
}

/* ---- end ---- */

static void
drain(struct seat *s, uint64_t limit_ms)
{
	enter(s, SEAT_DRAINING);
	s->kill_ms = clock_ms() + limit_ms;
	tell(s, LEASH_DRAIN);
}

void
children_drain(struct seat *s, uint64_t limit_ms)
{
	s->last = true;
	if (s->pid == 0)
		vacate(s);
	else
		drain(s, limit_ms);
}

void
children_drain_kind(struct children *c, enum proc_kind kind, uint64_t limit_ms)
{
	struct seat *s = NULL;

	while ((s = children_next(c, s)) != NULL)
		if (s->kind == kind && !s->last)
			children_drain(s, limit_ms);
}

void
children_replace(struct seat *s, struct world *w, uint64_t limit_ms)
{
	struct world *old = s->world;

	s->world = world_ref(w);
	world_unref(&old);
	s->quick = 0; /* another configuration, another try */
	if (s->pid == 0)
		children_start(s);
	else
		drain(s, limit_ms);
}

void
children_end(struct seat *s)
{
	s->last = true;
	s->ended = true;
	if (s->pid == 0)
		vacate(s);
	else
		kill(s->pid, SIGKILL);
}

const char *
children_reason(int status, char *buf, size_t size)
{
	if (!WIFSIGNALED(status))
		snprintf(buf, size, "exit status %d", WEXITSTATUS(status));
	else if (sigabbrev_np(WTERMSIG(status)) != NULL)
		snprintf(buf, size, "killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(buf, size, "killed by signal %d", WTERMSIG(status));
	return buf;
}

static void
log_death(const struct seat *s, int status, uint64_t lived_ms, bool expected, uint64_t delay_ms)
{
	char reason[64], next[64] = "";

	children_reason(status, reason, sizeof(reason));
	if (!expected && s->world->live)
		snprintf(next, sizeof(next), "; next start in %llu ms",
			 (unsigned long long)delay_ms);
	log_write(expected && status == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, NAME(s),
		  "%s: %s after %llu.%llu s (process %ld)%s", expected ? "ended" : "died", reason,
		  (unsigned long long)(lived_ms / 1000), (unsigned long long)(lived_ms / 100 % 10),
		  (long)s->pid, next);
}

static void
count_restart(const struct seat *s)
{
	static const enum counter counters[] = {
		[PROC_WORKER] = COUNTER_restarts_worker,
		[PROC_CHECKER] = COUNTER_restarts_checker,
		[PROC_KEEPER] = COUNTER_restarts_keeper,
		[PROC_CONTROLLER] = COUNTER_restarts_controller,
	};

	counters_add(&segment_counters(s->children->segment)[0], counters[s->kind], 1);
}

static void
bury(struct seat *s, int status)
{
	struct children *c = s->children;
	uint64_t lived_ms = clock_ms() - s->forked_ms, delay_ms = 0;
	bool expected = s->last || s->state == SEAT_DRAINING;

	if (!expected) {
		s->restarts++;
		count_restart(s);
		s->quick = lived_ms < YOUNG_MS ? s->quick + 1 : 0;
		delay_ms = delay_of(s, WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_WORK);
	}
	log_death(s, status, lived_ms, expected, delay_ms);
	drop_leash(s);
	s->pid = 0;
	enter(s, SEAT_WAITING);
	c->hooks->gone(c->arg, s);
	if (s->state != SEAT_WAITING)
		return; /* the hook has ended or started it */
	if (s->last)
		vacate(s);
	else if (delay_ms == 0)
		children_start(s);
	else
		plan_restart(s, delay_ms);
}

void
children_reap(struct children *c)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct seat *s = children_next(c, NULL);

		while (s != NULL && s->pid != pid)
			s = children_next(c, s);
		if (s != NULL)
			bury(s, status);
		else
			c->hooks->stranger(c->arg, pid, status);
	}
}

/* ---- hangs ---- */

static uint64_t
last_beat(struct seat *s)
{
	struct procs_row *row = &segment_procs(s->children->segment)[s->row];

	if (atomic_load(&row->pid) == (uint32_t)s->pid && atomic_load(&row->beat_ms) > s->beat_ms)
		s->beat_ms = atomic_load(&row->beat_ms);
	return s->beat_ms > s->children->awake_ms ? s->beat_ms : s->children->awake_ms;
}

static void
punish(struct seat *s, bool abort_it, bool kill_it, const char *words)
{
	if (kill_it) {
		log_error(NAME(s), "%s: killed", words);
		kill(s->pid, SIGKILL);
	} else if (abort_it && !s->aborted) {
		log_error(NAME(s), "%s: aborted", words);
		kill(s->pid, SIGABRT);
		s->aborted = true;
	}
}

static void
watch(struct seat *s, uint64_t now_ms)
{
	uint64_t since_fork = now_ms - s->forked_ms, beat_ms = last_beat(s);
	uint64_t silent = now_ms > beat_ms ? now_ms - beat_ms : 0;

	if (s->kill_ms != 0 && now_ms >= s->kill_ms) {
		s->kill_ms = 0;
		punish(s, false, true, "has not drained in time");
	} else if (s->state == SEAT_STARTING) {
		punish(s, since_fork > START_LIMIT_MS, since_fork > START_LIMIT_MS + ABORT_MS,
		       "is not ready after 30 s");
	} else {
		punish(s, silent > ABORT_MS, silent > KILL_MS, "does not beat");
	}
}

/* When this timer itself is late, the machine was stopped, not the children. */
static void
on_watch(void *arg)
{
	struct children *c = arg;
	uint64_t now_ms = clock_ms();

	if (now_ms - c->watched_ms > 4 * WATCH_MS)
		c->awake_ms = now_ms;
	c->watched_ms = now_ms;
	for (struct seat *s = children_next(c, NULL); s != NULL; s = children_next(c, s))
		if (s->pid != 0)
			watch(s, now_ms);
}

/* ---- all of them ---- */

int
children_open(struct children *c)
{
	for (unsigned i = 0; i < SEGMENT_PROCS; i++)
		make_empty(c, i);
	c->watched_ms = c->awake_ms = clock_ms();
	loop_timer_start(c->loop, &c->watch, WATCH_MS, WATCH_MS, on_watch, c);
	return sock_pair(c->controller_fds);
}

void
children_reopen(struct children *c)
{
	for (struct seat *s = children_next(c, NULL); s != NULL; s = children_next(c, s))
		tell_with(s, LEASH_REOPEN, log_is_file() ? log_fd() : -1);
}

void
children_recount(struct children *c)
{
	struct seat *s = children_find(c, PROC_KEEPER);

	if (s != NULL)
		tell(s, LEASH_RECOUNT);
}

void
children_kill_all(struct children *c)
{
	for (struct seat *s = children_next(c, NULL); s != NULL; s = children_next(c, s))
		if (s->pid != 0)
			kill(s->pid, SIGKILL);
	for (struct seat *s = children_next(c, NULL); s != NULL; s = children_next(c, s)) {
		if (s->pid != 0)
			while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
				;
		s->pid = 0;
	}
}

void
children_close(struct children *c)
{
	loop_timer_stop(&c->watch);
	for (struct seat *s = children_next(c, NULL); s != NULL; s = children_next(c, s)) {
		ASSERT(s->pid == 0);
		drop_leash(s);
		loop_timer_stop(&s->restart);
		close_channels(s);
		world_unref(&s->world);
	}
	sock_close(&c->controller_fds[0]);
	sock_close(&c->controller_fds[1]);
}

/* ---- looking ---- */

struct seat *
children_next(struct children *c, struct seat *s)
{
	for (unsigned i = s == NULL ? 1 : s->row + 1; i < SEGMENT_PROCS; i++)
		if (c->seats[i].state != SEAT_EMPTY)
			return &c->seats[i];
	return NULL;
}

struct seat *
children_find(struct children *c, enum proc_kind kind)
{
	for (struct seat *s = children_next(c, NULL); s != NULL; s = children_next(c, s))
		if (s->kind == kind)
			return s;
	return NULL;
}

unsigned
children_count(struct children *c, enum proc_kind kind)
{
	unsigned n = 0;

	for (struct seat *s = children_next(c, NULL); s != NULL; s = children_next(c, s))
		n += s->kind == kind;
	return n;
}

bool
children_none(struct children *c, enum proc_kind kind)
{
	return children_find(c, kind) == NULL;
}
