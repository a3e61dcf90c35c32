/*
 * The event loop over libev. One per process, made after the fork.
 *
 * A turn:  check (the clock is read) -> events and timers -> prepare (LOOP_FLUSH, then LOOP_FREE)
 * -> wait
 *
 * The queues run only from the prepare watcher, never inside another callback, so a LOOP_FREE may
 * give back memory whose owner was on the stack a moment ago.
 */
#include <signal.h>
#include <stdlib.h>
#include "lib/clock.h"
#include "lib/loop.h"
#include "lib/panic.h"

#define LOOP_MAGIC 0x4c6f6f70u
#define ROUNDS_MAX 16 /* flushes that queue flushes; then other events get their turn */

struct queue {
	struct loop_later *head;
	struct loop_later **tail;
};

struct signal_watch {
	struct ev_signal ev;
	struct signal_watch *next;
	void (*cb)(void *arg, int signo);
	void *arg;
};

struct loop {
	unsigned magic;
	struct ev_loop *ev;
	struct ev_prepare prepare;
	struct ev_check check;
	struct ev_idle idle; /* started only to keep the next wait from blocking */
	struct queue queues[2];
	struct queue round; /* the flushes being run; what they queue waits for the next round */
	struct signal_watch *signals;
	uint64_t ms;
};

static void
make_empty(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void
push(struct queue *q, struct loop_later *later)
{
	later->next = NULL;
	*q->tail = later;
	q->tail = &later->next;
}

static bool
drop(struct queue *q, struct loop_later *later)
{
	for (struct loop_later **at = &q->head; *at != NULL; at = &(*at)->next) {
		if (*at != later)
			continue;
		*at = later->next;
		if (q->tail == &later->next)
			q->tail = at;
		return true;
	}
	return false;
}

static void
run_all(struct loop *loop, enum loop_phase phase)
{
	struct queue *q = &loop->queues[phase];
	struct loop_later *later;

	if (q->head == NULL)
		return;
	loop->round = (struct queue){.head = q->head, .tail = q->tail};
	make_empty(q);
	while ((later = loop->round.head) != NULL) {
		loop->round.head = later->next;
		if (later->next == NULL)
			make_empty(&loop->round);
		later->queued = false;
		later->cb(later->arg); /* may be the end of *later */
	}
}

/*
 * Flushes until there are none, then frees, which may queue flushes again. A flush that never comes
 * to rest keeps the frees waiting for a later turn: whatever it touches is still there.
 */
static void
drain(struct loop *loop)
{
	for (int i = 0; i < ROUNDS_MAX; i++) {
		if (loop->queues[LOOP_FLUSH].head != NULL)
			run_all(loop, LOOP_FLUSH);
		else if (loop->queues[LOOP_FREE].head != NULL)
			run_all(loop, LOOP_FREE);
		else
			return;
	}
}

static bool
has_more(const struct loop *loop)
{
	return loop->queues[LOOP_FLUSH].head != NULL || loop->queues[LOOP_FREE].head != NULL;
}

static void
on_prepare(struct ev_loop *ev, struct ev_prepare *w, int revents)
{
	struct loop *loop = w->data;

	(void)revents;
	CHECK_MAGIC(loop, LOOP_MAGIC);
	drain(loop);
	if (has_more(loop))
		ev_idle_start(ev, &loop->idle);
	else
		ev_idle_stop(ev, &loop->idle);
}

static void
on_check(struct ev_loop *ev, struct ev_check *w, int revents)
{
	struct loop *loop = w->data;

	(void)ev;
	(void)revents;
	CHECK_MAGIC(loop, LOOP_MAGIC);
	loop->ms = clock_ms();
}

static void
on_idle(struct ev_loop *ev, struct ev_idle *w, int revents)
{
	(void)ev;
	(void)w;
	(void)revents;
}

struct loop *
loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	ASSERT(loop != NULL);
	loop->magic = LOOP_MAGIC;
	loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV | EVBACKEND_EPOLL);
	ASSERT(loop->ev != NULL && ev_backend(loop->ev) == EVBACKEND_EPOLL);
	make_empty(&loop->queues[LOOP_FLUSH]);
	make_empty(&loop->queues[LOOP_FREE]);
	make_empty(&loop->round);
	loop->ms = clock_ms();
	ev_prepare_init(&loop->prepare, on_prepare);
	ev_check_init(&loop->check, on_check);
	ev_idle_init(&loop->idle, on_idle);
	ev_set_priority(&loop->prepare, EV_MINPRI);
	ev_set_priority(&loop->check, EV_MAXPRI); /* the clock before everybody who asks it */
	ev_set_priority(&loop->idle, EV_MINPRI);
	loop->prepare.data = loop->check.data = loop;
	ev_prepare_start(loop->ev, &loop->prepare);
	ev_check_start(loop->ev, &loop->check);
	signal(SIGPIPE, SIG_IGN); /* a peer that went away is E_CLOSED, not our death */
	return loop;
}

static void
free_signals(struct loop *loop)
{
	struct signal_watch *w;

	while ((w = loop->signals) != NULL) {
		loop->signals = w->next;
		ev_signal_stop(loop->ev, &w->ev);
		free(w);
	}
}

