/*
 * Sends to all workers, and keeps what does not go through at once. In: the messages of a batch;
 * out: one of each in every worker's queue. The order between two workers, or two news, is nobody's
 * business.
 */
#include <stdlib.h>
#include "keeper/talk.h"
#include "keeper/tell.h"
#include "lib/log.h"
#include "lib/panic.h"

#define TELL_MAGIC 0x54656c6cu
#define OWED_MAX   8192u
#define RETRY_MS   100

struct owed {
	unsigned worker;
	uint64_t since_ms;
	union {
		struct msg_head head;
		struct keeper_closed closed;
		struct keeper_revoked revoked;
	} m;
};

struct tell {
	unsigned magic;
	struct loop *loop;
	const int *fds;
	unsigned fds_count;
	bool *full; /* a worker's queue, in this round */
	struct owed *owed;
	unsigned owed_count;
	uint64_t dropped;
	struct loop_timer retry;
};

struct tell *
tell_new(struct loop *loop, const int *worker_fds, unsigned count)
{
	struct tell *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->magic = TELL_MAGIC;
	t->loop = loop;
	t->fds = worker_fds;
	t->fds_count = count;
	t->full = calloc(count + 1, sizeof(*t->full));
	t->owed = calloc(OWED_MAX, sizeof(*t->owed));
	if (t->full == NULL || t->owed == NULL)
		tell_free(&t);
	return t;
}

void
tell_free(struct tell **ret)
{
	struct tell *t = *ret;

	if (t == NULL)
		return;
	CHECK_MAGIC(t, TELL_MAGIC);
	*ret = NULL;
	loop_timer_stop(&t->retry);
	free(t->full);
	free(t->owed);
	t->magic = 0;
	free(t);
}

static void
say_dropped(struct tell *t)
{
	t->dropped++;
	if ((t->dropped & (t->dropped - 1)) == 0) /* 1, 2, 4, 8 … */
		log_warn(NULL, "%llu news of closed sessions or revoked tokens reached no worker",
			 (unsigned long long)t->dropped);
}

/* False: its queue is full. A queue that nobody will ever read again owes nothing. */
static bool
send_to(struct tell *t, unsigned worker, const struct msg_head *head)
{
	if (!t->full[worker])
		t->full[worker] = msg_send(t->fds[worker], head) == E_AGAIN;
	return !t->full[worker];
}

static void
again(void *arg)
{
	struct tell *t = arg;
	uint64_t now_ms;
	unsigned kept = 0;

	CHECK_MAGIC(t, TELL_MAGIC);
	now_ms = loop_ms(t->loop);
	memset(t->full, 0, t->fds_count * sizeof(*t->full));
	for (unsigned i = 0; i < t->owed_count; i++) {
		if (send_to(t, t->owed[i].worker, &t->owed[i].m.head))
			continue;
		if (now_ms - t->owed[i].since_ms > TELL_MS)
			say_dropped(t);
		else
			t->owed[kept++] = t->owed[i];
	}
	t->owed_count = kept;
	if (kept == 0)
		loop_timer_stop(&t->retry);
}

static void
owe(struct tell *t, unsigned worker, const struct msg_head *head)
{
	struct owed *o;

	if (t->owed_count == OWED_MAX) {
		say_dropped(t);
		return;
	}
	o = &t->owed[t->owed_count++];
	ASSERT(head->size <= sizeof(o->m));
	o->worker = worker;
	o->since_ms = loop_ms(t->loop);
	memcpy(&o->m, head, head->size);
	if (!loop_timer_active(&t->retry))
		loop_timer_start(t->loop, &t->retry, RETRY_MS, RETRY_MS, again, t);
}

void
tell_all(struct tell *t, struct str messages)
{
	CHECK_MAGIC(t, TELL_MAGIC);
	memset(t->full, 0, t->fds_count * sizeof(*t->full));
	while (messages.n > 0) {
		const struct msg_head *head = (const void *)messages.p;

		ASSERT(messages.n >= sizeof(*head) && head->size <= messages.n);
		for (unsigned w = 0; w < t->fds_count; w++)
			if (!send_to(t, w, head))
				owe(t, w, head);
		messages.p += head->size;
		messages.n -= head->size;
	}
}
