/*
 * lib/buf: growth to the ceiling, failure that stays, and the views.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include "lib/buf.h"

static struct buf b;

static void
setup(void)
{
	buf_init(&b, 1000);
}

static void
teardown(void)
{
	buf_free(&b);
}

TestSuite(buf, .init = setup, .fini = teardown);

Test(buf, begins_empty)
{
	cr_expect_str_eq(buf_cstr(&b), "");
	cr_expect_not_null(buf_str(&b).p, "empty, not absent");
	cr_expect_eq(buf_str(&b).n, 0);
	buf_add(&b, NULL, 0);
	buf_drop(&b, 0);
	cr_expect(!buf_failed(&b));
}

Test(buf, appends)
{
	buf_add(&b, "ab", 2);
	buf_add_byte(&b, 'c');
	buf_add_str(&b, STR("de"));
	buf_add_str(&b, STR_NONE);
	buf_printf(&b, "-%d-%s", 7, "x");
	cr_expect_str_eq(buf_cstr(&b), "abcde-7-x");
	cr_expect(str_eq(buf_str(&b), STR("abcde-7-x")));
}

Test(buf, is_filled_to_the_last_byte)
{
	for (int i = 0; i < 1000; i++)
		buf_add_byte(&b, (uint8_t)('a' + i % 26));
	cr_expect(!buf_failed(&b));
	cr_expect_eq(b.len, 1000);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(b.p[i], 'a' + i % 26);
	cr_expect_eq(strlen(buf_cstr(&b)), 1000);
}

Test(buf, fails_for_good)
{
	buf_add_str(&b, STR("kept"));
	cr_expect_null(buf_room(&b, 997));
	cr_expect(buf_failed(&b));
	buf_add_byte(&b, 'x');
	buf_printf(&b, "y");
	cr_expect_null(buf_room(&b, 1));
	cr_expect_eq(b.len, 4, "nothing after the failure");
	cr_expect_str_eq(buf_cstr(&b), "");
	cr_expect_eq(buf_str(&b).n, 0);
	buf_clear(&b);
	cr_expect(!buf_failed(&b));
	buf_add_str(&b, STR("new"));
	cr_expect_str_eq(buf_cstr(&b), "new");
}

Test(buf, absurd_sizes_fail)
{
	buf_add_byte(&b, 'x');
	cr_expect_null(buf_room(&b, SIZE_MAX));
	cr_expect(buf_failed(&b));
}

Test(buf, prints_up_to_the_ceiling)
{
	buf_printf(&b, "%1000d", 1);
	cr_expect(!buf_failed(&b));
	buf_clear(&b);
	buf_printf(&b, "%1001d", 1);
	cr_expect(buf_failed(&b));
}

Test(buf, lends_room)
{
	uint8_t *room = buf_room(&b, 500);

	cr_assert_not_null(room);
	memset(room, 'z', 500);
	buf_grew(&b, 300);
	cr_expect_eq(b.len, 300);
	cr_expect_eq(buf_room(&b, 100), b.p + 300);
}

Test(buf, refuses_to_grow_beyond_its_room, .signal = SIGABRT)
{
	buf_room(&b, 10);
	buf_grew(&b, 1001);
}

Test(buf, drops_from_the_front)
{
	buf_add_str(&b, STR("headtail"));
	buf_drop(&b, 4);
	cr_expect_str_eq(buf_cstr(&b), "tail");
	buf_drop(&b, 4);
	cr_expect_str_eq(buf_cstr(&b), "");
}

Test(buf, refuses_to_drop_more_than_it_has, .signal = SIGABRT)
{
	buf_add_byte(&b, 'x');
	buf_drop(&b, 2);
}

Test(buf, is_usable_after_free)
{
	buf_add_str(&b, STR("old"));
	buf_free(&b);
	buf_add_str(&b, STR("new"));
	cr_expect_str_eq(buf_cstr(&b), "new");
}
