/* The lines of an audit file: chain, seal, taking apart, names. */
#include <criterion/criterion.h>
#include "shm/chain.h"

static const uint8_t key[CHAIN_KEY] = {1, 2, 3};

static size_t
make_line(struct chain *c, char *buf, const char *text)
{
	size_t n = strlen(text);

	memcpy(buf, text, n);
	chain_add(c, text, n, buf + n);
	return n + CHAIN_TAIL;
}

Test(chain, a_line_is_chained_to_the_one_before)
{
	struct chain *c = chain_new();
	char line[256], again[256];
	struct chain_line parsed;
	size_t n;

	n = make_line(c, line,
		      "{\"seq\":1,\"time\":\"2026-11-22T10:11:12.345Z\",\"kind\":\"file\"");
	cr_expect_eq(chain_parse((struct str){line, n}, &parsed), 0);
	cr_expect(parsed.seq == 1 && !parsed.is_seal && line[n - 1] == '\n');
	cr_expect(str_eq(parsed.time, STR("2026-11-22T10:11:12.345Z")));
	cr_expect(str_eq(chain_member(parsed.text, "kind"), STR("file")));
	cr_expect(str_eq(parsed.value, str_from(chain_value(c))));
	/* sha256sum of 32 zeros and the text */
	cr_expect(str_eq(parsed.value, STR("b6f529a0f53096103ad533c9ebec71b1")));
	make_line(c, again, "{\"seq\":1,\"time\":\"2026-11-22T10:11:12.345Z\",\"kind\":\"file\"");
	cr_expect_neq(memcmp(line, again, n), 0, "the same text elsewhere in the file");
	chain_set(c, NULL);
	make_line(c, again, "{\"seq\":1,\"time\":\"2026-11-22T10:11:12.345Z\",\"kind\":\"file\"");
	cr_expect_eq(memcmp(line, again, n), 0);
	chain_free(&c);
	cr_expect_null(c);
}

Test(chain, a_seal_is_taken_apart)
{
	static const char text[] = "{\"records\":2,\"first_seq\":7,\"last_seq\":8,\"first\":\"A\","
				   "\"last\":\"B\",\"chain\":\"0123456789abcdef0123456789abcdef\"";
	char line[sizeof(text) + CHAIN_SEAL_TAIL], other[CHAIN_SEAL_TAIL];
	uint8_t other_key[CHAIN_KEY] = {1, 2, 4};
	struct chain_line parsed;

	memcpy(line, text, sizeof(text) - 1);
	chain_seal(key, text, sizeof(text) - 1, line + sizeof(text) - 1);
	cr_assert_eq(chain_parse((struct str){line, sizeof(line) - 1}, &parsed), 0);
	cr_expect(parsed.is_seal && parsed.records == 2 && parsed.first_seq == 7 &&
		  parsed.seq == 8);
	cr_expect(str_eq(parsed.first, STR("A")) && str_eq(parsed.time, STR("B")));
	cr_expect(str_eq(parsed.chain, STR("0123456789abcdef0123456789abcdef")));
	chain_seal(other_key, text, sizeof(text) - 1, other);
	cr_expect_neq(memcmp(other, line + sizeof(text) - 1, sizeof(other)), 0);
}

Test(chain, what_is_no_line_is_refused)
{
	static const char *const lines[] = {
		"",
		"\n",
		"{}",
		"{\"seq\":1}\n",
		",\"chain\":\"00000000000000000000000000000000\"}",
		"{\"seq\":1,\"chain\":\"00000000000000000000000000000000\"",
		"{\"seq\":x,\"a\":1,\"chain\":\"00000000000000000000000000000000\"}",
		"{\"sex\":1,\"a\":1,\"chain\":\"00000000000000000000000000000000\"}",
		"{\"seq\":1,\"a\":1,\"chain\":\"0000000000000000000000000000000G\"}",
		"{\"seq\":99999999999999999999,\"a\":1,\"chain\":"
		"\"00000000000000000000000000000000\"}",
	};
	struct chain_line parsed;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		cr_expect_eq(chain_parse(str_from(lines[i]), &parsed), E_SYNTAX, "%s", lines[i]);
	cr_expect_eq(
		chain_parse(STR("{\"seq\":1,\"x\":\"\\\"time\\\":\\\"no\\\"\",\"time\":\"yes\","
				"\"chain\":\"00000000000000000000000000000000\"}"),
			    &parsed),
		0);
	cr_expect(str_eq(parsed.time, STR("yes")), "what users write is not taken for a member");
}

Test(chain, names_tell_time_and_number)
{
	static const char *const bad[] = {"audit.log",
					  "audit-20261122T101112Z.log",
					  "audit-1-2.log",
					  "audit-20261122T101112Z-00000000000x.log",
					  "xaudit-20261122T101112Z-000000000001.log",
					  "audit-20261122T101112Z-000000000001.log.gz",
					  ""};
	char name[CHAIN_NAME_MAX];
	uint64_t seq = 0;

	chain_file_name(STR("2026-11-22T10:11:12.345Z"), 42, name);
	cr_expect_str_eq(name, "audit-20261122T101112Z-000000000042.log");
	cr_expect(chain_file_seq(name, &seq) == 0 && seq == 42);
	chain_file_name(STR("2026-11-22T10:11:12.345Z"), 12345678901234567ull, name);
	cr_expect(chain_file_seq(name, &seq) == 0 && seq == 12345678901234567ull);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_expect_eq(chain_file_seq(bad[i], &seq), E_SYNTAX, "%s", bad[i]);
}
