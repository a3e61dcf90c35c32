/*
 * The issuer of the tests, on libcrypto; apart from proto/ but for base64.
 */
#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include "proto/base64.h"
#include "t/unit/token_rig.h"

/* Made for these tests only; making one takes too long, above all under valgrind. */
static const char rsa_pem[] = "-----BEGIN RSA PRIVATE KEY-----\n"
			      "MIIEowIBAAKCAQEA28IF7U0cSbJwDnsINzGj15I+RDTGb0OytmIR0UU8BE1g1c9+\n"
			      "3G+nkDVW57Ca3pncaNa/NsaA8cF+/cVxoa6gNM3WH8QIVhQyEW6PUUN85SeHttPi\n"
			      "3wxR6/izPh39l/Zz5Z0ht5xVNimLdJanrzn4PDXAIZjRVsEkRE8bmO81lyKAwNZ5\n"
			      "59MBCog4bW/O3mtJ8taNbWLYLlX1G0q+s5Gib+uaoIEFSF/aClGpbAriiWGrq2+c\n"
			      "wFTLj5eE/xGe/GTAay64OpOxeTLr9opVfKKJzofgAQG1mOBnnVU0a+dq/asdz8Js\n"
			      "y6QSTHDeWV0FwGPvOLj2ZzHnFQjUR3HvsYyBAQIDAQABAoIBAClnuS4o5TeNg0d3\n"
			      "LukXVUN8rnazat/z5WwvtiOz48b7vU8LtV9bOjsVkbY9tDBU1Q57x7NOW2Uxi/fM\n"
			      "h8hq2oyYa8u4Z8mwLG7UYfRxvsp+VDfCXHCiJZ1MUplVlT5YlSWiIYQy1GtMEJZ6\n"
			      "/EUrqvXNOtIZtPeflHG6Zfy+tV4wLINMXNEJ7dDroUrqzwsdAGvokltjN7r2EOby\n"
			      "LpnXXXFYaB6yvmHU+s+QSZPGtfXtbvd8Pzf2m7qLSo8bI60AxR0/mFpw28dPD47m\n"
			      "ALdHcMHkbk8Y2FRFOgwF7ncSr/urvef7MTj/pZHZEy/MtbVP+tntqABxutzuguFA\n"
			      "ULY/8bECgYEA+zEJL3yVDw0uVg9FIBpS0Q0d1+rrWiSUbze+AZhh1xdKQpvltjN5\n"
			      "TIZDcQpUJJAs4D2EMAf78XW1HblyPq6XumZKmjWxIep3DnpLAwIpUINl21B2XGvE\n"
			      "Zyy92sFNm2yNWGpEkWmPYBhgBqz2m12bRLDiAbfDgYGDMmT1scOWk7sCgYEA3/by\n"
			      "W3kd9Wnf2cX9seCfPZWszaSEh8dLBWlqSpTihRdTxn9IBsGSHkwuNPr1phOsRqRW\n"
			      "Q2rapCx7DT60TKWc4ZJaLJKAaRNHCuO1q0SmVgrBfEg86PNxHwO053QCkadDjcHZ\n"
			      "4e42OpbxzkjOILQaA/iHYy9v0ihEXyHb+8hMLHMCgYAJN8pzgKnjrIMny1WpEO47\n"
			      "F7UhqFBMtYzw6+XAHzxv7T3fZeMvJYJtCXxOGKfv046iB//i11gqizxDQ/vqSvPs\n"
			      "djaEpDXE3drSoDBCgwDLIJdLTg+Z4qaJdr3c2j0j1/7z4Kp1f58wUpSrigtetjet\n"
			      "dKRGldzJ0tvirIvLozbSYwKBgQC9ZdqinJRHO9fAFH1sdaZ0sCTIaz5gjJrW4sSu\n"
			      "eaXuI0IHdQ/2FrB4yrewuiIO5kgkHUmODckEWVFebA6RWuSGpft4AhRxx4mmnda+\n"
			      "FXoM/V+OuJA599VMAxhzO1oIzsiEEtEtDQPzHD800cDvSx9NCFmF+VG5CbB4OuwL\n"
			      "yuEQHQKBgFnv2pHqUaPDo09iLsyzL4h8onD9BlobTlyfvCP/jhsOcLNodN90RkPo\n"
			      "XBQHSKGezd/JMu+eqDDzFF+J4edpUMQ0Tm3coeIkGOIYpYKdW6CSsr0FUnL6v82H\n"
			      "iTPODlimkJxQNj1Ln1ZgDqyUFjtarTnuhiuYc3fZiMptSqQF4gZ0\n"
			      "-----END RSA PRIVATE KEY-----\n";

struct arena *rig_arena;
static EVP_PKEY *keys[RIG_KINDS];

void
rig_open(void)
{
	rig_arena = arena_new(4096, 64u << 20);
}

void
rig_close(void)
{
	for (size_t i = 0; i < RIG_KINDS; i++)
		EVP_PKEY_free(keys[i]);
	arena_free(&rig_arena);
}

