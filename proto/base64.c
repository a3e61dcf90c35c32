/*
 * Base64, four characters for three bytes. Pure.
 */
#include "proto/base64.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* Value of a base64url character and IS_DIGIT, else 0. Hundreds of times a token, so by table. */
#define IS_DIGIT 64
static const uint8_t digit[256] = {
	['A'] = 64,  ['B'] = 65,  ['C'] = 66,  ['D'] = 67,  ['E'] = 68,	 ['F'] = 69,  ['G'] = 70,
	['H'] = 71,  ['I'] = 72,  ['J'] = 73,  ['K'] = 74,  ['L'] = 75,	 ['M'] = 76,  ['N'] = 77,
	['O'] = 78,  ['P'] = 79,  ['Q'] = 80,  ['R'] = 81,  ['S'] = 82,	 ['T'] = 83,  ['U'] = 84,
	['V'] = 85,  ['W'] = 86,  ['X'] = 87,  ['Y'] = 88,  ['Z'] = 89,	 ['a'] = 90,  ['b'] = 91,
	['c'] = 92,  ['d'] = 93,  ['e'] = 94,  ['f'] = 95,  ['g'] = 96,	 ['h'] = 97,  ['i'] = 98,
	['j'] = 99,  ['k'] = 100, ['l'] = 101, ['m'] = 102, ['n'] = 103, ['o'] = 104, ['p'] = 105,
	['q'] = 106, ['r'] = 107, ['s'] = 108, ['t'] = 109, ['u'] = 110, ['v'] = 111, ['w'] = 112,
	['x'] = 113, ['y'] = 114, ['z'] = 115, ['0'] = 116, ['1'] = 117, ['2'] = 118, ['3'] = 119,
	['4'] = 120, ['5'] = 121, ['6'] = 122, ['7'] = 123, ['8'] = 124, ['9'] = 125, ['-'] = 126,
	['_'] = 127,
};

static size_t
text_size(size_t n)
{
	return (n * 8 + 5) / 6;
}

static void
encode(struct str s, const char *digits, char *to)
{
	const uint8_t *p = (const uint8_t *)s.p;
	uint32_t hold = 0;
	size_t bits = 0;

	for (size_t i = 0; i < s.n; i++) {
		hold = hold << 8 | p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*to++ = digits[hold >> (bits - 6) & 63];
	}
	if (bits > 0)
		*to = digits[hold << (6 - bits) & 63];
}

struct str
base64_encode(struct arena *a, struct str bytes)
{
	size_t n = text_size(bytes.n);
	char *text = arena_alloc(a, n + 1);

	if (text == NULL)
		return STR_NONE;
	encode(bytes, LETTERS "+/", text);
	return (struct str){text, n};
}

void
base64_url_add(struct buf *b, struct str bytes)
{
	size_t n = text_size(bytes.n);
	uint8_t *room = buf_room(b, n);

	if (room == NULL)
		return;
	encode(bytes, LETTERS "-_", (char *)room);
	buf_grew(b, n);
}

/* Four characters to 24 bits, clearing IS_DIGIT in *all when one of them is none. */
static uint32_t
quad(const uint8_t *p, uint8_t *all)
{
	uint8_t a = digit[p[0]], b = digit[p[1]], c = digit[p[2]], d = digit[p[3]];

	*all &= a & b & c & d;
	return (uint32_t)(a & 63) << 18 | (uint32_t)(b & 63) << 12 | (uint32_t)(c & 63) << 6 |
	       (d & 63);
}

/* The two or three characters at the end; what of their bits belongs to no byte must be zero. */
static int
decode_tail(const uint8_t *p, size_t n, uint8_t *to, uint8_t *all)
{
	uint8_t four[4] = {'A', 'A', 'A', 'A'}; /* zeros */
	uint32_t bits;

	memcpy(four, p, n);
	bits = quad(four, all);
	to[0] = (uint8_t)(bits >> 16);
	if (n == 3)
		to[1] = (uint8_t)(bits >> 8);
	return (bits & (n == 3 ? 0xff : 0xffff)) == 0 ? 0 : E_SYNTAX;
}

int
base64_url_decode(struct str text, uint8_t *buf, size_t size, size_t *ret_n)
{
	const uint8_t *p = (const uint8_t *)text.p;
	size_t tail = text.n % 4, whole = text.n - tail, n = whole / 4 * 3 + tail * 3 / 4;
	uint8_t all = IS_DIGIT;
	int err = 0;

	if (tail == 1)
		return E_SYNTAX;
	if (n > size)
		return E_LIMIT;
	for (size_t i = 0; i < whole; i += 4, buf += 3) {
		uint32_t bits = quad(p + i, &all);

		buf[0] = (uint8_t)(bits >> 16);
		buf[1] = (uint8_t)(bits >> 8);
		buf[2] = (uint8_t)bits;
	}
	if (tail > 0)
		err = decode_tail(p + whole, tail, buf, &all);
	if (err < 0 || !(all & IS_DIGIT))
		return E_SYNTAX;
	*ret_n = n;
	return 0;
}
