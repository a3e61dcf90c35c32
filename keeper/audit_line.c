/*
 * Facts to JSON. This is most of what a record costs the keeper, so it is written by hand, into
 * room that is made once for all of a line; put_…() return where the next one goes on.
 */
#include <stdio.h>
#include "keeper/audit_line.h"
#include "lib/clock.h"
#include "lib/panic.h"
#include "proto/grpc.h"

#define ESCAPED_MAX 6 /* bytes that one may become */
#define NAME_MAX    32
#define VALUE_ROOM  48 /* of anything but a text */
#define REPLACEMENT "\xef\xbf\xbd"
#define US_PER_MS   1000u
#define STAMP	    32
#define STAMP_LEN   24 /* of 2026-11-22T10:11:12.345Z */
#define STAMP_MS    21 /* where its milliseconds begin, behind a quotation mark */
#define KNOWN_TIMES 4

/* A field, and what stands before its value: `lead` opens the object of its group, too ("ms.who"),
 * `next` goes on in it. */
struct member {
	uint8_t field, group, lead_len, next_len;
	char lead[NAME_MAX], next[NAME_MAX];
};

static const uint8_t order[] = {
#define AUDIT_ORDER(tag, name, member, kind, bytes, help) (tag),
	AUDIT_FIELDS(AUDIT_ORDER)
#undef AUDIT_ORDER
};
#define MEMBERS (sizeof(order) / sizeof(order[0]))

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
static char *
put_number(char *p, uint64_t value)
{
	return put_decimal(p, value < INT64_MAX ? value : INT64_MAX);
}

static char *
put_ms(char *p, uint64_t us)
{
	unsigned rest = (unsigned)(us % US_PER_MS);

	p = put_decimal(p, us / US_PER_MS);
	*p++ = '.';
	*p++ = (char)('0' + rest / 100);
	*p++ = (char)('0' + rest / 10 % 10);
	*p++ = (char)('0' + rest % 10);
	return p;
}

static char *
put_escape(char *p, uint32_t c)
{
	static const char digits[] = "0123456789abcdef";
	static const char short_forms[] = "\bb\ff\nn\rr\tt\"\"\\\\";

	for (const char *s = short_forms; *s != '\0'; s += 2)
		if ((uint8_t)*s == c) {
			*p++ = '\\';
			*p++ = s[1];
			return p;
		}
	*p++ = '\\';
	*p++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*p++ = digits[c >> shift & 15];
	return p;
}

static bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Of eight bytes at once: a byte's high bit is set when it is no such one, or follows one. */
static bool
are_plain(uint64_t x)
{
	const uint64_t ones = 0x0101010101010101u, high = 0x8080808080808080u;
	uint64_t quote = x ^ ones * '"', backslash = x ^ ones * '\\', del = x ^ ones * 0x7f;

	return ((x | (x - ones * 0x20) | (quote - ones) | (backslash - ones) | (del - ones)) &
		high) == 0;
}

/* Whole eights of plain bytes at the beginning. */
static char *
put_plain(char *p, struct str *s)
{
	uint64_t eight;

	while (s->n >= sizeof(eight)) {
		memcpy(&eight, s->p, sizeof(eight));
		if (!are_plain(eight))
			break;
		memcpy(p, &eight, sizeof(eight));
		p += sizeof(eight);
		*s = (struct str){s->p + sizeof(eight), s->n - sizeof(eight)};
	}
	return p;
}

/* Of more than one byte. What must not be shown as it is has two bytes, or three. */
static char *
put_wide(char *p, struct str s, size_t *ret_len)
{
	const uint8_t *c = (const uint8_t *)s.p;
	size_t len = str_utf8_char(s);

	*ret_len = str_utf8_step(s);
	if (len > 0 && str_shown_char(s) == 0)
		return put_escape(p, len == 2 ? (c[0] & 0x1fu) << 6 | (c[1] & 0x3fu)
					      : (c[0] & 0x0fu) << 12 | (c[1] & 0x3fu) << 6 |
							(c[2] & 0x3fu));
	memcpy(p, len > 0 ? s.p : REPLACEMENT, len > 0 ? len : 3);
	return p + (len > 0 ? len : 3);
}

/* One character, whatever it is. */
static char *
put_char(char *p, struct str *s)
{
	char c = s->p[0];
	size_t len = 1;

	if (is_plain((uint8_t)c))
		*p++ = c;
	else if (c > 0)
		p = put_escape(p, (uint8_t)c);
	else
		p = put_wide(p, *s, &len);
	*s = (struct str){s->p + len, s->n - len};
	return p;
}

static char *
put_text(char *p, struct str s)
{
	*p++ = '"';
	while (s.n > 0) {
		p = put_plain(p, &s);
		for (unsigned i = 0; i < 8 && s.n > 0; i++)
			p = put_char(p, &s);
	}
	*p++ = '"';
	return p;
}

static char *
put_hex(char *p, struct str s)
{
	static const char digits[] = "0123456789abcdef";

	*p++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		*p++ = digits[(uint8_t)s.p[i] >> 4];
		*p++ = digits[(uint8_t)s.p[i] & 15];
	}
	*p++ = '"';
	return p;
}

