/*
 * What can be asked of the table of keys, which is in schema_rows.c.
 */
#include <stdio.h>
#include "conf/schema.h"
#include "lib/panic.h"

#define KEY_MAX 32 /* no key is longer */

const struct schema_row *
schema_find(const char *path)
{
	for (size_t i = 0; i < schema_count; i++)
		if (strcmp(schema_rows[i].path, path) == 0)
			return &schema_rows[i];
	return NULL;
}

const char *
schema_below(const struct schema_row *block, const char *path)
{
	size_t n = block != NULL ? strlen(block->path) : 0;

	if (block == NULL)
		return path;
	if (strncmp(path, block->path, n) != 0)
		return NULL;
	path += n;
	if (block->type == SCHEMA_LIST) {
		if (strncmp(path, "[]", 2) != 0)
			return NULL;
		path += 2;
	}
	return *path == '.' ? path + 1 : NULL;
}

const struct schema_row *
schema_next(const struct schema_row *block, const struct schema_row *row)
{
	const struct schema_row *start = block != NULL ? block + 1 : schema_rows;

	for (row = row != NULL ? row + 1 : start; row < schema_rows + schema_count; row++) {
		const char *rest = schema_below(block, row->path);

		if (rest == NULL)
			return NULL; /* the rows of a block stand together */
		if (strchr(rest, '.') == NULL)
			return row;
	}
	return NULL;
}

const char *
schema_leaf(const struct schema_row *row)
{
	const char *dot = strrchr(row->path, '.');

	return dot != NULL ? dot + 1 : row->path;
}

int
schema_word(const char *words, struct str word)
{
	struct str rest = str_from(words);

	for (int i = 0; rest.p != NULL; i++)
		if (str_eq(str_cut(rest, ' ', &rest), word))
			return i;
	return -1;
}

struct str
schema_word_at(const char *words, unsigned place)
{
	struct str rest = str_from(words), word = str_cut(rest, ' ', &rest);

	while (place-- > 0)
		word = str_cut(rest, ' ', &rest);
	return word;
}

const struct schema_row *
schema_type_row(const struct schema_row *row)
{
	size_t n = (size_t)(schema_leaf(row) - row->path);

	for (size_t i = 0; i < schema_count; i++) {
		const char *path = schema_rows[i].path;

		if (strncmp(path, row->path, n) == 0 && strcmp(path + n, "type") == 0)
			return &schema_rows[i];
	}
	ASSERT(!"a row with types stands beside a row named type");
}

bool
schema_applies(const struct schema_row *row, const void *base)
{
	const struct schema_row *type;
	unsigned value;

	if (row->types == NULL)
		return true;
	type = schema_type_row(row);
	memcpy(&value, (const char *)base + type->at, sizeof(value));
	return schema_word(row->types, schema_word_at(type->words, value)) >= 0;
}

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's distance, one row of the matrix at a time; both at most KEY_MAX long. */
static unsigned
distance(struct str a, struct str b)
{
	unsigned line[KEY_MAX + 1];

	ASSERT(a.n <= KEY_MAX && b.n <= KEY_MAX);
	for (unsigned j = 0; j <= b.n; j++)
		line[j] = j;
	for (unsigned i = 1; i <= a.n; i++) {
		unsigned diagonal = line[0];

		line[0] = i;
		for (unsigned j = 1; j <= b.n; j++) {
			unsigned changed = diagonal + (a.p[i - 1] != b.p[j - 1]);

			diagonal = line[j];
			line[j] = least(line[j] + 1, line[j - 1] + 1, changed);
		}
	}
	return line[b.n];
}

/* The key of the block with the least distance, when less than half of it had to change. */
static const char *
nearest_of(const struct schema_row *block, struct str key, unsigned *ret_distance)
{
	const struct schema_row *r;
	const char *found = NULL;
	unsigned best = KEY_MAX;

	for (r = schema_next(block, NULL); r != NULL; r = schema_next(block, r)) {
		struct str leaf = str_from(schema_leaf(r));
		unsigned d = distance(key, leaf);

		if (d >= best || 2 * d >= (leaf.n > key.n ? leaf.n : key.n))
			continue;
		best = d;
		found = leaf.p;
	}
	*ret_distance = best;
	return found;
}

const char *
schema_nearest(const struct schema_row *block, struct str key)
{
	const char *found;
	unsigned d;

	if (key.n == 0 || key.n > KEY_MAX)
		return NULL;
	found = nearest_of(block, key, &d);
	if (found != NULL && d <= 2)
		return found;
	for (size_t i = 0; i < schema_count; i++)
		if (str_eq(str_from(schema_leaf(&schema_rows[i])), key))
			return schema_rows[i].path; /* right word, wrong block */
	return found;
}

const char *
schema_type_text(const struct schema_row *row)
{
	static const char *const names[] = {
		[SCHEMA_MAP] = "block",		 [SCHEMA_LIST] = "list of blocks",
		[SCHEMA_U32] = "number",	 [SCHEMA_DURATION] = "duration",
		[SCHEMA_SIZE] = "size",		 [SCHEMA_BOOL] = "true or false",
		[SCHEMA_ENUM] = "word",		 [SCHEMA_ADDRESS] = "address and port",
		[SCHEMA_NAME] = "name",		 [SCHEMA_TEXT] = "text",
		[SCHEMA_PATH] = "path",		 [SCHEMA_HOST] = "host name",
		[SCHEMA_PATTERN] = "host name",	 [SCHEMA_HOSTPORT] = "host and port",
		[SCHEMA_HEADER] = "header name", [SCHEMA_URL] = "URL",
	};
	static const char *const lists[] = {
		[SCHEMA_NAME] = "list of names",
		[SCHEMA_TEXT] = "list of texts",
		[SCHEMA_PATTERN] = "list of host names",
		[SCHEMA_HEADER] = "list of header names",
	};

	return row->type == SCHEMA_STRS ? lists[row->item] : names[row->type];
}

const char *
schema_bounds_text(const struct schema_row *row, char *buf, size_t size)
{
	char low[32], high[32];

	snprintf(low, sizeof(low), "%llu", (unsigned long long)row->min);
	snprintf(high, sizeof(high), "%llu", (unsigned long long)row->max);
	if (row->type == SCHEMA_DURATION) {
		str_put_duration(row->min, low, sizeof(low));
		str_put_duration(row->max, high, sizeof(high));
	} else if (row->type == SCHEMA_SIZE) {
		str_put_size(row->min, low, sizeof(low));
		str_put_size(row->max, high, sizeof(high));
	}
	if (row->max > 0)
		snprintf(buf, size, "%s to %s", low, high);
	else if (row->type == SCHEMA_ENUM)
		snprintf(buf, size, "one of: %s", row->words);
	else
		str_copy(buf, size, STR(""));
	return buf;
}
