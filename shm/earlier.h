/*
 * What the programs before this one counted: a binary upgrade does not begin at 0.
 *
 * While a predecessor drains, its numbers grow; they are brought over again and again, the last time
 * when all of it is dead. Nothing here ever gets less, so that doing it twice, or by two at once,
 * changes nothing.
 *
 * Writers: the supervisor, at the start (`segment`); the controllers, also that of a successor.
 * Readers: controllers.
 */
#pragma once
#include "shm/counters.h"
#include "shm/metrics.h"
#include "shm/segment.h"

struct earlier {
	_Atomic uint64_t segment; /* inode of the predecessor's; 0: none, or all of it is here */
	_Atomic uint64_t lost;	  /* records, over its rings */
	_Atomic uint64_t counters[COUNTERS_COUNT]; /* but for gauges */
	struct metrics_keeper keeper;
	struct metrics_slot rpcs; /* by the pairs of labels.h of this segment */
};

/* Brings into `to` all that `from` and its own predecessors counted. E_NOMEM. */
int earlier_bring(struct segment *to, struct segment *from) MUST_CHECK;
/* Nobody lives in it any more: what it counted stays as it is. A system call per row. */
bool earlier_is_over(struct segment *from);