void
loop_free(struct loop **ret_loop)
{
	struct loop *loop = *ret_loop;

	if (loop == NULL)
		return;
	CHECK_MAGIC(loop, LOOP_MAGIC);
	*ret_loop = NULL;
	while (loop->queues[LOOP_FREE].head != NULL)
		run_all(loop, LOOP_FREE);
	free_signals(loop);
	ev_loop_destroy(loop->ev);
	loop->magic = 0;
	free(loop);
}

void
loop_run(struct loop *loop)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	loop->ms = clock_ms();
	ev_run(loop->ev, 0);
	drain(loop); /* the turn in which it was stopped ends like any other */
}

void
loop_stop(struct loop *loop)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	ev_break(loop->ev, EVBREAK_ALL);
}

uint64_t
loop_ms(const struct loop *loop)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	return loop->ms;
}

static void
on_io(struct ev_loop *ev, struct ev_io *w, int revents)
{
	struct loop_io *io = w->data;
	unsigned events = 0;

	(void)ev;
	if (revents & EV_READ)
		events |= LOOP_READ;
	if (revents & EV_WRITE)
		events |= LOOP_WRITE;
	io->cb(io->arg, events);
}

static int
to_ev(unsigned events)
{
	return (events & LOOP_READ ? EV_READ : 0) | (events & LOOP_WRITE ? EV_WRITE : 0);
}

void
loop_io_start(struct loop *loop, struct loop_io *io, int fd, unsigned events,
	      void (*cb)(void *, unsigned), void *arg)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	ASSERT(fd >= 0 && cb != NULL && !ev_is_active(&io->ev));
	io->loop = loop;
	io->cb = cb;
	io->arg = arg;
	ev_io_init(&io->ev, on_io, fd, to_ev(events));
	io->ev.data = io;
	if (events != 0)
		ev_io_start(loop->ev, &io->ev);
}

/* Unlike ev_io_set, ev_io_modify lets libev see at the turn's end that nothing has changed. */
void
loop_io_events(struct loop_io *io, unsigned events)
{
	int wanted = to_ev(events);
	int present = ev_is_active(&io->ev) ? io->ev.events & (EV_READ | EV_WRITE) : 0;

	ASSERT(io->loop != NULL);
	if (wanted == present)
		return;
	ev_io_stop(io->loop->ev, &io->ev);
	if (wanted == 0)
		return;
	ev_io_modify(&io->ev, wanted);
	ev_io_start(io->loop->ev, &io->ev);
}

void
loop_io_stop(struct loop_io *io)
{
	if (io->loop == NULL)
		return;
	ev_io_stop(io->loop->ev, &io->ev);
	io->loop = NULL;
}

static void
on_timer(struct ev_loop *ev, struct ev_timer *w, int revents)
{
	struct loop_timer *timer = w->data;

	(void)ev;
	(void)revents;
	timer->cb(timer->arg);
}

void
loop_timer_start(struct loop *loop, struct loop_timer *timer, uint64_t after_ms, uint64_t every_ms,
		 void (*cb)(void *), void *arg)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	ASSERT(cb != NULL);
	loop_timer_stop(timer);
	timer->loop = loop;
	timer->cb = cb;
	timer->arg = arg;
	ev_timer_init(&timer->ev, on_timer, (double)after_ms / 1e3, (double)every_ms / 1e3);
	timer->ev.data = timer;
	ev_now_update(loop->ev); /* libev counts from its turn's start, we count from now */
	ev_timer_start(loop->ev, &timer->ev);
}

void
loop_timer_stop(struct loop_timer *timer)
{
	if (timer->loop == NULL)
		return;
	ev_timer_stop(timer->loop->ev, &timer->ev);
	timer->loop = NULL;
}

bool
loop_timer_active(const struct loop_timer *timer)
{
	return timer->loop != NULL && ev_is_active(&timer->ev);
}

void
loop_later(struct loop *loop, enum loop_phase phase, struct loop_later *later, void (*cb)(void *),
	   void *arg)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	ASSERT(phase == LOOP_FLUSH || phase == LOOP_FREE);
	if (later->queued)
		return;
	later->queued = true;
	later->cb = cb;
	later->arg = arg;
	push(&loop->queues[phase], later);
}

void
loop_later_cancel(struct loop *loop, struct loop_later *later)
{
	CHECK_MAGIC(loop, LOOP_MAGIC);
	if (!later->queued)
		return;
	later->queued = false;
	ASSERT(drop(&loop->queues[LOOP_FLUSH], later) || drop(&loop->queues[LOOP_FREE], later) ||
	       drop(&loop->round, later));
}

static void
on_signal(struct ev_loop *ev, struct ev_signal *w, int revents)
{
	struct signal_watch *watch = w->data;

	(void)ev;
	(void)revents;
	watch->cb(watch->arg, w->signum);
}

void
loop_signal(struct loop *loop, int signo, void (*cb)(void *arg, int signo), void *arg)
{
	struct signal_watch *w = calloc(1, sizeof(*w));

	CHECK_MAGIC(loop, LOOP_MAGIC);
	ASSERT(w != NULL && cb != NULL);
	w->cb = cb;
	w->arg = arg;
	w->next = loop->signals;
	loop->signals = w;
	ev_signal_init(&w->ev, on_signal, signo);
	w->ev.data = w;
	ev_signal_start(loop->ev, &w->ev);
}
