/*
 * What each message does to the rows, inside a write transaction of the keeper. No answer is sent
 * from here: a batch may have to be played again, so every result lies in the operation until the
 * commit.
 */
#pragma once
#include "keeper/counts.h"
#include "keeper/talk.h"
#include "lib/buf.h"

#define APPLY_EXPIRE 0x7fff /* the keeper's own: a keeper_note, removed if its time is over */

struct op {
	int fd;		/* whom to answer; -1: nobody */
	int result;	/* enum err */
	uint32_t state; /* BIND: what stands; enum session_state */
	uint32_t driver_id;
	uint64_t created_ms;
	uint32_t count; /* CLOSE: sessions; DRAIN: the driver's id */
	union {
		struct msg_head head;
		struct keeper_bind bind;
		struct keeper_note note;
		struct keeper_close close;
		struct keeper_drain drain;
	} m;
};

struct apply {
	struct db *db;
	struct counts *counts;
	struct buf *closed; /* struct keeper_closed, for the workers */
	uint64_t now_ms;    /* wall clock */
	uint64_t idle_ms;   /* session.idle_timeout */
	bool registry_changed;
};

bool apply_accepts(const struct msg_head *); /* whole, of a known type, with sane lengths */
bool apply_is_over(const struct session *, uint64_t now_ms, uint64_t idle_ms); /* to be removed */
void apply_op(struct apply *, struct op *);
