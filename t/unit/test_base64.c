/* proto/base64 */
#include <criterion/criterion.h>
#include "proto/base64.h"

static struct arena *arena;
static struct buf text;

static void
open_arena(void)
{
	arena = arena_new(4096, 1 << 20);
	buf_init(&text, 4096);
}

static void
close_arena(void)
{
	arena_free(&arena);
	buf_free(&text);
}

static struct str
url(struct str bytes)
{
	buf_clear(&text);
	base64_url_add(&text, bytes);
	return buf_str(&text);
}

TestSuite(base64, .init = open_arena, .fini = close_arena);

Test(base64, known)
{
	static const struct {
		struct str bytes;
		const char *plain, *url;
	} rows[] = {
		/* RFC 4648 section 10 */
		{{"", 0}, "", ""},
		{{"f", 1}, "Zg", "Zg"},
		{{"fo", 2}, "Zm8", "Zm8"},
		{{"foo", 3}, "Zm9v", "Zm9v"},
		{{"foob", 4}, "Zm9vYg", "Zm9vYg"},
		{{"fooba", 5}, "Zm9vYmE", "Zm9vYmE"},
		{{"foobar", 6}, "Zm9vYmFy", "Zm9vYmFy"},
		/* RFC 7515 appendix C */
		{{"\x03\xec\xff\xe0\xc1", 5}, "A+z/4ME", "A-z_4ME"},
		{{"\0\0", 2}, "AAA", "AAA"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t buf[8];
		size_t n;

		cr_expect_str_eq(base64_encode(arena, rows[i].bytes).p, rows[i].plain);
		cr_expect(str_eq(url(rows[i].bytes), str_from(rows[i].url)), "row %zu", i);
		cr_assert_eq(base64_url_decode(str_from(rows[i].url), buf, sizeof buf, &n), 0);
		cr_expect(str_eq((struct str){(char *)buf, n}, rows[i].bytes), "row %zu", i);
	}
}

Test(base64, one_spelling_only)
{
	static const struct str rows[] = {
		{"A", 1},	 {"AAAAA", 5},	{"Zg==", 4},	{"Zg=", 3},
		{"Zm8=", 4},	 {"=", 1},	{"Zh", 2},	{"Zv", 2},
		{"Zm9", 3},	 {"Zm-", 3},	{"A+z/", 4},	{"Zm9v\n", 5},
		{"Zm9v\nYg", 7}, {" Zm9v", 5},	{"Zm9v ", 5},	{"Zm9.", 4},
		{"Zm\0v", 4},	 {"Zm9v\0", 5}, {"Zm9\xc3", 4}, {"\xff\xff\xff\xff", 4},
		{"Zm9v\0\0", 6}, {"!!!!", 4},
	};
	uint8_t buf[16];
	size_t n = 77;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_expect_eq(base64_url_decode(rows[i], buf, sizeof buf, &n), E_SYNTAX, "row %zu",
			     i);
	cr_expect_eq(n, 77, "untouched");
	cr_expect_eq(base64_url_decode(STR_NONE, NULL, 0, &n), 0);
	cr_expect_eq(n, 0);
}

/* Of all texts of up to two characters, and many of three, those read that writing gives. */
Test(base64, what_reads_is_what_was_written)
{
	for (uint32_t v = 0; v < 1u << 24; v += v < 1u << 16 ? 1 : 257) {
		struct str s = {(char[]){(char)v, (char)(v >> 8), (char)(v >> 16)}, v < 1u << 8 ? 1
										    : v < 1u << 16
											    ? 2
											    : 3};
		uint8_t buf[3];
		size_t n;

		if (base64_url_decode(s, buf, sizeof buf, &n) == 0)
			cr_assert(str_eq(url((struct str){(char *)buf, n}), s));
	}
}

Test(base64, every_length_and_byte)
{
	uint8_t bytes[256], back[256];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 167 + 13);
	for (size_t len = 0; len <= sizeof bytes; len++) {
		struct str s = url((struct str){(char *)bytes, len});
		size_t n = 0;

		cr_assert_eq(base64_url_decode(s, back, len, &n), 0);
		cr_assert_eq(n, len);
		cr_assert_eq(memcmp(bytes, back, len), 0);
		if (len > 0)
			cr_assert_eq(base64_url_decode(s, back, len - 1, &n), E_LIMIT);
	}
}

Test(base64, a_full_buffer_fails)
{
	struct buf small;

	buf_init(&small, 3);
	base64_url_add(&small, STR("abc"));
	cr_expect(buf_failed(&small));
	buf_free(&small);
}
