/*
 * Prometheus' text format: families, series and numbers in, bytes of a page out.
 */
#include "controller/exposition.h"

#include "lib/panic.h"

#define DIGITS_MAX   20 /* of 2^64 */
#define DECIMAL_SIZE 24

void
exposition_open(struct exposition *x, struct buf *out)
{
	x->out = out;
	x->name = STR("");
	x->labels_len = 0;
	x->bounds_count = 0;
}

void
exposition_family(struct exposition *x, const char *name, const char *type, const char *help)
{
	x->name = str_from(name);
	buf_printf(x->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
	exposition_begin(x);
}

void
exposition_begin(struct exposition *x)
{
	x->labels_len = 0;
}

/* One character of a label's value; true when there was room for it. */
static bool
put(struct exposition *x, const char *p, size_t n)
{
	if (x->labels_len + n + 2 > sizeof(x->labels)) /* 2: a quotation mark, always */
		return false;
	memcpy(x->labels + x->labels_len, p, n);
	x->labels_len += n;
	return true;
}

static bool
put_char(struct exposition *x, struct str c)
{
	if (c.n > 1)
		return put(x, c.p, c.n);
	switch (c.p[0]) {
	case '\\': return put(x, "\\\\", 2);
	case '"': return put(x, "\\\"", 2);
	case '\n': return put(x, "\\n", 2);
	default: return put(x, c.p, 1);
	}
}

void
exposition_label(struct exposition *x, const char *key, struct str value)
{
	size_t key_len = strlen(key);

	if (x->labels_len + key_len + 8 > sizeof(x->labels))
		return;
	if (x->labels_len > 0)
		put(x, ",", 1);
	put(x, key, key_len);
	put(x, "=\"", 2);
	while (value.n > 0) {
		size_t n = str_utf8_char(value);

		if (!put_char(x, n > 0 ? (struct str){value.p, n} : STR("?")))
			break;
		n = n > 0 ? n : 1;
		value = (struct str){value.p + n, value.n - n};
	}
	x->labels[x->labels_len++] = '"'; /* put() leaves room */
}

size_t
exposition_decimal(uint64_t value, unsigned digits, char *buf, size_t size)
{
	char reverse[DECIMAL_SIZE + 4];
	size_t n = 0, out = 0;

	ASSERT(digits < DIGITS_MAX && size >= DECIMAL_SIZE);
	for (; digits > 0 && value % 10 == 0; digits--)
		value /= 10;
	for (unsigned i = 0; value > 0 || i <= digits; i++) {
		if (i == digits && i > 0)
			reverse[n++] = '.';
		reverse[n++] = (char)('0' + value % 10);
		value /= 10;
	}
	while (n > 0)
		buf[out++] = reverse[--n];
	buf[out] = '\0';
	return out;
}

static void
add_value(struct exposition *x, uint64_t value, unsigned digits)
{
	char text[DECIMAL_SIZE];
	size_t n = exposition_decimal(value, digits, text, sizeof(text));

	buf_add(x->out, text, n);
	buf_add_byte(x->out, '\n');
}

/* "name_suffix{labels" and a comma when more follows, else what closes it. */
static void
add_head(struct exposition *x, struct str suffix, bool more)
{
	buf_add_str(x->out, x->name);
	buf_add_str(x->out, suffix);
	if (x->labels_len > 0 || more)
		buf_add_byte(x->out, '{');
	buf_add(x->out, x->labels, x->labels_len);
	if (more)
		buf_add_str(x->out, x->labels_len > 0 ? STR(",le=\"") : STR("le=\""));
	else
		buf_add_str(x->out, x->labels_len > 0 ? STR("} ") : STR(" "));
}

void
exposition_value(struct exposition *x, uint64_t value, unsigned digits)
{
	add_head(x, STR(""), false);
	add_value(x, value, digits);
}

void
exposition_bounds(struct exposition *x, const uint64_t *bounds, unsigned count, unsigned digits)
{
	ASSERT(count < EXPOSITION_BOUNDS);
	for (unsigned i = 0; i < count; i++)
		exposition_decimal(bounds[i], digits, x->bounds[i], sizeof(x->bounds[i]));
	str_copy(x->bounds[count], sizeof(x->bounds[count]), STR("+Inf"));
	x->bounds_count = count;
	x->digits = digits;
}

/* What stands in the buffer already, once more. */
static void
repeat(struct buf *b, size_t at, size_t n)
{
	uint8_t *room = buf_room(b, n);

	if (room == NULL)
		return;
	memcpy(room, b->p + at, n);
	buf_grew(b, n);
}

void
exposition_histogram(struct exposition *x, const uint64_t *count, uint64_t sum)
{
	size_t head_at = x->out->len, head_len;
	uint64_t up_to = 0;

	add_head(x, STR("_bucket"), true);
	head_len = x->out->len - head_at;
	for (unsigned i = 0; i <= x->bounds_count; i++) {
		up_to += count[i];
		if (i > 0)
			repeat(x->out, head_at, head_len);
		buf_add_str(x->out, str_from(x->bounds[i]));
		buf_add_str(x->out, STR("\"} "));
		add_value(x, up_to, 0);
	}
	add_head(x, STR("_sum"), false);
	add_value(x, sum, x->digits);
	add_head(x, STR("_count"), false);
	add_value(x, up_to, 0);
}
