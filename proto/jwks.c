/*
 * Key sets: JSON or DER enters, checked public keys of OpenSSL leave, and the other way. Pure.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include "proto/jwks.h"
#include "lib/panic.h"
#include "proto/base64.h"
#include "proto/object.h"
#include "proto/signature.h"

#define NUMBER_MAX   (SIGNATURE_RSA_MAX + 1) /* some write a zero in front of a modulus */
#define EXPONENT_MAX 8			     /* bytes; a long one makes verifying slow */
#define HALF_MAX     48			     /* a coordinate */
#define ED25519	     32

static const struct curve {
	const char *jwk, *openssl;
	size_t half;
	uint32_t algs;
} curves[] = {
	{"P-256", "prime256v1", 32, SIGNATURE_ALG(JWT_ES256)},
	{"P-384", "secp384r1", 48, SIGNATURE_ALG(JWT_ES384)},
};
#define CURVES (sizeof curves / sizeof curves[0])

/* ---- from JSON ---- */

static bool
is_text(const json_t *v, const char *want)
{
	return json_is_string(v) && strcmp(json_string_value(v), want) == 0;
}

static bool
get_bytes(const json_t *o, const char *name, uint8_t *buf, size_t size, size_t *ret_n)
{
	struct str text;

	return object_text(o, name, &text) == 0 && text.n > 0 &&
	       base64_url_decode(text, buf, size, ret_n) == 0;
}

static bool
get_exactly(const json_t *o, const char *name, uint8_t *buf, size_t size)
{
	size_t n;

	return get_bytes(o, name, buf, size, &n) && n == size;
}

/* A big-endian number becomes one that an OSSL_PARAM takes. */
static bool
make_native(uint8_t *p, size_t n)
{
	BIGNUM *number = BN_bin2bn(p, (int)n, NULL);
	bool ok = number != NULL && BN_bn2nativepad(number, p, (int)n) == (int)n;

	BN_free(number);
	return ok;
}

static EVP_PKEY *
make_key(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
		(void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *
read_rsa(const json_t *o)
{
	uint8_t n[NUMBER_MAX], e[EXPONENT_MAX];
	size_t n_len, e_len;

	if (!get_bytes(o, "n", n, sizeof n, &n_len) || !make_native(n, n_len) ||
	    !get_bytes(o, "e", e, sizeof e, &e_len) || !make_native(e, e_len))
		return NULL;
	return make_key("RSA",
			(OSSL_PARAM[]){OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, n_len),
				       OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, e_len),
				       OSSL_PARAM_construct_end()});
}

