/* proto/signature, and jwks_verify() before it: who has signed what. */
#include <criterion/criterion.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include "proto/base64.h"
#include "proto/signature.h"
#include "t/fuzz/jwt_examples.h"
#include "t/unit/other_jwt.h"
#include "t/unit/token_rig.h"

/* RSA, P-256 and Ed25519 of the standards. */
static struct jwks_key *examples;

static void
open_examples(void)
{
	unsigned count;
	const char *why;

	rig_open();
	cr_assert_eq(jwks_parse(STR("{\"keys\":[{" RFC_RSA "},{" RFC_EC "},{" RFC_OKP "}]}"),
				rig_arena, &examples, &count, &why),
		     0);
	cr_assert_eq(count, 3);
}

static void
close_examples(void)
{
	jwks_free(examples, 3);
	jwks_free(examples, 3); /* does no harm */
	rig_close();
}

TestSuite(signature, .init = open_examples, .fini = close_examples);

Test(signature, examples_of_the_standards)
{
	cr_expect_eq(rig_verify(&examples[0], STR(RFC_RSA_TOKEN)), 0);
	cr_expect_eq(rig_verify(&examples[1], STR(RFC_EC_TOKEN)), 0);
	cr_expect_eq(rig_verify(&examples[1], STR(RFC_RSA_TOKEN)), E_DENIED);
	cr_expect_eq(rig_verify(&examples[0], STR(RFC_EC_TOKEN)), E_DENIED);
	cr_expect_eq(examples[0].algs,
		     1u << JWT_RS256 | 1u << JWT_RS384 | 1u << JWT_RS512 | 1u << JWT_PS256);
	cr_expect_eq(examples[1].algs, 1u << JWT_ES256);
	cr_expect_eq(examples[2].algs, 1u << JWT_EDDSA);
}

/* RFC 8037 appendix A.4, whose payload is no JSON: without the gate. */
Test(signature, ed25519_example)
{
	uint8_t sig[64];
	size_t n;

	cr_assert_eq(base64_url_decode(STR("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki"
					   "4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"),
				       sig, sizeof sig, &n),
		     0);
	cr_expect(signature_is_good(examples[2].key, JWT_EDDSA,
				    STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
				    (struct str){(char *)sig, n}));
}

Test(signature, every_altered_character_is_refused)
{
	static const char others[] = "Ax-.=";

	for (unsigned k = 0; k < 2; k++) {
		struct str token = k == 0 ? STR(RFC_RSA_TOKEN) : STR(RFC_EC_TOKEN);
		char *copy = arena_copy(rig_arena, token.p, token.n);
		for (size_t i = 0; i < token.n; i++) {
			copy[i] = others[i % 5] != token.p[i] ? others[i % 5] : 'B';
			cr_expect_lt(rig_verify(&examples[k], (struct str){copy, token.n}), 0,
				     "%zu", i);
			copy[i] = token.p[i];
		}
		cr_expect_eq(rig_verify(&examples[k], (struct str){copy, token.n}), 0);
		cr_expect_lt(rig_verify(&examples[k], (struct str){copy, token.n - 1}), 0);
	}
}

Test(signature, each_key_for_its_algorithms_only)
{
	for (unsigned alg = 0; alg < JWT_ALGS; alg++) {
		struct str token = rig_sign(rig_kind_of[alg], (enum jwt_alg)alg, "k", RIG_CLAIMS);
		for (unsigned kind = 0; kind < RIG_KINDS; kind++) {
			struct jwks_key k = rig_public((enum rig_kind)kind, STR("k"));
			int want = kind == rig_kind_of[alg] ? 0 : E_DENIED;
			cr_expect_eq(rig_verify(&k, token), want, "%u %u", alg, kind);
			k.algs &= ~(1u << alg);
			cr_expect_eq(rig_verify(&k, token), E_DENIED, "%u %u", alg, kind);
		}
	}
}

