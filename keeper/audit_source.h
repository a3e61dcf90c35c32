/*
 * Where audit records come from: the rings and open slots of a segment, its own or an earlier one.
 *
 * A batch takes records, and marks in the segment what it has taken; when it is in the audit file
 * the marks are settled (rings move on, slots are free, dead workers' requests are counted), when
 * it is not they are undone. All marks outlive the keeper.
 *
 * What was under way in an earlier life is counted in this one's metrics.
 */
#pragma once
#include <stdbool.h>
#include "keeper/audit_batch.h"
#include "keeper/audit_redact.h"
#include "shm/ledger.h"
#include "shm/segment.h"

struct audit_source;

struct audit_tally { /* what a batch took */
	uint64_t records, unfinished, lost;
};

/* own: this life's; another one was left by an earlier life, and everybody in it is dead. NULL: out
 * of memory. Takes the segment over when it is not its own. */
struct audit_source *audit_source_new(struct segment *, struct segment *own);
void audit_source_free(struct audit_source **);
struct segment *audit_source_segment(struct audit_source *);

/* Rows whose process is dead: what was under way in them is no more. A system call per worker. */
void audit_source_find_dead(struct audit_source *);
bool audit_source_has_any(const struct audit_source *);

/* Up to *budget records, which becomes less. batch NULL: audit is off, all is only passed by. */
void audit_source_take(struct audit_source *, struct audit_batch *, struct audit_redact *,
		       unsigned *budget, struct audit_tally *);
/* The ledger of its segment, if anything of it is in the batch: it is being written. */
void audit_source_note(struct audit_source *, const struct ledger *batch);
void audit_source_settle(struct audit_source *);
void audit_source_untake(struct audit_source *);
/* The same for marks that a dead keeper left; once, before anything is taken. */
bool audit_source_is_fresh(const struct audit_source *); /* that has not been done yet */
void audit_source_recover(struct audit_source *, bool written);
