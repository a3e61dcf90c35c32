/* proto/jwt: what the gate lets through, and what it then says. Signatures: test_signature.c. */
#include <criterion/criterion.h>
#include <jansson.h>
#include "proto/jwt.h"
#include "t/unit/token_rig.h"

#define HEADER "{\"alg\":\"RS256\"}"
#define TEXT65 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define DEEP14 "[[[[[[[[[[[[[[]]]]]]]]]]]]]]"

TestSuite(jwt, .init = rig_open, .fini = rig_close);

/* The verdict; what was read is freed again. */
static int
gate(struct str token)
{
	struct jwt t = {.exp_s = 77};
	const char *why = NULL;
	int err = jwt_read(token, rig_arena, &t, &why);

	if (err == 0) {
		jwt_clear(&t);
		jwt_clear(&t);
		return 0;
	}
	cr_expect_not_null(why);
	cr_expect(t.exp_s == 77 && t.claims == NULL, "untouched");
	return err;
}

static int
gate_parts(const char *header, const char *claims)
{
	return gate(rig_token(header, claims, STR("signature")));
}

static struct jwt
read_claims(const char *claims)
{
	struct jwt t = {0};
	const char *why;

	cr_assert_eq(jwt_read(rig_token(HEADER, claims, STR("signature")), rig_arena, &t, &why), 0,
		     "%s", claims);
	return t;
}