Test(signature, key_ids)
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
		cr_expect_eq(rig_verify(&k, token), rows[i].err, "row %zu", i);
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
Test(signature, a_public_key_is_no_secret)
{
	static const char *const headers[] = {"{\"alg\":\"HS256\"}", "{\"alg\":\"RS256\"}",
					      "{\"alg\":\"PS256\"}", "{\"alg\":\"ES256\"}"};
	struct jwks_key k = rig_public(RIG_RSA, STR_NONE), ec = rig_public(RIG_P256, STR_NONE);
	uint8_t der[JWKS_DER_MAX];
	size_t n;

	cr_assert_eq(jwks_key_der(&k, der, sizeof der, &n), 0);
	for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
		int want = i == 0 ? E_SYNTAX : E_DENIED;
		cr_expect_eq(rig_verify(&k, hmac(headers[i], rig_pem(RIG_RSA, false))), want);
		cr_expect_eq(rig_verify(&k, hmac(headers[i], (struct str){(char *)der, n})), want);
		cr_expect_eq(rig_verify(&k, hmac(headers[i], STR(""))), want);
		cr_expect_eq(rig_verify(&ec, hmac(headers[i], rig_pem(RIG_P256, false))), want);
	}
}

Test(signature, a_good_signature_under_another_header)
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
		cr_expect_eq(rig_verify(&k, token), rows[i].err, "row %zu", i);
	}
}

/* Verifies "header.claims" with bytes of the caller's as the signature. */
static int
verify_bytes(const struct jwks_key *k, enum jwt_alg alg, const void *p, size_t n)
{
	const char *header = arena_printf(rig_arena, "{\"alg\":\"%s\"}", jwt_alg_name(alg));

	return rig_verify(k, rig_token(header, RIG_CLAIMS, (struct str){p, n}));
}

static struct str
signed_text(enum jwt_alg alg)
{
	const char *header = arena_printf(rig_arena, "{\"alg\":\"%s\"}", jwt_alg_name(alg));
	struct str text = rig_token(header, RIG_CLAIMS, STR("x"));

	text.n -= 3; /* ".eA" */
	return text;
}

Test(signature, ecdsa_of_another_shape)
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
Test(signature, ecdsa_with_leading_zeros)
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

Test(signature, rsa_of_another_shape)
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

Test(signature, what_libjwt_signs)
{
	static const enum jwt_alg algs[] = {JWT_RS256, JWT_RS384, JWT_RS512, JWT_ES256, JWT_ES384};

	for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
		enum rig_kind kind = rig_kind_of[algs[i]];
		struct jwks_key k = rig_public(kind, STR("k1"));
		struct str token = other_jwt_sign(rig_arena, jwt_alg_name(algs[i]), "k1",
						  RIG_CLAIMS, rig_pem(kind, true));
		cr_assert_not_null(token.p);
		cr_expect_eq(rig_verify(&k, token), 0, "%s", token.p);
	}
}

Test(signature, what_libjwt_thinks_of_ours)
{
	static const enum jwt_alg algs[] = {JWT_RS256, JWT_RS384, JWT_RS512, JWT_ES256, JWT_ES384};

	for (size_t i = 0; i < sizeof algs / sizeof algs[0]; i++) {
		enum rig_kind kind = rig_kind_of[algs[i]];
		struct str token = rig_sign(kind, algs[i], "k1", RIG_CLAIMS);
		cr_expect(other_jwt_verify(token, rig_pem(kind, false)), "%s", token.p);
	}
}

/* TLS asks the same queue what went wrong with a connection. */
Test(signature, the_queue_of_errors_stays)
{
	struct jwks_key rsa = rig_public(RIG_RSA, STR_NONE), ec = rig_public(RIG_P256, STR_NONE);
	char bytes[256] = {1};

	for (int mine = 0; mine < 2; mine++) {
		if (mine)
			ERR_raise(ERR_LIB_USER, 42);
		unsigned long before = ERR_peek_last_error();
		cr_expect_eq(verify_bytes(&rsa, JWT_RS256, bytes, 256), E_DENIED);
		cr_expect_eq(verify_bytes(&rsa, JWT_PS256, bytes, 256), E_DENIED);
		cr_expect_eq(verify_bytes(&ec, JWT_ES256, bytes, 64), E_DENIED);
		cr_expect_eq(ERR_peek_last_error(), before);
		cr_expect_eq(ERR_GET_REASON(ERR_peek_error()), mine ? 42 : 0);
	}
	ERR_clear_error();
}
