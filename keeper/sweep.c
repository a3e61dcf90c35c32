/*
 * A walk over all tokens in small steps, once an hour. Each step is one short read transaction; it
 * remembers the first digest it did not look at. Whether a row's time is over is asked again by the
 * commit.
 */
#include <stdlib.h>
#include "keeper/apply_auth.h"
#include "keeper/sweep.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"

#define SWEEP_MAGIC 0x53776570u
#define STEP_ROWS   200
#define STEP_MS	    100
#define REST_MS	    (3600u * 1000)

struct sweep {
	unsigned magic;
	struct loop *loop;
	struct db *db;
	struct commit *commit;
	struct loop_timer walk;
	uint64_t now_ms; /* of this step */
	bool has_next;
	uint8_t next[TOKEN_DIGEST]; /* where the next step starts */
	unsigned rows, due_count;
	uint8_t due[STEP_ROWS][TOKEN_DIGEST];
};

static int
look(void *arg, const uint8_t digest[TOKEN_DIGEST], const struct token *t)
{
	struct sweep *s = arg;

	if (s->rows == STEP_ROWS) {
		memcpy(s->next, digest, TOKEN_DIGEST);
		s->has_next = true;
		return 1;
	}
	s->rows++;
	if (apply_auth_is_over(t, s->now_ms))
		memcpy(s->due[s->due_count++], digest, TOKEN_DIGEST);
	return 0;
}

static void
find_due(struct sweep *s)
{
	uint8_t from[TOKEN_DIGEST];
	bool resumed = s->has_next;
	int err;

	memcpy(from, s->next, sizeof(from));
	s->rows = s->due_count = 0;
	s->has_next = false;
	s->now_ms = clock_wall_ms();
	err = db_read_begin(s->db);
	if (err == 0)
		err = tokens_scan(s->db, resumed ? from : NULL, look, s);
	db_read_end(s->db);
	if (err != 0)
		log_warn(NULL, "sweep: the tokens cannot be read: %s", err_text(err));
}

static void
step(void *arg)
{
	struct sweep *s = arg;

	CHECK_MAGIC(s, SWEEP_MAGIC);
	if (!commit_is_broken(s->commit)) { /* else nothing could be removed */
		find_due(s);
		for (unsigned i = 0; i < s->due_count; i++)
			commit_sweep(s->commit, s->due[i]);
		if (s->due_count > 0)
			log_debug(NULL, "sweep: %u tokens are over", s->due_count);
	}
	loop_timer_start(s->loop, &s->walk, s->has_next ? STEP_MS : REST_MS, 0, step, s);
}

struct sweep *
sweep_new(struct loop *loop, struct db *db, struct commit *commit)
{
	struct sweep *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SWEEP_MAGIC;
	s->loop = loop;
	s->db = db;
	s->commit = commit;
	loop_timer_start(loop, &s->walk, STEP_MS, 0, step, s);
	return s;
}

void
sweep_free(struct sweep **ret)
{
	struct sweep *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SWEEP_MAGIC);
	*ret = NULL;
	loop_timer_stop(&s->walk);
	s->magic = 0;
	free(s);
}
