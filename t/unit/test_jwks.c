/* proto/jwks and proto/signature: key sets, and who has signed what. */
#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>
#include "proto/base64.h"
#include "proto/signature.h"
#include "t/unit/other_jwt.h"
#include "t/unit/token_rig.h"

TestSuite(jwks, .init = rig_open, .fini = rig_close);

/* RFC 7515 appendices A.2 and A.3; RFC 8037 appendix A.2. */
#define RFC_N                                                                                    \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1" \
	"Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpa" \
	"SHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4" \
	"LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RFC_RSA "\"kty\":\"RSA\",\"n\":\"" RFC_N "\",\"e\":\"AQAB\""
#define RFC_X	"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define RFC_Y	"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define RFC_EC	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" RFC_X "\",\"y\":\"" RFC_Y "\""
#define RFC_OKP                                                      \
	"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_" \
	"7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define RFC_CLAIMS                                                                                 \
	".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp" \
	"0"                                                                                        \
	"cnVlfQ."
#define RFC_RSA_TOKEN                                                                             \
	"eyJhbGciOiJSUzI1NiJ9" RFC_CLAIMS                                                         \
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8" \
	"W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPv" \
	"kSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1ph" \
	"CnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define RFC_EC_TOKEN                      \
	"eyJhbGciOiJFUzI1NiJ9" RFC_CLAIMS \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

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

/* 0, E_DENIED, or what jwt_read() said. */
static int
verify(const struct jwks_key *k, struct str token)
{
	struct jwt t;
	const char *why;
	int err = jwt_read(token, rig_arena, &t, &why);

	if (err < 0)
		return err;
	err = jwks_verify(k, &t);
	jwt_clear(&t);
	return err;
}

Test(jwks, examples_of_the_standards)
{
	cr_assert_eq(parse("{\"keys\":[{" RFC_RSA "},{" RFC_EC "},{" RFC_OKP "}]}"), 0);
	cr_assert_eq(count, 3);
	cr_expect_eq(verify(&keys[0], STR(RFC_RSA_TOKEN)), 0);
	cr_expect_eq(verify(&keys[1], STR(RFC_EC_TOKEN)), 0);
	cr_expect_eq(verify(&keys[1], STR(RFC_RSA_TOKEN)), E_DENIED);
	cr_expect_eq(verify(&keys[0], STR(RFC_EC_TOKEN)), E_DENIED);
	cr_expect_eq(keys[0].algs,
		     1u << JWT_RS256 | 1u << JWT_RS384 | 1u << JWT_RS512 | 1u << JWT_PS256);
	cr_expect_eq(keys[1].algs, 1u << JWT_ES256);
	cr_expect_eq(keys[2].algs, 1u << JWT_EDDSA);
	jwks_free(keys, count);
	jwks_free(keys, count); /* does no harm */
}

