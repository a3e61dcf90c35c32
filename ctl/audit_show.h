/*
 * An audit line for people.
 */
#pragma once
#include "lib/buf.h"
#include "lib/str.h"

/* One line with its newline; nothing for what people need not see (the frame of a file). What is no
 * audit line is shown as it is, without control characters. */
void audit_show(struct buf *out, struct str line);
