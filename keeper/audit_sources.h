/*
 * All sources of audit records: the segments that earlier lives of the gateway left
 * (shm/leftover.h), which come first, and its own.
 *
 * An old one is taken up only when everybody in it is dead; while a binary is being replaced, the
 * old gateway's keeper still serves its own. Its file is removed when all of it has been written.
 */
#pragma once
#include "keeper/audit_source.h"
#include "shm/leftover.h"

#define AUDIT_SOURCES (LEFTOVER_FILES + 1)

struct audit_sources;

/* NULL: out of memory. */
struct audit_sources *audit_sources_new(struct segment *own, const char *run_dir);
void audit_sources_free(struct audit_sources **);    /* leaves the files */
void audit_sources_find_old(struct audit_sources *); /* cheap when there are none */
void audit_sources_find_dead(struct audit_sources *);

struct audit_source *audit_sources_get(struct audit_sources *, unsigned n); /* in order; or NULL */
uint64_t audit_sources_last_seq(struct audit_sources *); /* that any of them knows to be written */
bool audit_sources_have_any(struct audit_sources *); /* or marks of a dead keeper */

/* As audit_source.h has them, each for all. */
void audit_sources_take(struct audit_sources *, struct audit_batch *, struct audit_redact *,
			unsigned *budget, struct audit_tally *);
void audit_sources_note(struct audit_sources *, const struct ledger *batch);
void audit_sources_settle(struct audit_sources *);
void audit_sources_untake(struct audit_sources *);