/* RFC 8037 appendix A.4, whose payload is no JSON: without the gate. */
Test(jwks, ed25519_example)
{
	uint8_t sig[64];
	size_t n;

	cr_assert_eq(base64_url_decode(STR("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki"
					   "4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
				       sig, sizeof sig, &n),
		     0);
	cr_assert_eq(parse_members(RFC_OKP), 0);
	cr_expect(signature_is_good(keys[0].key, JWT_EDDSA,
				    STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
				    (struct str){(char *)sig, n}));
	jwks_free(keys, count);
}

Test(jwks, every_altered_character_is_refused)
{
	static const char others[] = "Ax-.=";

	cr_assert_eq(parse("{\"keys\":[{" RFC_RSA "},{" RFC_EC "}]}"), 0);
	for (unsigned k = 0; k < 2; k++) {
		struct str token = k == 0 ? STR(RFC_RSA_TOKEN) : STR(RFC_EC_TOKEN);
		char *copy = arena_copy(rig_arena, token.p, token.n);
		for (size_t i = 0; i < token.n; i++) {
			copy[i] = others[i % 5] != token.p[i] ? others[i % 5] : 'B';
			cr_expect_lt(verify(&keys[k], (struct str){copy, token.n}), 0, "%zu", i);
			copy[i] = token.p[i];
		}
		cr_expect_eq(verify(&keys[k], (struct str){copy, token.n}), 0);
		cr_expect_lt(verify(&keys[k], (struct str){copy, token.n - 1}), 0);
	}
	jwks_free(keys, count);
}

static const enum rig_kind kind_of[JWT_ALGS] = {RIG_RSA,  RIG_RSA,  RIG_RSA,	RIG_RSA,
						RIG_P256, RIG_P384, RIG_ED25519};

Test(jwks, each_key_for_its_algorithms_only)
{
	for (unsigned alg = 0; alg < JWT_ALGS; alg++) {
		struct str token = rig_sign(kind_of[alg], (enum jwt_alg)alg, "k", RIG_CLAIMS);
		for (unsigned kind = 0; kind < RIG_KINDS; kind++) {
			struct jwks_key k = rig_public((enum rig_kind)kind, STR("k"));
			int want = kind == kind_of[alg] ? 0 : E_DENIED;
			cr_expect_eq(verify(&k, token), want, "%u %u", alg, kind);
			k.algs &= ~(1u << alg);
			cr_expect_eq(verify(&k, token), E_DENIED, "%u %u", alg, kind);
		}
	}
}

Test(jwks, key_ids)
{
	static const struct {
		const char *token, *key;
		int err;
	} rows[] = {
		{"k1", "k1", 0},
		{"k1", "k2", E_DENIED},
		{"k1", "K1", E_DENIED},
		{"k1", "k", E_DENIED},
		{"k1", NULL, E_DENIED},
		{NULL, "k1", E_DENIED},
		{NULL, NULL, 0},
		{"../../../../dev/null", "k1", E_DENIED},
		{"k1/../k1", "k1", E_DENIED},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str token = rig_sign(RIG_P256, JWT_ES256, rows[i].token, RIG_CLAIMS);
		struct jwks_key k = rig_public(RIG_P256, str_from(rows[i].key));
		cr_expect_eq(verify(&k, token), rows[i].err, "row %zu", i);
	}
}

/* ---- forgeries ---- */

static struct str
hmac(const char *header, struct str secret)
{
	struct str text = rig_token(header, RIG_CLAIMS, STR("x"));
	uint8_t digest[32];
	unsigned n;

	text.n -= 3; /* ".eA" */
	HMAC(EVP_sha256(), secret.p, (int)secret.n, (const uint8_t *)text.p, text.n, digest, &n);
	return rig_token(header, RIG_CLAIMS, (struct str){(char *)digest, n});
}

/* The public key as the secret of a MAC: CVE-2015-9235 and its kin. */
Test(jwks, a_public_key_is_no_secret)
{
	static const char *const headers[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}",
					      "{\"alg\":\"PS256\"}", "{\"alg\":\"ES256\"}"};
	struct jwks_key k = rig_public(RIG_RSA, STR_NONE), ec = rig_public(RIG_P256, STR_NONE);
	uint8_t der[JWKS_DER_MAX];
	size_t n;

	cr_assert_eq(jwks_key_der(&k, der, sizeof der, &n), 0);
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		int want = i == 0 ? E_SYNTAX : E_DENIED;
		cr_expect_eq(verify(&k, hmac(headers[i], rig_pem(RIG_RSA, false))), want);
		cr_expect_eq(verify(&k, hmac(headers[i], (struct str){(char *)der, n})), want);
		cr_expect_eq(verify(&k, hmac(headers[i], STR(""))), want);
		cr_expect_eq(verify(&ec, hmac(headers[i], rig_pem(RIG_P256, false))), want);
	}
}

