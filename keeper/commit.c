/*
 * The batch: gathers operations, decides when it is due, plays it, sends the answers.
 *
 * Nothing is answered before the fsync has returned; what was answered is on the disk. The keeper
 * may be killed at any point: the transaction is then gone as a whole, and the askers ask its
 * successor.
 */
#include <stdlib.h>
#include "keeper/commit.h"
#include "keeper/tell.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/metrics.h"

#define COMMIT_MAGIC  0x436f6d6du
#define BATCH_MAX     4096
#define KEPT_MAX      (BATCH_MAX / 2) /* operations that outlive a failed commit */
#define PLAYS_MAX     8		      /* of one batch, while the map grows */
#define CLOSED_BYTES  ((size_t)1 << 20)
#define REVOKED_BYTES (BATCH_MAX * sizeof(struct keeper_revoked))
#define ARENA_FIRST   4096
#define SOON_MS	      10
#define LAZY_MS	      1000
#define RETRY_MS      1000

struct commit {
	unsigned magic;
	struct commit_setup with;
	struct op *ops; /* BATCH_MAX */
	unsigned count;
	uint64_t due_ms; /* of `timer`, when it runs */
	struct loop_timer timer, retry;
	struct loop_later turn_end;
	struct tell *tell;
	struct arena *arena; /* for one operation */
	struct buf closed, revoked;
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
	buf_init(&c->revoked, REVOKED_BYTES);
	c->ops = calloc(BATCH_MAX, sizeof(*c->ops));
	c->arena = arena_new(ARENA_FIRST, TOKEN_ROW_ARENA);
	c->tell = tell_new(with->loop, with->worker_fds, with->worker_fds_count);
	if (c->ops == NULL || c->arena == NULL || c->tell == NULL)
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
	tell_free(&c->tell);
	arena_free(&c->arena);
	buf_free(&c->closed);
	buf_free(&c->revoked);
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
answer_bind(struct commit *c, const struct op *op)
{
	const struct keeper_bound m = {
		.head = {KEEPER_BOUND, sizeof(m), op->m.head.id},
		.result = op->result,
		.state = op->state,
		.driver_id = op->driver_id,
		.created_ms = op->created_ms,
	};

	send_to(c, op->fd, &m.head);
}

static void
answer(struct commit *c, const struct op *op)
{
	const struct keeper_done m = {
		.head = {KEEPER_DONE, sizeof(m), op->m.head.id},
		.result = op->result,
		.count = op->count,
	};

	switch (op->m.head.type) {
	case KEEPER_TOUCH:
	case KEEPER_RELEASE:
	case KEEPER_LOST:
	case KEEPER_TOKEN_USED:
	case OP_EXPIRE:
	case OP_SWEEP: return;
	case KEEPER_BIND: answer_bind(c, op); return;
	default: send_to(c, op->fd, &m.head);
	}
}

/* ---- one batch ---- */

/* While broken, something must be written for the commit to mean anything. */
static int
play(struct commit *c, struct apply *a)
{
	int err;

	a->registry_changed = false;
	memset(a->changed, 0, sizeof(a->changed));
	counts_drop(c->with.counts);
	buf_clear(&c->closed);
	buf_clear(&c->revoked);
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

/* The numbers first: whoever is told looks at them. More closed at once than the buffer holds, and
 * the rest is seen by the workers at the next RPC. */
static void
tell_workers(struct commit *c, const struct apply *a)
{
	for (int i = 0; i < SEGMENT_WHATS; i++)
		if (a->changed[i])
			atomic_fetch_add(segment_generation(c->with.segment, i), 1);
	tell_all(c->tell, (struct str){(const char *)c->revoked.p, c->revoked.len});
	tell_all(c->tell, (struct str){(const char *)c->closed.p, c->closed.len});
}

static void
succeed(struct commit *c, const struct apply *a)
{
	const char *words;

	counts_keep(c->with.counts);
	if (a->registry_changed && counts_reload(c->with.counts, c->with.db, &words) != 0)
		log_error(NULL, "the registry changed and cannot be read: %s", words);
	set_broken(c, 0);
	tell_workers(c, a);
	for (unsigned i = 0; i < c->count; i++)
		answer(c, &c->ops[i]);
	c->count = 0;
}

static void
count(struct commit *c, int err, uint64_t us)
{
	struct metrics_keeper *m = segment_metrics_keeper(c->with.segment);

	metrics_add(&m->number[err == 0 ? METRICS_KEEPER_commits : METRICS_KEEPER_commit_failures],
		    1);
	if (err == 0)
		metrics_observe(&m->commit, us);
}

static void
run(struct commit *c)
{
	struct apply a = {
		.db = c->with.db,
		.counts = c->with.counts,
		.arena = c->arena,
		.closed = &c->closed,
		.revoked = &c->revoked,
		.now_ms = clock_wall_ms(),
		.idle_ms = c->with.idle_ms,
	};
	uint64_t start_ns = clock_ns();
	int err = E_AGAIN;

	loop_timer_stop(&c->timer);
	loop_later_cancel(c->with.loop, &c->turn_end);
	for (int i = 0; err == E_AGAIN && i < PLAYS_MAX; i++)
		err = play(c, &a);
	count(c, err, (clock_ns() - start_ns) / 1000);
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
	case KEEPER_TOKEN_USED:
	case OP_EXPIRE:
	case OP_SWEEP: wait_at_most(c, LAZY_MS); return;
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
	op->fd = answer_fd;
	op->state = op->driver_id = op->count = 0;
	op->created_ms = 0;
	memcpy(&op->m, head, head->size);
	schedule(c, head->type);
}

void
commit_expire(struct commit *c, const struct session_key *key)
{
	struct keeper_note m = {
		.head = {.type = OP_EXPIRE, .size = sizeof(m)},
		.key = {.user_len = (uint16_t)key->user.n},
	};

	memcpy(m.key.id, key->id, sizeof(m.key.id));
	memcpy(m.key.user, key->user.p, key->user.n);
	commit_add(c, -1, &m.head);
}

void
commit_sweep(struct commit *c, const uint8_t digest[TOKEN_DIGEST])
{
	struct keeper_token_used m = {.head = {.type = OP_SWEEP, .size = sizeof(m)}};

	memcpy(m.digest, digest, sizeof(m.digest));
	commit_add(c, -1, &m.head);
}
