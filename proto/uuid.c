/*
 * UUIDs in text. Pure.
 */
#include "proto/uuid.h"

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
is_dash(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

int
uuid_parse(struct str s, uint8_t ret[16])
{
	uint8_t id[16];
	size_t k = 0;

	if (s.n != UUID_TEXT - 1)
		return E_SYNTAX;
	for (size_t i = 0; i < s.n;) {
		if (is_dash(i)) {
			if (s.p[i++] != '-')
				return E_SYNTAX;
			continue;
		}
		int hi = nibble(s.p[i]), lo = nibble(s.p[i + 1]);
		if (hi < 0 || lo < 0)
			return E_SYNTAX;
		id[k++] = (uint8_t)(hi << 4 | lo);
		i += 2;
	}
	memcpy(ret, id, sizeof id);
	return 0;
}

const char *
uuid_text(const uint8_t id[16], char buf[UUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	size_t at = 0;

	for (size_t i = 0; i < 16; i++) {
		if (is_dash(at))
			buf[at++] = '-';
		buf[at++] = digits[id[i] >> 4];
		buf[at++] = digits[id[i] & 15];
	}
	buf[at] = '\0';
	return buf;
}
