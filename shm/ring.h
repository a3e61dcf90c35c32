/*
 * A ring of records from one process to one other, in shared memory: a worker's audit records on
 * their way to the keeper.
 *
 *	| length | kind | payload, padded to 8 | length | kind | ... |     8-byte heads
 *
 * Writer of head, lost and bytes: the worker in the row; of the rest: the keeper. No lock, no
 * system call, nobody waits. A worker may be killed at any instruction: what it has not published
 * with the head does not exist. Positions are bytes since ever; they outlive the processes on both
 * sides. A record never wraps: what is left of the ring before its start is skipped.
 *
 * The keeper believes nothing that stands here: lengths are checked, and records copied before they
 * are looked at.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"

#define RING_BYTES	((size_t)1 << 20)
#define RING_RECORD_MAX ((size_t)32 * 1024) /* of a payload */

struct ring {
	_Alignas(64) _Atomic uint64_t head; /* up to here records are whole */
	_Atomic uint64_t lost;		    /* records that found no room, since ever */
	_Alignas(64) _Atomic uint64_t tail; /* up to here bytes may be written over */
	_Atomic uint64_t taken;		    /* up to here they are in the batch under way */
	_Atomic uint64_t lost_told;	    /* of lost: written to the audit file */
	_Atomic uint64_t lost_taken;	    /* ... and in the batch under way */
	_Alignas(4096) uint8_t bytes[RING_BYTES];
};

/* Worker. Room for n bytes of payload, or NULL when the ring is full. Nothing has happened until
 * ring_publish(), which is the next thing to call for that ring, or never. n <= RING_RECORD_MAX. */
uint8_t *ring_room(struct ring *, size_t n);
void ring_publish(struct ring *, uint32_t kind, size_t n); /* kind from 1 */
/* Both, and a copy between them. E_FULL. */
int ring_put(struct ring *, uint32_t kind, const void *payload, size_t n) MUST_CHECK;
size_t ring_fill(const struct ring *); /* bytes in it; any process */

/* Keeper. The record at *position is copied to buf and *position moves behind it. E_AGAIN: there is
 * none. E_SYNTAX: nonsense stood there; *position has moved to the head, what was between is
 * lost. size >= RING_RECORD_MAX. */
int ring_next(const struct ring *, uint64_t *position, void *buf, size_t size, uint32_t *ret_kind,
	      size_t *ret_n) MUST_CHECK;
/* What was taken was written (its bytes may be written over), or was not (it is read again). Either
 * may be called twice. */
void ring_settle(struct ring *);
void ring_untake(struct ring *);
