/*
 * The old supervisor's side: fork, exec, wait until the new one serves, or until it has ended.
 *
 * In: words on the link, the death of the new one, a time-out. Out: a process, log lines, hooks.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "daemon/children.h"
#include "daemon/notify.h"
#include "daemon/successor.h"
#include "daemon/upgrade.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/sock.h"

#define LIMIT_MS 30000u
#define LAST_MS	 3000u /* from the end of the link to SIGKILL */

static void
enter(struct upgrade *u, enum upgrade_state state)
{
	ASSERT(state == UPGRADE_IDLE ? u->state != UPGRADE_DONE : state == u->state + 1);
	u->state = state;
}

static void
drop_link(struct upgrade *u)
{
	if (u->link_fd < 0)
		return;
	msg_close(&u->link);
	sock_close(&u->link_fd);
}

static void
fail(struct upgrade *u, const char *words)
{
	loop_timer_stop(&u->limit);
	drop_link(u);
	u->pid = 0;
	enter(u, UPGRADE_IDLE);
	log_error(NULL, "upgrade failed, this program goes on: %s", words);
	u->hooks->failed(u->arg);
}

/* What follows its death is done when it is reaped. */
static void
end_it(struct upgrade *u, const char *why)
{
	if (u->why[0] == '\0')
		str_copy(u->why, sizeof(u->why), str_from(why));
	drop_link(u);
	kill(u->pid, SIGKILL);
}

static void
on_limit(void *arg)
{
	end_it(arg, "the new program was not ready after 30 s");
}

/* ---- birth ---- */

/* The program finds its signals as it would from a service manager. */
static void
reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn static void
be_born(const struct upgrade *u, const struct handover *h, int file)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", file);
	setenv("SPARKGW_UPGRADE", number, 1);
	notify_hand_on();
	fcntl(h->link_fd, F_SETFD, 0);
	fcntl(h->lock_fd, F_SETFD, 0);
	for (unsigned i = 0; i < h->count; i++)
		fcntl(h->sockets[i].fd, F_SETFD, 0);
	reset_signals();
	execv(u->program, u->argv);
	log_error(NULL, "cannot run %s: %s", u->program, strerror(errno));
	_exit(1);
}

static pid_t
start(struct upgrade *u, const struct handover *h)
{
	int file = handover_write(h), saved;
	sigset_t all, before;
	pid_t pid;

	if (file < 0)
		return -1;
	/* no handler of this process may run in the child */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		be_born(u, h, file);
	saved = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(file);
	errno = saved;
	return pid;
}

/* ---- what it says ---- */

static void
let_go(struct upgrade *u)
{
	const struct link_plain m = {.head = {.type = LINK_GO, .size = sizeof(m)}};

	enter(u, UPGRADE_OPENING);
	if (msg_send(u->link_fd, &m.head) != E_OK)
		end_it(u, "the new program could not be told to go");
}

static void
finish(struct upgrade *u)
{
	enter(u, UPGRADE_DONE);
	loop_timer_stop(&u->limit);
	u->hooks->done(u->arg, u->pid);
}

static void
on_word(void *arg, const struct msg_head *head)
{
	struct upgrade *u = arg;

	if (head->type == LINK_READY && u->state == UPGRADE_STARTING)
		let_go(u);
	else if (head->type == LINK_TOOK && u->state == UPGRADE_OPENING)
		finish(u);
	else if (head->type == LINK_ANSWERS && u->state == UPGRADE_DONE)
		u->hooks->answers(u->arg);
	else if (head->type == LINK_FAILED && MSG_IS(head, link_failed))
		str_copy(u->why, sizeof(u->why),
			 str_from(((const struct link_failed *)(const void *)head)->words));
}

static void
on_last(void *arg)
{
	end_it(arg, "the new program closed its end of the link");
}

static void
on_gone(void *arg)
{
	struct upgrade *u = arg;

	sock_close(&u->link_fd);
	if (u->state == UPGRADE_DONE)
		u->hooks->answers(u->arg);
	else /* it is ending: its exit status says how */
		loop_timer_start(u->loop, &u->limit, LAST_MS, 0, on_last, u);
}

void
upgrade_begin(struct upgrade *u, struct handover *h)
{
	int pair[2];

	if (sock_pair(pair) != E_OK) {
		log_error(NULL, "upgrade: cannot make a socket pair: %s", strerror(errno));
		return;
	}
	h->link_fd = pair[1];
	u->why[0] = '\0';
	enter(u, UPGRADE_STARTING);
	u->link_fd = pair[0];
	u->pid = start(u, h);
	sock_close(&pair[1]);
	msg_open(&u->link, u->loop, u->link_fd, on_word, on_gone, u);
	if (u->pid < 0) {
		fail(u, strerror(errno));
		return;
	}
	loop_timer_start(u->loop, &u->limit, LIMIT_MS, 0, on_limit, u);
	log_info(NULL, "upgrade: %s is started as process %ld", u->program, (long)u->pid);
}

void
upgrade_reaped(struct upgrade *u, pid_t pid, int status)
{
	char words[sizeof(u->why) + 128], reason[64];

	if (pid != u->pid)
		return;
	children_reason(status, reason, sizeof(reason));
	if (u->state == UPGRADE_DONE) {
		log_warn(NULL, "the new program ended: %s", reason);
		u->pid = 0;
		return;
	}
	while (u->link_fd >= 0 && u->why[0] == '\0') { /* its last words may still lie there */
		_Alignas(16) char buf[MSG_MAX];

		if (msg_recv(u->link_fd, buf, sizeof(buf)) != E_OK)
			break;
		on_word(u, (const struct msg_head *)(const void *)buf);
	}
	snprintf(words, sizeof(words), "%s%sthe new program ended: %s", u->why,
		 u->why[0] != '\0' ? "; " : "", reason);
	fail(u, words);
}

void
upgrade_close(struct upgrade *u)
{
	loop_timer_stop(&u->limit);
	drop_link(u);
	if (u->state == UPGRADE_IDLE || u->state == UPGRADE_DONE)
		return;
	kill(u->pid, SIGKILL);
	while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR)
		;
	u->pid = 0;
	enter(u, UPGRADE_IDLE);
}
