/*
 * A walk over all sessions in small steps, round and round. Each step is one short read
 * transaction; it remembers the first key it did not look at. Whether a row's time is over is asked
 * again by the commit, since a touch may come in between.
 */
#include <stdlib.h>
#include "keeper/expiry.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"

#define EXPIRY_MAGIC 0x45787069u
#define STEP_ROWS    1000
#define STEP_MS	     100
#define REST_MAX_MS  10000 /* between two rounds */
#define REST_PARTS   20	   /* of the idle time-out: nobody stays much longer than it says */
#define READERS_MS   10000

struct place {
	uint8_t id[16];
	size_t user_len;
	char user[SESSION_USER_MAX];
};

struct expiry {
	unsigned magic;
	struct loop *loop;
	struct db *db;
	struct commit *commit;
	uint64_t idle_ms;
	struct loop_timer walk, readers;
	uint64_t now_ms; /* of this step */
	bool has_next;
	struct place next; /* where the next step starts */
	unsigned rows, due_count;
	struct place due[STEP_ROWS];
};

static struct session_key
to_key(const struct place *p)
{
	struct session_key key = {.user = {p->user, p->user_len}};

	memcpy(key.id, p->id, sizeof(key.id));
	return key;
}

static void
put(struct place *p, const struct session_key *key)
{
	memcpy(p->id, key->id, sizeof(p->id));
	memcpy(p->user, key->user.p, key->user.n);
	p->user_len = key->user.n;
}

static int
look(void *arg, const struct session_key *key, const struct session *s)
{
	struct expiry *e = arg;

	if (e->rows == STEP_ROWS) {
		put(&e->next, key);
		e->has_next = true;
		return 1;
	}
	e->rows++;
	if (apply_is_over(s, e->now_ms, e->idle_ms))
		put(&e->due[e->due_count++], key);
	return 0;
}

static void
find_due(struct expiry *e)
{
	const struct place from = e->next;
	const struct session_key key = to_key(&from);
	bool resumed = e->has_next;
	int err;

	e->rows = e->due_count = 0;
	e->has_next = false;
	e->now_ms = clock_wall_ms();
	err = db_read_begin(e->db);
	if (err == 0)
		err = sessions_scan(e->db, resumed ? &key : NULL, look, e);
	db_read_end(e->db);
	if (err != 0)
		log_warn(NULL, "expiry: the sessions cannot be read: %s", err_text(err));
}

static uint64_t
rest_ms(const struct expiry *e)
{
	uint64_t ms = e->idle_ms / REST_PARTS;

	return ms < STEP_MS ? STEP_MS : ms > REST_MAX_MS ? REST_MAX_MS : ms;
}

static void
step(void *arg)
{
	struct expiry *e = arg;

	CHECK_MAGIC(e, EXPIRY_MAGIC);
	if (!commit_is_broken(e->commit)) { /* else nothing could be removed */
		find_due(e);
		for (unsigned i = 0; i < e->due_count; i++) {
			const struct session_key key = to_key(&e->due[i]);

			commit_expire(e->commit, &key);
		}
		if (e->due_count > 0)
			log_debug(NULL, "expiry: %u sessions are over", e->due_count);
	}
	loop_timer_start(e->loop, &e->walk, e->has_next ? STEP_MS : rest_ms(e), 0, step, e);
}

static void
check_readers(void *arg)
{
	struct expiry *e = arg;
	int dead;

	CHECK_MAGIC(e, EXPIRY_MAGIC);
	dead = db_reader_check(e->db);
	if (dead > 0)
		log_debug(NULL, "%d readers of dead processes cleared", dead);
}

struct expiry *
expiry_new(struct loop *loop, struct db *db, struct commit *commit, uint64_t idle_ms)
{
	struct expiry *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->magic = EXPIRY_MAGIC;
	e->loop = loop;
	e->db = db;
	e->commit = commit;
	e->idle_ms = idle_ms;
	loop_timer_start(loop, &e->walk, STEP_MS, 0, step, e);
	loop_timer_start(loop, &e->readers, READERS_MS, READERS_MS, check_readers, e);
	return e;
}

void
expiry_free(struct expiry **ret)
{
	struct expiry *e = *ret;

	if (e == NULL)
		return;
	CHECK_MAGIC(e, EXPIRY_MAGIC);
	*ret = NULL;
	loop_timer_stop(&e->walk);
	loop_timer_stop(&e->readers);
	e->magic = 0;
	free(e);
}