static EVP_PKEY *
read_ec(const json_t *o)
{
	uint8_t point[1 + 2 * HALF_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
	const struct curve *c = curves;
	char group[32];

	while (c < curves + CURVES && !is_text(json_object_get(o, "crv"), c->jwk))
		c++;
	if (c == curves + CURVES || !get_exactly(o, "x", point + 1, c->half) ||
	    !get_exactly(o, "y", point + 1 + c->half, c->half))
		return NULL;
	str_copy(group, sizeof group, str_from(c->openssl));
	return make_key("EC", (OSSL_PARAM[]){OSSL_PARAM_construct_utf8_string("group", group, 0),
					     OSSL_PARAM_construct_octet_string("pub", point,
									       1 + 2 * c->half),
					     OSSL_PARAM_construct_end()});
}

static EVP_PKEY *
read_okp(const json_t *o)
{
	uint8_t x[ED25519];

	if (!is_text(json_object_get(o, "crv"), "Ed25519") || !get_exactly(o, "x", x, sizeof x))
		return NULL;
	return make_key("ED25519",
			(OSSL_PARAM[]){OSSL_PARAM_construct_octet_string("pub", x, sizeof x),
				       OSSL_PARAM_construct_end()});
}

static EVP_PKEY *
read_public(const json_t *o)
{
	const json_t *kty = json_object_get(o, "kty");

	if (is_text(kty, "RSA"))
		return read_rsa(o);
	if (is_text(kty, "EC"))
		return read_ec(o);
	return is_text(kty, "OKP") ? read_okp(o) : NULL;
}

/* Is it for verifying signatures? Who publishes the private part too ("d") has no secret left. */
static bool
is_meant(const json_t *o)
{
	const json_t *use = json_object_get(o, "use"), *ops = json_object_get(o, "key_ops"), *op;
	bool verify = ops == NULL;
	size_t i;

	json_array_foreach(ops, i, op)
	{
		verify |= is_text(op, "verify");
	}
	return verify && (use == NULL || is_text(use, "sig")) && json_object_get(o, "d") == NULL;
}

/* What its "alg" narrows it to. */
static uint32_t
wanted_algs(const json_t *o)
{
	struct str name;
	enum jwt_alg alg;

	if (object_text(o, "alg", &name) < 0)
		return 0;
	if (name.p == NULL)
		return UINT32_MAX;
	return jwt_alg_find(name, &alg) == 0 ? SIGNATURE_ALG(alg) : 0;
}

/* RSA: an odd exponent above 1, a composite modulus without small factors. EC: SP 800-56A. */
static bool
is_sound(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool sound = ctx != NULL && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return sound;
}

/* False: to be passed over. */
static bool
read_key(const json_t *o, struct arena *a, struct jwks_key *ret)
{
	struct jwks_key k = {.algs = wanted_algs(o)};

	if (!is_meant(o) || object_text(o, "kid", &k.kid) < 0 || k.kid.n > JWT_KID_MAX)
		return false;
	k.key = read_public(o);
	if (k.key == NULL)
		return false;
	k.algs &= signature_algs(k.key);
	if (k.algs == 0 || !is_sound(k.key)) {
		EVP_PKEY_free(k.key);
		return false;
	}
	k.kid = arena_str(a, k.kid);
	*ret = k;
	return true;
}

/* Into keys[JWKS_KEYS]. */
static int
read_list(const json_t *list, struct arena *a, struct jwks_key *keys, unsigned *count,
	  const char **ret_why)
{
	struct jwks_key k;
	const json_t *o;
	size_t i;

	*ret_why = "the set has no list of keys";
	if (!json_is_array(list))
		return E_SYNTAX;
	*ret_why = "the set has too many keys";
	if (json_array_size(list) > JWKS_LIST_MAX)
		return E_LIMIT;
	json_array_foreach(list, i, o)
	{
		if (!read_key(o, a, &k))
			continue;
		if (*count == JWKS_KEYS) {
			EVP_PKEY_free(k.key);
			return E_LIMIT;
		}
		keys[(*count)++] = k;
	}
	*ret_why = "the set has no key that can verify signatures";
	return *count > 0 ? 0 : E_NOT_FOUND;
}

int
jwks_parse(struct str text, struct arena *a, struct jwks_key **ret, unsigned *ret_count,
	   const char **ret_why)
{
	struct jwks_key keys[JWKS_KEYS], *list = NULL;
	unsigned count = 0;
	json_t *set;
	int err;

	*ret_why = "the set is larger than 256 KiB";
	if (text.n > JWKS_TEXT_MAX)
		return E_LIMIT;
	*ret_why = "the set is no JSON object, or has a name twice";
	set = object_parse(text);
	if (set == NULL)
		return E_SYNTAX;
	ERR_set_mark();
	err = read_list(json_object_get(set, "keys"), a, keys, &count, ret_why);
	ERR_pop_to_mark();
	json_decref(set);
	if (err == 0)
		list = arena_copy(a, keys, count * sizeof keys[0]);
	if (arena_failed(a)) {
		*ret_why = "out of memory";
		err = E_NOMEM;
	}
	if (err < 0) {
		jwks_free(keys, count);
		return err;
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

void
jwks_free(struct jwks_key *keys, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		EVP_PKEY_free(keys[i].key);
		keys[i].key = NULL;
	}
}

/* ---- DER ---- */

int
jwks_key_der(const struct jwks_key *k, uint8_t *buf, size_t size, size_t *ret_n)
{
	int n = i2d_PUBKEY(k->key, NULL);

	if (n <= 0)
		return E_NOMEM;
	if ((size_t)n > size)
		return E_LIMIT;
	n = i2d_PUBKEY(k->key, &buf);
	if (n <= 0)
		return E_NOMEM;
	*ret_n = (size_t)n;
	return 0;
}

int
jwks_key_from_der(struct str der, struct str kid, uint32_t algs, struct jwks_key *ret)
{
	const unsigned char *p = (const unsigned char *)der.p;
	struct jwks_key k = {.kid = kid};

	if (der.n == 0 || der.n > JWKS_DER_MAX)
		return E_SYNTAX;
	ERR_set_mark();
	k.key = d2i_PUBKEY(NULL, &p, (long)der.n);
	if (k.key != NULL && p == (const unsigned char *)der.p + der.n)
		k.algs = algs & signature_algs(k.key);
	ERR_pop_to_mark();
	if (k.algs == 0) {
		EVP_PKEY_free(k.key);
		return E_SYNTAX;
	}
	*ret = k;
	return 0;
}

/* ---- verification ---- */

bool
jwks_fits(const struct jwks_key *k, const struct jwt *t)
{
	return (k->algs & SIGNATURE_ALG(t->alg)) != 0 && str_eq(k->kid, t->kid);
}

int
jwks_verify(const struct jwks_key *k, const struct jwt *t)
{
	bool good =
		jwks_fits(k, t) && signature_is_good(k->key, t->alg, t->signed_part, t->signature);

	return good ? 0 : E_DENIED;
}

/* ---- to JSON ---- */

/* A member that is a text, with a comma before it. */
static void
add_text(struct buf *b, const char *name, struct str s)
{
	buf_printf(b, ",\"%s\":\"", name);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < ' ' || c == '"' || c == '\\')
			buf_printf(b, "\\u%04x", c);
		else
			buf_add_byte(b, c);
	}
	buf_add_byte(b, '"');
}

