/*
 * Aligned tables, ages and counts for sparkgwctl: cells come in, lines of text go out.
 */
#include "ctl/table.h"

#include "lib/panic.h"

#define TABLE_CEILING ((size_t)64 * 1024 * 1024)
#define CELL_MAX      512 /* bytes shown */

struct table_row {
	struct table_row *next;
	const char *cells[];
};

void
table_init(struct table *t, const struct table_column *columns, unsigned count)
{
	ASSERT(count > 0 && count <= TABLE_COLUMNS);
	*t = (struct table){.columns = columns, .count = count};
	t->arena = arena_new((size_t)16 * 1024, TABLE_CEILING);
	ASSERT(t->arena != NULL);
	t->last = &t->first;
	for (unsigned i = 0; i < count; i++)
		t->width[i] = (unsigned)strlen(columns[i].title);
}

void
table_free(struct table *t)
{
	arena_free(&t->arena);
}

/* Bytes that begin a character of UTF-8. */
static unsigned
count_characters(const char *z)
{
	unsigned n = 0;

	for (; *z != '\0'; z++)
		if (((unsigned char)*z & 0xc0) != 0x80)
			n++;
	return n;
}

/* A user id must not be able to move somebody's cursor. */
static void
make_harmless(char *z)
{
	for (struct str s = str_from(z); s.n > 0;) {
		size_t shown = str_shown_char(s), len = str_utf8_step(s);

		if (shown > 0)
			memmove(z, s.p, shown);
		else
			*z = '?';
		z += shown > 0 ? shown : 1;
		s = (struct str){s.p + len, s.n - len};
	}
	*z = '\0';
}

static const char *
copy_cell(struct table *t, const char *cell)
{
	char *copy;
	size_t n = cell != NULL ? strlen(cell) : 0;

	if (n == 0)
		return "-";
	if (n > CELL_MAX)
		n = CELL_MAX;
	copy = arena_copy(t->arena, cell, n);
	if (copy == NULL)
		return NULL;
	make_harmless(copy);
	return copy;
}

void
table_add(struct table *t, const char *const *cells)
{
	struct table_row *row =
		arena_alloc(t->arena, sizeof(*row) + t->count * sizeof(row->cells[0]));

	for (unsigned i = 0; row != NULL && i < t->count; i++) {
		unsigned width;

		row->cells[i] = copy_cell(t, cells[i]);
		if (row->cells[i] == NULL)
			break;
		width = count_characters(row->cells[i]);
		if (width > t->width[i])
			t->width[i] = width;
	}
	ASSERT(!arena_failed(t->arena)); /* a page is far below the ceiling */
	*t->last = row;
	t->last = &row->next;
}

static void
print_cell(const struct table *t, unsigned i, const char *cell, struct buf *out)
{
	int pad = (int)(t->width[i] - count_characters(cell));

	if (i > 0)
		buf_add_str(out, STR("  "));
	if (t->columns[i].right)
		buf_printf(out, "%*s%s", pad, "", cell);
	else if (i + 1 < t->count)
		buf_printf(out, "%s%*s", cell, pad, "");
	else
		buf_add_str(out, str_from(cell)); /* no blanks at the end of a line */
}

void
table_flush(struct table *t, struct buf *out)
{
	for (unsigned i = 0; !t->titled && i < t->count; i++)
		print_cell(t, i, t->columns[i].title, out);
	if (!t->titled)
		buf_add_byte(out, '\n');
	t->titled = true;
	for (const struct table_row *row = t->first; row != NULL; row = row->next) {
		for (unsigned i = 0; i < t->count; i++)
			print_cell(t, i, row->cells[i], out);
		buf_add_byte(out, '\n');
	}
	t->first = NULL;
	t->last = &t->first;
	arena_reset(t->arena);
}

const char *
table_age(uint64_t ms, char *buf, size_t size)
{
	unsigned long long s = ms / 1000;

	if (ms < 1000)
		snprintf(buf, size, "%llums", (unsigned long long)ms);
	else if (s < 60)
		snprintf(buf, size, "%llus", s);
	else if (s < 3600)
		snprintf(buf, size, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, size, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, "%llud%lluh", s / 86400, s / 3600 % 24);
	return buf;
}

const char *
table_number(uint64_t n, char *buf, size_t size)
{
	char digits[TABLE_WORD];
	int count = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	size_t at = 0;

	ASSERT(size >= TABLE_WORD);
	for (int i = 0; i < count; i++) {
		if (i > 0 && (count - i) % 3 == 0)
			buf[at++] = ',';
		buf[at++] = digits[i];
	}
	buf[at] = '\0';
	return buf;
}