static EVP_PKEY *
make_rsa(void)
{
	BIO *bio = BIO_new_mem_buf(rsa_pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

	BIO_free(bio);
	return key;
}

EVP_PKEY *
rig_key(enum rig_kind kind)
{
	if (keys[kind] == NULL) {
		switch (kind) {
		case RIG_RSA: keys[kind] = make_rsa(); break;
		case RIG_P256: keys[kind] = EVP_EC_gen("P-256"); break;
		case RIG_P384: keys[kind] = EVP_EC_gen("P-384"); break;
		default: keys[kind] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
		}
		cr_assert_not_null(keys[kind]);
	}
	return keys[kind];
}

struct str
rig_pem(enum rig_kind kind, bool private)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str text;
	char *p;

	if (private)
		PEM_write_bio_PrivateKey(bio, rig_key(kind), NULL, NULL, 0, NULL, NULL);
	else
		PEM_write_bio_PUBKEY(bio, rig_key(kind));
	text.n = (size_t)BIO_get_mem_data(bio, &p);
	text.p = arena_copy(rig_arena, p, text.n);
	BIO_free(bio);
	return text;
}

struct jwks_key
rig_public(enum rig_kind kind, struct str kid)
{
	static const uint32_t algs[RIG_KINDS] = {1u << JWT_RS256 | 1u << JWT_RS384 |
							 1u << JWT_RS512 | 1u << JWT_PS256,
						 1u << JWT_ES256, 1u << JWT_ES384, 1u << JWT_EDDSA};

	return (struct jwks_key){kid, algs[kind], rig_key(kind)};
}

struct str
rig_url(struct str bytes)
{
	struct buf b;
	struct str text;

	buf_init(&b, 4u << 20);
	base64_url_add(&b, bytes);
	text = arena_str(rig_arena, buf_str(&b));
	buf_free(&b);
	return text;
}

static struct str
signed_part(const char *header, const char *claims)
{
	return str_from(arena_printf(rig_arena, "%s.%s", rig_url(str_from(header)).p,
				     rig_url(str_from(claims)).p));
}

static struct str
with_signature(struct str text, struct str signature)
{
	return str_from(arena_printf(rig_arena, "%s.%s", text.p, rig_url(signature).p));
}

struct str
rig_token(const char *header, const char *claims, struct str signature)
{
	return with_signature(signed_part(header, claims), signature);
}

/* From OpenSSL's DER to r and s side by side. */
static struct str
raw_ecdsa(const uint8_t *der, size_t n, size_t half)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)n);
	uint8_t *raw = arena_alloc(rig_arena, 2 * half);

	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, (int)half);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, (int)half);
	ECDSA_SIG_free(sig);
	return (struct str){(char *)raw, 2 * half};
}

struct str
rig_signature(EVP_PKEY *key, enum jwt_alg alg, struct str text, int salt)
{
	const EVP_MD *md = alg == JWT_EDDSA			  ? NULL
			   : alg == JWT_RS384 || alg == JWT_ES384 ? EVP_sha384()
			   : alg == JWT_RS512			  ? EVP_sha512()
								  : EVP_sha256();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pkey;
	uint8_t buf[1024];
	size_t n = sizeof buf;

	cr_assert_eq(EVP_DigestSignInit(ctx, &pkey, md, NULL, key), 1);
	if (alg == JWT_PS256) {
		EVP_PKEY_CTX_set_rsa_padding(pkey, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pkey, salt);
	}
	cr_assert_eq(EVP_DigestSign(ctx, buf, &n, (const uint8_t *)text.p, text.n), 1);
	EVP_MD_CTX_free(ctx);
	if (alg == JWT_ES256 || alg == JWT_ES384)
		return raw_ecdsa(buf, n, alg == JWT_ES256 ? 32 : 48);
	return arena_str(rig_arena, (struct str){(char *)buf, n});
}

struct str
rig_sign_as(enum rig_kind kind, enum jwt_alg alg, const char *header, const char *claims)
{
	struct str text = signed_part(header, claims);

	return with_signature(text, rig_signature(rig_key(kind), alg, text, 32));
}

struct str
rig_sign(enum rig_kind kind, enum jwt_alg alg, const char *kid, const char *claims)
{
	const char *name = jwt_alg_name(alg);
	const char *header =
		kid == NULL ? arena_printf(rig_arena, "{\"alg\":\"%s\"}", name)
			    : arena_printf(rig_arena, "{\"alg\":\"%s\",\"kid\":\"%s\"}", name, kid);

	return rig_sign_as(kind, alg, header, claims);
}

const enum rig_kind rig_kind_of[JWT_ALGS] = {RIG_RSA,  RIG_RSA,	 RIG_RSA,    RIG_RSA,
					     RIG_P256, RIG_P384, RIG_ED25519};

/* 0, E_DENIED, or what jwt_read() said. */
int
rig_verify(const struct jwks_key *k, struct str token)
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
