/* proto/grpc */
#include <criterion/criterion.h>
#include "proto/grpc.h"

Test(grpc, prefix)
{
	uint8_t p[GRPC_PREFIX];
	struct grpc_prefix got;
	static const uint32_t lengths[] = {0, 1, 255, 256, 65536, GRPC_MESSAGE_MAX, UINT32_MAX};

	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		grpc_prefix_put(p, lengths[i]);
		cr_assert_eq(grpc_prefix_get(p, &got), 0);
		cr_expect(!got.compressed && got.length == lengths[i]);
	}
	cr_assert_eq(grpc_prefix_get((const uint8_t *)"\1\x01\x02\x03\x04", &got), 0);
	cr_expect(got.compressed && got.length == 0x01020304);
	for (unsigned flag = 2; flag < 256; flag++) {
		p[0] = (uint8_t)flag;
		cr_expect_eq(grpc_prefix_get(p, &got), E_SYNTAX, "flag %u", flag);
	}
}

Test(grpc, counter_agrees_for_every_split)
{
	static const uint8_t in[] = "\0\0\0\0\3abc"
				    "\0\0\0\0\0"
				    "\1\0\0\0\1z"
				    "\0\0\0\0\2de"
				    "\0\0\0";
	const size_t n = sizeof in - 1;

	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			struct grpc_counter c = {0};
			grpc_count(&c, in, a);
			grpc_count(&c, in + a, b - a);
			grpc_count(&c, in + b, n - b);
			cr_assert_eq(c.messages, 4, "split %zu %zu", a, b);
			cr_assert(!grpc_count_at_boundary(&c));
		}
	}
	for (size_t k = 0; k <= n; k++) {
		struct grpc_counter c = {0};
		bool boundary = k == 0 || k == 8 || k == 13 || k == 19 || k == 26;
		grpc_count(&c, in, k);
		cr_expect_eq(grpc_count_at_boundary(&c), boundary, "after %zu", k);
	}
}

Test(grpc, counter_holds_4_gib)
{
	static const uint8_t chunk[1 << 16];
	struct grpc_counter c = {0};

	grpc_count(&c, (const uint8_t *)"\0\xff\xff\xff\xff", 5);
	for (unsigned i = 0; i < 65535; i++)
		grpc_count(&c, chunk, sizeof chunk);
	cr_expect(!grpc_count_at_boundary(&c) && c.messages == 1 && c.left == 65535);
	grpc_count(&c, chunk, 65535);
	cr_expect(grpc_count_at_boundary(&c));
}

Test(grpc, percent_encode)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"", ""},
		{"plain words, with (marks) ~!", "plain words, with (marks) ~!"},
		{"100%", "100%25"},
		{"a\nb\r\tc", "a%0Ab%0D%09c"},
		{"\x7f\x1f", "%7F%1F"},
		{"na\xc3\xafve", "na%C3%AFve"},
		{"\xe2\x82\xac", "%E2%82%AC"},
	};
	struct arena *a = arena_new(1024, 1 << 16);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str got = grpc_percent_encode(a, str_from(rows[i].in));
		cr_assert_not_null(got.p);
		cr_expect_str_eq(got.p, rows[i].want);
		cr_expect_eq(got.n, strlen(rows[i].want));
	}
	struct str nul = grpc_percent_encode(a, (struct str){"a\0b", 3});
	cr_expect_str_eq(nul.p, "a%00b");
	arena_free(&a);
}

Test(grpc, percent_encode_out_of_memory)
{
	struct arena *a = arena_new(256, 1024);
	static char big[600];

	memset(big, '%', sizeof big);
	cr_expect_null(grpc_percent_encode(a, (struct str){big, sizeof big}).p);
	cr_expect(arena_failed(a));
	arena_free(&a);
}

Test(grpc, content_type)
{
	static const struct {
		const char *in;
		bool want;
	} rows[] = {
		{"application/grpc", true},
		{"application/grpc+proto", true},
		{"application/grpc;charset=utf-8", true},
		{"Application/GRPC+proto", true},
		{"application/grpc-web", false},
		{"application/grpc-web+proto", false},
		{"application/grpcx", false},
		{"application/grp", false},
		{"text/html", false},
		{" application/grpc", false},
		{"", false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_expect_eq(grpc_is_content_type(str_from(rows[i].in)), rows[i].want, "%s",
			     rows[i].in);
	cr_expect_not(grpc_is_content_type(STR_NONE));
}

Test(grpc, codes)
{
	static const struct {
		unsigned from;
		enum grpc_code to;
	} http[] =
		{
			{400, GRPC_INTERNAL},	       {401, GRPC_UNAUTHENTICATED},
			{403, GRPC_PERMISSION_DENIED}, {404, GRPC_UNIMPLEMENTED},
			{429, GRPC_UNAVAILABLE},       {502, GRPC_UNAVAILABLE},
			{503, GRPC_UNAVAILABLE},       {504, GRPC_UNAVAILABLE},
			{200, GRPC_UNKNOWN},	       {301, GRPC_UNKNOWN},
			{500, GRPC_UNKNOWN},
		},
	  rst[] = {
		  {0, GRPC_INTERNAL},		{1, GRPC_INTERNAL},
		  {2, GRPC_INTERNAL},		{3, GRPC_INTERNAL},
		  {4, GRPC_INTERNAL},		{5, GRPC_INTERNAL},
		  {6, GRPC_INTERNAL},		{7, GRPC_UNAVAILABLE},
		  {8, GRPC_CANCELLED},		{9, GRPC_INTERNAL},
		  {10, GRPC_INTERNAL},		{11, GRPC_RESOURCE_EXHAUSTED},
		  {12, GRPC_PERMISSION_DENIED}, {13, GRPC_INTERNAL},
		  {0xffffffff, GRPC_INTERNAL},
	  };

	for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
		cr_expect_eq(grpc_code_from_http(http[i].from), http[i].to, "%u", http[i].from);
	for (size_t i = 0; i < sizeof rst / sizeof rst[0]; i++)
		cr_expect_eq(grpc_code_from_rst(rst[i].from), rst[i].to, "%u", rst[i].from);
	cr_expect_str_eq(grpc_code_name(0), "OK");
	cr_expect_str_eq(grpc_code_name(2), "UNKNOWN");
	cr_expect_str_eq(grpc_code_name(14), "UNAVAILABLE");
	cr_expect_str_eq(grpc_code_name(16), "UNAUTHENTICATED");
	cr_expect_str_eq(grpc_code_name(17), "UNKNOWN");
	cr_expect_eq(GRPC_UNAUTHENTICATED, 16, "the numbers are gRPC's");
}

Test(grpc, status_parse)
{
	static const struct {
		const char *in;
		int err;
		unsigned code;
	} rows[] = {
		{"0", 0, 0},	     {"14", 0, 14},	  {"16", 0, 16},	{"17", 0, 17},
		{"99", 0, 99},	     {"", E_SYNTAX, 0},	  {"100", E_SYNTAX, 0}, {"-1", E_SYNTAX, 0},
		{"+1", E_SYNTAX, 0}, {" 1", E_SYNTAX, 0}, {"1 ", E_SYNTAX, 0},	{"x", E_SYNTAX, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		unsigned code = 0;
		cr_expect_eq(grpc_status_parse(str_from(rows[i].in), &code), rows[i].err, "'%s'",
			     rows[i].in);
		cr_expect_eq(code, rows[i].code, "'%s'", rows[i].in);
	}
}
