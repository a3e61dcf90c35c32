/* proto/jwks: key sets, and the other ways to write a key. Signatures: test_signature.c. */
#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include "proto/base64.h"
#include "proto/signature.h"
#include "t/fuzz/jwt_examples.h"
#include "t/unit/token_rig.h"

TestSuite(jwks, .init = rig_open, .fini = rig_close);

static struct jwks_key *keys;
static unsigned count;

/* The keys of a set; what was parsed before is freed. */
static int
parse(const char *text)
{
	const char *why = NULL;
	int err;

	jwks_free(keys, count);
	count = 0;
	err = jwks_parse(str_from(text), rig_arena, &keys, &count, &why);
	cr_expect_not_null(why);
	return err;
}

static int
parse_members(const char *members)
{
	return parse(arena_printf(rig_arena, "{\"keys\":[{%s}]}", members));
}

/* The example cut to 1016 bits. */
#define N_1016                                                                  \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-" \
	"4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9w"
#define RSA_E(e) "\"kty\":\"RSA\",\"n\":\"" RFC_N "\",\"e\":\"" e "\""

Test(jwks, which_keys_are_taken)
{
	static const struct {
		const char *members;
		uint32_t algs; /* 0: passed over */
	} rows[] = {
		{RFC_EC, 1u << JWT_ES256},
		{RFC_EC ",\"use\":\"sig\",\"kid\":\"k\",\"alg\":\"ES256\"", 1u << JWT_ES256},
		{RFC_EC ",\"use\":\"enc\"", 0},
		{RFC_EC ",\"use\":5", 0},
		{RFC_EC ",\"use\":null", 0},
		{RFC_EC ",\"key_ops\":[\"verify\"]", 1u << JWT_ES256},
		{RFC_EC ",\"key_ops\":[\"sign\",\"verify\"]", 1u << JWT_ES256},
		{RFC_EC ",\"key_ops\":[\"deriveKey\"]", 0},
		{RFC_EC ",\"key_ops\":[]", 0},
		{RFC_EC ",\"key_ops\":\"verify\"", 0},
		{RFC_EC ",\"alg\":\"ES384\"", 0},
		{RFC_EC ",\"alg\":\"RS256\"", 0},
		{RFC_EC ",\"alg\":\"ECDH-ES\"", 0},
		{RFC_EC ",\"alg\":\"none\"", 0},
		{RFC_EC ",\"alg\":5", 0},
		{RFC_EC ",\"d\":\"AAAA\"", 0}, /* private */
		{RFC_EC ",\"kid\":5", 0},
		{RFC_EC ",\"x5c\":[\"MII\"],\"x5t\":\"AA\"", 1u << JWT_ES256},
		{RFC_RSA ",\"alg\":\"RS256\"", 1u << JWT_RS256},
		{RFC_RSA ",\"alg\":\"PS256\"", 1u << JWT_PS256},
		{RFC_RSA ",\"alg\":\"RS512\"", 1u << JWT_RS512},
		{RFC_RSA ",\"alg\":\"RSA-OAEP\"", 0},
		{RFC_RSA ",\"alg\":\"HS256\"", 0},
		{RFC_RSA ",\"alg\":\"ES256\"", 0},
		{RSA_E("Aw"), 0xf},	    /* 3 */
		{RSA_E("AAEAAQ"), 0xf},	    /* 65537 with a zero in front */
		{RSA_E("AQ"), 0},	    /* 1 */
		{RSA_E("AA"), 0},	    /* 0 */
		{RSA_E("AQAA"), 0},	    /* 65536 */
		{RSA_E("AQAAAAAAAAAB"), 0}, /* of 65 bits */
		{RSA_E(""), 0},
		{RSA_E("AQAB="), 0},
		{"\"kty\":\"RSA\",\"n\":\"" RFC_N "\"", 0},
		{"\"kty\":\"RSA\",\"e\":\"AQAB\"", 0},
		{"\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"\"", 0},
		{"\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"pQ\"", 0}, /* 8 bits */
		{"\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" N_1016 "\"", 0},
		{"\"kty\":\"rsa\",\"n\":\"" RFC_N "\",\"e\":\"AQAB\"", 0},
		{"\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", 0},
		{"\"kty\":\"oct\",\"k\":\"AAAA\",\"alg\":\"HS256\"", 0},
		{"\"kty\":\"XYZ\"", 0},
		{"", 0},
		{"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC_Y "\",\"y\":\"" RFC_X "\"", 0},
		{"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC_X "\"", 0},
		{"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC_X "\",\"y\":\"AAAA\"", 0},
		{"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "=\"", 0},
		{"\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\"", 0},
		{"\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\"", 0},
		{"\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\"", 0},
		{"\"kty\":\"EC\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\"", 0},
		{RFC_OKP, 1u << JWT_EDDSA},
		{RFC_OKP ",\"alg\":\"EdDSA\"", 1u << JWT_EDDSA},
		{"\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" RFC_X "\"", 0},
		{"\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"" RFC_X "\"", 0},
		{"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"", 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int err = parse_members(rows[i].members);
		cr_expect_eq(err, rows[i].algs != 0 ? 0 : E_NOT_FOUND, "%s", rows[i].members);
		if (err == 0)
			cr_expect_eq(keys[0].algs, rows[i].algs, "%s", rows[i].members);
	}
	jwks_free(keys, count);
}

Test(jwks, sets)
{
	static const struct {
		const char *text;
		int err;
		unsigned count;
	} rows[] = {
		{"{\"keys\":[{" RFC_EC "}]}", 0, 1},
		{"{\"keys\":[{" RFC_EC "},{" RFC_EC "}]}", 0, 2},
		{"{\"keys\":[5,null,[],\"x\",{},{\"kty\":\"oct\"},{" RFC_EC "}],\"x\":1}", 0, 1},
		{"{\"keys\":[]}", E_NOT_FOUND, 0},
		{"{\"keys\":[{\"kty\":\"oct\"}]}", E_NOT_FOUND, 0},
		{"{\"keys\":{}}", E_SYNTAX, 0},
		{"{\"keys\":null}", E_SYNTAX, 0},
		{"{}", E_SYNTAX, 0},
		{"{" RFC_EC "}", E_SYNTAX, 0}, /* a key, not a set */
		{"[{" RFC_EC "}]", E_SYNTAX, 0},
		{"{\"keys\":[{" RFC_EC "," RFC_EC "}]}", E_SYNTAX, 0}, /* names twice */
		{"{\"keys\":[],\"keys\":[{" RFC_EC "}]}", E_SYNTAX, 0},
		{"{\"keys\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}", E_SYNTAX, 0},
		{"<html>", E_SYNTAX, 0},
		{"", E_SYNTAX, 0},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_expect_eq(parse(rows[i].text), rows[i].err, "%s", rows[i].text);
		cr_expect_eq(count, rows[i].count, "%s", rows[i].text);
	}
	jwks_free(keys, count);
}

static int
parse_many(unsigned n, const char *members, size_t blanks)
{
	struct buf b;
	int err;

	buf_init(&b, 1u << 20);
	buf_printf(&b, "{\"keys\":[{%s}", members);
	for (unsigned i = 1; i < n; i++)
		buf_printf(&b, ",{%s}", members);
	buf_printf(&b, "]%*s}", (int)blanks, "");
	err = parse(buf_cstr(&b));
	buf_free(&b);
	return err;
}

Test(jwks, bounds)
{
	cr_expect_eq(parse_many(JWKS_KEYS, RFC_EC, 0), 0);
	cr_expect_eq(count, JWKS_KEYS);
	cr_expect_eq(parse_many(JWKS_KEYS + 1, RFC_EC, 0), E_LIMIT);
	cr_expect_eq(parse_many(JWKS_LIST_MAX, "", 0), E_NOT_FOUND);
	cr_expect_eq(parse_many(JWKS_LIST_MAX + 1, "", 0), E_LIMIT);
	cr_expect_eq(parse_many(1, RFC_EC, 255u << 10), 0);
	cr_expect_eq(parse_many(1, RFC_EC, 256u << 10), E_LIMIT);
	jwks_free(keys, count);
}

Test(jwks, key_ids_of_sets)
{
	const char *kid = arena_printf(rig_arena, "%0*d", JWT_KID_MAX, 0);

	cr_expect_eq(parse_members(arena_printf(rig_arena, RFC_EC ",\"kid\":\"%s\"", kid)), 0);
	cr_expect(str_eq(keys[0].kid, str_from(kid)));
	cr_expect_eq(parse_members(arena_printf(rig_arena, RFC_EC ",\"kid\":\"%s0\"", kid)),
		     E_NOT_FOUND);
	cr_expect_eq(parse_members(RFC_EC), 0);
	cr_expect_null(keys[0].kid.p);
	jwks_free(keys, count);
}

/* A modulus of n bytes that is a product: the two keys' moduli, then squared. */
static const char *
product(unsigned squared)
{
	uint8_t rfc[256], out[1024];
	BIGNUM *a = NULL, *b;
	BN_CTX *ctx = BN_CTX_new();
	size_t n;
	int len;

	cr_assert_eq(base64_url_decode(STR(RFC_N), rfc, sizeof rfc, &n), 0);
	b = BN_bin2bn(rfc, (int)n, NULL);
	EVP_PKEY_get_bn_param(rig_key(RIG_RSA), "n", &a);
	BN_mul(a, a, b, ctx);
	while (squared-- > 0)
		BN_sqr(a, a, ctx);
	len = BN_bn2bin(a, out);
	BN_free(a);
	BN_free(b);
	BN_CTX_free(ctx);
	return arena_printf(rig_arena, "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"",
			    rig_url((struct str){(char *)out, (size_t)len}).p);
}

Test(jwks, large_rsa)
{
	char *ones = arena_alloc(rig_arena, 1026);
	uint8_t der[JWKS_DER_MAX];
	size_t n;

	cr_expect_eq(parse_members(product(0)), 0);
	cr_expect_eq(parse_members(product(1)), 0);
	cr_expect(count == 1 && EVP_PKEY_get_bits(keys[0].key) > 8180);
	cr_expect_eq(jwks_key_der(&keys[0], der, sizeof der, &n), 0);
	for (size_t len = 1025; len <= 1026; len++) {
		memset(ones, 0xff, len);
		cr_expect_eq(parse_members(arena_printf(
				     rig_arena, "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"%s\"",
				     rig_url((struct str){ones, len}).p)),
			     E_NOT_FOUND);
	}
	jwks_free(keys, count);
}

Test(jwks, out_of_memory_at_every_allocation)
{
	static const char text[] = "{\"keys\":[{" RFC_EC ",\"kid\":\"a\"},{" RFC_OKP "}]}";
	unsigned failures = 0;

	for (size_t ceiling = 256; ceiling < 600; ceiling += 16) {
		struct arena *small = arena_new(256, ceiling);
		const char *why;
		void *eaten = arena_alloc(small, 100);
		int err = jwks_parse(STR(text), small, &keys, &count, &why);
		cr_expect(eaten != NULL && (err == 0 || err == E_NOMEM));
		failures += err != 0;
		if (err == 0)
			jwks_free(keys, count);
		arena_free(&small);
	}
	cr_expect(failures > 0 && failures < 20, "%u", failures);
}

/* ---- other spellings of keys ---- */

Test(jwks, der_and_back)
{
	for (unsigned alg = 0; alg < JWT_ALGS; alg++) {
		struct jwks_key k = rig_public(rig_kind_of[alg], STR("k")), back = {0};
		struct str token = rig_sign(rig_kind_of[alg], (enum jwt_alg)alg, "k", RIG_CLAIMS);
		uint8_t der[JWKS_DER_MAX];
		size_t n;

		cr_assert_eq(jwks_key_der(&k, der, sizeof der, &n), 0);
		struct str s = {(char *)der, n};
		cr_expect_eq(jwks_key_der(&k, der, n - 1, &n), E_LIMIT);
		cr_assert_eq(jwks_key_from_der(s, k.kid, UINT32_MAX, &back), 0);
		cr_expect_eq(back.algs, k.algs);
		cr_expect_eq(EVP_PKEY_eq(back.key, k.key), 1);
		cr_expect_eq(rig_verify(&back, token), 0);
		jwks_free(&back, 1);
		cr_expect_eq(jwks_key_from_der(s, k.kid, 1u << alg, &back), 0);
		cr_expect_eq(back.algs, 1u << alg);
		jwks_free(&back, 1);
		cr_expect_eq(jwks_key_from_der(s, k.kid, 0, &back), E_SYNTAX);
		cr_expect_eq(jwks_key_from_der(s, k.kid, ~k.algs, &back), E_SYNTAX);
	}
}

Test(jwks, der_that_is_none)
{
	struct jwks_key k = rig_public(RIG_P256, STR_NONE), back;
	uint8_t der[JWKS_DER_MAX + 1] = {0};
	size_t n;

	cr_assert_eq(jwks_key_der(&k, der, sizeof der, &n), 0);
	for (size_t len = 0; len < n + 3; len++) {
		if (len != n)
			cr_expect_eq(jwks_key_from_der((struct str){(char *)der, len}, STR_NONE,
						       UINT32_MAX, &back),
				     E_SYNTAX, "%zu", len);
	}
	cr_expect_eq(jwks_key_from_der((struct str){(char *)der, sizeof der}, STR_NONE, UINT32_MAX,
				       &back),
		     E_SYNTAX);
}

Test(jwks, der_of_keys_that_are_not_ours)
{
	EVP_PKEY *others[] = {
		EVP_EC_gen("secp256k1"),
		EVP_EC_gen("P-521"),
		EVP_EC_gen("P-224"),
		EVP_RSA_gen(1024),
		EVP_PKEY_Q_keygen(NULL, NULL, "X25519"),
		EVP_PKEY_Q_keygen(NULL, NULL, "ED448"),
	};

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		struct jwks_key k = {.key = others[i]}, back;
		uint8_t der[JWKS_DER_MAX];
		size_t n;

		cr_expect_eq(signature_algs(others[i]), 0, "%zu", i);
		cr_assert_eq(jwks_key_der(&k, der, sizeof der, &n), 0);
		cr_expect_eq(jwks_key_from_der((struct str){(char *)der, n}, STR_NONE, UINT32_MAX,
					       &back),
			     E_SYNTAX, "%zu", i);
		EVP_PKEY_free(others[i]);
	}
}

