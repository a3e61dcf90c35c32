/*
 * Signatures of tokens, verified by libcrypto. Pure.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include "proto/signature.h"
#include "lib/panic.h"

#define HALF_MAX 48 /* bytes of r, or of s, of an ECDSA signature */
#define DER_MAX	 (2 + 2 * (2 + 1 + HALF_MAX))
#define RSA_ALGS                                                                          \
	(SIGNATURE_ALG(JWT_RS256) | SIGNATURE_ALG(JWT_RS384) | SIGNATURE_ALG(JWT_RS512) | \
	 SIGNATURE_ALG(JWT_PS256))

static const struct scheme {
	const char *digest; /* NULL: the algorithm has its own */
	bool pss;
	size_t half; /* 0: not ECDSA */
} schemes[JWT_ALGS] = {
	[JWT_RS256] = {"SHA256", false, 0},  [JWT_RS384] = {"SHA384", false, 0},
	[JWT_RS512] = {"SHA512", false, 0},  [JWT_PS256] = {"SHA256", true, 0},
	[JWT_ES256] = {"SHA256", false, 32}, [JWT_ES384] = {"SHA384", false, 48},
	[JWT_EDDSA] = {NULL, false, 0},
};

static uint32_t
ec_algs(const EVP_PKEY *key)
{
	char curve[32];

	if (EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL) != 1)
		return 0;
	if (strcmp(curve, "prime256v1") == 0)
		return SIGNATURE_ALG(JWT_ES256);
	return strcmp(curve, "secp384r1") == 0 ? SIGNATURE_ALG(JWT_ES384) : 0;
}

uint32_t
signature_algs(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA: return bits >= 2048 && bits <= 8 * SIGNATURE_RSA_MAX ? RSA_ALGS : 0;
	case EVP_PKEY_EC: return ec_algs(key);
	case EVP_PKEY_ED25519: return SIGNATURE_ALG(JWT_EDDSA);
	default: return 0;
	}
}

/* A DER INTEGER of fewer than 128 bytes. */
static uint8_t *
put_integer(uint8_t *to, const uint8_t *p, size_t n)
{
	size_t zero;

	for (; n > 1 && p[0] == 0; n--)
		p++;
	zero = p[0] >> 7; /* in front, lest it be negative */
	*to++ = 0x02;
	*to++ = (uint8_t)(n + zero);
	*to = 0;
	memcpy(to + zero, p, n);
	return to + zero + n;
}

/* From r and s side by side to the ECDSA-Sig-Value that OpenSSL takes; all lengths fit a byte. */
static struct str
make_der(struct str raw, uint8_t buf[DER_MAX])
{
	const uint8_t *r = (const uint8_t *)raw.p, *s = r + raw.n / 2;
	uint8_t *end = put_integer(put_integer(buf + 2, r, raw.n / 2), s, raw.n / 2);

	buf[0] = 0x30;
	buf[1] = (uint8_t)(end - buf - 2);
	return (struct str){(char *)buf, (size_t)(end - buf)};
}

static bool
verify(EVP_MD_CTX *ctx, EVP_PKEY *key, const struct scheme *s, struct str text, struct str sig)
{
	EVP_PKEY_CTX *pkey;

	if (EVP_DigestVerifyInit_ex(ctx, &pkey, s->digest, NULL, NULL, key, NULL) != 1)
		return false;
	if (s->pss && (EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING) != 1 ||
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, RSA_PSS_SALTLEN_DIGEST) != 1))
		return false;
	return EVP_DigestVerify(ctx, (const uint8_t *)sig.p, sig.n, (const uint8_t *)text.p,
				text.n) == 1;
}

bool
signature_is_good(EVP_PKEY *key, enum jwt_alg alg, struct str text, struct str signature)
{
	const struct scheme *s = &schemes[alg];
	uint8_t der[DER_MAX];
	EVP_MD_CTX *ctx;
	bool good;

	ASSERT(alg < JWT_ALGS);
	if (s->half > 0) {
		if (signature.n != 2 * s->half)
			return false;
		signature = make_der(signature, der);
	}
	ctx = EVP_MD_CTX_new();
	ERR_set_mark();
	good = ctx != NULL && verify(ctx, key, s, text, signature);
	ERR_pop_to_mark();
	EVP_MD_CTX_free(ctx);
	return good;
}
