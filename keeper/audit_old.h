/*
 * The segments that earlier lives of the gateway left (shm/leftover.h), as sources of records.
 *
 * One is taken up only when everybody in it is dead; while a binary is being replaced, the old
 * gateway's keeper still serves its own.
 */
#pragma once
#include "keeper/audit_source.h"

struct audit_old;

struct audit_old *audit_old_new(const char *run_dir,
				const struct segment *own); /* NULL: out of memory */
void audit_old_free(struct audit_old **);	      /* leaves the files */
void audit_old_find(struct audit_old *);	      /* looks for files; cheap when there are none */
/* The n-th that was found, or NULL; n up to LEFTOVER_FILES. */
struct audit_source *audit_old_get(struct audit_old *, unsigned n);
void audit_old_remove_empty(struct audit_old *); /* what has been written out, with its file */