Test(jwks, print)
{
	static const char set[] =
		"{\"keys\":[{\"use\":\"sig\",\"kid\":\"a\",\"alg\":\"ES256\"," RFC_EC "},"
		"{\"use\":\"sig\"," RFC_RSA "},"
		"{\"use\":\"sig\",\"kid\":\"x\",\"alg\":\"PS256\"," RFC_RSA "},"
		"{\"use\":\"sig\",\"alg\":\"EdDSA\"," RFC_OKP "}]}";
	struct buf b;

	buf_init(&b, 4096);
	cr_assert_eq(parse(set), 0);
	cr_assert_eq(jwks_print(keys, count, &b), 0);
	cr_expect_str_eq(buf_cstr(&b), set);
	buf_free(&b);
	buf_init(&b, 100);
	cr_expect_eq(jwks_print(keys, count, &b), E_NOMEM);
	buf_free(&b);
	buf_init(&b, 100);
	cr_expect_eq(jwks_print(NULL, 0, &b), 0);
	cr_expect_str_eq(buf_cstr(&b), "{\"keys\":[]}");
	buf_free(&b);
	jwks_free(keys, count);
}

Test(jwks, print_and_back)
{
	static const struct str kids[RIG_KINDS] = {STR("plain"), STR("\"quoted\\\" \x01\n"),
						   STR("na\xc3\xafve"), STR_NONE};
	struct jwks_key all[RIG_KINDS];
	struct buf b;

	buf_init(&b, 8192);
	for (unsigned i = 0; i < RIG_KINDS; i++)
		all[i] = rig_public((enum rig_kind)i, kids[i]);
	cr_assert_eq(jwks_print(all, RIG_KINDS, &b), 0);
	cr_assert_eq(parse(buf_cstr(&b)), 0);
	cr_assert_eq(count, RIG_KINDS);
	for (unsigned i = 0; i < RIG_KINDS; i++) {
		cr_expect(str_eq(keys[i].kid, kids[i]));
		cr_expect_eq(keys[i].algs, all[i].algs);
		cr_expect_eq(EVP_PKEY_eq(keys[i].key, all[i].key), 1);
	}
	jwks_free(keys, count);
	buf_free(&b);
}

Test(jwks, the_queue_of_errors_stays)
{
	struct jwks_key back;

	for (int mine = 0; mine < 2; mine++) {
		if (mine)
			ERR_raise(ERR_LIB_USER, 42);
		unsigned long before = ERR_peek_last_error();
		cr_expect_eq(parse_members(RSA_E("AQ")), E_NOT_FOUND);
		cr_expect_eq(parse_members("\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC_Y
					   "\",\"y\":\"" RFC_X "\""),
			     E_NOT_FOUND);
		cr_expect_eq(jwks_key_from_der(STR("nonsense"), STR_NONE, UINT32_MAX, &back),
			     E_SYNTAX);
		cr_expect_eq(ERR_peek_last_error(), before);
		cr_expect_eq(ERR_GET_REASON(ERR_peek_error()), mine ? 42 : 0);
	}
	ERR_clear_error();
}
