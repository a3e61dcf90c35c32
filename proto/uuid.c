/*
 * UUIDs in text. Pure.
 */
#include "proto/uuid.h"

/* Value of a hexadecimal digit of either case and IS_HEX, else 0. In every RPC, so by table. */
#define IS_HEX 16
static const uint8_t hex[256] = {
	['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21,
	['6'] = 22, ['7'] = 23, ['8'] = 24, ['9'] = 25, ['a'] = 26, ['b'] = 27,
	['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31, ['A'] = 26, ['B'] = 27,
	['C'] = 28, ['D'] = 29, ['E'] = 30, ['F'] = 31,
};

static bool
is_dash(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

int
uuid_parse(struct str s, uint8_t ret[16])
{
	static const uint8_t at[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
	const uint8_t *p = (const uint8_t *)s.p;
	uint8_t id[16];
	unsigned all = IS_HEX;

	if (s.n != UUID_TEXT - 1 || p[8] != '-' || p[13] != '-' || p[18] != '-' || p[23] != '-')
		return E_SYNTAX;
	for (size_t i = 0; i < sizeof id; i++) {
		unsigned hi = hex[p[at[i]]], lo = hex[p[at[i] + 1]];

		all &= hi & lo;
		id[i] = (uint8_t)(hi << 4 | (lo & 15));
	}
	if (!(all & IS_HEX))
		return E_SYNTAX;
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