static void
add_bytes(struct buf *b, const char *name, const uint8_t *p, size_t n)
{
	buf_printf(b, ",\"%s\":\"", name);
	base64_url_add(b, (struct str){(const char *)p, n});
	buf_add_byte(b, '"');
}

/* A number of the key, in `width` bytes; 0: in as many as it needs. */
static bool
add_number(struct buf *b, const char *name, const EVP_PKEY *key, const char *param, size_t width)
{
	uint8_t buf[NUMBER_MAX];
	BIGNUM *number = NULL;
	size_t n = 0;
	bool ok;

	if (EVP_PKEY_get_bn_param(key, param, &number) == 1)
		n = width > 0 ? width : (size_t)BN_num_bytes(number);
	ok = n > 0 && n <= sizeof buf && BN_bn2binpad(number, buf, (int)n) == (int)n;
	if (ok)
		add_bytes(b, name, buf, n);
	BN_free(number);
	return ok;
}

static bool
add_rsa(struct buf *b, const EVP_PKEY *key)
{
	add_text(b, "kty", STR("RSA"));
	return add_number(b, "n", key, OSSL_PKEY_PARAM_RSA_N, 0) &&
	       add_number(b, "e", key, OSSL_PKEY_PARAM_RSA_E, 0);
}

static bool
add_ec(struct buf *b, const EVP_PKEY *key, uint32_t algs)
{
	const struct curve *c = algs & curves[0].algs ? &curves[0] : &curves[1];

	add_text(b, "kty", STR("EC"));
	add_text(b, "crv", str_from(c->jwk));
	return add_number(b, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, c->half) &&
	       add_number(b, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, c->half);
}

static bool
add_okp(struct buf *b, const EVP_PKEY *key)
{
	uint8_t x[ED25519];
	size_t n = sizeof x;

	add_text(b, "kty", STR("OKP"));
	add_text(b, "crv", STR("Ed25519"));
	if (EVP_PKEY_get_raw_public_key(key, x, &n) != 1)
		return false;
	add_bytes(b, "x", x, n);
	return true;
}

static bool
add_key(struct buf *b, const struct jwks_key *k)
{
	buf_add_str(b, STR("{\"use\":\"sig\""));
	if (k->kid.n > 0)
		add_text(b, "kid", k->kid);
	for (unsigned alg = 0; alg < JWT_ALGS; alg++)
		if (k->algs == SIGNATURE_ALG(alg))
			add_text(b, "alg", str_from(jwt_alg_name(alg)));
	switch (EVP_PKEY_get_base_id(k->key)) {
	case EVP_PKEY_RSA: return add_rsa(b, k->key);
	case EVP_PKEY_EC: return add_ec(b, k->key, k->algs);
	default: return add_okp(b, k->key);
	}
}

int
jwks_print(const struct jwks_key *keys, unsigned count, struct buf *b)
{
	buf_add_str(b, STR("{\"keys\":["));
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			buf_add_byte(b, ',');
		if (!add_key(b, &keys[i]))
			return E_NOMEM;
		buf_add_byte(b, '}');
	}
	buf_add_str(b, STR("]}"));
	return buf_failed(b) ? E_NOMEM : 0;
}
