/* The names in a certificate: which are taken, and what spoils a certificate. */
#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include "lib/cert.h"

struct name {
	int type;
	const char *text;
	int n; /* -1: to the NUL */
};

struct row {
	const char *about;
	struct name names[6];
	enum cert_kind kind;
	int rc;
	const char *wanted; /* joined by blanks */
};

#define TEN	 "0123456789"
#define FIFTY	 TEN TEN TEN TEN TEN
#define LONG_255 FIFTY FIFTY FIFTY FIFTY FIFTY "abcde"

static const struct row rows[] = {
	{"nothing", {{0}}, CERT_URI, 0, ""},
	{"one of each",
	 {{GEN_DNS, "a.test", -1}, {GEN_EMAIL, "a@b.test", -1}, {GEN_URI, "spiffe://t/a", -1}},
	 CERT_URI,
	 0,
	 "spiffe://t/a"},
	{"others only", {{GEN_DNS, "a.test", -1}}, CERT_EMAIL, 0, ""},
	{"in their order",
	 {{GEN_DNS, "z.test", -1}, {GEN_URI, "u:1", -1}, {GEN_DNS, "*.A.test", -1}},
	 CERT_DNS,
	 0,
	 "z.test *.A.test"},
	{"email", {{GEN_EMAIL, "a@b.test", -1}}, CERT_EMAIL, 0, "a@b.test"},
	{"as long as allowed", {{GEN_URI, LONG_255, -1}}, CERT_URI, 0, LONG_255},
	{"too long", {{GEN_URI, LONG_255 "8", -1}}, CERT_URI, E_LIMIT, NULL},
	{"a NUL within", {{GEN_DNS, "good.test\0.bad.test", 19}}, CERT_DNS, E_SYNTAX, NULL},
	{"a NUL at the end", {{GEN_DNS, "good.test", 10}}, CERT_DNS, E_SYNTAX, NULL},
	{"a NUL in the second",
	 {{GEN_URI, "u:1", -1}, {GEN_URI, "u:2\0", 4}},
	 CERT_URI,
	 E_SYNTAX,
	 NULL},
	{"empty", {{GEN_EMAIL, "", 0}}, CERT_EMAIL, E_SYNTAX, NULL},
	{"a blank", {{GEN_EMAIL, "a b@c.test", -1}}, CERT_EMAIL, E_SYNTAX, NULL},
	{"a line's end", {{GEN_URI, "u:1\nuser=root", -1}}, CERT_URI, E_SYNTAX, NULL},
	{"not ASCII", {{GEN_DNS, "\303\251.test", -1}}, CERT_DNS, E_SYNTAX, NULL},
	{"a spoilt one of another kind",
	 {{GEN_DNS, "good.test\0.bad.test", 19}, {GEN_URI, "u:1", -1}},
	 CERT_URI,
	 0,
	 "u:1"},
};

static void
add_name(GENERAL_NAMES *names, int type, const char *text, int n)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();

	cr_assert(ASN1_STRING_set(value, text, n) == 1);
	GENERAL_NAME_set0_value(name, type, value);
	sk_GENERAL_NAME_push(names, name);
}

static void
add_all(X509 *x, GENERAL_NAMES *names, unsigned long how)
{
	cr_assert(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, how) == 1);
	GENERAL_NAMES_free(names);
}

static void
check(const struct row *r)
{
	struct arena *arena = arena_new(256, 65536);
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	X509 *x = X509_new();
	char got[600] = "";
	struct str *list;
	unsigned count = 77;

	for (const struct name *n = r->names; n->text != NULL; n++)
		add_name(names, n->type, n->text, n->n);
	if (r->names[0].text != NULL)
		add_all(x, names, 0);
	else
		GENERAL_NAMES_free(names);
	cr_expect_eq(cert_names(x, r->kind, arena, &list, &count), r->rc, "%s", r->about);
	cr_expect(r->rc == 0 || count == 77, "%s", r->about);
	for (unsigned i = 0, at = 0; r->rc == 0 && i < count; i++)
		at += (unsigned)snprintf(got + at, sizeof(got) - at, "%s%.*s", i > 0 ? " " : "",
					 STR_ARG(list[i]));
	cr_expect(r->rc != 0 || strcmp(got, r->wanted) == 0, "%s: %s", r->about, got);
	X509_free(x);
	arena_free(&arena);
}

Test(cert, names)
{
	cr_assert_eq(strlen(LONG_255), 255);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(&rows[i]);
	cr_expect_eq(ERR_peek_error(), 0);
}

static int
read_many(int count, struct arena *arena, bool twice)
{
	X509 *x = X509_new();
	struct str *list;
	unsigned got = 0;

	for (int k = 0; k < 1 + twice; k++) {
		GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

		for (int i = 0; i < count; i++)
			add_name(names, GEN_DNS, "a.test", -1);
		add_all(x, names, X509V3_ADD_APPEND);
	}
	int rc = cert_names(x, CERT_DNS, arena, &list, &got);
	cr_expect(rc != 0 || got == (unsigned)count);
	X509_free(x);
	return rc;
}

Test(cert, too_many_twice_or_no_memory)
{
	struct arena *arena = arena_new(256, 65536), *small = arena_new(256, 1024);

	cr_expect_eq(read_many(CERT_NAMES_MAX, arena, false), 0);
	cr_expect_eq(read_many(CERT_NAMES_MAX + 1, arena, false), E_LIMIT);
	cr_expect_eq(read_many(1, arena, true), E_SYNTAX, "two extensions contradict each other");
	cr_expect_eq(read_many(200, small, false), E_NOMEM);
	cr_expect_eq(ERR_peek_error(), 0);
	arena_free(&arena);
	arena_free(&small);
}

Test(cert, malformed_extension)
{
	struct arena *arena = arena_new(256, 65536);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509 *x = X509_new();
	struct str *list;
	unsigned count;

	cr_assert(ASN1_STRING_set(value, "\x30\x05\x82\x09", 4) == 1);
	X509_EXTENSION *e = X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, value);
	cr_assert(X509_add_ext(x, e, -1) == 1);
	cr_expect_eq(cert_names(x, CERT_DNS, arena, &list, &count), E_SYNTAX);
	cr_expect_eq(ERR_peek_error(), 0);
	X509_EXTENSION_free(e);
	ASN1_OCTET_STRING_free(value);
	X509_free(x);
	arena_free(&arena);
}

Test(cert, expires)
{
	static const struct {
		const char *end;
		uint64_t ms;
	} ends[] = {
		{"20330518033320Z", 2000000000000},
		{"99991231235959Z", 253402300799000},
		{"19700101000001Z", 1000},
		{"19500101000000Z", 1},
	};
	uint64_t ms = 7;
	X509 *x = X509_new();

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		cr_assert(ASN1_TIME_set_string_X509(X509_getm_notAfter(x), ends[i].end) == 1);
		cr_expect_eq(cert_expires_ms(x, &ms), 0);
		cr_expect_eq(ms, ends[i].ms, "%s: %llu", ends[i].end, (unsigned long long)ms);
	}
	X509_free(x);
}
