/*
 * lib/str and lib/clock: tables of what is read, what is refused, and what is written.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include "lib/clock.h"
#include "lib/str.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

Test(str, compares)
{
	cr_expect(str_eq(STR("abc"), STR("abc")));
	cr_expect(!str_eq(STR("abc"), STR("abd")));
	cr_expect(!str_eq(STR("abc"), STR("ab")));
	cr_expect(str_eq(STR_NONE, STR("")));
	cr_expect(str_eq_nocase(STR("Te-AM"), STR("tE-am")));
	cr_expect(!str_eq_nocase(STR("@"), STR("`")), "only letters have a case");
	cr_expect(!str_eq_nocase(STR("a"), STR("ab")));
	cr_expect(str_starts(STR("/spark.connect"), STR("/spark")));
	cr_expect(!str_starts(STR("/sp"), STR("/spark")));
	cr_expect(str_starts(STR_NONE, STR("")));
	cr_expect(str_ends(STR("x-bin"), STR("-bin")));
	cr_expect(!str_ends(STR("bin"), STR("-bin")));
	cr_expect(str_ends(STR("x"), STR_NONE));
}

Test(str, trims_and_cuts)
{
	struct str rest;

	cr_expect(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
	cr_expect_eq(str_trim(STR(" \t ")).n, 0);
	cr_expect(str_eq(str_cut(STR("a=b=c"), '=', &rest), STR("a")));
	cr_expect(str_eq(rest, STR("b=c")));
	cr_expect(str_eq(str_cut(STR("a="), '=', &rest), STR("a")));
	cr_expect(rest.p != NULL && rest.n == 0, "empty is not absent");
	cr_expect(str_eq(str_cut(STR("abc"), '=', &rest), STR("abc")));
	cr_expect_null(rest.p);
	cr_expect_eq(str_cut(STR_NONE, '=', &rest).n, 0);
	cr_expect_null(rest.p);
}

Test(str, copies_what_fits)
{
	char buf[4];

	cr_expect_str_eq(str_copy(buf, sizeof(buf), STR("ab")), "ab");
	cr_expect_str_eq(str_copy(buf, sizeof(buf), STR("abc")), "abc");
	cr_expect_str_eq(str_copy(buf, sizeof(buf), STR("abcdef")), "abc");
	cr_expect_str_eq(str_copy(buf, 1, STR("abcdef")), "");
	cr_expect_str_eq(str_copy(buf, sizeof(buf), STR_NONE), "");
}

Test(str, refuses_no_room, .signal = SIGABRT)
{
	char buf[1];

	str_copy(buf, 0, STR("a"));
}

Test(str, reads_numbers)
{
	static const struct {
		const char *text;
		uint64_t max;
		int err;
		uint64_t value;
	} rows[] = {
		{"0", 0, 0, 0},
		{"007", 10, 0, 7},
		{"65535", 65535, 0, 65535},
		{"65536", 65535, E_LIMIT, 0},
		{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, E_LIMIT, 0},
		{"99999999999999999999999", UINT64_MAX, E_LIMIT, 0},
		{"99999999999999999999999x", UINT64_MAX, E_SYNTAX, 0},
		{"", 9, E_SYNTAX, 0},
		{"-1", 9, E_SYNTAX, 0},
		{"+1", 9, E_SYNTAX, 0},
		{" 1", 9, E_SYNTAX, 0},
		{"1 ", 9, E_SYNTAX, 0},
		{"0x1", 9, E_SYNTAX, 0},
		{"1/", 99, E_SYNTAX, 0},
		{"1:", 99, E_SYNTAX, 0},
	};

	for (size_t i = 0; i < N(rows); i++) {
		uint64_t value = 4711;
		int err = str_u64(str_from(rows[i].text), rows[i].max, &value);

		cr_expect_eq(err, rows[i].err, "%s: %d", rows[i].text, err);
		cr_expect_eq(value, err == 0 ? rows[i].value : 4711, "%s", rows[i].text);
	}
}

Test(str, reads_durations)
{
	static const struct {
		const char *text;
		int err;
		uint64_t ms;
	} rows[] = {
		{"0", 0, 0},
		{"0s", 0, 0},
		{"250ms", 0, 250},
		{"5s", 0, 5000},
		{"2m", 0, 120000},
		{"1h", 0, 3600000},
		{"7d", 0, 604800000},
		{"5", E_SYNTAX, 0},
		{"00", E_SYNTAX, 0},
		{"", E_SYNTAX, 0},
		{"s", E_SYNTAX, 0},
		{"5 s", E_SYNTAX, 0},
		{"1.5s", E_SYNTAX, 0},
		{"-5s", E_SYNTAX, 0},
		{"5S", E_SYNTAX, 0},
		{"5sec", E_SYNTAX, 0},
		{"1h30m", E_SYNTAX, 0},
		{"9223372036854775807ms", 0, INT64_MAX},
		{"9223372036854775808ms", E_LIMIT, 0},
		{"106751991168d", E_LIMIT, 0},
		{"99999999999999999999d", E_LIMIT, 0},
	};

	for (size_t i = 0; i < N(rows); i++) {
		uint64_t ms = 4711;
		int err = str_duration_ms(str_from(rows[i].text), &ms);

		cr_expect_eq(err, rows[i].err, "%s: %d", rows[i].text, err);
		cr_expect_eq(ms, err == 0 ? rows[i].ms : 4711, "%s", rows[i].text);
	}
}

Test(str, reads_sizes)
{
	static const struct {
		const char *text;
		int err;
		uint64_t bytes;
	} rows[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"64KiB", 0, 65536},
		{"128MiB", 0, 134217728},
		{"1GiB", 0, 1073741824},
		{"17179869183GiB", 0, 18446744072635809792u},
		{"17179869184GiB", E_LIMIT, 0},
		{"64KB", E_SYNTAX, 0},
		{"64kib", E_SYNTAX, 0},
		{"64K", E_SYNTAX, 0},
		{"KiB", E_SYNTAX, 0},
		{"", E_SYNTAX, 0},
	};

	for (size_t i = 0; i < N(rows); i++) {
		uint64_t bytes = 4711;
		int err = str_size(str_from(rows[i].text), &bytes);

		cr_expect_eq(err, rows[i].err, "%s: %d", rows[i].text, err);
		cr_expect_eq(bytes, err == 0 ? rows[i].bytes : 4711, "%s", rows[i].text);
	}
}

Test(str, writes_what_it_reads)
{
	static const struct {
		uint64_t value;
		const char *duration, *size;
	} rows[] = {
		{0, "0", "0"},
		{1, "1ms", "1"},
		{1000, "1s", "1000"},
		{90000, "90s", "90000"},
		{7200000, "2h", "7200000"},
		{604800000, "7d", NULL},
		{90000000, "25h", NULL},
		{65536, "65536ms", "64KiB"},
		{1073741824, NULL, "1GiB"},
		{1610612736, NULL, "1536MiB"},
	};
	char buf[32];
	uint64_t back;

	for (size_t i = 0; i < N(rows); i++) {
		str_put_duration(rows[i].value, buf, sizeof(buf));
		if (rows[i].duration != NULL)
			cr_expect_str_eq(buf, rows[i].duration);
		cr_expect(str_duration_ms(str_from(buf), &back) == 0 && back == rows[i].value);
		str_put_size(rows[i].value, buf, sizeof(buf));
		if (rows[i].size != NULL)
			cr_expect_str_eq(buf, rows[i].size);
		cr_expect(str_size(str_from(buf), &back) == 0 && back == rows[i].value);
	}
}

Test(str, knows_utf8)
{
	static const struct {
		struct str text;
		bool good;
	} rows[] = {
		{{"", 0}, true},
		{{"plain", 5}, true},
		{{"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9}, true},
		{{"\xf4\x8f\xbf\xbf", 4}, true},
		{{"\xed\x9f\xbf\xee\x80\x80", 6}, true},
		{{"a\0b", 3}, false},
		{{"\x80", 1}, false},
		{{"\xc3", 1}, false},
		{{"\xe2\x82", 2}, false},
		{{"\xf0\x9f\x98", 3}, false},
		{{"\xc0\xaf", 2}, false},
		{{"\xc1\xbf", 2}, false},
		{{"\xe0\x80\xaf", 3}, false},
		{{"\xf0\x8f\xbf\xbf", 4}, false},
		{{"\xed\xa0\x80", 3}, false},
		{{"\xf4\x90\x80\x80", 4}, false},
		{{"\xf5\x80\x80\x80", 4}, false},
		{{"\xe2\x28\xa1", 3}, false},
		{{"\xe2\x82\x28", 3}, false},
		{{"\xff", 1}, false},
	};

	for (size_t i = 0; i < N(rows); i++)
		cr_expect_eq(str_is_utf8(rows[i].text), rows[i].good, "row %zu", i);
	cr_expect(str_is_utf8(STR_NONE));
}

Test(str, knows_what_may_be_shown)
{
	static const struct {
		const char *text;
		size_t len;
	} rows[] = {
		{"a", 1},
		{"~", 1},
		{"\x7f", 0},
		{"\x1b", 0},
		{"\n", 0},
		{"\xc2\x9b", 0},
		{"\xc2\xa0", 2},
		{"\xc3\xa9", 2},
		{"\xe2\x80\x8d", 3},
		{"\xe2\x80\x8e", 0},
		{"\xe2\x80\x90", 3},
		{"\xe2\x80\xa8", 0},
		{"\xe2\x80\xae", 0},
		{"\xe2\x80\xaf", 3},
		{"\xe2\x81\xa5", 3},
		{"\xe2\x81\xa6", 0},
		{"\xe2\x81\xa9", 0},
		{"\xe2\x81\xaa", 3},
		{"\xe3\x80\xae", 3},
		{"\xf0\x9f\x98\x80", 4},
		{"\xe2\x80", 0},
		{"\xff", 0},
		{"", 0},
	};

	for (size_t i = 0; i < N(rows); i++)
		cr_expect_eq(str_shown_char(str_from(rows[i].text)), rows[i].len, "row %zu", i);
}

Test(clock, writes_stamps)
{
	char buf[32];

	cr_expect_str_eq(clock_stamp(0, buf, sizeof(buf)), "1970-01-01T00:00:00.000Z");
	cr_expect_str_eq(clock_stamp(951782399999, buf, sizeof(buf)), "2000-02-28T23:59:59.999Z");
	cr_expect_str_eq(clock_stamp(1795342272345, buf, 25), "2026-11-22T10:11:12.345Z");
}

Test(clock, goes_forward)
{
	uint64_t before = clock_ns();

	cr_expect_leq(before, clock_ns());
	cr_expect_leq(before / 1000000, clock_ms());
	cr_expect_gt(clock_wall_ms(), 1700000000000u);
}

Test(clock, refuses_a_short_buffer, .signal = SIGABRT)
{
	char buf[24];

	clock_stamp(0, buf, sizeof(buf));
}

Test(str, a_step_always_goes_on)
{
	cr_expect_eq(str_utf8_step(STR("a")), 1u);
	cr_expect_eq(str_utf8_step(STR("\xc3\xa4x")), 2u);
	cr_expect_eq(str_utf8_step(STR("\xe2\x80\xae")), 3u);
	cr_expect_eq(str_utf8_step(STR("\xa4")), 1u, "what begins no character");
	cr_expect_eq(str_utf8_step((struct str){"\xe2\x80", 2}), 1u, "a cut one");
	cr_expect_eq(str_utf8_step((struct str){"\0", 1}), 1u);
}
