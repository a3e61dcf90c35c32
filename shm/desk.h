/*
 * A worker's place for audit records: writes what is known of an RPC where it outlives the worker.
 *
 * An RPC's facts are written twice: into its open slot as they become known, and all of them when
 * the client's stream closes, before the bytes that tell the client leave the process. All of it in
 * private memory but for one copy each: no lock, no system call (but desk_begin()), no wait.
 *
 *	slot = desk_begin(d);
 *	facts = desk_know(d, slot); audit_text(&facts, AUDIT_user, user); desk_known(d, slot, &facts);
 *	f = desk_build(d); audit_text(f, AUDIT_user, user); audit_number(f, AUDIT_bytes_in, n); ...
 *	desk_end(d, slot, pair, code);
 */
#pragma once
#include "shm/audit.h"
#include "shm/ledger.h"
#include "shm/metrics.h"
#include "shm/open.h"
#include "shm/ring.h"
#include "shm/segment.h"

struct desk {
	struct ring *ring;
	struct metrics_slot *metrics;
	const struct ledger *ledger;
	struct segment *segment;
	struct open_desk open;
	unsigned row, worker;
	bool stays; /* there was no memory for more slots */
	struct audit_facts sheet;
	uint8_t bytes[AUDIT_RECORD_MAX];
};

/* Once, at the worker's start: reserves its row's memory (E_FULL, E_IO) and settles what the row's
 * earlier processes left. worker: its number. */
int desk_enter(struct desk *, struct segment *, unsigned row, unsigned worker) MUST_CHECK;

/* An RPC begins. OPEN_NONE beyond OPEN_SLOTS at once, or without memory for more slots; hand it on
 * like any other slot. A system call when there have never been as many: fifteen times at most. */
unsigned desk_begin(struct desk *);
/* Facts to be appended to its slot; they count from desk_known() on. OPEN_NONE: go nowhere. */
struct audit_facts desk_know(struct desk *, unsigned slot);
void desk_known(struct desk *, unsigned slot, const struct audit_facts *);
/* Where it will be counted, by whomever. */
void desk_place(struct desk *, unsigned slot, unsigned pair);

/* The RPC has ended: an empty sheet for all its facts, good until desk_end(). */
struct audit_facts *desk_build(struct desk *);
/* Counts the request (metrics_slot.requests), puts the sheet into the ring and frees the slot. A
 * record that finds no room is counted as lost. */
void desk_end(struct desk *, unsigned slot, unsigned pair, unsigned code);
void desk_end_unrecorded(struct desk *, unsigned slot, unsigned pair, unsigned code);

/* Records cannot be written at the moment and the ring is more than half full: with `on_full:
 * refuse` a new plan is answered UNAVAILABLE. */
bool desk_is_pressed(const struct desk *);
