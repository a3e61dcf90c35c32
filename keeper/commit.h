/*
 * Group commit: operations gather, one write transaction plays them all, one fsync, then everybody
 * is answered.
 *
 * How long an operation may wait: RELEASE, LOST 10 ms; TOUCH, TOKEN_USED and what time removes 1 s;
 * all others until the loop's turn ends. While the store refuses to write (disk full), askers are told so,
 * RELEASE and LOST stay for the next try, the segment says that the keeper is not ok, and a try is
 * made each second.
 */
#pragma once
#include "keeper/apply.h"
#include "lib/loop.h"

struct commit;

struct commit_setup {
	struct loop *loop;
	struct segment *segment;
	struct db *db;
	struct counts *counts;
	const int *worker_fds; /* told of CLOSED and REVOKED */
	unsigned worker_fds_count;
	uint64_t idle_ms;
};

struct commit *commit_new(const struct commit_setup *); /* NULL when out of memory */
void commit_free(struct commit **);			/* what was not committed is gone */
void commit_add(struct commit *, int answer_fd, const struct msg_head *); /* apply_accepts() it */
void commit_expire(struct commit *, const struct session_key *);
void commit_sweep(struct commit *, const uint8_t digest[TOKEN_DIGEST]);
void commit_now(struct commit *); /* nothing gathered: nothing happens */
bool commit_is_broken(const struct commit *);
