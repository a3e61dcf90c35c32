/* proto/wire: varints, tags and fields, whole and cut short. */
#include <criterion/criterion.h>
#include "proto/wire.h"

#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

Test(wire, varint)
{
	static const struct {
		const char *in;
		size_t n;
		int used;
		uint64_t value;
	} rows[] = {
		{"\x00", 1, 1, 0},
		{"\x7f", 1, 1, 127},
		{"\x80\x01", 2, 2, 128},
		{"\x80\x00", 2, 2, 0}, /* longer than needed, one meaning all the same */
		{"\xac\x02\xff", 3, 2, 300},
		{"\xff\xff\xff\xff\x0f", 5, 5, UINT32_MAX},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, 10, UINT64_MAX},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, E_SYNTAX, 0}, /* 65 bits */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, E_SYNTAX, 0},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, E_SYNTAX, 0},
		{"", 0, 0, 0},
		{"\x80", 1, 0, 0},
		{"\x80\x80\x80\x80\x80\x80\x80\x80\x80", 9, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint64_t v = 0;
		int used = wire_varint((const uint8_t *)rows[i].in, rows[i].n, &v);
		cr_expect_eq(used, rows[i].used, "row %zu: %d", i, used);
		cr_expect_eq(v, rows[i].value, "row %zu: value", i);
	}
}

