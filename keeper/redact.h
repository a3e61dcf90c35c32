/*
 * What must not be seen in the audit file: POSIX extended regular expressions, whose matches are
 * replaced in SQL texts.
 *
 * They are the administrator's own words, and run in the keeper only, over at most audit.sql_bytes
 * of a text; one that is slow delays records, nothing else.
 */
#pragma once
#include "lib/str.h"

#define REDACT_WORDS "[redacted]"

struct redact;

/* NULL: one of them does not compile, or out of memory. None: texts pass as they are. */
struct redact *redact_new(const struct str *patterns, unsigned count);
void redact_free(struct redact **);
/* The text itself, or what became of it, which stands until the next call. */
struct str redact_apply(struct redact *, struct str text);
