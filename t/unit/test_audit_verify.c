/*
 * The audit file: what the verifier finds when somebody else was at it.
 */
#include "shm/chain.h"
#include "t/unit/audit_rig.h"

TestSuite(audit_verify, .init = rig_make, .fini = rig_drop, .timeout = 60);

static void
remove_bytes(char *from, char *to)
{
	memmove(from, to, rig_text_n - (size_t)(to - rig_text) + 1);
	rig_text_n -= (size_t)(to - from);
}

static void
insert(char *at, const char *words)
{
	size_t n = strlen(words);

	memmove(at + n, at, rig_text_n - (size_t)(at - rig_text) + 1);
	memcpy(at, words, n);
	rig_text_n += n;
}

/* Two sealed files of 11 records each, and one that is written. */
static void
make_three(void)
{
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(rig_write_lines(10), 0);
		if (i < 2)
			rig_rotate();
	}
}

static void
expect_wrong(const char *path, uint64_t line, const char *words)
{
	struct audit_verdict v = rig_verify(path);

	cr_expect(strstr(v.words, words) != NULL && v.line == line,
		  "line %llu: %s, wanted %llu: %s", (unsigned long long)v.line, v.words,
		  (unsigned long long)line, words);
}

Test(audit_verify, one_flipped_byte_is_found_wherever_it_is)
{
	const char *path;
	char copy[sizeof(rig_text)];
	unsigned line = 1, found = 0;
	size_t n;

	make_three();
	path = rig_sealed(0);
	rig_load(path);
	n = rig_text_n;
	memcpy(copy, rig_text, n);
	for (size_t i = 0; i < n; i++) {
		struct audit_verdict v;

		rig_text[i] ^= 1;
		rig_save(path);
		v = rig_verify(path);
		found += v.words[0] != '\0' && v.line >= line - (copy[i] == '\n') &&
			 v.line <= line + 1;
		memcpy(rig_text, copy, n);
		line += copy[i] == '\n';
	}
	cr_expect_eq(found, n, "%u of %zu", found, n);
}

Test(audit_verify, lines_that_are_gone_are_found)
{
	const char *path;
	char copy[sizeof(rig_text)];
	size_t n;

	make_three();
	path = rig_sealed(0);
	rig_load(path);
	n = rig_text_n;
	memcpy(copy, rig_text, n);
	for (unsigned line = 1; line <= 12; line++) {
		char *p = rig_line_at(line);

		remove_bytes(p, strchr(p, '\n') + 1);
		rig_save(path);
		if (line == 1)
			expect_wrong(path, 1, "cut: what comes before it is missing");
		else if (line == 11)
			expect_wrong(path, 11, "removed: before the seal, records up to 11");
		else if (line == 12)
			expect_wrong(path, 0, "cut: the seal is missing");
		else
			expect_wrong(path, line, "removed: before it, records");
		memcpy(rig_text, copy, n + 1);
		rig_text_n = n;
	}
	rig_text_n -= 300;
	rig_save(path);
	cr_expect(strstr(rig_verify(path).words, "cut") != NULL);
}

Test(audit_verify, lines_that_came_in_are_found)
{
	const char *path;
	char forged[512], copy[sizeof(rig_text)];
	struct chain *chain = chain_new();
	size_t n;

	make_three();
	path = rig_sealed(0);
	rig_load(path);
	n = rig_text_n;
	memcpy(copy, rig_text, n + 1);
	insert(rig_line_at(4), "{\"seq\":4,\"chain\":\"00000000000000000000000000000000\"}\n");
	rig_save(path);
	expect_wrong(path, 4, "inserted");
	memcpy(rig_text, copy, n + 1);
	rig_text_n = n;
	str_copy(forged, sizeof(forged),
		 (struct str){rig_line_at(5), (size_t)(rig_line_at(6) - rig_line_at(5))});
	insert(rig_line_at(8), forged); /* a true one, again */
	rig_save(path);
	expect_wrong(path, 8, "inserted");
	memcpy(rig_text, copy, n + 1);
	rig_text_n = n;
	insert(rig_text + rig_text_n, "{}\n");
	rig_save(path);
	expect_wrong(path, 13, "inserted: behind the seal");
	memcpy(rig_text, copy, n + 1);
	rig_text_n = n;
	insert(rig_line_at(6), "hello\n");
	rig_save(path);
	expect_wrong(path, 6, "inserted");
	chain_free(&chain);
}

/* Somebody who knows how it works, but has no key: the chain is right again. */
Test(audit_verify, a_file_that_was_written_anew_has_a_wrong_seal)
{
	struct chain *chain = chain_new();
	const char *path;
	char *p;

	make_three();
	path = rig_sealed(0);
	rig_load(path);
	p = strstr(rig_line_at(5), "\"n\":3");
	cr_assert_not_null(p);
	p[4] = '9';
	for (unsigned line = 1; line <= 11; line++) {
		size_t n;

		p = rig_line_at(line);
		n = (size_t)(strchr(p, '\n') - p) + 1 - CHAIN_TAIL;
		chain_add(chain, p, n, p + n);
	}
	p = strstr(rig_line_at(12), "\"chain\":\"") + 9;
	memcpy(p, chain_value(chain), CHAIN_HEX);
	rig_save(path);
	expect_wrong(path, 12, "the seal does not fit");
	chain_free(&chain);
}

Test(audit_verify, files_that_changed_places_are_found)
{
	struct audit_verdict a, b;
	char first[PATH_MAX + 300], second[PATH_MAX + 300];

	make_three();
	str_copy(first, sizeof(first), str_from(rig_sealed(0)));
	str_copy(second, sizeof(second), str_from(rig_sealed(1)));
	cr_assert_eq(rename(first, scratch_path("x")), 0);
	cr_assert_eq(rename(second, first), 0);
	cr_assert_eq(rename(scratch_path("x"), second), 0);
	a = rig_verify(first);
	cr_expect(strstr(a.words, "swapped") != NULL, "%s", a.words);
	b = rig_verify(second);
	cr_expect(strstr(b.words, "swapped") != NULL, "%s", b.words);
	b = rig_verify(rig_live());
	cr_assert_eq(audit_verify_file(second, rig_key, false, &a), 0);
	audit_verify_order(&a, &b);
	cr_expect(strstr(b.words, "removed: before it") != NULL, "%s", b.words);
}
