/*
 * The keeper: the only writer to the store. Commits bindings in groups, expires them, counts them
 * per driver, keeps the registry equal to the configuration; keeps tokens and the providers' keys;
 * writes the audit files. Never talks to the network.
 */
#pragma once
#include "conf/conf.h"
#include "shm/child.h"
#include "shm/segment.h"

struct keeper_setup {
	struct child_seat seat;
	struct segment *segment;
	const struct conf *conf;
	/* The keeper's ends, one per worker seat of every generation that still lives. */
	const int *worker_fds;
	unsigned worker_fds_count;
	int controller_fd;
};

/* Says READY after the store is open and the registry reconciled. On drain: commits what has
 * gathered, returns 0 at once. 2: the store cannot be used (other version, not ours). */
int keeper_run(const struct keeper_setup *);
