/*
 * Members of an audit line, out of the facts of a record, in the order of audit.h's table.
 *
 * Whatever bytes a worker wrote, the text is JSON: control characters are escaped, what is no UTF-8
 * is replaced, and so is NUL, which many readers refuse. Absent: texts that are empty, flags that
 * are not set, times and sizes of what never came.
 */
#pragma once
#include "keeper/audit_redact.h"
#include "lib/buf.h"
#include "shm/audit.h"

struct audit_values { /* by field; what is absent is 0 or STR_NONE */
	uint64_t number[AUDIT_FIELDS_END];
	struct str text[AUDIT_FIELDS_END]; /* into the facts */
};

/* As much as can be read; of two facts about one field the last counts. False: not all could. */
bool audit_line_read(struct str facts, struct audit_values *ret);
/* ,"name":value for each, behind other members. redact: NULL for none. */
void audit_line_put(struct buf *, const struct audit_values *, struct audit_redact *);

/* Single members, for lines of other kinds. */
void audit_line_text(struct buf *, const char *name, struct str text);
void audit_line_number(struct buf *, const char *name, uint64_t value);
void audit_line_time(struct buf *, const char *name, uint64_t wall_ms);
