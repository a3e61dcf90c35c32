/* proto/uuid */
#include <criterion/criterion.h>
#include "proto/uuid.h"

Test(uuid, parse)
{
	static const struct {
		const char *in;
		bool ok;
	} rows[] = {
		{"00112233-4455-6677-8899-aabbccddeeff", true},
		{"00112233-4455-6677-8899-AABBCCDDEEFF", true},
		{"ffffffff-ffff-ffff-ffff-ffffffffffff", true},
		{"00000000-0000-0000-0000-000000000000", true},
		{"", false},
		{"1-1-1-1-1", false}, /* Java takes it; no client sends it */
		{"00112233445566778899aabbccddeeff", false},
		{"{0112233-4455-6677-8899-aabbccddeef}", false},
		{"00112233-4455-6677-8899-aabbccddeef", false},
		{"00112233-4455-6677-8899-aabbccddeefff", false},
		{"00112233-4455-6677-8899-aabbccddeefg", false},
		{"00112233-4455-6677-8899-aabbccddee f", false},
		{"0011223-34455-6677-8899-aabbccddeeff", false},
		{"00112233_4455_6677_8899_aabbccddeeff", false},
		{"00112233-4455-6677-8899-aabbccddee\xc3\xbf", false},
		{"-0112233-4455-6677-8899-aabbccddeeff", false},
		{"00112233-4455-6677-8899-aabbccddee@`", false},
		{"00112233-4455-6677-8899-aabbccddee/:", false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t id[16] = {0};
		int r = uuid_parse(str_from(rows[i].in), id);
		cr_expect_eq(r, rows[i].ok ? 0 : E_SYNTAX, "%s", rows[i].in);
	}
	uint8_t id[16];
	cr_expect_eq(uuid_parse((struct str){"00112233-4455-6677-8899-aabbccddee\0f", 36}, id),
		     E_SYNTAX);
	cr_expect_eq(uuid_parse(STR_NONE, id), E_SYNTAX);
}

Test(uuid, text_is_lower_case_and_parses_back)
{
	static const uint8_t want[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
					 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	char buf[UUID_TEXT];
	uint8_t id[16];

	cr_assert_eq(uuid_parse(STR("00112233-4455-6677-8899-AABBccddEEff"), id), 0);
	cr_expect_eq(memcmp(id, want, 16), 0);
	cr_expect_str_eq(uuid_text(id, buf), "00112233-4455-6677-8899-aabbccddeeff");
	for (unsigned i = 0; i < 256; i++) {
		uint8_t in[16], out[16];
		for (unsigned k = 0; k < 16; k++)
			in[k] = (uint8_t)(i * 31 + k * 17);
		cr_assert_eq(uuid_parse(str_from(uuid_text(in, buf)), out), 0);
		cr_expect_eq(memcmp(in, out, 16), 0);
	}
}