Test(jwks, a_good_signature_under_another_header)
{
	static const struct {
		enum rig_kind kind;
		enum jwt_alg alg;
		const char *header;
		int err;
	} rows[] = {
		{RIG_RSA, JWT_RS256, "{\"alg\":\"none\"}", E_SYNTAX},
		{RIG_RSA, JWT_RS256, "{\"alg\":\"RS384\"}", E_DENIED},
		{RIG_RSA, JWT_RS256, "{\"alg\":\"PS256\"}", E_DENIED},
		{RIG_RSA, JWT_PS256, "{\"alg\":\"RS256\"}", E_DENIED},
		{RIG_RSA, JWT_RS256, "{\"alg\":\"EdDSA\"}", E_DENIED},
		{RIG_P256, JWT_ES256, "{\"alg\":\"ES384\"}", E_DENIED},
		{RIG_P384, JWT_ES384, "{\"alg\":\"ES256\"}", E_DENIED},
		{RIG_ED25519, JWT_EDDSA, "{\"alg\":\"ES256\"}", E_DENIED},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct jwks_key k = rig_public(rows[i].kind, STR_NONE);
		struct str token =
			rig_sign_as(rows[i].kind, rows[i].alg, rows[i].header, RIG_CLAIMS);
		cr_expect_eq(verify(&k, token), rows[i].err, "row %zu", i);
	}
}

/* Verifies "header.claims" with bytes of the caller's as the signature. */
static int
verify_bytes(const struct jwks_key *k, enum jwt_alg alg, const void *p, size_t n)
{
	const char *header = arena_printf(rig_arena, "{\"alg\":\"%s\"}", jwt_alg_name(alg));

	return verify(k, rig_token(header, RIG_CLAIMS, (struct str){p, n}));
}

static struct str
signed_text(enum jwt_alg alg)
{
	const char *header = arena_printf(rig_arena, "{\"alg\":\"%s\"}", jwt_alg_name(alg));
	struct str text = rig_token(header, RIG_CLAIMS, STR("x"));

	text.n -= 3; /* ".eA" */
	return text;
}

Test(jwks, ecdsa_of_another_shape)
{
	static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0,	0,    0,    0,
					  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					  0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84,
					  0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
	struct jwks_key k = rig_public(RIG_P256, STR_NONE);
	struct str good = rig_signature(k.key, JWT_ES256, signed_text(JWT_ES256), 0);
	uint8_t bad[130] = {0}, der[80];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = sizeof der;

	cr_expect_eq(verify_bytes(&k, JWT_ES256, good.p, 64), 0);
	for (size_t len = 1; len < sizeof bad; len++)
		cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, len), E_DENIED, "%zu zeros", len);
	memcpy(bad, good.p, 64);
	cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, 63), E_DENIED);
	cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, 65), E_DENIED); /* a byte more */
	cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, 96), E_DENIED);
	memset(bad, 0, 32); /* r = 0 */
	cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, 64), E_DENIED);
	memcpy(bad, order, 32); /* r = n, which is 0 */
	cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, 64), E_DENIED);
	memcpy(bad, good.p, 32);
	memset(bad + 32, 0, 32); /* s = 0 */
	cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, 64), E_DENIED);
	memset(bad, 0xff, 64);
	cr_expect_eq(verify_bytes(&k, JWT_ES256, bad, 64), E_DENIED);
	/* right, but in DER */
	EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k.key);
	good = signed_text(JWT_ES256);
	cr_assert_eq(EVP_DigestSign(ctx, der, &n, (const uint8_t *)good.p, good.n), 1);
	EVP_MD_CTX_free(ctx);
	cr_expect_eq(verify_bytes(&k, JWT_ES256, der, n), E_DENIED);
}

/* r or s that begin with zeros become shorter in DER: one of 128 signatures has such. */
Test(jwks, ecdsa_with_leading_zeros)
{
	struct jwks_key k = rig_public(RIG_P256, STR_NONE);
	struct str text = signed_text(JWT_ES256);
	unsigned short_ones = 0;

	for (unsigned i = 0; i < 5000 && short_ones < 2; i++) {
		struct str sig = rig_signature(k.key, JWT_ES256, text, 0);
		if (sig.p[0] != 0 && sig.p[32] != 0)
			continue;
		short_ones++;
		cr_expect_eq(verify_bytes(&k, JWT_ES256, sig.p, sig.n), 0);
	}
	cr_expect_eq(short_ones, 2);
}

