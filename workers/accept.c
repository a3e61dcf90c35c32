/*
 * The listeners' sockets: in readiness, out connections (client.c). Short of descriptors, accepting
 * pauses for a moment instead of spinning; over the connection limit, a connection is closed at
 * once.
 */
#include <stdlib.h>
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/sock.h"
#include "workers/accept.h"
#include "workers/client.h"
#include "workers/context.h"

#define PER_TURN    32
#define SHARED	    1 /* of a socket that all accept from: who is idle is woken first again */
#define GIVE_WAY_MS 1u
#define SPARE	    4 /* connections over the share that nobody is asked to give way for */
#define PAUSE_MS    200u
#define WORDS_GAP   10000u /* at most one line about it in that time */

struct acceptor {
	struct acceptor *next;
	struct worker *worker;
	SSL_CTX *tls;
	int fd, per_turn;
	struct loop_io watch;
	struct loop_timer pause;
};

static void readable(void *arg, unsigned events);

static void
warn_seldom(struct worker *w, const char *words)
{
	static uint64_t last;
	uint64_t now = loop_ms(w->loop);

	if (last != 0 && now - last < WORDS_GAP)
		return;
	last = now;
	log_warn(NULL, "not accepting: %s", words);
}

static void
go_on(void *arg)
{
	struct acceptor *a = arg;

	loop_io_events(&a->watch, LOOP_READ);
}

struct crowd {
	uint64_t open; /* connections of all living workers: each counts its own, all read */
	uint64_t workers, of_them; /* those that accept, and their part of it */
};

static struct crowd
look_around(const struct worker *w)
{
	const struct counters_slot *slots = segment_counters(w->setup->segment);
	const struct procs_row *rows = segment_procs(w->setup->segment);
	uint64_t now_ms = loop_ms(w->loop);
	struct crowd c = {0};

	for (unsigned i = 0; i < SEGMENT_COUNTERS; i++) {
		if (!procs_is_beating(&rows[i], now_ms))
			continue;
		uint64_t open = atomic_load_explicit(&slots[i].v[COUNTER_connections_open],
						     memory_order_relaxed);
		c.open += open;
		if (atomic_load_explicit(&rows[i].kind, memory_order_relaxed) != PROC_WORKER ||
		    atomic_load_explicit(&rows[i].state, memory_order_relaxed) != PROC_READY)
			continue;
		c.workers++;
		c.of_them += open;
	}
	return c;
}

/* Of one socket, whoever is quickest would take nearly all: who has a tenth more than his share
 * lets the others go first, so that even all but one together cannot leave that one without. */
static void
give_way(struct acceptor *a, const struct crowd *c)
{
	struct worker *w = a->worker;

	if (10 * w->clients_count * c->workers <= 11 * c->of_them + 10 * SPARE * c->workers)
		return;
	loop_io_events(&a->watch, 0);
	loop_timer_start(w->loop, &a->pause, GIVE_WAY_MS, 0, go_on, a);
}

static void
readable(void *arg, unsigned events)
{
	struct acceptor *a = arg;
	struct worker *w = a->worker;

	(void)events;
	for (int i = 0; i < a->per_turn; i++) {
		struct sock_addr peer;
		struct crowd crowd;
		int fd;
		int rc = sock_accept(a->fd, &fd, &peer);

		if (rc == E_FULL) {
			warn_seldom(w, "out of descriptors or memory");
			loop_io_events(&a->watch, 0);
			loop_timer_start(w->loop, &a->pause, PAUSE_MS, 0, go_on, a);
			return;
		}
		if (rc != 0)
			return;
		crowd = look_around(w);
		if (crowd.open >= w->conf->limit_connections) {
			warn_seldom(w, "limits.connections reached");
			sock_close(&fd);
			continue;
		}
		client_open(w, fd, a->tls, &peer);
		if (a->per_turn == SHARED)
			give_way(a, &crowd);
	}
}

void
accept_start(struct worker *w)
{
	for (unsigned i = 0; i < w->setup->listeners_count; i++) {
		const struct worker_listener *l = &w->setup->listeners[i];

		for (unsigned k = 0; k < l->fds_count; k++) {
			struct acceptor *a = calloc(1, sizeof *a);

			ASSERT(a != NULL);
			*a = (struct acceptor){.worker = w,
					       .tls = l->tls,
					       .fd = l->fds[k],
					       .per_turn = l->shared ? SHARED : PER_TURN,
					       .next = w->acceptors};
			w->acceptors = a;
			loop_io_start(w->loop, &a->watch, a->fd, LOOP_READ, readable, a);
		}
	}
}

void
accept_stop(struct worker *w)
{
	while (w->acceptors != NULL) {
		struct acceptor *a = w->acceptors;

		w->acceptors = a->next;
		loop_timer_stop(&a->pause);
		loop_io_stop(&a->watch);
		free(a);
	}
}
