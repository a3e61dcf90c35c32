/*
 * Slices and the small parsers over them. Every process; pure functions over bytes.
 */
#include <stdio.h>
#include "lib/panic.h"
#include "lib/str.h"

struct unit {
	struct str name;
	uint64_t factor;
};

/* Largest first: the printers take the first one that divides exactly. */
static const struct unit time_units[] = {
	{{"d", 1}, 86400000}, {{"h", 1}, 3600000}, {{"m", 1}, 60000},
	{{"s", 1}, 1000},     {{"ms", 2}, 1},
};
static const struct unit size_units[] = {
	{{"GiB", 3}, 1u << 30},
	{{"MiB", 3}, 1u << 20},
	{{"KiB", 3}, 1u << 10},
	{{"", 0}, 1},
};

#define N_TIME_UNITS (sizeof(time_units) / sizeof(time_units[0]))
#define N_SIZE_UNITS (sizeof(size_units) / sizeof(size_units[0]))
#define DURATION_MAX ((uint64_t)INT64_MAX) /* leaves room for adding the present time */

static unsigned char
lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

bool
str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower((unsigned char)a.p[i]) != lower((unsigned char)b.p[i]))
			return false;
	return true;
}

bool
str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool
str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n &&
	       (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct str
str_trim(struct str s)
{
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	return s;
}

struct str
str_cut(struct str s, char sep, struct str *rest)
{
	const char *at = s.n > 0 ? memchr(s.p, sep, s.n) : NULL;

	if (at == NULL) {
		*rest = STR_NONE;
		return s;
	}
	*rest = (struct str){at + 1, s.n - (size_t)(at - s.p) - 1};
	return (struct str){s.p, (size_t)(at - s.p)};
}

char *
str_copy(char *buf, size_t size, struct str s)
{
	size_t n;

	ASSERT(size >= 1);
	n = s.n < size ? s.n : size - 1;
	if (n > 0)
		memcpy(buf, s.p, n);
	buf[n] = '\0';
	return buf;
}

int
str_u64(struct str s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	bool over = false;

	if (s.n == 0)
		return E_SYNTAX;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned char)s.p[i] - (unsigned)'0';

		if (digit > 9)
			return E_SYNTAX;
		over |= __builtin_mul_overflow(value, 10u, &value);
		over |= __builtin_add_overflow(value, digit, &value);
	}
	if (over || value > max)
		return E_LIMIT;
	*ret = value;
	return 0;
}

static int
parse_united(struct str s, const struct unit *units, size_t n_units, uint64_t max, uint64_t *ret)
{
	size_t digits = 0;
	struct str name;
	uint64_t value;
	int err;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if (digits == 0)
		return E_SYNTAX;
	name = (struct str){s.p + digits, s.n - digits};
	for (size_t i = 0; i < n_units; i++) {
		if (!str_eq(name, units[i].name))
			continue;
		err = str_u64((struct str){s.p, digits}, max / units[i].factor, &value);
		if (err == 0)
			*ret = value * units[i].factor;
		return err;
	}
	return E_SYNTAX;
}

int
str_duration_ms(struct str s, uint64_t *ret)
{
	if (str_eq(s, STR("0"))) {
		*ret = 0;
		return 0;
	}
	return parse_united(s, time_units, N_TIME_UNITS, DURATION_MAX, ret);
}

int
str_size(struct str s, uint64_t *ret)
{
	return parse_united(s, size_units, N_SIZE_UNITS, UINT64_MAX, ret);
}

static const char *
put_united(uint64_t value, const struct unit *units, char *buf, size_t size)
{
	if (value == 0) {
		snprintf(buf, size, "0");
		return buf;
	}
	while (value % units->factor != 0) /* the last factor is 1 */
		units++;
	snprintf(buf, size, "%llu%s", (unsigned long long)(value / units->factor), units->name.p);
	return buf;
}

const char *
str_put_duration(uint64_t ms, char *buf, size_t size)
{
	return put_united(ms, time_units, buf, size);
}

const char *
str_put_size(uint64_t bytes, char *buf, size_t size)
{
	return put_united(bytes, size_units, buf, size);
}

/*
 * Length of the well-formed character at p, or 0: the table of RFC 3629 §4, in which only the
 * second byte has narrower bounds (no overlong forms, no surrogates, nothing above U+10FFFF).
 */
static size_t
utf8_char(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return p[0] != 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (len > n)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

size_t
str_utf8_char(struct str s)
{
	return s.n > 0 ? utf8_char((const unsigned char *)s.p, s.n) : 0;
}

size_t
str_utf8_step(struct str s)
{
	size_t len = str_utf8_char(s);

	return len > 0 ? len : 1;
}

/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069 */
static bool
turns_or_breaks(const unsigned char *p)
{
	if (p[0] != 0xe2)
		return false;
	if (p[1] == 0x80)
		return p[2] == 0x8e || p[2] == 0x8f || (p[2] >= 0xa8 && p[2] <= 0xae);
	return p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9;
}

size_t
str_shown_char(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t len = str_utf8_char(s);

	switch (len) {
	case 1: return p[0] >= 0x20 && p[0] != 0x7f;
	case 2: return p[0] == 0xc2 && p[1] < 0xa0 ? 0 : 2;
	case 3: return turns_or_breaks(p) ? 0 : 3;
	default: return len;
	}
}

bool
str_is_utf8(struct str s)
{
	for (size_t i = 0, len; i < s.n; i += len) {
		len = utf8_char((const unsigned char *)s.p + i, s.n - i);
		if (len == 0)
			return false;
	}
	return true;
}