Test(jwks, rsa_of_another_shape)
{
	struct jwks_key k = rig_public(RIG_RSA, STR_NONE);
	struct str sig = rig_signature(k.key, JWT_RS256, signed_text(JWT_RS256), 0);
	uint8_t bad[300] = {0};

	memcpy(bad + 1, sig.p, 256);
	cr_expect_eq(verify_bytes(&k, JWT_RS256, bad + 1, 256), 0);
	cr_expect_eq(verify_bytes(&k, JWT_RS256, bad + 1, 255), E_DENIED);
	cr_expect_eq(verify_bytes(&k, JWT_RS256, bad + 1, 257), E_DENIED);
	cr_expect_eq(verify_bytes(&k, JWT_RS256, bad, 257), E_DENIED);
	memset(bad, 0, sizeof bad);
	cr_expect_eq(verify_bytes(&k, JWT_RS256, bad, 256), E_DENIED);
	bad[255] = 1; /* the cube root of 1 and friends */
	cr_expect_eq(verify_bytes(&k, JWT_RS256, bad, 256), E_DENIED);
	memset(bad, 0xff, sizeof bad); /* above the modulus */
	cr_expect_eq(verify_bytes(&k, JWT_RS256, bad, 256), E_DENIED);
	for (int salt = 0; salt <= 64; salt += 32) {
		sig = rig_signature(k.key, JWT_PS256, signed_text(JWT_PS256), salt);
		cr_expect_eq(verify_bytes(&k, JWT_PS256, sig.p, sig.n), salt == 32 ? 0 : E_DENIED,
			     "salt of %d", salt);
	}
}

/* ---- libjwt ---- */

Test(jwks, what_libjwt_signs)
{
	static const enum jwt_alg algs[] = {JWT_RS256, JWT_RS384, JWT_RS512, JWT_ES256, JWT_ES384};

	for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
		enum rig_kind kind = kind_of[algs[i]];
		struct jwks_key k = rig_public(kind, STR("k1"));
		struct str token = other_jwt_sign(rig_arena, jwt_alg_name(algs[i]), "k1",
						  RIG_CLAIMS, rig_pem(kind, true));
		cr_assert_not_null(token.p);
		cr_expect_eq(verify(&k, token), 0, "%s", token.p);
	}
}

Test(jwks, what_libjwt_thinks_of_ours)
{
	static const enum jwt_alg algs[] = {JWT_RS256, JWT_RS384, JWT_RS512, JWT_ES256, JWT_ES384};

	for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
		enum rig_kind kind = kind_of[algs[i]];
		struct str token = rig_sign(kind, algs[i], "k1", RIG_CLAIMS);
		cr_expect(other_jwt_verify(token, rig_pem(kind, false)), "%s", token.p);
	}
}

/* ---- key sets ---- */

/* 2048 bits of ones: odd, with small factors. 2040 bits: the example without its last byte. */
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
		struct jwks_key k = rig_public(kind_of[alg], STR("k")), back = {0};
		struct str token = rig_sign(kind_of[alg], (enum jwt_alg)alg, "k", RIG_CLAIMS);
		uint8_t der[JWKS_DER_MAX];
		size_t n;

		cr_assert_eq(jwks_key_der(&k, der, sizeof der, &n), 0);
		struct str s = {(char *)der, n};
		cr_expect_eq(jwks_key_der(&k, der, n - 1, &n), E_LIMIT);
		cr_assert_eq(jwks_key_from_der(s, k.kid, UINT32_MAX, &back), 0);
		cr_expect_eq(back.algs, k.algs);
		cr_expect_eq(EVP_PKEY_eq(back.key, k.key), 1);
		cr_expect_eq(verify(&back, token), 0);
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

/* TLS asks the same queue what went wrong with a connection. */
Test(jwks, the_queue_of_errors_stays)
{
	struct jwks_key k = rig_public(RIG_RSA, STR_NONE), back;
	struct jwks_key ec = rig_public(RIG_P256, STR_NONE);
	char bytes[256] = {1};

	for (int mine = 0; mine < 2; mine++) {
		if (mine)
			ERR_raise(ERR_LIB_USER, 42);
		unsigned long before = ERR_peek_last_error();
		cr_expect_eq(verify_bytes(&k, JWT_RS256, bytes, 256), E_DENIED);
		cr_expect_eq(verify_bytes(&k, JWT_PS256, bytes, 256), E_DENIED);
		cr_expect_eq(verify_bytes(&ec, JWT_ES256, bytes, 64), E_DENIED);
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
