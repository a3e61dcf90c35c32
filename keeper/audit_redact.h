/*
 * What must not be seen in the audit file: POSIX extended regular expressions, whose matches are
 * replaced in SQL texts.
 *
 * They are the administrator's own words, and run in the keeper only, over at most audit.sql_bytes
 * of a text; one that is slow delays records, nothing else.
 */
#pragma once
#include "lib/str.h"

#define AUDIT_REDACT_WORDS "[redacted]"

struct audit_redact;

/* NULL: one of them does not compile, or out of memory. None: texts pass as they are. */
struct audit_redact *audit_redact_new(const struct str *patterns, unsigned count);
void audit_redact_free(struct audit_redact **);
/* The text itself, or what became of it, which stands until the next call. */
struct str audit_redact_apply(struct audit_redact *, struct str text);
