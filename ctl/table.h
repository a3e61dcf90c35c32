/*
 * Tables for people: columns as wide as their widest cell, two blanks between. Also ages and counts
 * in words.
 *
 * table_flush() prints what was added and goes on with the same widths, so that a long list needs
 * no more memory than one page of it. Cells are copied; control characters in them are shown as
 * '?'.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/buf.h"

#define TABLE_COLUMNS 16
#define TABLE_WORD    32 /* room for an age or a count */

struct table_column {
	const char *title;
	bool right; /* aligned, for numbers */
};

struct table {
	const struct table_column *columns;
	unsigned count;
	unsigned width[TABLE_COLUMNS]; /* in characters */
	bool titled;		       /* the titles have been printed */
	struct arena *arena;
	struct table_row *first, **last;
};

void table_init(struct table *, const struct table_column *columns, unsigned count);
void table_free(struct table *);
/* `count` cells; NULL or "" becomes "-". */
void table_add(struct table *, const char *const *cells);
void table_flush(struct table *, struct buf *out);

/* Two units at most: "450ms" "12s" "3m12s" "5h03m" "12d4h". size >= TABLE_WORD. Return buf. */
const char *table_age(uint64_t ms, char *buf, size_t size);
/* "1,204". */
const char *table_number(uint64_t n, char *buf, size_t size);
