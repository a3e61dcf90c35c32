/*
 * Lists for people, and what clients sent made fit to be shown.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "policy/words.h"
#include "t/unit/world.h"

TestSuite(words, .init = world_build, .fini = world_drop);

Test(words, lists)
{
	struct words_list list = {.count = 0};
	static char names[WORDS_NAMES + 1][8];

	cr_expect_str_eq(words_text(&list, world.arena), "none");
	words_add(&list, STR("a"));
	cr_expect_str_eq(words_text(&list, world.arena), "a");
	words_add(&list, STR("bc"));
	words_add(&list, STR("a"));
	words_add(&list, STR(""));
	words_add(&list, STR_NONE);
	cr_expect_str_eq(words_text(&list, world.arena), "a, bc");
	list = (struct words_list){.count = 0};
	for (unsigned i = 0; i <= WORDS_NAMES; i++) {
		snprintf(names[i], sizeof names[i], "n%u", i);
		cr_expect_not(list.more, "at %u", i);
		words_add(&list, str_from(names[i]));
	}
	cr_expect(list.more);
	cr_expect(str_ends(str_from(words_text(&list, world.arena)), STR(", n18, n19, ...")));
}

static const struct shown_row {
	const char *value, *wanted;
} shown_table[] = {
	{"fe", "fe"},
	{"", ""},
	{NULL, ""},
	{"a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?"},
	{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	{"gr\xfc\xdf", "gr??"},
};

Test(words, shown)
{
	for (size_t i = 0; i < WORLD_COUNT(shown_table); i++)
		cr_expect_str_eq(words_shown(str_from(shown_table[i].value), world.arena),
				 shown_table[i].wanted);
}

/* Cut between characters, wherever the end comes. */
Test(words, shown_is_cut)
{
	char long_text[WORDS_SHOWN + 20];

	for (size_t lead = 0; lead < 4; lead++) {
		size_t n = lead;

		memset(long_text, 'x', lead);
		while (n + 3 < sizeof long_text) {
			memcpy(long_text + n, "\xe2\x82\xac", 3);
			n += 3;
		}
		const char *text = words_shown((struct str){long_text, n}, world.arena);
		cr_expect(strlen(text) <= WORDS_SHOWN && strlen(text) + 3 > WORDS_SHOWN,
			  "%zu bytes", strlen(text));
		cr_expect(str_is_utf8(str_from(text)), "lead %zu", lead);
	}
}

Test(words, no_memory)
{
	struct words_list list = {.count = 0};

	words_add(&list, STR("a"));
	while (arena_alloc(world.arena, 4096) != NULL)
		;
	cr_expect_str_eq(words_text(&list, world.arena), "...");
	cr_expect_str_eq(words_shown(STR("a"), world.arena), "...");
}
