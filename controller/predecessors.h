/*
 * The segments of the programs before this one, as long as anybody lives in them: after a binary
 * upgrade they drain, and what they count meanwhile belongs to this one's numbers (shm/earlier.h).
 * Of one upgrade soon after the other there are several.
 *
 * Controller only. Nothing of them is written but earlier numbers.
 */
#pragma once
#include "lib/loop.h"
#include "shm/segment.h"

#define PREDECESSORS 8

struct predecessors {
	struct segment *own, *list[PREDECESSORS]; /* each the predecessor of the one before */
	unsigned count;
	struct loop_timer second;
};

/* Finds them. One of another version, or a ninth, is not followed: its numbers end with it. */
void predecessors_open(struct predecessors *, struct loop *, struct segment *own,
		       const char *run_dir);
void predecessors_look(struct predecessors *); /* brings their numbers over */
void predecessors_close(struct predecessors *);
