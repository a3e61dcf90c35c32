/*
 * What sparkgwctl prints (ctl/table) and what the controller makes of a query string
 * (controller/query).
 */
#include <criterion/criterion.h>
#include <string.h>
#include "controller/query.h"
#include "ctl/table.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

Test(table, ages)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{0, "0ms"},
		{999, "999ms"},
		{1000, "1s"},
		{59999, "59s"},
		{60000, "1m00s"},
		{192000, "3m12s"},
		{3599999, "59m59s"},
		{3600000, "1h00m"},
		{18180000, "5h03m"},
		{86399999, "23h59m"},
		{86400000, "1d0h"},
		{1051200000, "12d4h"},
		{UINT64_MAX, "213503982334d14h"},
	};
	char buf[TABLE_WORD];

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		cr_expect_str_eq(table_age(cases[i].ms, buf, sizeof(buf)), cases[i].text);
}

Test(table, numbers)
{
	static const struct {
		uint64_t n;
		const char *text;
	} cases[] = {
		{0, "0"},
		{7, "7"},
		{999, "999"},
		{1000, "1,000"},
		{1234567, "1,234,567"},
		{123456, "123,456"},
		{UINT64_MAX, "18,446,744,073,709,551,615"},
	};
	char buf[TABLE_WORD];

	for (size_t i = 0; i < COUNT_OF(cases); i++)
		cr_expect_str_eq(table_number(cases[i].n, buf, sizeof(buf)), cases[i].text);
}

static const struct table_column columns[] = {{"NAME", false}, {"RPCS", true}, {"WHY", false}};

/* The text of the rows added, as printed. */
static void
expect_text(struct table *t, const char *text)
{
	struct buf out;

	buf_init(&out, 4096);
	table_flush(t, &out);
	cr_expect_str_eq(buf_cstr(&out), text);
	buf_free(&out);
}

Test(table, aligns)
{
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	table_add(&t, (const char *[]){"a", "1,204", "ok"});
	table_add(&t, (const char *[]){"driver-b", "7", NULL});
	table_add(&t, (const char *[]){"", "12", "timeout"});
	expect_text(&t, "NAME       RPCS  WHY\n"
			"a         1,204  ok\n"
			"driver-b      7  -\n"
			"-            12  timeout\n");
	table_free(&t);
}

Test(table, keeps_widths_and_titles_over_a_flush)
{
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	table_add(&t, (const char *[]){"long-name", "1", "x"});
	expect_text(&t, "NAME       RPCS  WHY\nlong-name     1  x\n");
	table_add(&t, (const char *[]){"b", "22", "y"});
	expect_text(&t, "b            22  y\n");
	expect_text(&t, "");
	table_free(&t);
}

Test(table, shows_only_titles_when_empty)
{
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	expect_text(&t, "NAME  RPCS  WHY\n");
	table_free(&t);
}

Test(table, makes_cells_harmless)
{
	static const struct {
		const char *cell, *shown;
	} cases[] = {
		{"\033[2Jx", "?[2Jx"},
		{"a\nb\tc\177", "a?b?c?"},
		{"\302\233x", "?x"},	    /* U+009B, CSI */
		{"\342\200\256x", "?x"},    /* U+202E turns the direction */
		{"\302\240x", "\302\240x"}, /* U+00A0 is no control character */
		{"J\303\274rgen", "J\303\274rgen"},
		{"bad\377", "bad?"},
		{"cut\303", "cut?"},
	};
	static const struct table_column one[] = {{"USER", false}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct table t;
		char text[64];

		table_init(&t, one, 1);
		table_add(&t, &cases[i].cell);
		snprintf(text, sizeof(text), "USER\n%s\n", cases[i].shown);
		expect_text(&t, text);
		table_free(&t);
	}
}

Test(table, counts_characters_not_bytes)
{
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	table_add(&t, (const char *[]){"J\303\274rgen", "1", "x"});
	table_add(&t, (const char *[]){"Jurgen", "1", "x"});
	expect_text(&t, "NAME    RPCS  WHY\nJ\303\274rgen     1  x\nJurgen     1  x\n");
	table_free(&t);
}

