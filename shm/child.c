/*
 * The life of a child of the supervisor: named, bound to its parent's life, beating, on the leash.
 *
 * The supervisor may have left signals blocked or handled; a child starts from the defaults and
 * then ignores what is meant for the supervisor: the leash brings it instead.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/child.h"
#include "shm/counters.h"
#include "shm/segment.h"

#define BEAT_MS	    1000
#define CANNOT_WORK 2 /* the exit status that asks for a long delay */

static void
name_self(const struct child_seat *seat)
{
	const char *kind = procs_kind_name(seat->kind);
	char text[64];

	snprintf(text, sizeof(text), "sparkgw-%s", kind);
	prctl(PR_SET_NAME, text); /* the kernel cuts at 15 bytes */
	if (seat->kind == PROC_WORKER)
		snprintf(text, sizeof(text), "%s %u", kind, seat->slot);
	else
		snprintf(text, sizeof(text), "%s", kind);
	panic_init(text);
	if (seat->kind == PROC_WORKER)
		snprintf(text, sizeof(text), "%s=%u gen=%u", kind, seat->slot, seat->generation);
	else
		snprintf(text, sizeof(text), "process=%s gen=%u", kind, seat->generation);
	log_ident(text);
}

void
child_reset_signals(void)
{
	static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
die_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it died before we asked */
		_exit(1);
}

static void
beat(void *arg)
{
	struct child *c = arg;

	procs_beat(c->row, clock_ms());
}

static void
on_gone(void *arg)
{
	(void)arg;
	_exit(1);
}

static void
on_leash(void *arg, const struct msg_head *head)
{
	struct child *c = arg;

	switch (head->type) {
	case LEASH_GO:
		if (c->go != NULL)
			c->go(c->arg);
		return;
	case LEASH_DRAIN:
		child_draining(c);
		if (c->drain != NULL)
			c->drain(c->arg);
		else
			loop_stop(c->loop);
		return;
	case LEASH_REOPEN:
		if (c->leash.passed_fd >= 0 && log_adopt(c->leash.passed_fd) != 0)
			log_debug(NULL, "the log file could not be taken over");
		if (c->reopen != NULL)
			c->reopen(c->arg);
		return;
	case LEASH_RECOUNT:
		if (c->recount != NULL)
			c->recount(c->arg);
		return;
	case LEASH_RELOADED:
		if (c->reloaded != NULL && MSG_IS(head, leash_reloaded))
			c->reloaded(c->arg, (const struct leash_reloaded *)(const void *)head);
		return;
	default: log_debug(NULL, "unknown word %u on the leash", head->type);
	}
}

/* Without the lock the keeper would take what this process has under way for left over. */
static void
enter_row(struct segment *segment, unsigned row)
{
	int err = segment_enter_row(segment, row);

	if (err == 0)
		return;
	log_error(NULL,
		  "row %u of the shared segment cannot be locked: %s; run_dir must be on a "
		  "file system with locks, such as tmpfs",
		  row, err == E_EXISTS ? "another process lives in it" : strerror(errno));
	_exit(CANNOT_WORK);
}

void
child_enter(struct child *c, const struct child_seat *seat, struct segment *segment)
{
	ASSERT(seat->row < SEGMENT_PROCS && seat->leash_fd >= 0);
	name_self(seat);
	die_with_parent(seat->parent);
	child_reset_signals();
	c->seat = *seat;
	c->segment = segment;
	c->row = &segment_procs(segment)[seat->row];
	enter_row(segment, seat->row);
	counters_clear(&segment_counters(segment)[seat->row]);
	procs_enter(c->row, seat->kind, seat->slot, seat->generation, seat->restarts);
	c->loop = loop_new();
	msg_open(&c->leash, c->loop, seat->leash_fd, on_leash, on_gone, c);
	loop_timer_start(c->loop, &c->beat, BEAT_MS, BEAT_MS, beat, c);
}

static int
say(struct child *c, enum leash_type type)
{
	struct leash_plain message = {.head = {.type = (uint16_t)type, .size = sizeof(message)}};

	return msg_send(c->seat.leash_fd, &message.head);
}

void
child_ready(struct child *c)
{
	int err = say(c, LEASH_READY);

	ASSERT(err != E_AGAIN); /* the first message of a queue of hundreds */
	if (err != 0)
		_exit(1);
	procs_set_state(c->row, PROC_READY);
}

void
child_draining(struct child *c)
{
	procs_set_state(c->row, PROC_DRAINING);
}

int
child_ask_reload(struct child *c)
{
	int err;

	if (c->leash.fd < 0)
		return E_STATE;
	err = say(c, LEASH_RELOAD);
	return err == E_CLOSED ? E_STATE : err;
}

void
child_leave(struct child *c)
{
	loop_timer_stop(&c->beat);
	msg_close(&c->leash);
	procs_leave(c->row);
	loop_free(&c->loop);
}
