/* The header traceparent: what is gone on with, and what is sent on. */
#include <criterion/criterion.h>
#include "proto/trace.h"

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

Test(trace, parse)
{
	static const struct {
		const char *in;
		int err;
		unsigned flags;
	} rows[] = {
		{"00-" ID "-" SPAN "-01", 0, 1},
		{"00-" ID "-" SPAN "-00", 0, 0},
		{"00-" ID "-" SPAN "-ff", 0, 3},
		{"01-" ID "-" SPAN "-01-what-came-later", 0, 1},
		{"cc-" ID "-" SPAN "-02", 0, 2},
		{"", E_SYNTAX, 0},
		{"00-" ID "-" SPAN "-0", E_SYNTAX, 0},
		{"00-" ID "-" SPAN "-011", E_SYNTAX, 0},
		{"00-" ID "-" SPAN "-01-x", E_SYNTAX, 0},
		{"01-" ID "-" SPAN "-01x", E_SYNTAX, 0},
		{"ff-" ID "-" SPAN "-01", E_SYNTAX, 0},
		{"0g-" ID "-" SPAN "-01", E_SYNTAX, 0},
		{"00_" ID "-" SPAN "-01", E_SYNTAX, 0},
		{"00-4BF92f3577b34da6a3ce929d0e0e4736-" SPAN "-01", E_SYNTAX, 0},
		{"00-00000000000000000000000000000000-" SPAN "-01", E_SYNTAX, 0},
		{"00-" ID "-0000000000000000-01", E_SYNTAX, 0},
		{"00-" ID "-" SPAN "-0x", E_SYNTAX, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct trace t = {0};

		cr_expect_eq(trace_parse(str_from(rows[i].in), &t), rows[i].err, "%s", rows[i].in);
		cr_expect_eq(t.flags, rows[i].flags, "%s", rows[i].in);
		cr_expect_str_eq(t.id, rows[i].err == 0 ? ID : "", "%s", rows[i].in);
		cr_expect_str_eq(t.parent, rows[i].err == 0 ? SPAN : "", "%s", rows[i].in);
	}
}

Test(trace, goes_on)
{
	static const uint8_t random[TRACE_SEED] = {[16] = 0xab, [23] = 0x0f};
	char text[TRACE_TEXT];
	struct trace t = {0};

	cr_assert_eq(trace_parse(STR("00-" ID "-" SPAN "-01"), &t), 0);
	trace_begin(&t, random);
	cr_expect(str_eq(trace_put(&t, text), STR("00-" ID "-ab0000000000000f-01")));
	cr_expect_str_eq(text, "00-" ID "-ab0000000000000f-01");
	cr_expect_str_eq(t.parent, SPAN);
}

Test(trace, begins)
{
	static const uint8_t zeros[TRACE_SEED];
	struct trace t = {0}, again = {0};
	char text[TRACE_TEXT];

	trace_begin(&t, zeros);
	cr_expect_str_eq(t.parent, "");
	cr_expect_eq(trace_parse(trace_put(&t, text), &again), 0, "also of zeros: %s", text);
}