Test(jwt, headers)
{
	static const struct {
		const char *header;
		int err;
	} rows[] = {
		{"{\"alg\":\"RS256\"}", 0},
		{"{\"alg\":\"RS384\"}", 0},
		{"{\"alg\":\"RS512\"}", 0},
		{"{\"alg\":\"PS256\"}", 0},
		{"{\"alg\":\"ES256\"}", 0},
		{"{\"alg\":\"ES384\"}", 0},
		{"{\"alg\":\"EdDSA\"}", 0},
		{" {\r\n \"alg\" : \"RS256\" } ", 0},
		{"{\"alg\":\"none\"}", E_SYNTAX},
		{"{\"alg\":\"NONE\"}", E_SYNTAX},
		{"{\"alg\":\"nOnE\"}", E_SYNTAX},
		{"{\"alg\":\"\"}", E_SYNTAX},
		{"{\"alg\":\"HS256\"}", E_SYNTAX},
		{"{\"alg\":\"HS512\"}", E_SYNTAX},
		{"{\"alg\":\"ES512\"}", E_SYNTAX},
		{"{\"alg\":\"ES256K\"}", E_SYNTAX},
		{"{\"alg\":\"RS1\"}", E_SYNTAX},
		{"{\"alg\":\"rs256\"}", E_SYNTAX},
		{"{\"alg\":\"RS256 \"}", E_SYNTAX},
		{"{\"alg\":\"RS256\\u0000\"}", E_SYNTAX},
		{"{\"alg\":256}", E_SYNTAX},
		{"{\"alg\":null}", E_SYNTAX},
		{"{\"alg\":[\"RS256\"]}", E_SYNTAX},
		{"{\"typ\":\"JWT\"}", E_SYNTAX},
		{"{}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"typ\":\"JWT\"}", 0},
		{"{\"alg\":\"RS256\",\"typ\":\"jwt\"}", 0},
		{"{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", 0},
		{"{\"alg\":\"RS256\",\"typ\":\"AT+JWT\"}", 0},
		{"{\"alg\":\"RS256\",\"typ\":\"application/at+jwt\"}", 0},
		{"{\"alg\":\"RS256\",\"typ\":\"Application/JWT\"}", 0},
		{"{\"alg\":\"RS256\",\"typ\":\"application/\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"typ\":\"dpop+jwt\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"typ\":\"logout+jwt\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"typ\":\"JWE\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"typ\":\"\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"typ\":null}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"kid\":\"k1\"}", 0},
		{"{\"alg\":\"RS256\",\"kid\":\"../../../../dev/null\"}", 0}, /* only compared */
		{"{\"alg\":\"RS256\",\"kid\":\"' OR 1=1 --\"}", 0},
		{"{\"alg\":\"RS256\",\"kid\":\"" TEXT65 "\"}", 0},
		{"{\"alg\":\"RS256\",\"kid\":\"" TEXT65 TEXT65 "\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"kid\":\"\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"kid\":7}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"kid\":\"a\\nb\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"kid\":\"a\\u0000b\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"crit\":[]}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"b64\":true}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"b64\":false}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"jku\":\"https://evil/keys\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"x5u\":\"https://evil/cert\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"x5c\":[\"MII\"]}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"x5t\":\"AA\",\"cty\":\"x\",\"other\":{\"a\":[1]}}", 0},
		{"{\"alg\":\"RS256\",\"alg\":\"RS256\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"alg\":\"none\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}", E_SYNTAX},
		{"{\"alg\":\"RS256\"}{}", E_SYNTAX},
		{"{\"alg\":\"RS256\"", E_SYNTAX},
		{"[\"alg\",\"RS256\"]", E_SYNTAX},
		{"\"RS256\"", E_SYNTAX},
		{"null", E_SYNTAX},
		{"\xef\xbb\xbf{\"alg\":\"RS256\"}", E_SYNTAX},
		{"{'alg':'RS256'}", E_SYNTAX},
		{"", E_SYNTAX},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_expect_eq(gate_parts(rows[i].header, RIG_CLAIMS), rows[i].err, "%s",
			     rows[i].header);
}

#define E "\"exp\":4000000000"
Test(jwt, claims)
{
	static const struct {
		const char *claims;
		int err;
	} rows[] = {
		{"{" E "}", 0},
		{"{\"exp\":0}", 0},
		{"{\"exp\":253402300799}", 0},
		{"{\"exp\":253402300800}", E_SYNTAX},
		{"{\"exp\":9223372036854775807}", E_SYNTAX},
		{"{\"exp\":9223372036854775808}", E_SYNTAX},
		{"{\"exp\":99999999999999999999999}", E_SYNTAX},
		{"{\"exp\":1e400}", E_SYNTAX},
		{"{\"exp\":-1}", E_SYNTAX},
		{"{\"exp\":\"4000000000\"}", E_SYNTAX},
		{"{\"exp\":4000000000.5}", E_SYNTAX},
		{"{\"exp\":4000000000.0}", E_SYNTAX},
		{"{\"exp\":4e9}", E_SYNTAX},
		{"{\"exp\":null}", E_SYNTAX},
		{"{\"exp\":true}", E_SYNTAX},
		{"{\"exp\":[4000000000]}", E_SYNTAX},
		{"{\"exp\":{}}", E_SYNTAX},
		{"{\"Exp\":4000000000}", E_SYNTAX},
		{"{}", E_SYNTAX},
		{"{\"exp\":1," E "}", E_SYNTAX},
		{"{" E ",\"e\\u0078p\":4000000001}", E_SYNTAX},
		{"{" E ",\"sub\":\"alice\",\"sub\":\"root\"}", E_SYNTAX},
		{"{" E ",\"x\":{\"a\":1,\"a\":2}}", E_SYNTAX},
		{"{" E ",\"nbf\":0,\"iat\":0}", 0},
		{"{" E ",\"nbf\":1,\"iat\":253402300799}", 0},
		{"{" E ",\"nbf\":\"1\"}", E_SYNTAX},
		{"{" E ",\"nbf\":1.5}", E_SYNTAX},
		{"{" E ",\"nbf\":null}", E_SYNTAX},
		{"{" E ",\"nbf\":253402300800}", E_SYNTAX},
		{"{" E ",\"iat\":-5}", E_SYNTAX},
		{"{" E ",\"iat\":\"now\"}", E_SYNTAX},
		{"{" E ",\"iss\":\"https://idp\",\"sub\":\"a\",\"jti\":\"1\"}", 0},
		{"{" E ",\"iss\":[\"https://idp\"]}", E_SYNTAX},
		{"{" E ",\"iss\":\"\"}", E_SYNTAX},
		{"{" E ",\"sub\":5}", E_SYNTAX},
		{"{" E ",\"sub\":null}", E_SYNTAX},
		{"{" E ",\"sub\":\"a\\u0000b\"}", E_SYNTAX},
		{"{" E ",\"sub\":\"a\\r\\nx: y\"}", E_SYNTAX},
		{"{" E ",\"sub\":\"a\\u007f\"}", E_SYNTAX},
		{"{" E ",\"sub\":\"\xff\"}", E_SYNTAX},
		{"{" E ",\"sub\":\"\\ud800\"}", E_SYNTAX},
		{"{" E ",\"sub\":\"na\xc3\xafve \\u20ac\"}", 0},
		{"{" E ",\"jti\":1}", E_SYNTAX},
		{"{" E ",\"aud\":\"gw\"}", 0},
		{"{" E ",\"aud\":[\"gw\",\"other\"]}", 0},
		{"{" E ",\"aud\":[]}", 0},
		{"{" E ",\"aud\":\"\"}", E_SYNTAX},
		{"{" E ",\"aud\":5}", E_SYNTAX},
		{"{" E ",\"aud\":null}", E_SYNTAX},
		{"{" E ",\"aud\":[\"gw\",5]}", E_SYNTAX},
		{"{" E ",\"aud\":[[\"gw\"]]}", E_SYNTAX},
		{"{" E ",\"aud\":{\"gw\":1}}", E_SYNTAX},
		{"{" E ",\"x\":[" DEEP14 "]}", 0},
		{"{" E ",\"x\":[[" DEEP14 "]]}", E_SYNTAX},
		{"{" E ",\"x\":\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[\"}", 0},
		{"{" E "} x", E_SYNTAX},
		{"[" E "]", E_SYNTAX},
		{"4000000000", E_SYNTAX},
		{"", E_SYNTAX},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_expect_eq(gate_parts(HEADER, rows[i].claims), rows[i].err, "%s", rows[i].claims);
}

/* eyJhbGciOiJSUzI1NiJ9 is {"alg":"RS256"}; eyJleHAiOjQwMDAwMDAwMDB9 has exp; _-8 is two bytes */
#define H "eyJhbGciOiJSUzI1NiJ9"
#define C "eyJleHAiOjQwMDAwMDAwMDB9"
Test(jwt, spelling)
{
	static const struct {
		struct str token;
		int err;
	} rows[] = {
		{STR(H "." C "._-8"), 0},
		{STR(""), E_SYNTAX},
		{STR("."), E_SYNTAX},
		{STR(".."), E_SYNTAX},
		{STR(H), E_SYNTAX},
		{STR(H "." C), E_SYNTAX},
		{STR(H "." C "."), E_SYNTAX}, /* an empty signature */
		{STR(H ".._-8"), E_SYNTAX},
		{STR("." C "._-8"), E_SYNTAX},
		{STR("." H "." C "._-8"), E_SYNTAX},
		{STR(H "." C "._-8."), E_SYNTAX},
		{STR(H "." C "._-8._-8"), E_SYNTAX},
		{STR(H ".." C "._-8"), E_SYNTAX},
		{STR(H "." H "." C "._-8._-8"), E_SYNTAX}, /* five parts: encrypted */
		{STR(H "." C "._-8="), E_SYNTAX},
		{STR(H "=." C "._-8"), E_SYNTAX},
		{STR(H "." C "=._-8"), E_SYNTAX},
		{STR(H "." C "._-9"), E_SYNTAX}, /* _-8 with one unused bit set */
		{STR(H "." C ".__"), E_SYNTAX},
		{STR(H "." C "._w"), 0},
		{STR(H "." C "._x"), E_SYNTAX},
		{STR(H "." C "._-8A"), 0}, /* three bytes: another signature, not a spelling */
		{STR(H "." C "._-8AA"), E_SYNTAX},
		{STR(H "." C "./+8"), E_SYNTAX}, /* the other alphabet */
		{STR(H "." C "._-8\n"), E_SYNTAX},
		{STR(H "." C "._-8 "), E_SYNTAX},
		{STR(H "." C "._-8!!!!"), E_SYNTAX},
		{STR(H "." C "._-8\0"), E_SYNTAX},
		{STR(H "." C "._\0-8"), E_SYNTAX},
		{STR(" " H "." C "._-8"), E_SYNTAX},
		{STR("Bearer " H "." C "._-8"), E_SYNTAX},
		{STR(H "." C " ._-8"), E_SYNTAX},
		{STR(H "\r\n." C "._-8"), E_SYNTAX},
		{STR(H "." C "._-\xc3\xbc"), E_SYNTAX},
		{STR("\xff\xfe." C "._-8"), E_SYNTAX},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_expect_eq(gate(rows[i].token), rows[i].err, "row %zu: %s", i, rows[i].token.p);
	cr_expect_eq(gate(STR_NONE), E_SYNTAX);
}

/* A token with so many bytes in one of its claims. */
static struct str
long_token(int fill)
{
	return rig_token(HEADER, arena_printf(rig_arena, "{" E ",\"x\":\"%0*d\"}", fill, 0),
			 STR("signature"));
}

Test(jwt, size)
{
	char *mebibyte = arena_alloc(rig_arena, 1 << 20);
	int fill = 6000;

	while (long_token(fill).n < JWT_MAX - 1)
		fill++;
	cr_expect_leq(long_token(fill).n, JWT_MAX);
	cr_expect_eq(gate(long_token(fill)), 0);
	cr_expect_eq(gate(long_token(fill + 2)), E_LIMIT);
	cr_expect_eq(gate(long_token(1 << 20)), E_LIMIT);
	memset(mebibyte, '.', 1 << 20);
	cr_expect_eq(gate((struct str){mebibyte, 1 << 20}), E_LIMIT);
	cr_expect_eq(gate((struct str){mebibyte, JWT_MAX}), E_SYNTAX);
	memset(mebibyte, 'W', 1 << 20);
	cr_expect_eq(gate((struct str){mebibyte, JWT_MAX}), E_SYNTAX);
}

/* As deep as 8 KiB can go. */
Test(jwt, depth)
{
	char deep[JWT_MAX / 2] = "{\"alg\":\"RS256\",\"x\":";
	size_t n = strlen(deep);

	memset(deep + n, '[', sizeof deep - 1 - n);
	cr_expect_eq(gate_parts(deep, RIG_CLAIMS), E_SYNTAX);
	cr_expect_eq(gate_parts(HEADER, deep), E_SYNTAX);
	for (size_t i = n; i + 5 < sizeof deep; i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	cr_expect_eq(gate_parts(HEADER, deep), E_SYNTAX);
}

Test(jwt, signatures_up_to_those_of_8192_bits)
{
	char *bytes = arena_alloc(rig_arena, 2048);

	cr_expect_eq(gate(rig_token(HEADER, RIG_CLAIMS, (struct str){bytes, 1024})), 0);
	cr_expect_eq(gate(rig_token(HEADER, RIG_CLAIMS, (struct str){bytes, 1025})), E_SYNTAX);
}

Test(jwt, facts)
{
	struct str token = rig_token(
		"{\"alg\":\"ES384\",\"kid\":\"k1\"}",
		"{\"iss\":\"https://idp\",\"sub\":\"alice\",\"jti\":\"t-1\",\"aud\":[\"a\",\"b\"],"
		"\"exp\":30,\"nbf\":10,\"iat\":20}",
		STR("bytes"));
	struct jwt t;
	const char *why;

	cr_assert_eq(jwt_read(token, rig_arena, &t, &why), 0);
	cr_expect_eq(t.alg, JWT_ES384);
	cr_expect(str_eq(t.kid, STR("k1")));
	cr_expect(str_eq(t.issuer, STR("https://idp")));
	cr_expect(str_eq(t.subject, STR("alice")));
	cr_expect(str_eq(t.id, STR("t-1")));
	cr_expect(str_eq(t.signature, STR("bytes")));
	cr_expect(t.signed_part.p == token.p && token.p[t.signed_part.n] == '.');
	cr_expect_eq(token.n - t.signed_part.n, 8);
	cr_expect(t.exp_s == 30 && t.nbf_s == 10 && t.iat_s == 20);
	cr_assert_eq(t.audience_count, 2);
	cr_expect(str_eq(t.audience[0], STR("a")) && str_eq(t.audience[1], STR("b")));
	jwt_clear(&t);
	t = read_claims("{" E "}");
	cr_expect(t.kid.p == NULL && t.issuer.p == NULL && t.subject.p == NULL && t.id.p == NULL);
	cr_expect(t.audience_count == 0 && t.nbf_s == 0 && t.iat_s == 0);
	jwt_clear(&t);
}

Test(jwt, times)
{
	static const struct {
		uint64_t exp, nbf, iat, now, leeway;
		int err;
	} rows[] = {
		{100, 0, 0, 99, 0, 0},
		{100, 0, 0, 100, 0, E_TIMEOUT},
		{100, 0, 0, 100, 60, 0},
		{100, 0, 0, 159, 60, 0},
		{100, 0, 0, 160, 60, E_TIMEOUT},
		{0, 0, 0, 60, 60, E_TIMEOUT},
		{253402300799, 0, 0, 1700000000, 600, 0},
		{1000, 200, 0, 199, 0, E_DENIED},
		{1000, 200, 0, 200, 0, 0},
		{1000, 200, 0, 140, 60, 0},
		{1000, 200, 0, 139, 60, E_DENIED},
		{1000, 253402300799, 0, 139, 60, E_DENIED},
		{1000, 0, 200, 199, 0, E_DENIED},
		{1000, 0, 200, 140, 60, 0},
		{1000, 0, 200, 139, 60, E_DENIED},
		{100, 200, 0, 150, 0, E_TIMEOUT}, /* over before it begins */
		{1000, 0, 5000, 999, 60, E_DENIED},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct jwt t = {.exp_s = rows[i].exp, .nbf_s = rows[i].nbf, .iat_s = rows[i].iat};
		const char *why = NULL;
		int err = jwt_check_times(&t, rows[i].now, rows[i].leeway, &why);
		cr_expect_eq(err, rows[i].err, "row %zu", i);
		cr_expect_eq(why == NULL, err == 0, "row %zu", i);
	}
}

Test(jwt, audience)
{
	static const struct {
		const char *claims;
		bool has;
	} rows[] = {
		{"{" E ",\"aud\":\"gw\"}", true},
		{"{" E ",\"aud\":[\"x\",\"gw\"]}", true},
		{"{" E ",\"aud\":\"sparkgw\"}", true},
		{"{" E ",\"aud\":\"GW\"}", false},
		{"{" E ",\"aud\":\"gw2\"}", false},
		{"{" E ",\"aud\":\"g\"}", false},
		{"{" E ",\"aud\":\"gw,sparkgw\"}", false},
		{"{" E ",\"aud\":[]}", false},
		{"{" E "}", false},
	};
	const struct str wanted[] = {STR("gw"), STR("sparkgw")};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct jwt t = read_claims(rows[i].claims);
		cr_expect_eq(jwt_has_audience(&t, wanted, 2), rows[i].has, "%s", rows[i].claims);
		cr_expect(!jwt_has_audience(&t, wanted, 0));
		jwt_clear(&t);
	}
}

static const char rich[] =
	"{" E ",\"email\":\"a@b\",\"n\":5,\"none\":null,\"empty\":\"\",\"bad\":\"a\\tb\","
	"\"https://x.example.com/groups\":[\"g1\",\"g2\"],\"one\":\"g3\",\"nobody\":[],"
	"\"mixed\":[\"a\",5],\"hole\":[\"a\",\"\"],"
	"\"realm_access\":{\"roles\":[\"r1\"],\"deep\":{\"er\":\"d\"}},"
	"\"resource.access\":{\"my.client\":{\"roles\":[\"r2\"]},\"my\":{\"client\":5}},"
	"\"kubernetes.io\":{\"namespace\":\"ml\"},\"a.b\":\"whole\",\"a\":{\"b\":\"walked\"}}";

Test(jwt, claim_text)
{
	static const struct {
		const char *path;
		int err;
		const char *want;
	} rows[] = {
		{"email", 0, "a@b"},
		{"realm_access.deep.er", 0, "d"},
		{"kubernetes.io.namespace", 0, "ml"},
		{"a.b", 0, "whole"}, /* the whole name before the way */
		{"n", E_SYNTAX, NULL},
		{"none", E_NOT_FOUND, NULL},
		{"empty", E_SYNTAX, NULL},
		{"bad", E_SYNTAX, NULL},
		{"one", 0, "g3"},
		{"nobody", E_SYNTAX, NULL},
		{"a", E_SYNTAX, NULL},
		{"missing", E_NOT_FOUND, NULL},
		{"email.x", E_NOT_FOUND, NULL},
		{"Email", E_NOT_FOUND, NULL},
		{"realm_access.", E_NOT_FOUND, NULL},
		{".email", E_NOT_FOUND, NULL},
		{"realm_access..roles", E_NOT_FOUND, NULL},
		{"...............................", E_NOT_FOUND, NULL},
		{"", E_NOT_FOUND, NULL},
	};
	struct jwt t = read_claims(rich);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str got = STR_NONE;
		int err = jwt_claim_text(&t, str_from(rows[i].path), rig_arena, &got);
		cr_expect_eq(err, rows[i].err, "%s", rows[i].path);
		cr_expect(str_eq(got, str_from(rows[i].want)), "%s", rows[i].path);
	}
	jwt_clear(&t);
}

Test(jwt, claim_texts)
{
	static const struct {
		const char *path;
		int err;
		unsigned count;
		const char *last;
	} rows[] = {
		{"https://x.example.com/groups", 0, 2, "g2"},
		{"one", 0, 1, "g3"},
		{"nobody", 0, 0, NULL},
		{"realm_access.roles", 0, 1, "r1"},
		{"resource.access.my.client.roles", 0, 1, "r2"},
		{"resource.access.my.client", E_SYNTAX, 77, NULL},
		{"mixed", E_SYNTAX, 77, NULL},
		{"hole", E_SYNTAX, 77, NULL},
		{"n", E_SYNTAX, 77, NULL},
		{"none", E_NOT_FOUND, 77, NULL},
		{"missing", E_NOT_FOUND, 77, NULL},
	};
	struct jwt t = read_claims(rich);

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct str *list = NULL;
		unsigned n = 77;
		int err = jwt_claim_texts(&t, str_from(rows[i].path), rig_arena, &list, &n);
		cr_expect_eq(err, rows[i].err, "%s", rows[i].path);
		cr_assert_eq(n, rows[i].count, "%s", rows[i].path);
		if (err == 0 && n > 0)
			cr_expect(str_eq(list[n - 1], str_from(rows[i].last)), "%s", rows[i].path);
	}
	jwt_clear(&t);
}

Test(jwt, lists_are_bounded)
{
	static const struct {
		const char *name;
		unsigned n;
		int err;
	} rows[] = {
		{"groups", JWT_TEXTS, 0},
		{"groups", JWT_TEXTS + 1, E_LIMIT},
		{"aud", JWT_AUDIENCES, 0},
		{"aud", JWT_AUDIENCES + 1, E_SYNTAX},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct buf b;
		buf_init(&b, JWT_MAX);
		buf_printf(&b, "{" E ",\"%s\":[\"g\"", rows[i].name);
		for (unsigned k = 1; k < rows[i].n; k++)
			buf_printf(&b, ",\"g\"");
		buf_printf(&b, "]}");
		struct str token = rig_token(HEADER, buf_cstr(&b), STR("x"));
		struct jwt t = {0};
		const struct str *list;
		unsigned n = rows[i].n;
		const char *why;
		int err = jwt_read(token, rig_arena, &t, &why);
		if (err == 0)
			err = jwt_claim_texts(&t, str_from(rows[i].name), rig_arena, &list, &n);
		cr_expect_eq(err, rows[i].err, "row %zu", i);
		cr_expect_eq(n, rows[i].n);
		jwt_clear(&t);
		buf_free(&b);
	}
}

Test(jwt, paths_are_bounded)
{
	char path[600];
	struct jwt t = read_claims(rich);
	struct str got;

	memset(path, '.', sizeof path);
	cr_expect_eq(jwt_claim_text(&t, (struct str){path, sizeof path}, rig_arena, &got),
		     E_NOT_FOUND);
	memset(path, 'a', sizeof path);
	cr_expect_eq(jwt_claim_text(&t, (struct str){path, JWT_CLAIM_PATH}, rig_arena, &got),
		     E_NOT_FOUND);
	jwt_clear(&t);
}

Test(jwt, out_of_memory_at_every_allocation)
{
	struct str token = rig_token("{\"alg\":\"RS256\",\"kid\":\"k\",\"typ\":\"JWT\"}",
				     "{\"iss\":\"i\",\"sub\":\"s\",\"jti\":\"j\",\"aud\":[\"a\","
				     "\"b\",\"c\"],\"exp\":4000000000,\"groups\":[\"x\",\"y\"]}",
				     STR("signature"));
	unsigned failures = 0;

	for (size_t ceiling = 256; ceiling < 1024; ceiling += 16) {
		struct arena *small = arena_new(256, ceiling);
		struct jwt t = {0};
		const struct str *groups;
		unsigned count;
		const char *why;
		int err = jwt_read(token, small, &t, &why);
		if (err == 0)
			err = jwt_claim_texts(&t, STR("groups"), small, &groups, &count);
		cr_expect(err == 0 || err == E_NOMEM);
		failures += err != 0;
		jwt_clear(&t);
		arena_free(&small);
	}
	cr_expect(failures > 0 && failures < 40, "%u", failures);
}

Test(jwt, names_of_algorithms)
{
	enum jwt_alg alg;

	for (unsigned i = 0; i < JWT_ALGS; i++) {
		cr_assert_eq(jwt_alg_find(str_from(jwt_alg_name((enum jwt_alg)i)), &alg), 0);
		cr_expect_eq(alg, i);
	}
	cr_expect_eq(jwt_alg_find(STR("none"), &alg), E_NOT_FOUND);
	cr_expect_eq(jwt_alg_find(STR_NONE, &alg), E_NOT_FOUND);
}
