/*
 * RPCs under way: a slot each, so that those of a killed worker are recorded and counted, each
 * exactly once.
 *
 * Writer of a row: the worker in it; of slots that a dead one left: its successor, or the keeper,
 * until they are free again. A slot holds facts about its RPC (audit.h), appended as they become
 * known, and, when the RPC ends, how far the ring and the counter will be once it is recorded and
 * counted. A worker may be killed at any instruction. Slots take memory a thousand at a time.
 *
 *	FREE --open_take--> OPEN --desk_end--> FREE
 *			    OPEN --its worker is dead--> ORPHAN --> TAKEN (in a batch) --> FREE
 *
 * The state is one word with the worker's life (a number per process of the row) and what of the
 * RPC's end has already happened, changed by compare-and-swap where two may do it.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"
#include "shm/ring.h"

#define OPEN_FIRST 1024	 /* slots that a row has from the start, and gets more of at a time */
#define OPEN_SLOTS 16384 /* at most */
#define OPEN_BYTES 512
#define OPEN_FACTS (OPEN_BYTES - 48)
#define OPEN_NONE  UINT32_MAX /* no slot */
#define OPEN_NEVER UINT64_MAX
#define OPEN_NO_CODE UINT32_MAX
#define OPEN_NO_PAIR UINT32_MAX

enum open_state { OPEN_STATE_FREE, OPEN_STATE_OPEN, OPEN_STATE_ORPHAN, OPEN_STATE_TAKEN };
#define OPEN_RECORDED (1u << 2) /* its record is in the ring, or was counted as lost */
#define OPEN_COUNTED  (1u << 3) /* the request was counted */

struct open_slot {
	_Atomic uint64_t word;	    /* life << 4 | flags | state */
	_Atomic uint64_t position;  /* its record is there when the ring's head is beyond this */
	_Atomic uint64_t lost_at;   /* it is lost when the ring has lost that many */
	_Atomic uint64_t counted_at; /* it is counted when the counter has reached this */
	_Atomic uint32_t pair, code; /* which counter; OPEN_NO_PAIR, OPEN_NO_CODE: not known yet */
	_Atomic uint32_t used;	    /* bytes of facts that are whole */
	uint32_t pad;
	uint8_t facts[OPEN_FACTS];
};
struct open_row {
	_Alignas(64) _Atomic uint64_t life; /* of the process in the row, from 1 */
	_Atomic uint64_t unslotted;	    /* life << 32 | its RPCs under way without a slot */
	_Atomic uint64_t unslotted_left;    /* such RPCs of dead lives, since ever */
	_Atomic uint32_t worker;	    /* its slot number */
	_Atomic uint32_t orphans;	    /* moves when slots have become orphans */
	_Atomic uint32_t grown;		    /* slots that have memory beyond the first; only grows */
	/* keeper: of unslotted_left, written to the audit file; and in the batch under way */
	_Alignas(64) _Atomic uint64_t unslotted_told;
	_Atomic uint64_t unslotted_taken;
	_Alignas(64) struct open_slot slots[OPEN_SLOTS];
};

/* The worker's own view of its row, in its private memory. */
struct open_desk {
	struct open_row *row;
	uint64_t life;
	unsigned count, free_count, left_count;
	uint16_t free[OPEN_SLOTS], left[OPEN_SLOTS]; /* left: still held for a dead worker's RPCs */
};

/* Worker, once, before anything else is put into the ring and counted: settles what the row's
 * earlier processes left. requests: the row's counters [pair][code]. */
void open_enter(struct open_desk *, struct open_row *, const struct ring *,
		const _Atomic uint64_t *requests, unsigned worker);
/* How many slots of the row have memory; the others must not be touched. */
static inline unsigned
open_count(const struct open_row *row)
{
	uint32_t more = atomic_load_explicit(&row->grown, memory_order_acquire);

	return OPEN_FIRST + (more < OPEN_SLOTS - OPEN_FIRST ? more : OPEN_SLOTS - OPEN_FIRST);
}

/* An index, or OPEN_NONE when all are taken: then it is only a number, and say so to open_free(),
 * too. */
unsigned open_take(struct open_desk *);
bool open_is_full(struct open_desk *); /* the next one gets none */
void open_grow(struct open_desk *);    /* OPEN_FIRST more have memory by now */
struct open_slot *open_slot(struct open_desk *, unsigned index); /* NULL for OPEN_NONE */
void open_free(struct open_desk *, unsigned index);

/* The process in the row is dead (segment_row_lives()) and `life` was read before that was asked:
 * its slots become orphans, or free when all had been done. How many orphans. requests NULL: the
 * counters are not there any more. Keeper. */
unsigned open_orphan(struct open_row *, uint64_t life, const struct ring *,
		     const _Atomic uint64_t *requests);
