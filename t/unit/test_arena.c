/*
 * lib/arena: zeroed and aligned, up to the ceiling and not beyond, and failure that stays.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdint.h>
#include "lib/arena.h"

static struct arena *a;

static void
setup(void)
{
	a = arena_new(256, 16384);
	cr_assert_not_null(a);
}

static void
teardown(void)
{
	arena_free(&a);
	cr_expect_null(a);
}

TestSuite(arena, .init = setup, .fini = teardown);

static bool
is_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

Test(arena, hands_out_zeroed_aligned_pieces)
{
	char *last = NULL;

	for (size_t n = 0; n < 100; n++) {
		char *p = arena_alloc(a, n);

		cr_assert_not_null(p);
		cr_expect_eq((uintptr_t)p % 16, 0);
		cr_expect(is_zero(p, n));
		cr_expect(p != last);
		memset(p, 0xff, n);
		last = p;
	}
	cr_expect(!arena_failed(a));
}

Test(arena, keeps_earlier_pieces_when_it_grows)
{
	char *pieces[50];

	for (int i = 0; i < 50; i++)
		memset(pieces[i] = arena_alloc(a, 100), i, 100);
	for (int i = 0; i < 50; i++)
		cr_expect(pieces[i][0] == i && pieces[i][99] == i);
	cr_expect_gt(arena_used(a), 5000);
}

Test(arena, stops_at_the_ceiling_and_stays_failed)
{
	size_t got = 0;

	while (arena_alloc(a, 64) != NULL)
		got += 64;
	cr_expect(got > 16384 * 8 / 10 && got < 16384, "%zu bytes of 16384 were usable", got);
	cr_expect_leq(arena_used(a), 16384);
	cr_expect(arena_failed(a));
	cr_expect_null(arena_alloc(a, 1), "failure is sticky");
	cr_expect_null(arena_str(a, STR("x")).p);
	cr_expect_null(arena_printf(a, "%d", 1));
}

Test(arena, one_piece_may_be_larger_than_a_block)
{
	char *p = arena_alloc(a, 12000);

	cr_assert_not_null(p);
	cr_expect(is_zero(p, 12000));
	cr_expect_null(arena_alloc(a, 12000));
}

Test(arena, reset_gives_it_all_back)
{
	char *first = arena_alloc(a, 64), *again;

	memset(first, 0xff, 64);
	while (arena_alloc(a, 1000) != NULL)
		;
	arena_reset(a);
	cr_expect(!arena_failed(a));
	cr_expect_eq(arena_used(a), 256);
	again = arena_alloc(a, 64);
	cr_expect_eq(again, first);
	cr_expect(is_zero(again, 64));
}

Test(arena, arrays_cannot_overflow)
{
	cr_expect_not_null(arena_array(a, 10, 20));
	cr_expect_not_null(arena_array(a, 0, 20));
	cr_expect_null(arena_array(a, SIZE_MAX / 2, 4));
	cr_expect(arena_failed(a));
}

Test(arena, absurd_sizes_fail)
{
	struct arena *wide = arena_new(256, SIZE_MAX);

	cr_expect_null(arena_alloc(wide, SIZE_MAX));
	arena_reset(wide);
	cr_expect_null(arena_alloc(wide, SIZE_MAX - 15));
	arena_reset(wide);
	cr_expect_null(arena_copy(wide, "", SIZE_MAX));
	arena_reset(wide);
	cr_expect_not_null(arena_alloc(wide, 1 << 20));
	arena_free(&wide);
}

Test(arena, copies_and_prints)
{
	struct str s = arena_str(a, (struct str){"abcdef", 3});
	const char *copy = arena_copy(a, "x\0y", 3);

	cr_expect_str_eq(s.p, "abc");
	cr_expect_eq(s.n, 3);
	cr_expect_arr_eq(copy, "x\0y", 4);
	cr_expect_null(arena_str(a, STR_NONE).p);
	s = arena_str(a, STR(""));
	cr_expect(s.p != NULL && s.n == 0 && s.p[0] == '\0');
	cr_expect_str_eq(arena_printf(a, "%s=%d", "a", 42), "a=42");
	cr_expect_eq(strlen(arena_printf(a, "%3000d", 1)), 3000);
}

Test(arena, free_takes_null)
{
	struct arena *none = NULL;

	arena_free(&none);
}

Test(arena, refuses_a_tiny_first_block, .signal = SIGABRT)
{
	arena_new(255, 1024);
}
