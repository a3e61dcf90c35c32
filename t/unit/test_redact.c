/* proto/redact: ConfigResponses written by hand, so that every byte is seen. */
#include <criterion/criterion.h>
#include <signal.h>
#include "proto/redact.h"
#include "proto/wire.h"

#define WORDS REDACT_WORDS /* 19 bytes */
#define S     "s3cret"

static struct arena *arena;

static void
open_arena(void)
{
	arena = arena_new(4096, 1 << 20);
}

static void
close_arena(void)
{
	arena_free(&arena);
}

TestSuite(redact, .init = open_arena, .fini = close_arena);

Test(redact, known)
{
	static const struct {
		const char *what;
		struct str in, want; /* absent: as it was */
	} rows[] = {
		{"nothing", STR(""), STR_NONE},
		{"another value", STR("\x0a\x02id\x12\x08\x0a\x01k\x12\x03val"), STR_NONE},
		{"the value", STR("\x12\x0b\x0a\x01k\x12\x06" S),
		 STR("\x12\x18\x0a\x01k\x12\x13" WORDS)},
		{"within a value", STR("\x12\x0f\x0a\x01k\x12\x0a<<" S ">>"),
		 STR("\x12\x18\x0a\x01k\x12\x13" WORDS)},
		{"between others", STR("\x0a\x02id\x12\x03\x0a\x01x\x12\x08\x12\x06" S "\x22\x01t"),
		 STR("\x0a\x02id\x12\x03\x0a\x01x\x12\x15\x12\x13" WORDS "\x22\x01t")},
		{"value before key", STR("\x12\x0b\x12\x06" S "\x0a\x01k"),
		 STR("\x12\x18\x12\x13" WORDS "\x0a\x01k")},
		{"two values of one pair", STR("\x12\x0d\x12\x06" S "\x12\x03new"),
		 STR("\x12\x1a\x12\x13" WORDS "\x12\x03new")},
		{"many pairs", STR("\x12\x08\x12\x06" S "\x12\x08\x12\x06" S),
		 STR("\x12\x15\x12\x13" WORDS "\x12\x15\x12\x13" WORDS)},
		{"a warning", STR("\x1a\x0a<<" S ">>\x1a\x02ok"),
		 STR("\x1a\x13" WORDS "\x1a\x02ok")},
		{"a key", STR("\x12\x0b\x0a\x06" S "\x12\x01v"), STR_NONE},
		{"a key and its value", STR("\x12\x10\x0a\x06" S "\x12\x06" S),
		 STR("\x12\x1d\x0a\x06" S "\x12\x13" WORDS)},
		{"a key, its length written long", STR("\x12\x88\x00\x0a\x06" S "\x1a\x06" S),
		 STR("\x12\x88\x00\x0a\x06" S "\x1a\x13" WORDS)},
		{"another field", STR("\x0a\x06" S "\x22\x06" S), STR_NONE},
		{"another field of a pair", STR("\x12\x08\x1a\x06" S), STR_NONE},
		{"half of it", STR("\x12\x07\x12\x05s3cre\x1a\x01t"), STR_NONE},
		{"lengths that are written long",
		 STR("\x12\x8d\x00\x0a\x01k\x12\x86\x80\x00"
		     "abcdef"
		     "\x1a\x06" S),
		 STR("\x12\x8d\x00\x0a\x01k\x12\x86\x80\x00"
		     "abcdef"
		     "\x1a\x13" WORDS)},
		{"numbers in between",
		 STR("\x08\x05\x15"
		     "1234"
		     "\x19"
		     "12345678"
		     "\x1a\x06" S),
		 STR("\x08\x05\x15"
		     "1234"
		     "\x19"
		     "12345678"
		     "\x1a\x13" WORDS)},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str got = STR_NONE, want = rows[i].want.p ? rows[i].want : rows[i].in;
		bool changed = false;

		cr_assert_eq(redact_config(rows[i].in, STR(S), arena, &got, &changed), 0, "%s",
			     rows[i].what);
		cr_expect(str_eq(got, want), "%s", rows[i].what);
		cr_expect_eq(changed, rows[i].want.p != NULL, "%s", rows[i].what);
	}
}

Test(redact, malformed)
{
	static const struct {
		struct str in;
		int err;
	} rows[] = {
		{STR("\x12\x09\x12\x06" S), E_SYNTAX}, /* outruns the message */
		{STR("\x12\x08\x12\x07" S), E_SYNTAX}, /* outruns its pair */
		{STR("\x1a\x06" S "\x1b"), E_SYNTAX},  /* a group */
		{STR("\x1a\x06" S "\x1a"), E_SYNTAX},
		{STR(S), E_SYNTAX},
		{STR("\x12\x09\x12\x06"
		     "public"),
		 0}, /* nothing to hide */
		{STR("\x1b"), 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str got = STR_NONE;
		bool changed = true;
		int err = redact_config(rows[i].in, STR(S), arena, &got, &changed);
		cr_expect_eq(err, rows[i].err, "row %zu", i);
		cr_expect_eq(got.p != NULL, err == 0, "row %zu", i);
	}
}

/* Many pairs, of which each tenth tells the secret, in texts short and long. */
Test(redact, large)
{
	static uint8_t in[400000], want[400000];
	uint8_t *p = in, *q = want;
	const uint8_t *in_end = in + sizeof in, *want_end = want + sizeof want;
	struct str got;
	bool changed;

	for (unsigned i = 0; i < 1000; i++) {
		char value[512];
		size_t n = i % 300;
		uint8_t pair[600], *end;

		memset(value, 'v', sizeof value);
		if (i % 10 == 0) {
			memcpy(value + n, S, sizeof S - 1);
			n += sizeof S - 1 + i % 100;
		}
		end = wire_put_len(pair, pair + sizeof pair, 1, STR("spark.some.key"));
		end = wire_put_len(end, pair + sizeof pair, 2, (struct str){value, n});
		p = wire_put_len(p, in_end, 2, (struct str){(char *)pair, (size_t)(end - pair)});
		if (i % 10 == 0) {
			end = wire_put_len(pair, pair + sizeof pair, 1, STR("spark.some.key"));
			end = wire_put_len(end, pair + sizeof pair, 2, STR(WORDS));
		}
		q = wire_put_len(q, want_end, 2, (struct str){(char *)pair, (size_t)(end - pair)});
	}
	cr_assert(p != NULL && q != NULL);
	cr_assert_eq(redact_config((struct str){(char *)in, (size_t)(p - in)}, STR(S), arena, &got,
				   &changed),
		     0);
	cr_expect(changed);
	cr_expect(str_eq(got, (struct str){(char *)want, (size_t)(q - want)}));
}

Test(redact, no_memory)
{
	struct arena *small = arena_new(256, 256);
	uint8_t text[400], *p;
	struct str got = STR_NONE;
	char id[300];
	bool changed;

	memset(id, 'x', sizeof id);
	p = wire_put_len(text, text + sizeof text, 1, (struct str){id, sizeof id});
	p = wire_put_len(p, text + sizeof text, 3, STR(S));
	cr_expect_eq(redact_config((struct str){(char *)text, (size_t)(p - text)}, STR(S), small,
				   &got, &changed),
		     E_NOMEM);
	cr_expect_null(got.p);
	arena_free(&small);
}

Test(redact, an_empty_secret_is_our_mistake, .signal = SIGABRT)
{
	struct str got;
	bool changed;

	(void)!redact_config(STR("\x1a\x01x"), STR(""), arena, &got, &changed);
}
