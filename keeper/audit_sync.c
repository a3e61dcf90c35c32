/*
 * The thread and its two eventfds: one wakes it, the other tells the loop.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "keeper/audit_sync.h"
#include "lib/clock.h"
#include "lib/panic.h"

#define SYNC_MAGIC 0x41537963u

struct audit_sync {
	unsigned magic;
	struct loop_io io;
	void (*done)(void *arg, int errnum, uint64_t us);
	void *arg;
	pthread_t thread;
	bool has_thread, running;
	int ask_fd, told_fd;
	/* written by one side, then read by the other behind an eventfd */
	int fd; /* -1: end */
	int errnum;
	uint64_t us;
};

static void
wake(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	do {
		n = write(fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
	ASSERT(n == sizeof(one));
}

/* False: nobody has woken it, and may_wait was not said. */
static bool
is_woken(int fd, bool may_wait)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t count;
	ssize_t n;

	for (;;) {
		n = read(fd, &count, sizeof(count));
		if (n == sizeof(count))
			return true;
		ASSERT(errno == EAGAIN || errno == EINTR);
		if (!may_wait)
			return false;
		poll(&p, 1, -1);
	}
}

static void *
work(void *arg)
{
	struct audit_sync *s = arg;

	for (;;) {
		uint64_t start_ns;

		is_woken(s->ask_fd, true);
		if (s->fd < 0)
			return NULL;
		start_ns = clock_ns();
		s->errnum = fdatasync(s->fd) == 0 ? 0 : errno;
		s->us = (clock_ns() - start_ns) / 1000;
		wake(s->told_fd);
	}
}

static void
take_answer(struct audit_sync *s, bool may_wait)
{
	if (!s->running || !is_woken(s->told_fd, may_wait))
		return;
	s->running = false;
	s->done(s->arg, s->errnum, s->us);
}

static void
on_told(void *arg, unsigned events)
{
	struct audit_sync *s = arg;

	(void)events;
	CHECK_MAGIC(s, SYNC_MAGIC);
	take_answer(s, false);
}

/* Signals are the loop's. */
static bool
start_thread(struct audit_sync *s)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	s->has_thread = pthread_create(&s->thread, NULL, work, s) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return s->has_thread;
}

struct audit_sync *
audit_sync_new(struct loop *loop, void (*done)(void *arg, int errnum, uint64_t us), void *arg)
{
	struct audit_sync *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SYNC_MAGIC;
	s->done = done;
	s->arg = arg;
	s->ask_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->ask_fd < 0 || s->told_fd < 0 || !start_thread(s)) {
		audit_sync_free(&s);
		return NULL;
	}
	loop_io_start(loop, &s->io, s->told_fd, LOOP_READ, on_told, s);
	return s;
}

void
audit_sync_free(struct audit_sync **ret)
{
	struct audit_sync *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SYNC_MAGIC);
	*ret = NULL;
	loop_io_stop(&s->io);
	if (s->running)
		is_woken(s->told_fd, true);
	if (s->has_thread) {
		s->fd = -1;
		wake(s->ask_fd);
		pthread_join(s->thread, NULL);
	}
	if (s->ask_fd >= 0)
		close(s->ask_fd);
	if (s->told_fd >= 0)
		close(s->told_fd);
	s->magic = 0;
	free(s);
}

bool
audit_sync_running(const struct audit_sync *s)
{
	CHECK_MAGIC(s, SYNC_MAGIC);
	return s->running;
}

void
audit_sync_start(struct audit_sync *s, int fd)
{
	ASSERT(!audit_sync_running(s) && fd >= 0);
	s->fd = fd;
	s->running = true;
	wake(s->ask_fd);
}

void
audit_sync_wait(struct audit_sync *s)
{
	CHECK_MAGIC(s, SYNC_MAGIC);
	take_answer(s, true);
}
