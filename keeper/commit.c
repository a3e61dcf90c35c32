/*
 * The batch: gathers operations, decides when it is due, plays it, sends the answers.
 *
 * Nothing is answered before the fsync has returned; what was answered is on the disk. The keeper
 * may be killed at any point: the transaction is then gone as a whole, and the askers ask its
 * successor.
 */
#include <stdlib.h>
#include "keeper/commit.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"

#define COMMIT_MAGIC 0x436f6d6du
#define BATCH_MAX    4096
#define KEPT_MAX     (BATCH_MAX / 2) /* operations that outlive a failed commit */
#define PLAYS_MAX    8		     /* of one batch, while the map grows */
#define CLOSED_BYTES ((size_t)1 << 20)
#define SOON_MS	     10
#define LAZY_MS	     1000
#define RETRY_MS     1000

struct commit {
	unsigned magic;
	struct commit_setup with;
	struct op *ops; /* BATCH_MAX */
	unsigned count;
	uint64_t due_ms; /* of `timer`, when it runs */
	struct loop_timer timer, retry;
	struct loop_later turn_end;
	struct buf closed;
	bool broken;
	uint64_t unsent;
};

struct commit *
commit_new(const struct commit_setup *with)
{
	struct commit *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->magic = COMMIT_MAGIC;
	c->with = *with;
	buf_init(&c->closed, CLOSED_BYTES);
	c->ops = calloc(BATCH_MAX, sizeof(*c->ops));
	if (c->ops == NULL)
		commit_free(&c);
	return c;
}

void
commit_free(struct commit **ret)
{
	struct commit *c = *ret;

	if (c == NULL)
		return;
	CHECK_MAGIC(c, COMMIT_MAGIC);
	*ret = NULL;
	loop_timer_stop(&c->timer);
	loop_timer_stop(&c->retry);
	loop_later_cancel(c->with.loop, &c->turn_end);
	buf_free(&c->closed);
	free(c->ops);
	c->magic = 0;
	free(c);
}

bool
commit_is_broken(const struct commit *c)
{
	CHECK_MAGIC(c, COMMIT_MAGIC);
	return c->broken;
}

/* ---- answers ---- */

static void
send_to(struct commit *c, int fd, const struct msg_head *head)
{
	if (msg_send(fd, head) == 0)
		return;
	c->unsent++;
	if ((c->unsent & (c->unsent - 1)) == 0) /* 1, 2, 4, 8 … */
		log_warn(NULL, "%llu answers could not be sent; their askers ask again",
			 (unsigned long long)c->unsent);
}

static void
answer(struct commit *c, const struct op *op)
{
	if (op->fd < 0)
		return;
	if (op->m.head.type == KEEPER_BIND) {
		const struct keeper_bound m = {
			.head = {KEEPER_BOUND, sizeof(m), op->m.head.id},
			.result = op->result,
			.state = op->state,
			.driver_id = op->driver_id,
			.created_ms = op->created_ms,
		};
		send_to(c, op->fd, &m.head);
	} else if (op->m.head.type == KEEPER_CLOSE || op->m.head.type == KEEPER_DRAIN) {
		const struct keeper_done m = {
			.head = {KEEPER_DONE, sizeof(m), op->m.head.id},
			.result = op->result,
			.count = op->count,
		};
		send_to(c, op->fd, &m.head);
	}
}

/* When more were closed at once than the buffer holds, the rest is seen by the workers at the next
 * RPC. */
static void
tell_closed(struct commit *c)
{
	const struct keeper_closed *m = (const void *)c->closed.p;
	size_t n = c->closed.len / sizeof(*m);

	for (size_t i = 0; i < n; i++)
		for (unsigned w = 0; w < c->with.worker_fds_count; w++)
			send_to(c, c->with.worker_fds[w], &m[i].head);
}

/* ---- one batch ---- */

/* While broken, something must be written for the commit to mean anything. */
static int
play(struct commit *c, struct apply *a)
{
	int err;

	a->registry_changed = false;
	counts_drop(c->with.counts);
	buf_clear(&c->closed);
	err = db_write_begin(c->with.db);
	if (err != 0)
		return err;
	if (c->broken)
		db_put(c->with.db, DB_META, STR("tried"), STR("1"));
	for (unsigned i = 0; i < c->count; i++)
		apply_op(a, &c->ops[i]);
	return db_commit(c->with.db);
}

static void on_retry(void *arg);

