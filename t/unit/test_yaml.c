/*
 * lib/yaml: what is read, where it stood, and everything that is refused with its position.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/yaml.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static struct arena *arena;
static struct yaml_node *root;
static struct yaml_error *errors;

static void
setup(void)
{
	arena = arena_new(4096, 64u << 20);
	root = NULL;
	errors = NULL;
}

static void
teardown(void)
{
	arena_free(&arena);
}

TestSuite(yaml, .init = setup, .fini = teardown);

static int
parse(const char *text)
{
	return yaml_parse(arena, str_from(text), &root, &errors);
}

Test(yaml, a_byte_order_mark_is_no_character_of_the_first_line)
{
	cr_assert_eq(parse("\xef\xbb\xbfregion: r\nworkers: 2\n"), 0);
	cr_expect_eq(yaml_get(root, "region")->key_column, 1);
	cr_expect(str_eq(yaml_get(root, "workers")->text, STR("2")));
}

Test(yaml, keeps_values_with_their_places)
{
	struct yaml_node *list, *tls;

	cr_assert_eq(parse("# words\n"
			   "region: us-west-2\n"
			   "listeners:\n"
			   "  - address: \"0.0.0.0:15002\"\n"
			   "    tls: {certificate: 'a b', key: }\n"
			   "  - x\n"),
		     0);
	cr_assert(str_eq(yaml_get(root, "region")->text, STR("us-west-2")));
	cr_expect_eq(yaml_get(root, "region")->line, 2);
	cr_expect_eq(yaml_get(root, "region")->column, 9);
	cr_expect_eq(yaml_get(root, "region")->key_column, 1);
	cr_expect_not(yaml_get(root, "region")->quoted);
	list = yaml_get(root, "listeners");
	cr_assert_eq(list->kind, YAML_LIST);
	cr_expect_eq(list->key_line, 3);
	cr_expect_eq(list->items->line, 4);
	cr_expect(yaml_get(list->items, "address")->quoted);
	tls = yaml_get(list->items, "tls");
	cr_expect_eq(tls->line, 5);
	cr_expect(str_eq(yaml_get(tls, "certificate")->text, STR("a b")));
	cr_expect_eq(yaml_get(tls, "key")->text.n, 0);
	cr_expect(str_eq(list->items->next->text, STR("x")));
	cr_expect_null(list->items->next->next);
	cr_expect_null(yaml_get(root, "nothing"));
	cr_expect_null(yaml_get(list, "address"));
}

Test(yaml, an_empty_document_has_no_root)
{
	static const char *const texts[] = {"", "\n\n", "# only words\n"};

	for (size_t i = 0; i < N(texts); i++) {
		cr_expect_eq(parse(texts[i]), 0, "%zu", i);
		cr_expect_null(root);
	}
}

static const struct bad {
	const char *text;
	int err;
	unsigned line, column;
	const char *words;
} bad[] = {
	{"a: 1\nb: 2\na: 3\n", E_SYNTAX, 3, 1, "duplicate key 'a' (first at line 1)"},
	{"x: {k: 1,\n    k: 2}\n", E_SYNTAX, 2, 5, "duplicate key 'k' (first at line 1)"},
	{"a: &x 1\n", E_SYNTAX, 1, 4, "anchors are not allowed"},
	{"a: &x [*x]\n", E_SYNTAX, 1, 4, "anchors are not allowed"},
	{"a: *x\n", E_SYNTAX, 1, 4, "aliases are not allowed"},
	{"a: !!int 1\n", E_SYNTAX, 1, 4, "tags are not allowed"},
	{"a: ! b\n", E_SYNTAX, 1, 4, "tags are not allowed"},
	{"a: !t {}\n", E_SYNTAX, 1, 4, "tags are not allowed"},
	{"{[a]: 1}\n", E_SYNTAX, 1, 2, "a key must be a single word"},
	{"? {a: 1}\n: 2\n", E_SYNTAX, 1, 3, "a key must be a single word"},
	{"a: \"x\\0y\"\n", E_SYNTAX, 1, 4, "a NUL byte in a value"},
	{"a: 1\n---\nb: 2\n", E_SYNTAX, 2, 1, "a second document is not allowed"},
	{"a: [1, 2\nb: 3\n", E_SYNTAX, 2, 2, "did not find expected ',' or ']' (while parsing"},
	{"a: b: c\n", E_SYNTAX, 1, 5, "mapping values are not allowed in this context"},
	{"a: 1\n\tb: 2\n", E_SYNTAX, 2, 1, "found a tab character that violates indentation"},
	{"a: 1\nb: x\xff\n", E_SYNTAX, 2, 5, "invalid leading UTF-8 octet"},
	{"a: \x01\n", E_SYNTAX, 1, 4, "control characters are not allowed"},
	{"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", E_LIMIT, 1, 17, "nested more than 16 deep"},
};

Test(yaml, refuses_with_place_and_words)
{
	for (size_t i = 0; i < N(bad); i++) {
		errors = NULL;
		cr_expect_eq(parse(bad[i].text), bad[i].err, "%s", bad[i].text);
		cr_assert_not_null(errors, "%s", bad[i].text);
		cr_expect(strncmp(errors->words, bad[i].words, strlen(bad[i].words)) == 0, "%s: %s",
			  bad[i].text, errors->words);
		cr_expect_eq(errors->line, bad[i].line, "%s: line %u", bad[i].text, errors->line);
		cr_expect_eq(errors->column, bad[i].column, "%s: column %u", bad[i].text,
			     errors->column);
	}
}

Test(yaml, notes_every_duplicate_and_goes_on)
{
	cr_assert_eq(parse("a: 1\na: 2\nb: {c: 1, c: 2}\na: 3\nd: *x\n"), E_SYNTAX);
	cr_assert_not_null(errors->next);
	cr_expect_str_eq(errors->words, "duplicate key 'c' (first at line 3)");
	cr_expect_str_eq(errors->next->words, "aliases are not allowed");
	cr_assert_eq(parse("a: 1\na: 2\nb: 1\na: 3\n"), E_SYNTAX);
	cr_expect_eq(errors->line, 2);
	cr_expect_eq(errors->next->line, 4);
}

Test(yaml, sixteen_deep_is_allowed)
{
	cr_expect_eq(parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), 0);
}

/* `count` times `piece`, which is given up soon or costs little. */
static int
parse_many(const char *piece, size_t count)
{
	struct buf text;
	uint64_t start;
	int err;

	buf_init(&text, 4u << 20);
	for (size_t i = 0; i < count; i++)
		buf_printf(&text, "%s", piece);
	start = clock_ms();
	err = yaml_parse(arena, buf_str(&text), &root, &errors);
	cr_expect_lt(clock_ms() - start, 1000, "%s: took too long", piece);
	buf_free(&text);
	return err;
}

