/* proto/pat; the known values are Python's (zlib.crc32, hmac, integers of any size). */
#include <criterion/criterion.h>
#include "proto/pat.h"

static const char counting[] = "sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ"; /* of 0, 1, ... 31 */

Test(pat, known)
{
	static const struct {
		uint8_t random[PAT_RANDOM];
		const char *want;
	} rows[] = {
		{{0}, "sgw_0000000000000000000000000000003lzRGB"},
		{{[31] = 61}, "sgw_00000000000000000000000000000z1c2X33"},
		{{[30] = 1}, "sgw_00000000000000000000000000004830vfsv"},
		{{255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
		  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
		 "sgw_L1YmHWZWm8LLG7HjnuCA2j5rOw8Xp11voRQO"},
		{{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
		  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
		 counting},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char token[PAT_TEXT];
		pat_make(rows[i].random, token);
		cr_expect_str_eq(token, rows[i].want);
		cr_expect(pat_check(str_from(token)));
	}
}

Test(pat, check)
{
	static const struct {
		struct str token;
		bool looks, ok;
	} rows[] = {
		{STR("sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ"), true, true},
		{STR("sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFD"), true, false},
		{STR("sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ0"), true, false},
		{STR("sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ\n"), true, false},
		{STR("sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ="), true, false},
		{STR("sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFdQ"), true, false},
		{STR("sgw_cTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ"), true, false},
		{STR("sgw_TCQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ"), true, false},
		{STR("SGW_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ"), false, false},
		{STR("ghp_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFDQ"), false, false},
		{STR(" sgw_CTQj2uNU3MFagCXG9LRKRcwGkBIDlf18KFD"), false, false},
		{STR("sgw_0000000000000000000000000000000000000"), true, false},
		{STR("sgw_"), true, false},
		{STR("sgw"), false, false},
		{STR(""), false, false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_expect_eq(pat_looks_like(rows[i].token), rows[i].looks, "%s", rows[i].token.p);
		cr_expect_eq(pat_check(rows[i].token), rows[i].ok, "%s", rows[i].token.p);
	}
	cr_expect(!pat_check(STR_NONE) && !pat_looks_like(STR_NONE));
}

/* A checksum of 32 bits finds every change of one character, and of two next to each other. */
Test(pat, every_slip_is_found)
{
	for (size_t i = 0; i < PAT_LEN; i++) {
		char token[PAT_TEXT];
		struct str s = {token, PAT_LEN};
		memcpy(token, counting, sizeof token);
		for (int c = 0; c < 256; c++) {
			token[i] = (char)c;
			cr_expect_eq(pat_check(s), token[i] == counting[i], "%zu: %d", i, c);
		}
		if (i + 1 == PAT_LEN || counting[i] == counting[i + 1])
			continue;
		token[i] = counting[i + 1];
		token[i + 1] = counting[i];
		cr_expect(!pat_check(s), "%zu", i);
	}
}

Test(pat, characters_are_equally_likely)
{
	enum { ROUNDS = 2000 };
	unsigned seen[256] = {0};
	uint64_t x = 88172645463325252u;

	for (unsigned k = 0; k < ROUNDS; k++) {
		uint8_t random[PAT_RANDOM];
		char token[PAT_TEXT];
		for (size_t i = 0; i < sizeof random; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			random[i] = (uint8_t)(x >> 24);
		}
		pat_make(random, token);
		for (size_t i = 4; i < 34; i++)
			seen[(unsigned char)token[i]]++;
	}
	/* 968 of each are expected, give or take 31 */
	for (const char *p = "09AZaz5Mm"; *p != '\0'; p++)
		cr_expect(seen[(unsigned char)*p] > 780 && seen[(unsigned char)*p] < 1160, "%c: %u",
			  *p, seen[(unsigned char)*p]);
}

Test(pat, digest)
{
	static const uint8_t want[PAT_DIGEST] = {0xba, 0x23, 0x4d, 0x10, 0xf5, 0x0c, 0xce, 0x52,
						 0xfd, 0xb3, 0xb7, 0x3f, 0xce, 0x9b, 0x80, 0x3a,
						 0x6f, 0x27, 0x69, 0x3a, 0xfd, 0xe6, 0x49, 0x69,
						 0x25, 0xc2, 0x47, 0x57, 0xf2, 0x78, 0x2e, 0xe3};
	uint8_t pepper[PAT_PEPPER], digest[PAT_DIGEST], other[PAT_DIGEST];

	for (unsigned i = 0; i < sizeof pepper; i++)
		pepper[i] = (uint8_t)(100 + i);
	cr_assert_eq(pat_digest(pepper, str_from(counting), digest), 0);
	cr_expect_eq(memcmp(digest, want, sizeof want), 0);
	pepper[31] ^= 1;
	cr_assert_eq(pat_digest(pepper, str_from(counting), other), 0);
	cr_expect_neq(memcmp(digest, other, sizeof other), 0);
}
