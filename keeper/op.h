/*
 * One operation of a batch: a message, and what came of it. No answer is sent before the commit,
 * and a batch may have to be played again, so every result lies here until then.
 */
#pragma once
#include "keeper/counts.h"
#include "keeper/talk.h"
#include "lib/arena.h"
#include "lib/buf.h"

/* The keeper's own: a row that is removed if its time is over. */
#define OP_EXPIRE 0x7fff /* a keeper_note */
#define OP_SWEEP  0x7ffe /* a keeper_token_used */

struct op {
	int fd;		/* whom to answer; -1: nobody */
	int result;	/* enum err */
	uint32_t state; /* BIND: what stands; enum session_state */
	uint32_t driver_id;
	uint64_t created_ms;
	uint32_t count; /* CLOSE: sessions; DRAIN: the driver's id; else 1 */
	union {
		struct msg_head head;
		struct keeper_bind bind;
		struct keeper_note note;
		struct keeper_close close;
		struct keeper_drain drain;
		struct keeper_token token;
		struct keeper_token_revoke revoke;
		struct keeper_token_used used;
		struct keeper_public_key key;
		struct keeper_keys keys;
		struct keeper_rollout rollout;
	} m;
};
_Static_assert(sizeof(struct op) <= 2048, "there are thousands of them");

/* What a batch is played with, and what it changed. */
struct apply {
	struct db *db;
	struct counts *counts;
	struct arena *arena;	      /* for one operation */
	struct buf *closed, *revoked; /* keeper_closed and keeper_revoked, for the workers */
	uint64_t now_ms;	      /* wall clock */
	uint64_t idle_ms;	      /* session.idle_timeout */
	bool registry_changed;
	bool changed[SEGMENT_WHATS];
};