static void
set_broken(struct commit *c, int err)
{
	atomic_store(segment_keeper_ok(c->with.segment), err == 0);
	if (c->broken == (err != 0))
		return;
	c->broken = err != 0;
	if (c->broken) {
		log_error(NULL, "the store cannot be written: %s; no new sessions until it can",
			  err_text(err));
		loop_timer_start(c->with.loop, &c->retry, RETRY_MS, RETRY_MS, on_retry, c);
	} else {
		log_info(NULL, "the store can be written again");
		loop_timer_stop(&c->retry);
	}
}

static bool
is_kept(const struct op *op)
{
	return op->m.head.type == KEEPER_RELEASE || op->m.head.type == KEEPER_LOST;
}

static void
fail(struct commit *c, int err)
{
	unsigned kept = 0;

	counts_drop(c->with.counts);
	for (unsigned i = 0; i < c->count; i++) {
		struct op *op = &c->ops[i];

		if (is_kept(op) && kept < KEPT_MAX) {
			if (kept != i)
				c->ops[kept] = *op;
			kept++;
			continue;
		}
		op->result = err == E_FULL ? E_FULL : E_IO;
		answer(c, op);
	}
	c->count = kept;
	set_broken(c, err);
}

static void
succeed(struct commit *c, const struct apply *a)
{
	const char *words;

	counts_keep(c->with.counts);
	if (a->registry_changed && counts_reload(c->with.counts, c->with.db, &words) != 0)
		log_error(NULL, "the registry changed and cannot be read: %s", words);
	set_broken(c, 0);
	tell_closed(c);
	for (unsigned i = 0; i < c->count; i++)
		answer(c, &c->ops[i]);
	c->count = 0;
}

static void
run(struct commit *c)
{
	struct apply a = {
		.db = c->with.db,
		.counts = c->with.counts,
		.closed = &c->closed,
		.now_ms = clock_wall_ms(),
		.idle_ms = c->with.idle_ms,
	};
	int err = E_AGAIN;

	loop_timer_stop(&c->timer);
	loop_later_cancel(c->with.loop, &c->turn_end);
	for (int i = 0; err == E_AGAIN && i < PLAYS_MAX; i++)
		err = play(c, &a);
	if (err == 0)
		succeed(c, &a);
	else
		fail(c, err);
}

void
commit_now(struct commit *c)
{
	CHECK_MAGIC(c, COMMIT_MAGIC);
	if (c->count > 0)
		run(c);
}

static void
on_retry(void *arg)
{
	struct commit *c = arg;

	CHECK_MAGIC(c, COMMIT_MAGIC);
	run(c);
}

static void
on_due(void *arg)
{
	commit_now(arg);
}

/* ---- gathering ---- */

static void
wait_at_most(struct commit *c, uint64_t ms)
{
	uint64_t due_ms = clock_ms() + ms;

	if (c->broken || (loop_timer_active(&c->timer) && c->due_ms <= due_ms))
		return;
	c->due_ms = due_ms;
	loop_timer_start(c->with.loop, &c->timer, ms, 0, on_due, c);
}

static void
schedule(struct commit *c, unsigned type)
{
	switch (type) {
	case KEEPER_TOUCH:
	case APPLY_EXPIRE: wait_at_most(c, LAZY_MS); return;
	case KEEPER_RELEASE:
	case KEEPER_LOST: wait_at_most(c, SOON_MS); return;
	default: loop_later(c->with.loop, LOOP_FLUSH, &c->turn_end, on_due, c);
	}
}

void
commit_add(struct commit *c, int answer_fd, const struct msg_head *head)
{
	struct op *op;

	CHECK_MAGIC(c, COMMIT_MAGIC);
	ASSERT(head->size <= sizeof(op->m));
	if (c->count == BATCH_MAX)
		run(c);
	op = &c->ops[c->count++];
	*op = (struct op){.fd = answer_fd};
	memcpy(&op->m, head, head->size);
	schedule(c, head->type);
}

void
commit_expire(struct commit *c, const struct session_key *key)
{
	struct keeper_note m = {
		.head = {.type = APPLY_EXPIRE, .size = sizeof(m)},
		.key = {.user_len = (uint16_t)key->user.n},
	};

	memcpy(m.key.id, key->id, sizeof(m.key.id));
	memcpy(m.key.user, key->user.p, key->user.n);
	commit_add(c, -1, &m.head);
}