Test(yaml, limits)
{
	cr_expect_eq(parse_many("- a\n", 9999), 0); /* and the list itself */
	cr_expect_eq(parse_many("- a\n", 10000), E_LIMIT);
	cr_expect_str_eq(errors->words, "more than 10000 values");
	cr_expect_eq(errors->line, 10000);
	cr_expect_eq(parse_many("[", 1u << 20), E_LIMIT);
	cr_expect_eq(parse_many("[a, ", 1u << 18), E_LIMIT);
	cr_expect_eq(parse_many("# words\n", (1u << 17) + 1), E_LIMIT);
	cr_expect_str_eq(errors->words, "larger than 1 MiB");
	cr_expect_eq(parse_many("# words\n", 1u << 17), 0);
	cr_expect_eq(parse_many("k: v\n", 9000), E_SYNTAX);
	cr_expect_str_eq(errors->words, "duplicate key 'k' (first at line 1)");
}

Test(yaml, a_full_arena_is_no_syntax_error)
{
	struct arena *small = arena_new(256, 512);

	cr_expect_eq(yaml_parse(small, STR("[a, b, c, d, e, f, g, h]"), &root, &errors), E_NOMEM);
	arena_free(&small);
}

Test(yaml, what_is_shown_of_a_value)
{
	char text[100];

	cr_expect_str_eq(yaml_shown(arena, STR("a\nb\x7f")), "a?b?");
	memset(text, 'x', sizeof(text));
	cr_expect_eq(strlen(yaml_shown(arena, (struct str){text, 60})), 60);
	cr_expect_eq(strlen(yaml_shown(arena, (struct str){text, 61})), 63);
	memcpy(text + 59, "\xc3\xa4", 2);
	cr_expect_eq(strlen(yaml_shown(arena, (struct str){text, 90})), 62);
}
