/*
 * What a probe's outcome means for a driver: up, down, lost. Pure: rules, row, outcome and time in;
 * row out.
 *
 *	UNKNOWN ---- rise good ones in a row ----> UP <---- rise good ones ---- DOWN
 *	   |                                       |                             ^
 *	   +------ fall bad ones in a row, or VERDICT_REFUSED_ENOUGH refusals ---+
 *
 * Lost means that the sessions of that driver are gone: refused in a row (its process has ended),
 * or unreachable for lost_after_ms. health.lost_wall_ms moves on with every bad probe while it is
 * lost, so that a binding made by somebody who saw the verdict a moment too late is lost as well. A
 * driver that answers NOT_SERVING is down, but not unreachable.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "shm/health.h"

#define VERDICT_REFUSED_ENOUGH 3   /* or `fall`, if that is less */
#define VERDICT_QUICK_MS       250 /* between probes while something is about to be decided */

struct verdict_rules {
	uint32_t rise, fall;
	uint64_t interval_ms, lost_after_ms;
};

struct verdict_now {
	uint64_t ms;	  /* monotonic */
	uint64_t wall_ms; /* for stamps */
};

struct verdict_outcome {
	enum health_reason reason; /* HEALTH_OK: a good one */
	uint32_t rtt_us;	   /* of a good one */
};

/* What is remembered of a driver beside its row; zeroed at first. Owner: the checker. */
struct verdict {
	uint32_t good, refused; /* in a row */
	bool unreachable, lost;
	uint64_t unreachable_since_ms;
};

#define VERDICT_CHANGED 1u /* the row's state is another one now */
#define VERDICT_LOST	2u /* and its sessions are lost; may come later than DOWN */

/* A driver never seen. */
void verdict_start(struct verdict *, struct health *, uint32_t driver_id, uint64_t wall_ms);
/* Goes on where an earlier process left off. */
void verdict_adopt(struct verdict *, const struct health *);
/* One probe has ended. Returns VERDICT_... flags. */
unsigned verdict_step(struct verdict *, struct health *, const struct verdict_rules *,
		      const struct verdict_outcome *, const struct verdict_now *);
/* From now to the next probe, before jitter. */
uint64_t verdict_wait_ms(const struct verdict *, const struct health *,
			 const struct verdict_rules *);
