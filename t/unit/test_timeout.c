/* proto/timeout */
#include <criterion/criterion.h>
#include "proto/timeout.h"

#define SEC 1000000000ull

Test(timeout, parse)
{
	static const struct {
		const char *in;
		int err;
		uint64_t ns;
	} rows[] = {
		{"1n", 0, 1},
		{"1u", 0, 1000},
		{"1m", 0, 1000000},
		{"1S", 0, SEC},
		{"1M", 0, 60 * SEC},
		{"1H", 0, 3600 * SEC},
		{"0m", 0, 0},
		{"600S", 0, 600 * SEC},
		{"00000600S", 0, 600 * SEC},
		{"99999999n", 0, 99999999},
		{"99999999S", 0, 99999999ull * SEC},
		{"99999999M", 0, 99999999ull * 60 * SEC},
		{"99999999H", 0, UINT64_MAX},
		{"5124095H", 0, 5124095ull * 3600 * SEC},
		{"5124096H", 0, UINT64_MAX},
		{"", E_SYNTAX, 0},
		{"S", E_SYNTAX, 0},
		{"1", E_SYNTAX, 0},
		{"10", E_SYNTAX, 0},
		{"1X", E_SYNTAX, 0},
		{"1s", E_SYNTAX, 0},
		{"1h", E_SYNTAX, 0},
		{"-1S", E_SYNTAX, 0},
		{"+1S", E_SYNTAX, 0},
		{" 1S", E_SYNTAX, 0},
		{"1S ", E_SYNTAX, 0},
		{"1 S", E_SYNTAX, 0},
		{"1.5S", E_SYNTAX, 0},
		{"0x1S", E_SYNTAX, 0},
		{"100000000n", E_SYNTAX, 0}, /* nine digits */
		{"000000001n", E_SYNTAX, 0},
		{"1SS", E_SYNTAX, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t ns = 0;
		cr_expect_eq(timeout_parse(str_from(rows[i].in), &ns), rows[i].err, "%s",
			     rows[i].in);
		cr_expect_eq(ns, rows[i].ns, "%s", rows[i].in);
	}
	uint64_t ns;
	cr_expect_eq(timeout_parse(STR_NONE, &ns), E_SYNTAX);
	cr_expect_eq(timeout_parse((struct str){"1\0", 2}, &ns), E_SYNTAX);
}

Test(timeout, put)
{
	static const struct {
		uint64_t ns;
		const char *want;
	} rows[] = {
		{0, "0n"},
		{1, "1n"},
		{99999999, "99999999n"},
		{100000000, "100000u"},
		{299999999, "299999u"},
		{600 * SEC, "600000m"},
		{3600 * SEC, "3600000m"},
		{99999999999999, "99999999m"},
		{100000000000000, "100000S"},
		{UINT64_MAX, "5124095H"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char buf[12];
		size_t n = timeout_put(rows[i].ns, buf, sizeof buf);
		cr_expect_str_eq(buf, rows[i].want);
		cr_expect_eq(n, strlen(rows[i].want));
	}
}

Test(timeout, what_is_put_is_never_longer_and_never_zero)
{
	for (uint64_t ns = 1; ns < UINT64_MAX / 7; ns = ns * 7 / 3 + 1) {
		char buf[12];
		uint64_t back = 0;
		size_t n = timeout_put(ns, buf, sizeof buf);
		cr_assert_eq(timeout_parse((struct str){buf, n}, &back), 0, "%s", buf);
		cr_expect(back <= ns && back > 0 && back >= ns - ns / 100000 - 1, "%s", buf);
	}
}
