/*
 * traceparent: read strictly, written anew. Pure.
 */
#include "proto/trace.h"

enum { VERSION_AT = 0, ID_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, LENGTH = 55 };

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal; *ret_zero: nothing but zeros. */
static bool
is_hex(const char *p, size_t n, bool *ret_zero)
{
	*ret_zero = true;
	for (size_t i = 0; i < n; i++) {
		if (digit(p[i]) < 0)
			return false;
		if (p[i] != '0')
			*ret_zero = false;
	}
	return true;
}

static uint8_t
byte_at(const char *p)
{
	return (uint8_t)(digit(p[0]) << 4 | digit(p[1]));
}

int
trace_parse(struct str value, struct trace *ret)
{
	const char *p = value.p;
	bool zero, id_zero, span_zero;

	if (value.n < LENGTH || p[ID_AT - 1] != '-' || p[SPAN_AT - 1] != '-' ||
	    p[FLAGS_AT - 1] != '-' || !is_hex(p, 2, &zero) ||
	    !is_hex(p + ID_AT, TRACE_ID, &id_zero) ||
	    !is_hex(p + SPAN_AT, TRACE_SPAN, &span_zero) || !is_hex(p + FLAGS_AT, 2, &zero) ||
	    id_zero || span_zero)
		return E_SYNTAX;
	uint8_t version = byte_at(p);
	if (version == 0xff || (version == 0 && value.n != LENGTH) ||
	    (value.n > LENGTH && p[LENGTH] != '-'))
		return E_SYNTAX;
	memcpy(ret->id, p + ID_AT, TRACE_ID);
	memcpy(ret->parent, p + SPAN_AT, TRACE_SPAN);
	ret->id[TRACE_ID] = ret->parent[TRACE_SPAN] = '\0';
	ret->flags = byte_at(p + FLAGS_AT) & (TRACE_SAMPLED | TRACE_RANDOM);
	return 0;
}

static void
put_hex(char *to, const uint8_t *p, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*to++ = digits[p[i] >> 4];
		*to++ = digits[p[i] & 15];
	}
	*to = '\0';
}

/* An id of nothing but zeros would be none; once in 2^64 the last digit is another. */
void
trace_begin(struct trace *t, const uint8_t random[TRACE_SEED])
{
	if (t->id[0] == '\0') {
		put_hex(t->id, random, TRACE_ID / 2);
		t->id[TRACE_ID - 1] = t->id[TRACE_ID - 1] == '0' ? '1' : t->id[TRACE_ID - 1];
		t->flags = TRACE_RANDOM;
	}
	put_hex(t->span, random + TRACE_ID / 2, TRACE_SPAN / 2);
	t->span[TRACE_SPAN - 1] = t->span[TRACE_SPAN - 1] == '0' ? '1' : t->span[TRACE_SPAN - 1];
}

struct str
trace_put(const struct trace *t, char to[TRACE_TEXT])
{
	memcpy(to, "00-", 3);
	memcpy(to + ID_AT, t->id, TRACE_ID);
	to[SPAN_AT - 1] = to[FLAGS_AT - 1] = '-';
	memcpy(to + SPAN_AT, t->span, TRACE_SPAN);
	put_hex(to + FLAGS_AT, &t->flags, 1);
	return (struct str){to, LENGTH};
}
