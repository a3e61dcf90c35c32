/*
 * The configuration as YAML again, row by row of the schema: what sparkgwd -T shows. Secrets are no
 * rows.
 */
#include "conf/conf.h"
#include "conf/schema.h"
#include "conf/value.h"

struct printer {
	struct buf *out;
	unsigned depth;
	bool dash; /* the next key is the first of a list's item */
};

static void print_block(struct printer *, const struct schema_row *, const void *base);

static const void *
field(const void *base, size_t at)
{
	return (const char *)base + at;
}

static unsigned
get_unsigned(const void *base, size_t at)
{
	return *(const unsigned *)field(base, at);
}

/* A driver without a name of its own has its address for one, and that is no name to write down. */
static bool
is_set(const struct schema_row *row, struct str s)
{
	return s.p != NULL && (row->type != SCHEMA_NAME || value_is_name(s));
}

static bool
present(const struct schema_row *row, const void *base)
{
	const struct schema_row *r;

	if (!schema_applies(row, base))
		return false;
	switch (row->type) {
	case SCHEMA_NAME:
	case SCHEMA_TEXT:
	case SCHEMA_PATH:
	case SCHEMA_HOST:
	case SCHEMA_PATTERN:
	case SCHEMA_HOSTPORT:
	case SCHEMA_HEADER:
	case SCHEMA_URL: return is_set(row, *(const struct str *)field(base, row->at));
	case SCHEMA_STRS: return row->fallback != NULL || get_unsigned(base, row->count_at) > 0;
	case SCHEMA_LIST: /* an empty one inside an item may be no list at all */
		return get_unsigned(base, row->count_at) > 0 || strchr(row->path, '[') == NULL;
	case SCHEMA_MAP:
		if (row->has_at != SCHEMA_NOWHERE)
			return *(const bool *)field(base, row->has_at);
		for (r = schema_next(row, NULL); r != NULL; r = schema_next(row, r))
			if (present(r, field(base, row->at)))
				return true;
		return false;
	default: return true;
	}
}

/* The character at p, well-formed UTF-8 as libyaml hands it out. */
static uint32_t
decode(const unsigned char *p, size_t *ret_n)
{
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	*ret_n = n;
	return c;
}

static void
put_quoted(struct buf *out, struct str s)
{
	size_t n;

	buf_add_byte(out, '"');
	for (size_t i = 0; i < s.n; i += n) {
		uint32_t c = decode((const unsigned char *)s.p + i, &n);

		if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", (int)c);
		else if (c >= 0x20 && c < 0x7f)
			buf_add_byte(out, (uint8_t)c);
		else
			buf_printf(out, "\\U%08x", c);
	}
	buf_add_byte(out, '"');
}

static bool
is_plain(struct str s)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_.-";

	for (size_t i = 0; i < s.n; i++)
		if (strchr(letters, s.p[i]) == NULL || (i == 0 && strchr("_.-", s.p[i]) != NULL))
			return false;
	return s.n > 0;
}

static void
put_str(struct buf *out, struct str s)
{
	if (is_plain(s))
		buf_add_str(out, s);
	else
		put_quoted(out, s);
}

static void
put_strs(struct buf *out, const struct str *strs, unsigned count)
{
	buf_add_byte(out, '[');
	for (unsigned i = 0; i < count; i++) {
		buf_printf(out, "%s", i > 0 ? ", " : "");
		put_str(out, strs[i]);
	}
	buf_add_byte(out, ']');
}

static void
put_value(struct buf *out, const struct schema_row *row, const void *base)
{
	const void *at = field(base, row->at);
	char text[SOCK_ADDR_TEXT];

	switch (row->type) {
	case SCHEMA_U32: buf_printf(out, "%u", *(const uint32_t *)at); break;
	case SCHEMA_DURATION:
		buf_printf(out, "%s", str_put_duration(*(const uint64_t *)at, text, sizeof(text)));
		break;
	case SCHEMA_SIZE:
		buf_printf(out, "%s", str_put_size(*(const uint64_t *)at, text, sizeof(text)));
		break;
	case SCHEMA_BOOL: buf_printf(out, "%s", *(const bool *)at ? "true" : "false"); break;
	case SCHEMA_ENUM:
		buf_add_str(out, schema_word_at(row->words, *(const unsigned *)at));
		break;
	case SCHEMA_ADDRESS:
		buf_printf(out, "\"%s\"", sock_addr_text(at, text, sizeof(text)));
		break;
	case SCHEMA_STRS:
		put_strs(out, *(struct str *const *)at, get_unsigned(base, row->count_at));
		break;
	default: put_str(out, *(const struct str *)at); break;
	}
}

static void
put_key(struct printer *p, const struct schema_row *row)
{
	unsigned blanks = 2 * p->depth - (p->dash ? 2 : 0);

	buf_printf(p->out, "%*s%s%s:", (int)blanks, "", p->dash ? "- " : "", schema_leaf(row));
	p->dash = false;
}

static void
print_list(struct printer *p, const struct schema_row *row, const void *base)
{
	const char *elements = *(const char *const *)field(base, row->at);
	unsigned count = get_unsigned(base, row->count_at);

	buf_printf(p->out, "%s\n", count == 0 ? " []" : "");
	p->depth += 2;
	for (unsigned i = 0; i < count; i++) {
		p->dash = true;
		print_block(p, row, elements + i * row->size);
	}
	p->depth -= 2;
}

static void
print_row(struct printer *p, const struct schema_row *row, const void *base)
{
	put_key(p, row);
	if (row->type == SCHEMA_LIST) {
		print_list(p, row, base);
	} else if (row->type == SCHEMA_MAP) {
		buf_printf(p->out, "\n");
		p->depth++;
		print_block(p, row, field(base, row->at));
		p->depth--;
	} else {
		buf_printf(p->out, " ");
		put_value(p->out, row, base);
		buf_printf(p->out, "\n");
	}
}

static void
print_block(struct printer *p, const struct schema_row *block, const void *base)
{
	const struct schema_row *row;

	for (row = schema_next(block, NULL); row != NULL; row = schema_next(block, row))
		if (present(row, base))
			print_row(p, row, base);
}

int
conf_print(const struct conf *c, struct buf *out)
{
	struct printer p = {.out = out};

	print_block(&p, NULL, c);
	return buf_failed(out) ? E_NOMEM : 0;
}
