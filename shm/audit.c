/*
 * Facts as bytes: a tag, then a number of seven bits a byte, lowest first; or a tag with its top
 * bit set, a length written the same way, and that many bytes. What does not know a tag can pass
 * over it.
 */
#include "lib/panic.h"
#include "shm/audit.h"

#define TEXT_BIT   0x80u
#define NUMBER_MAX 10 /* bytes of a number */
#define SHORT_MAX  3  /* bytes of a text's length */

const struct audit_info audit_fields[AUDIT_FIELDS_END] = {
#define NUMBER AUDIT_NUMBER
#define FLAG   AUDIT_FLAG
#define US     AUDIT_US
#define TIME   AUDIT_TIME
#define STATUS AUDIT_STATUS
#define TEXT   AUDIT_TEXT
#define HEX    AUDIT_HEX
#define AUDIT_INFO(tag_, name_, member_, kind_, bytes_, help_) \
	[tag_] = {.member = (member_), .help = (help_), .kind = (kind_), .bytes = (bytes_)},
	AUDIT_FIELDS(AUDIT_INFO)
#undef AUDIT_INFO
};
_Static_assert(AUDIT_FIELDS_END <= TEXT_BIT, "tags have seven bits");

static bool
is_text(enum audit_field field)
{
	return audit_fields[field].kind >= AUDIT_TEXT;
}

/* ---- writing ---- */

static void
put_number(struct audit_facts *f, uint64_t value)
{
	while (value >= 0x80) {
		f->p[f->n++] = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	f->p[f->n++] = (uint8_t)value;
}

void
audit_number(struct audit_facts *f, enum audit_field field, uint64_t value)
{
	ASSERT(!is_text(field));
	if (value == 0 || f->size - f->n < 1 + NUMBER_MAX)
		return;
	f->p[f->n++] = (uint8_t)field;
	put_number(f, value);
}

/* A character is not cut in two. */
static size_t
cut(struct str s, size_t most, bool any_bytes)
{
	if (s.n <= most)
		return s.n;
	while (!any_bytes && most > 0 && ((uint8_t)s.p[most] & 0xc0) == 0x80)
		most--;
	return most;
}

void
audit_text(struct audit_facts *f, enum audit_field field, struct str text)
{
	const struct audit_info *info = &audit_fields[field];
	size_t room = f->size - f->n, n;

	ASSERT(is_text(field));
	if (text.n == 0 || room <= 1 + SHORT_MAX)
		return;
	room -= 1 + SHORT_MAX;
	n = cut(text, room < info->bytes ? room : info->bytes, info->kind == AUDIT_HEX);
	f->p[f->n++] = (uint8_t)(field | TEXT_BIT);
	put_number(f, n);
	memcpy(f->p + f->n, text.p, n);
	f->n += n;
}

/* ---- reading ---- */

static int
take_number(struct str *rest, uint64_t *ret)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < NUMBER_MAX && i < rest->n; i++) {
		uint8_t byte = (uint8_t)rest->p[i];

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (byte < 0x80) {
			*rest = (struct str){rest->p + i + 1, rest->n - i - 1};
			*ret = value;
			return 0;
		}
	}
	return E_SYNTAX;
}

static bool
is_known(unsigned tag, bool text)
{
	return tag > 0 && tag < AUDIT_FIELDS_END && audit_fields[tag].kind != 0 &&
	       is_text(tag) == text;
}

int
audit_next(struct str *rest, enum audit_field *ret, uint64_t *ret_number, struct str *ret_text)
{
	while (rest->n > 0) {
		unsigned tag = (uint8_t)rest->p[0];
		bool text = tag & TEXT_BIT;
		struct str bytes = STR_NONE;
		uint64_t value;

		*rest = (struct str){rest->p + 1, rest->n - 1};
		if (take_number(rest, &value) != 0 || (text && value > rest->n))
			return E_SYNTAX;
		if (text) {
			bytes = (struct str){rest->p, (size_t)value};
			*rest = (struct str){rest->p + value, rest->n - (size_t)value};
		}
		tag &= ~TEXT_BIT;
		if (!is_known(tag, text))
			continue;
		*ret = tag;
		*ret_number = value;
		*ret_text = bytes;
		return 0;
	}
	return E_AGAIN;
}