struct values {
	const char *user, *team, *limit, *after;
};

static struct str
get_value(void *arg, const char *key)
{
	const struct values *v = arg;

	if (strcmp(key, "user") == 0)
		return str_from(v->user);
	if (strcmp(key, "team") == 0)
		return str_from(v->team);
	if (strcmp(key, "limit") == 0)
		return str_from(v->limit);
	cr_assert_str_eq(key, "after");
	return str_from(v->after);
}

#define ID_HEX "00112233445566778899aabbccddeeff"

Test(query, limits)
{
	static const struct {
		const char *limit;
		int err;
		unsigned value;
	} cases[] = {
		{NULL, 0, 1000},   {"1", 0, 1},		  {"1000", 0, 1000},   {"0", E_SYNTAX, 0},
		{"", E_SYNTAX, 0}, {"1001", E_SYNTAX, 0}, {"-1", E_SYNTAX, 0}, {"5x", E_SYNTAX, 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct values v = {.limit = cases[i].limit};
		struct query q;
		const char *words = NULL;

		cr_expect_eq(query_parse(get_value, &v, &q, &words), cases[i].err, "case %zu", i);
		if (cases[i].err == 0)
			cr_expect_eq(q.limit, cases[i].value, "case %zu", i);
		else
			cr_expect_not_null(strstr(words, "limit"), "case %zu", i);
	}
}

Test(query, refuses)
{
	static char long_user[SESSION_USER_MAX + 2], long_team[SESSION_NAME_MAX + 1];
	const struct values cases[] = {
		{.user = ""},		{.user = long_user}, {.team = ""},
		{.team = long_team},	{.after = ""},	     {.after = ID_HEX}, /* no user */
		{.after = ID_HEX "6"},						/* half a byte */
		{.after = ID_HEX "6G"},						/* no digit */
		{.after = ID_HEX "6A"}, /* never written in upper case */
	};

	memset(long_user, 'u', sizeof(long_user) - 1);
	memset(long_team, 't', sizeof(long_team) - 1);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct values v = cases[i];
		struct query q;
		const char *words = NULL;

		cr_expect_eq(query_parse(get_value, &v, &q, &words), E_SYNTAX, "case %zu", i);
		cr_expect_not_null(words, "case %zu", i);
	}
}

Test(query, cursor_comes_back)
{
	static char user[SESSION_USER_MAX];
	static const size_t lengths[] = {1, 5, SESSION_USER_MAX};

	memset(user, 0xff, sizeof(user));
	user[0] = 'a';
	for (size_t i = 0; i < COUNT_OF(lengths); i++) {
		struct session_key key = {.id = {0, 0x11, 0xfe, 0xff}, .user = {user, lengths[i]}};
		char text[QUERY_CURSOR];
		struct values v = {.after = query_cursor(&key, text)};
		struct query q;
		const char *words;

		cr_assert_eq(query_parse(get_value, &v, &q, &words), 0, "case %zu", i);
		cr_expect(q.has_after);
		cr_expect_eq(memcmp(q.after.id, key.id, 16), 0);
		cr_expect(str_eq(q.after.user, key.user));
	}
}

Test(query, filters)
{
	static const struct {
		const char *user, *team;
		bool wants;
	} cases[] = {
		{NULL, NULL, true},    {"ann", NULL, true},  {"an", NULL, false},
		{NULL, "red", true},   {"ann", "red", true}, {"ann", "blue", false},
		{"bob", "red", false},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct values v = {.user = cases[i].user, .team = cases[i].team};
		struct query q;
		const char *words;

		cr_assert_eq(query_parse(get_value, &v, &q, &words), 0);
		cr_expect_eq(query_wants(&q, STR("ann"), STR("red")), cases[i].wants, "case %zu",
			     i);
	}
}