Test(wire, tag)
{
	static const struct {
		const char *in;
		size_t n;
		int used;
		uint32_t field;
		int type;
	} rows[] = {
		{"\x0a", 1, 1, 1, WIRE_LEN},
		{"\x12", 1, 1, 2, WIRE_LEN},
		{"\x92\x00", 2, 2, 2, WIRE_LEN}, /* field 2 in disguise is field 2 */
		{"\x92\x80\x80\x80\x00", 5, 5, 2, WIRE_LEN},
		{"\x92\x80\x80\x80\x80\x00", 6, E_SYNTAX, 0, 0},
		{"\x92\x80\x80\x80\x10", 5, E_SYNTAX, 0, 0}, /* 2 again for who cuts at 32 bits */
		{"\x92\x80\x80\x80\x80", 5, E_SYNTAX, 0, 0},
		{"\x92\x80\x80\x80", 4, 0, 0, 0},
		{"\x08", 1, 1, 1, WIRE_VARINT},
		{"\x09", 1, 1, 1, WIRE_I64},
		{"\x0d", 1, 1, 1, WIRE_I32},
		{"\x0b", 1, E_SYNTAX, 0, 0}, /* groups */
		{"\x0c", 1, E_SYNTAX, 0, 0},
		{"\x0e", 1, E_SYNTAX, 0, 0},
		{"\x0f", 1, E_SYNTAX, 0, 0},
		{"\x02", 1, E_SYNTAX, 0, 0}, /* field 0 */
		{"\xba\x3e", 2, 2, 999, WIRE_LEN},
		{"\xfa\xff\xff\xff\x0f", 5, 5, (1u << 29) - 1, WIRE_LEN},
		{"", 0, 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint32_t field = 0;
		enum wire_type type = 0;
		int used = wire_tag((const uint8_t *)rows[i].in, rows[i].n, &field, &type);
		cr_expect_eq(used, rows[i].used, "row %zu: %d", i, used);
		cr_expect_eq(field, rows[i].field, "row %zu: field %u", i, field);
		cr_expect_eq((int)type, rows[i].type, "row %zu: type", i);
	}
}

Test(wire, head_says_what_follows)
{
	static const struct {
		const char *in;
		size_t n;
		int used;
		uint64_t value, length;
	} rows[] = {
		{"\x0a\x05", 2, 2, 5, 5},
		{"\x0a", 1, 0, 0, 0},
		{"\x0a\x80", 2, 0, 0, 0},
		{"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, 11, UINT64_MAX, UINT64_MAX},
		{"\x08\x96\x01", 3, 3, 150, 0},
		{"\x08\x96", 2, 0, 0, 0},
		{"\x09", 1, 1, 0, 8},
		{"\x0d", 1, 1, 0, 4},
		{"\x0b\x00", 2, E_SYNTAX, 0, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct wire_head h = {0};
		int used = wire_head((const uint8_t *)rows[i].in, rows[i].n, &h);
		cr_expect_eq(used, rows[i].used, "row %zu: %d", i, used);
		cr_expect_eq(h.value, rows[i].value, "row %zu: value", i);
		cr_expect_eq(h.length, rows[i].length, "row %zu: length", i);
	}
}

Test(wire, cursor_reads_every_type)
{
	static const char in[] = "\x0a\x03"
				 "abc"
				 "\x10\x96\x01"
				 "\x1d\x01\x02\x03\x04"
				 "\x21\x01\x00\x00\x00\x00\x00\x00\x80"
				 "\x2a\x00";
	struct wire_cursor c = {(const uint8_t *)in, (const uint8_t *)in + sizeof in - 1};
	struct wire_field f;

	cr_assert_eq(wire_next(&c, &f), 1);
	cr_expect(f.number == 1 && f.type == WIRE_LEN && str_eq(f.bytes, STR("abc")));
	cr_expect_eq(f.start, (const uint8_t *)in);
	cr_assert_eq(wire_next(&c, &f), 1);
	cr_expect(f.number == 2 && f.type == WIRE_VARINT && f.value == 150);
	cr_assert_eq(wire_next(&c, &f), 1);
	cr_expect(f.number == 3 && f.type == WIRE_I32 && f.value == 0x04030201);
	cr_assert_eq(wire_next(&c, &f), 1);
	cr_expect(f.number == 4 && f.type == WIRE_I64 && f.value == 0x8000000000000001);
	cr_assert_eq(wire_next(&c, &f), 1);
	cr_expect(f.number == 5 && f.bytes.p != NULL && f.bytes.n == 0);
	cr_expect_eq(wire_next(&c, &f), 0);
	cr_expect_eq(wire_next(&c, &f), 0, "the end stays the end");
}

Test(wire, cursor_refuses_what_is_cut_short)
{
	static const struct {
		const uint8_t *p;
		size_t n;
	} rows[] = {
		{BYTES("\x0a")},
		{BYTES("\x0a\x02z")},
		{BYTES("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01z")},
		{BYTES("\x08")},
		{BYTES("\x08\x80")},
		{BYTES("\x0d\x01\x02\x03")},
		{BYTES("\x09\x01\x02\x03\x04\x05\x06\x07")},
		{BYTES("\x80")},
		{BYTES("\x13\x14")},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct wire_cursor c = {rows[i].p, rows[i].p + rows[i].n};
		struct wire_field f;
		cr_expect_eq(wire_next(&c, &f), E_SYNTAX, "row %zu", i);
	}
}

Test(wire, what_is_put_is_read_back)
{
	static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
	uint8_t buf[64];

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		uint64_t v = 0;
		uint8_t *end = wire_put_varint(buf, buf + sizeof buf, values[i]);
		cr_assert_not_null(end);
		cr_expect_eq(wire_varint(buf, (size_t)(end - buf), &v), end - buf);
		cr_expect_eq(v, values[i]);
		cr_expect_null(wire_put_varint(buf, end - 1, values[i]), "one byte too few");
	}
	for (size_t n = 0; n <= 32; n++) {
		struct str bytes = {"0123456789abcdef0123456789abcdef", n};
		size_t size = wire_len_size(999, n);
		uint8_t *end = wire_put_len(buf, buf + size, 999, bytes);
		struct wire_cursor c = {buf, end};
		struct wire_field f;
		cr_assert_eq(end, buf + size, "the size is exact");
		cr_expect_eq(wire_next(&c, &f), 1);
		cr_expect(f.number == 999 && str_eq(f.bytes, bytes));
		cr_expect_null(wire_put_len(buf, buf + size - 1, 999, bytes));
	}
	cr_expect_null(wire_put_len(NULL, NULL, 1, STR("x")), "a failure is passed on");
	cr_expect_null(wire_put_varint(NULL, NULL, 1));
}
