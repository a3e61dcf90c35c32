/*
 * Acts of administrators and events of the keeper itself, on their way into the audit file.
 *
 * An act is answered when its record is on the disk. An asker that asks once more meanwhile makes
 * no second one.
 */
#pragma once
#include "keeper/audit_batch.h"
#include "keeper/talk.h"

struct audit_acts;

struct audit_acts *audit_acts_new(void); /* NULL: out of memory */
void audit_acts_free(struct audit_acts **);

/* fd: whom to answer. E_SYNTAX; E_FULL (too many wait); E_EXISTS (it waits already). */
int audit_acts_add(struct audit_acts *, int fd, const struct keeper_audit *) MUST_CHECK;
/* The keeper's own; nobody is answered. Dropped when too many wait. */
void audit_acts_event(struct audit_acts *, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

bool audit_acts_waiting(const struct audit_acts *);
unsigned audit_acts_take(struct audit_acts *, struct audit_batch *);
void audit_acts_untake(struct audit_acts *);
/* written: the file's bytes, these included */
void audit_acts_settle(struct audit_acts *, uint64_t written);
void audit_acts_answer(struct audit_acts *, uint64_t on_disk); /* whose record is there */
