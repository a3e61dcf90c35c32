/*
 * What happens in a child between fork and the first line of its own job. Called in the child only;
 * never returns.
 *
 * The child closes every descriptor that is not its own, above all the other children's leashes and
 * the supervisor's ends: a leash must have two holders, or nobody would notice the death of one.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/listeners.h"
#include "daemon/world.h"
#include "shm/child.h"
#include "shm/segment.h"

struct spawn {
	struct child_seat seat;
	struct segment *segment;
	const struct world *world;
	const struct listeners *listeners;
	int keeper_fd, checker_fd; /* worker: its ends; controller: keeper_fd is its end */
	const int *worker_fds;	   /* keeper, checker: their ends, one per worker seat */
	unsigned worker_fds_count;
	int controller_fd; /* keeper: its end of the controller's channel */
	const char *controller_path;
	uint8_t *pepper; /* for workers; the child's copy, which it cleanses */
	bool probe_first;
};

_Noreturn void spawn_live(const struct spawn *);
