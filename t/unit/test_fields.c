/* proto/fields */
#include <criterion/criterion.h>
#include "proto/fields.h"

#define N(rows) (sizeof(rows) / sizeof(rows)[0])

struct row {
	const char *in;
	bool want;
};

static void
check(const struct row *rows, size_t n, bool (*ok)(struct str))
{
	for (size_t i = 0; i < n; i++)
		cr_expect_eq(ok(str_from(rows[i].in)), rows[i].want, "row %zu: '%s'", i,
			     rows[i].in);
	cr_expect_not(ok((struct str){"a\0b", 3}), "NUL");
}

Test(fields, name)
{
	static const struct {
		const char *in;
		enum field_name want;
		bool request, response;
	} rows[] = {
		{":method", FIELD_METHOD, false, false},
		{":scheme", FIELD_SCHEME, false, false},
		{":authority", FIELD_AUTHORITY, false, false},
		{":path", FIELD_PATH, false, false},
		{":status", FIELD_STATUS, false, false},
		{"content-type", FIELD_CONTENT_TYPE, false, true},
		{"te", FIELD_TE, false, false},
		{"host", FIELD_HOST, false, false},
		{"authorization", FIELD_AUTHORIZATION, false, false},
		{"authentication", FIELD_AUTHENTICATION, false, false},
		{"grpc-timeout", FIELD_GRPC_TIMEOUT, false, false},
		{"grpc-encoding", FIELD_GRPC_ENCODING, true, true},
		{"grpc-status", FIELD_GRPC_STATUS, false, true},
		{"grpc-message", FIELD_GRPC_MESSAGE, false, true},
		{"grpc-status-details-bin", FIELD_GRPC_STATUS_DETAILS, false, true},
		{"content-length", FIELD_CONTENT_LENGTH, false, false},
		{"cookie", FIELD_COOKIE, true, false},
		{"connection", FIELD_HOP_BY_HOP, false, false},
		{"keep-alive", FIELD_HOP_BY_HOP, false, false},
		{"proxy-connection", FIELD_HOP_BY_HOP, false, false},
		{"proxy-authorization", FIELD_HOP_BY_HOP, false, false},
		{"proxy-authenticate", FIELD_HOP_BY_HOP, false, false},
		{"transfer-encoding", FIELD_HOP_BY_HOP, false, false},
		{"upgrade", FIELD_HOP_BY_HOP, false, false},
		{"trailer", FIELD_HOP_BY_HOP, false, false},
		{"http2-settings", FIELD_HOP_BY_HOP, false, false},
		{"grpc-accept-encoding", FIELD_OTHER, true, true},
		{"user-agent", FIELD_OTHER, true, true},
		{"x-doordash-team", FIELD_OTHER, true, true},
		{"trace-bin", FIELD_OTHER, true, true},
		{"t", FIELD_OTHER, true, true},
		{"traceparent", FIELD_TRACEPARENT, false, true},
		{"tracestate", FIELD_TRACESTATE, true, true},
		{"spark-connect-operation-id", FIELD_OPERATION_ID, true, true},
		{"tf", FIELD_OTHER, true, true},
		{"", FIELD_OTHER, true, true},
		{"Host", FIELD_OTHER, true, true}, /* never comes: HTTP/2 names are lower case */
		{"grpc-status-details-binx", FIELD_OTHER, true, true},
	};

	for (size_t i = 0; i < N(rows); i++) {
		enum field_name got = fields_name(str_from(rows[i].in));
		cr_expect_eq(got, rows[i].want, "%s", rows[i].in);
		cr_expect_eq(fields_forward_request(got), rows[i].request, "%s", rows[i].in);
		cr_expect_eq(fields_forward_response(got), rows[i].response, "%s", rows[i].in);
	}
}

