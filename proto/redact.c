/*
 * Secrets out of ConfigResponse: bytes enter, the same bytes or fewer secrets leave. Pure.
 */
#include "proto/redact.h"
#include "lib/panic.h"
#include "proto/wire.h"

/* ConfigResponse and its KeyValue. */
enum field { PAIRS = 2, WARNINGS = 3, VALUE = 2 };

struct output {
	struct str secret;
	uint8_t *to; /* NULL: only measures */
	size_t n;
	bool changed;
};

static bool
has(struct str s, struct str part)
{
	return s.n >= part.n && memmem(s.p, s.n, part.p, part.n) != NULL;
}

static void
add(struct output *o, const void *p, size_t n)
{
	if (o->to != NULL && n > 0)
		memcpy(o->to + o->n, p, n);
	o->n += n;
}

static void
add_len(struct output *o, uint32_t field, size_t length)
{
	uint8_t head[WIRE_HEAD_MAX], *end = head + sizeof head, *p;

	p = wire_put_varint(head, end, (uint64_t)field << 3 | WIRE_LEN);
	p = wire_put_varint(p, end, length);
	add(o, head, (size_t)(p - head));
}

/* The fields of a message, of which those numbered `text` are texts and those numbered `pair` are
 * pairs. */
static int
copy_fields(struct output *o, struct str message, uint32_t text, uint32_t pair)
{
	struct wire_cursor c = {(const uint8_t *)message.p, (const uint8_t *)message.p + message.n};
	struct wire_field f;
	int r;

	while ((r = wire_next(&c, &f)) == 1) {
		struct output inner = {.secret = o->secret};
		bool told = f.type == WIRE_LEN && has(f.bytes, o->secret);

		if (told && f.number == pair && copy_fields(&inner, f.bytes, VALUE, 0) < 0)
			return E_SYNTAX;
		if (told && f.number == text) {
			add_len(o, text, sizeof REDACT_WORDS - 1);
			add(o, REDACT_WORDS, sizeof REDACT_WORDS - 1);
			o->changed = true;
		} else if (inner.changed) {
			add_len(o, pair, inner.n);
			(void)copy_fields(o, f.bytes, VALUE, 0);
		} else {
			add(o, f.start, (size_t)(c.p - f.start));
		}
	}
	return r;
}

int
redact_config(struct str message, struct str secret, struct arena *a, struct str *ret,
	      bool *ret_changed)
{
	struct output measure = {.secret = secret}, o = {.secret = secret};

	ASSERT(secret.n > 0);
	if (!has(message, secret)) { /* nearly always */
		*ret = message;
		*ret_changed = false;
		return 0;
	}
	if (copy_fields(&measure, message, WARNINGS, PAIRS) < 0)
		return E_SYNTAX;
	o.to = arena_alloc(a, measure.n);
	if (o.to == NULL)
		return E_NOMEM;
	(void)copy_fields(&o, message, WARNINGS, PAIRS);
	ASSERT(o.n == measure.n);
	*ret = o.changed ? (struct str){(char *)o.to, o.n} : message;
	*ret_changed = o.changed;
	return 0;
}
