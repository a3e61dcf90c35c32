/*
 * Lines on their way into the audit file, in memory: numbered, stamped and chained, and all of it
 * undone if they do not get there.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/buf.h"
#include "shm/chain.h"

#define AUDIT_BATCH_MAX ((size_t)4 << 20) /* bytes */

struct audit_batch {
	struct buf bytes;
	struct str gateway;	/* the name in each line */
	struct chain *chain;	/* of the last line */
	uint64_t next_seq;	/* of the next one */
	uint64_t first_seq, first_ms, last_ms; /* of the file's records; first_seq 0: none */
	unsigned lines;
	struct { /* when it began */
		uint64_t next_seq, first_seq, first_ms, last_ms;
		char chain[CHAIN_HEX + 1];
	} before;
	size_t line_at; /* private */
	uint64_t line_ms;
};

int audit_batch_init(struct audit_batch *, struct str gateway) MUST_CHECK; /* E_NOMEM */
void audit_batch_free(struct audit_batch *);
void audit_batch_begin(struct audit_batch *); /* empty; what it is undone to */
void audit_batch_undo(struct audit_batch *);

/* A line with its first members; the caller adds more, then ends it. */
struct buf *audit_batch_line(struct audit_batch *, const char *kind, uint64_t wall_ms);
/* False: it did not fit, and is not there. */
bool audit_batch_end_line(struct audit_batch *);
/* The seal of the file whose records it knows; no line, and not undone. */
void audit_batch_seal(struct audit_batch *, const uint8_t key[CHAIN_KEY],
		      char ret_seal[CHAIN_SEAL_HEX + 1]);