Test(fields, path_ok)
{
	static const struct row rows[] = {
		{"/a/b", true},	       {"/spark.connect.SparkConnectService/Config", true},
		{"/prefix/a/b", true}, {"", false},
		{"/", false},	       {"/a", false},
		{"/a/", false},	       {"//b", false},
		{"/a//b", false},      {"a/b", false},
		{"*", false},	       {"/a/../b", false},
		{"/a/b..", false},     {"/a/b#c", false},
		{"/a/b?c", false},     {"/a/b c", false},
		{"/a/b\x7f", false},   {"/a/\xc3\xa4", false},
		{"/a/b\n", false},     {"http://a/b", false},
	};

	check(rows, N(rows), fields_path_ok);
}

Test(fields, authority)
{
	static const struct {
		const char *in;
		bool ok;
		const char *host;
	} rows[] = {
		{"example.com", true, "example.com"},
		{"example.com:443", true, "example.com"},
		{"Example.COM.", true, "Example.COM"},
		{"example.com.:1", true, "example.com"},
		{"localhost:65535", true, "localhost"},
		{"10.0.0.5:15002", true, "10.0.0.5"},
		{"[::1]", true, "::1"},
		{"[::1]:15002", true, "::1"},
		{"[2001:DB8::5]:1", true, "2001:DB8::5"},
		{"under_score-1", true, "under_score-1"},
		{"", false, NULL},
		{":443", false, NULL},
		{"a:", false, NULL},
		{"a:0", false, NULL},
		{"a:65536", false, NULL},
		{"a:000443", false, NULL},
		{"a:44x", false, NULL},
		{"a:+44", false, NULL},
		{"a:1:2", false, NULL},
		{"::1", false, NULL},
		{"user@a", false, NULL},
		{"user:pw@a:1", false, NULL},
		{"a/b", false, NULL},
		{"a b", false, NULL},
		{"a,b", false, NULL},
		{".a", false, NULL},
		{"a%20b", false, NULL},
		{"\xc3\xa4", false, NULL},
		{"[::1", false, NULL},
		{"[::1]x", false, NULL},
		{"[::1]x:1", false, NULL},
		{"[]", false, NULL},
		{"[g::1]", false, NULL},
		{"[::1%eth0]", false, NULL},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct str s = str_from(rows[i].in), host = fields_authority_host(s);
		cr_expect_eq(fields_authority_ok(s), rows[i].ok, "%s", rows[i].in);
		if (rows[i].host != NULL)
			cr_expect(str_eq(host, str_from(rows[i].host)), "%s", rows[i].in);
	}
	char longest[256];
	memset(longest, 'a', sizeof longest);
	cr_expect(fields_authority_ok((struct str){longest, 254}));
	cr_expect_not(fields_authority_ok((struct str){longest, 255}));
	cr_expect_not(fields_authority_ok((struct str){"a\0b", 3}));
	cr_expect_not(fields_authority_ok(STR_NONE));
}

Test(fields, bearer)
{
	static const struct {
		const char *in, *want;
	} rows[] = {
		{"Bearer abc", "abc"},
		{"bearer abc", "abc"},
		{"BEARER a=", "a="},
		{"Bearer  abc", " abc"},
		{"Bearer\tabc", NULL},
		{"Bearer ", NULL},
		{"Bearer", NULL},
		{"Bearerabc", NULL},
		{"Basic abc", NULL},
		{" Bearer abc", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct str got = fields_bearer(str_from(rows[i].in));
		cr_expect_eq(got.p == NULL, rows[i].want == NULL, "'%s'", rows[i].in);
		cr_expect(str_eq(got, str_from(rows[i].want)), "'%s'", rows[i].in);
	}
	cr_expect_null(fields_bearer(STR_NONE).p);
}

Test(fields, token_ok)
{
	static const struct row rows[] = {
		{"abc", true},	 {"a.b-c_d~e+f/g==", true}, {"=", false},   {"a=b", false},
		{" abc", false}, {"abc ", false},	    {"a,b", false}, {"a b", false},
		{"", false},	 {"\xc3\xa4", false},	    {"a\n", false},
	};

	check(rows, N(rows), fields_token_ok);
	cr_expect_not(fields_token_ok((struct str){"a\0", 2}));
}
