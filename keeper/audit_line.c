/*
 * Facts to JSON. This is most of what a record costs the keeper, so numbers and texts are written
 * by hand into room that was made once for each.
 */
#include "keeper/audit_line.h"
#include "lib/clock.h"
#include "lib/panic.h"
#include "proto/grpc.h"

#define NUMBER_ROOM 24
#define ESCAPED_MAX 6 /* bytes that one may become */
#define REPLACEMENT "\xef\xbf\xbd"
#define US_PER_MS   1000u
#define STAMP	    32
#define STAMP_LEN   24 /* of 2026-11-22T10:11:12.345Z */
#define STAMP_MS    21 /* where its milliseconds begin, behind a quotation mark */
#define KNOWN_TIMES 4

static const uint8_t order[] = {
#define AUDIT_ORDER(tag, name, member, kind, bytes, help) (tag),
	AUDIT_FIELDS(AUDIT_ORDER)
#undef AUDIT_ORDER
};

bool
audit_line_read(struct str facts, struct audit_values *ret)
{
	enum audit_field field = 0;
	uint64_t number = 0;
	struct str text;
	int err;

	memset(ret, 0, sizeof(*ret));
	while ((err = audit_next(&facts, &field, &number, &text)) == 0) {
		if (audit_fields[field].kind >= AUDIT_TEXT)
			ret->text[field] = text;
		else
			ret->number[field] = number;
	}
	return err == E_AGAIN;
}

/* ---- values ---- */

static char *
put_decimal(char *p, uint64_t value)
{
	char digits[20];
	unsigned n = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

/* What reads it has signed integers of 64 bits. */
static void
add_decimal(struct buf *b, uint64_t value)
{
	uint8_t *room = buf_room(b, NUMBER_ROOM);

	if (value > INT64_MAX)
		value = INT64_MAX;
	if (room != NULL)
		buf_grew(b, (size_t)(put_decimal((char *)room, value) - (char *)room));
}

static void
add_ms(struct buf *b, uint64_t us)
{
	uint8_t *room = buf_room(b, NUMBER_ROOM);
	char *p = (char *)room;
	unsigned rest = (unsigned)(us % US_PER_MS);

	if (room == NULL)
		return;
	p = put_decimal(p, us / US_PER_MS);
	*p++ = '.';
	*p++ = (char)('0' + rest / 100);
	*p++ = (char)('0' + rest / 10 % 10);
	*p++ = (char)('0' + rest % 10);
	buf_grew(b, (size_t)(p - (char *)room));
}

static uint8_t *
put_escape(uint8_t *p, uint32_t c)
{
	static const char digits[] = "0123456789abcdef";
	static const char short_forms[] = "\bb\ff\nn\rr\tt\"\"\\\\";

	for (const char *s = short_forms; *s != '\0'; s += 2)
		if ((uint8_t)*s == c) {
			*p++ = '\\';
			*p++ = (uint8_t)s[1];
			return p;
		}
	*p++ = '\\';
	*p++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*p++ = (uint8_t)digits[c >> shift & 15];
	return p;
}

static bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Of more than one byte. What must not be shown as it is has two bytes, or three. */
static uint8_t *
add_character(uint8_t *p, struct str s, size_t *ret_len)
{
	const uint8_t *c = (const uint8_t *)s.p;
	size_t len = str_utf8_char(s);

	*ret_len = len > 0 ? len : 1;
	if (len > 0 && str_shown_char(s) == 0)
		return put_escape(p, len == 2 ? (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu)
					      : (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 |
							(c[2] & 0x3fu));
	memcpy(p, len > 0 ? s.p : REPLACEMENT, len > 0 ? len : 3);
	return p + (len > 0 ? len : 3);
}

static void
add_text(struct buf *b, struct str s)
{
	uint8_t *room = buf_room(b, s.n * ESCAPED_MAX + 2), *p = room;

	if (room == NULL)
		return;
	*p++ = '"';
	while (s.n > 0) {
		uint8_t c = (uint8_t)s.p[0];
		size_t len = 1;

		if (is_plain(c)) {
			*p++ = c;
		} else if (c > 0 && c < 0x80) {
			p = put_escape(p, c);
		} else {
			p = add_character(p, s, &len);
		}
		s = (struct str){s.p + len, s.n - len};
	}
	*p++ = '"';
	buf_grew(b, (size_t)(p - room));
}

static void
add_hex(struct buf *b, struct str s)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *room = buf_room(b, 2 * s.n + 2), *p = room;

	if (room == NULL)
		return;
	*p++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		*p++ = (uint8_t)digits[(uint8_t)s.p[i] >> 4];
		*p++ = (uint8_t)digits[(uint8_t)s.p[i] & 15];
	}
	*p++ = '"';
	buf_grew(b, (size_t)(p - room));
}

