/*
 * The event loop of a process: libev behind the few words we use. Made after fork, one per process.
 *
 * Watchers are embedded in their owners and must be stopped before the owner's memory goes. What
 * dies in a callback is put off with loop_later(LOOP_FREE): it runs after the turn's events and
 * after all LOOP_FLUSH calls, so that nobody is left holding a pointer.
 */
#pragma once
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_READ  1u
#define LOOP_WRITE 2u

struct loop;

struct loop_io {
	struct ev_io ev; /* private */
	struct loop *loop;
	void (*cb)(void *arg, unsigned events);
	void *arg;
};

struct loop_timer {
	struct ev_timer ev; /* private */
	struct loop *loop;
	void (*cb)(void *arg);
	void *arg;
};

enum loop_phase { LOOP_FLUSH, LOOP_FREE };

struct loop_later {
	struct loop_later *next; /* private */
	bool queued;
	void (*cb)(void *arg);
	void *arg;
};

struct loop *loop_new(void); /* aborts when epoll cannot be had; SIGPIPE is ignored from here on */
/* Runs what waits in LOOP_FREE, drops what waits in LOOP_FLUSH. A child frees its parent's loop
 * before it makes its own. */
void loop_free(struct loop **);
void loop_run(struct loop *);	       /* until loop_stop() */
void loop_stop(struct loop *);	       /* after this turn */
uint64_t loop_ms(const struct loop *); /* monotonic milliseconds, read once per turn */

/* events: LOOP_READ | LOOP_WRITE; 0 keeps the watcher stopped but bound. */
void loop_io_start(struct loop *, struct loop_io *, int fd, unsigned events,
		   void (*cb)(void *, unsigned), void *arg);
void loop_io_events(struct loop_io *, unsigned events); /* no system call when nothing changes */
void loop_io_stop(struct loop_io *); /* safe on a zeroed or stopped watcher; before close(fd) */

/* First after `after_ms`, then every `every_ms` (0: once). Starting a running timer restarts it. */
void loop_timer_start(struct loop *, struct loop_timer *, uint64_t after_ms, uint64_t every_ms,
		      void (*cb)(void *), void *arg);
void loop_timer_stop(struct loop_timer *); /* safe on a zeroed or stopped timer */
bool loop_timer_active(const struct loop_timer *);

/* No-op if queued. Flushes that never rest go on in the next turn, and the frees with them. */
void loop_later(struct loop *, enum loop_phase, struct loop_later *, void (*cb)(void *), void *arg);
void loop_later_cancel(struct loop *, struct loop_later *);

/* Signals arrive as callbacks in the loop; the handler stays until the process ends. */
void loop_signal(struct loop *, int signo, void (*cb)(void *arg, int signo), void *arg);
