/*
 * Follows state_dir/audit/audit.log: lines that were added since, also over its rotation. Reads the
 * disk, writes nothing; where it is, it knows only in memory.
 */
#pragma once
#include <stdbool.h>
#include "lib/err.h"
#include "lib/str.h"

struct tail;

/* Begins at the end of the file as it is now. NULL: out of memory. */
struct tail *tail_new(const char *state_dir);
void tail_free(struct tail **);
/* The next whole line, without its newline; valid until the next call. E_AGAIN: none yet; then
 * *ret_more says whether the file has more bytes, which only one call in a turn reads. */
int tail_next(struct tail *, struct str *ret, bool *ret_more) MUST_CHECK;
