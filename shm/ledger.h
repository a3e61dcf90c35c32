/*
 * What the keeper notes about its audit file, where it outlives the keeper: whether records can be
 * written, and which batch of lines is on its way into the file, so that a successor of a killed
 * keeper finds out what became of it and neither loses nor repeats a record.
 *
 * Writer: keeper. Readers: workers and controller (stalled). A worker that was taken over could
 * write here, too: what a keeper does to the file by it needs the tag, for which one needs the key.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

struct ledger {
	_Alignas(64) _Atomic uint32_t stalled; /* 1: records cannot be written at the moment */
	_Atomic uint32_t writing;	       /* 1: the batch below may be in the file, or a part */
	_Atomic uint64_t first_seq, end_seq;   /* of its lines; end_seq is the next batch's */
	_Atomic uint64_t offset;	       /* where it begins in the file */
	_Atomic uint64_t tag;		       /* over these three, under the audit key */
	_Atomic uint64_t last_seq;	       /* of all that is known to have been written */
};