/* Most times of a batch lie in the same few seconds. */
static char *
put_time(char *p, uint64_t wall_ms)
{
	static struct {
		uint64_t second;
		char text[STAMP];
	} known[KNOWN_TIMES];
	uint64_t second = wall_ms / 1000, ms = wall_ms % 1000;
	unsigned i = second % KNOWN_TIMES;

	if (known[i].second != second || second == 0) {
		clock_stamp(second * 1000, known[i].text, sizeof(known[i].text));
		known[i].second = second;
	}
	p[0] = '"';
	memcpy(p + 1, known[i].text, STAMP_LEN);
	p[STAMP_MS] = (char)('0' + ms / 100);
	p[STAMP_MS + 1] = (char)('0' + ms / 10 % 10);
	p[STAMP_MS + 2] = (char)('0' + ms % 10);
	p[STAMP_LEN + 1] = '"';
	return p + STAMP_LEN + 2;
}

static char *
put_bytes(char *p, const char *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

static char *
put_status(char *p, uint64_t code)
{
	p = put_text(p, str_from(grpc_code_name((unsigned)code)));
	p = put_bytes(p, ",\"code\":", 8);
	return put_number(p, code);
}

static char *
put_value(char *p, enum audit_kind kind, uint64_t number, struct str text)
{
	switch (kind) {
	case AUDIT_NUMBER: return put_number(p, number);
	case AUDIT_FLAG: return put_bytes(p, "true", 4);
	case AUDIT_US: return put_ms(p, number);
	case AUDIT_TIME: return put_time(p, number);
	case AUDIT_STATUS: return put_status(p, number);
	case AUDIT_TEXT: return put_text(p, text);
	case AUDIT_HEX: return put_hex(p, text);
	}
	return p;
}

/* ---- members ---- */

static void
name_member(struct member *m, const struct member *before)
{
	const char *name = audit_fields[m->field].member, *dot = strchr(name, '.');
	int group_len = dot != NULL ? (int)(dot - name) : 0, lead, next;

	if (dot != NULL)
		lead = snprintf(m->lead, NAME_MAX, ",\"%.*s\":{\"%s\":", group_len, name, dot + 1);
	else
		lead = snprintf(m->lead, NAME_MAX, ",\"%s\":", name);
	next = snprintf(m->next, NAME_MAX, ",\"%s\":", dot != NULL ? dot + 1 : name);
	ASSERT(lead > 0 && lead < NAME_MAX && next > 0);
	m->lead_len = (uint8_t)lead;
	m->next_len = (uint8_t)next;
	if (group_len == 0)
		return;
	m->group = m->field; /* the group is known by its first member in the table */
	if (before != NULL && before->group != 0 &&
	    strncmp(audit_fields[before->field].member, name, (size_t)group_len + 1) == 0)
		m->group = before->group;
}

/* In the order of the table; made once. */
static const struct member *
all_members(void)
{
	static struct member members[MEMBERS];

	if (members[0].field != 0)
		return members;
	for (size_t i = 0; i < MEMBERS; i++) {
		members[i].field = order[i];
		name_member(&members[i], i > 0 ? &members[i - 1] : NULL);
	}
	return members;
}

/* All of the array: a length that is known to the compiler costs a third. */
static char *
put_name(char *p, const char name[NAME_MAX], size_t len)
{
	memcpy(p, name, NAME_MAX);
	return p + len;
}

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

static size_t
room_for(const struct audit_values *v, struct str sql)
{
	size_t room = MEMBERS * (NAME_MAX + VALUE_ROOM) + sql.n * ESCAPED_MAX;

	for (size_t i = 0; i < MEMBERS; i++)
		room += v->text[order[i]].n * ESCAPED_MAX;
	return room;
}

void
audit_line_put(struct buf *b, const struct audit_values *v, struct audit_redact *redact)
{
	const struct member *members = all_members();
	struct str sql = v->text[AUDIT_sql];
	unsigned group = 0;
	char *room, *p;

	if (redact != NULL)
		sql = audit_redact_apply(redact, sql);
	room = p = (char *)buf_room(b, room_for(v, sql));
	if (room == NULL)
		return;
	for (const struct member *m = members; m < members + MEMBERS; m++) {
		enum audit_field f = m->field;

		if (!is_wanted(f, v))
			continue;
		if (group != 0 && m->group != group)
			*p++ = '}';
		p = group != 0 && m->group == group ? put_name(p, m->next, m->next_len)
						    : put_name(p, m->lead, m->lead_len);
		group = m->group;
		p = put_value(p, audit_fields[f].kind, v->number[f],
			      f == AUDIT_sql ? sql : v->text[f]);
	}
	if (group != 0)
		*p++ = '}';
	buf_grew(b, (size_t)(p - room));
}

/* Where its value goes; NULL: no room for that. */
static char *
begin_member(struct buf *b, const char *name, size_t value_room)
{
	struct str text = str_from(name);
	char *p = (char *)buf_room(b, text.n + 4 + value_room);

	if (p == NULL)
		return NULL;
	if (b->len > 0 && b->p[b->len - 1] != '{')
		*p++ = ',';
	*p++ = '"';
	p = put_bytes(p, text.p, text.n);
	return put_bytes(p, "\":", 2);
}

static void
end_member(struct buf *b, const char *end)
{
	buf_grew(b, (size_t)(end - (char *)b->p) - b->len);
}

void
audit_line_text(struct buf *b, const char *name, struct str text)
{
	char *p = begin_member(b, name, text.n * ESCAPED_MAX + 2);

	if (p != NULL)
		end_member(b, put_text(p, text));
}

void
audit_line_number(struct buf *b, const char *name, uint64_t value)
{
	char *p = begin_member(b, name, VALUE_ROOM);

	if (p != NULL)
		end_member(b, put_number(p, value));
}

void
audit_line_time(struct buf *b, const char *name, uint64_t wall_ms)
{
	char *p = begin_member(b, name, VALUE_ROOM);

	if (p != NULL)
		end_member(b, put_time(p, wall_ms));
}