/* Most times of a batch lie in the same few seconds. */
static void
add_time(struct buf *b, uint64_t wall_ms)
{
	static struct {
		uint64_t second;
		char text[STAMP];
	} known[KNOWN_TIMES];
	uint64_t second = wall_ms / 1000, ms = wall_ms % 1000;
	unsigned i = second % KNOWN_TIMES;
	uint8_t *room = buf_room(b, STAMP);

	if (room == NULL)
		return;
	if (known[i].second != second || second == 0) {
		clock_stamp(second * 1000, known[i].text, sizeof(known[i].text));
		known[i].second = second;
	}
	room[0] = '"';
	memcpy(room + 1, known[i].text, STAMP_LEN);
	room[STAMP_MS] = (uint8_t)('0' + ms / 100);
	room[STAMP_MS + 1] = (uint8_t)('0' + ms / 10 % 10);
	room[STAMP_MS + 2] = (uint8_t)('0' + ms % 10);
	room[STAMP_LEN + 1] = '"';
	buf_grew(b, STAMP_LEN + 2);
}

static void
add_status(struct buf *b, uint64_t code)
{
	add_text(b, str_from(grpc_code_name((unsigned)code)));
	buf_add_str(b, STR(",\"code\":"));
	add_decimal(b, code);
}

static void
add_value(struct buf *b, enum audit_kind kind, uint64_t number, struct str text)
{
	switch (kind) {
	case AUDIT_NUMBER: add_decimal(b, number); return;
	case AUDIT_FLAG: buf_add_str(b, STR("true")); return;
	case AUDIT_US: add_ms(b, number); return;
	case AUDIT_TIME: add_time(b, number); return;
	case AUDIT_STATUS: add_status(b, number); return;
	case AUDIT_TEXT: add_text(b, text); return;
	case AUDIT_HEX: add_hex(b, text); return;
	}
}

/* ---- members ---- */

static bool
is_wanted(enum audit_field f, const struct audit_values *v)
{
	switch (f) {
	case AUDIT_time: return false; /* stands before the facts */
	case AUDIT_worker:
	case AUDIT_client:
	case AUDIT_rpc:
	case AUDIT_status: return true;
	case AUDIT_bytes_in:
	case AUDIT_bytes_out:
	case AUDIT_messages_in:
	case AUDIT_messages_out:
	case AUDIT_us_total: return v->number[AUDIT_unfinished] == 0 || v->number[f] != 0;
	default: break;
	}
	if (audit_fields[f].kind >= AUDIT_TEXT)
		return v->text[f].n > 0;
	return v->number[f] != 0;
}

static void
add_name(struct buf *b, const char *name, size_t n)
{
	uint8_t *room = buf_room(b, n + 4), *p = room;

	if (room == NULL)
		return;
	if (b->p[b->len - 1] != '{')
		*p++ = ',';
	*p++ = '"';
	memcpy(p, name, n);
	memcpy(p + n, "\":", 2);
	buf_grew(b, (size_t)(p - room) + n + 2);
}

/* "ms.who": an object "ms" is opened before the first of its members, and closed when another
 * begins. */
static const char *
enter_group(struct buf *b, const char *member, const char **group, size_t *group_len)
{
	const char *dot = strchr(member, '.');
	size_t len = dot != NULL ? (size_t)(dot - member) : 0;

	if (*group != NULL && (len != *group_len || memcmp(*group, member, len) != 0)) {
		buf_add_byte(b, '}');
		*group = NULL;
	}
	if (dot == NULL)
		return member;
	if (*group == NULL) {
		add_name(b, member, len);
		buf_add_byte(b, '{');
		*group = member;
		*group_len = len;
	}
	return dot + 1;
}

void
audit_line_put(struct buf *b, const struct audit_values *v, struct audit_redact *redact)
{
	const char *group = NULL, *name;
	size_t group_len = 0;

	ASSERT(b->len > 0);
	for (size_t i = 0; i < sizeof(order); i++) {
		enum audit_field f = order[i];
		struct str text = v->text[f];

		if (!is_wanted(f, v))
			continue;
		if (f == AUDIT_sql && redact != NULL)
			text = audit_redact_apply(redact, text);
		name = enter_group(b, audit_fields[f].member, &group, &group_len);
		add_name(b, name, strlen(name));
		add_value(b, audit_fields[f].kind, v->number[f], text);
	}
	if (group != NULL)
		buf_add_byte(b, '}');
}

void
audit_line_text(struct buf *b, const char *name, struct str text)
{
	add_name(b, name, strlen(name));
	add_text(b, text);
}

void
audit_line_number(struct buf *b, const char *name, uint64_t value)
{
	add_name(b, name, strlen(name));
	add_decimal(b, value);
}

void
audit_line_time(struct buf *b, const char *name, uint64_t wall_ms)
{
	add_name(b, name, strlen(name));
	add_time(b, wall_ms);
}
