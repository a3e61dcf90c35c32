/*
 * Tokens, key sets and personal tokens: the first line is a token, the rest (or all of it, if it is
 * one line) a key set. What passes the gate has one spelling and holds what its header promises;
 * nobody but the examples' own issuer is taken for it; keys survive every way of being written.
 */
#include "lib/panic.h"
#include "proto/base64.h"
#include "proto/jwks.h"
#include "proto/pat.h"
#include "t/fuzz/jwt_examples.h"

#define SCRATCH (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check_text(struct str s)
{
	ASSERT(s.p == NULL || (s.n > 0 && s.p[s.n] == '\0' && str_is_utf8(s)));
	for (size_t i = 0; i < s.n; i++)
		ASSERT((unsigned char)s.p[i] >= ' ' && s.p[i] != '\x7f');
}

static void
check_claims(const struct jwt *t, struct arena *a)
{
	static const struct str paths[] = {STR("sub"), STR("aud"), STR("a.b.c"), STR("x"), STR("")};
	const struct str *list;
	struct str text;
	unsigned count;

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		if (jwt_claim_text(t, paths[i], a, &text) == 0)
			check_text(text);
		if (jwt_claim_texts(t, paths[i], a, &list, &count) != 0)
			continue;
		ASSERT(count <= JWT_TEXTS);
		for (unsigned k = 0; k < count; k++)
			check_text(list[k]);
	}
	check_text(t->kid);
	check_text(t->issuer);
	check_text(t->subject);
	check_text(t->id);
	ASSERT(t->kid.n <= JWT_KID_MAX && t->audience_count <= JWT_AUDIENCES);
	for (unsigned i = 0; i < t->audience_count; i++)
		ASSERT(jwt_has_audience(t, &t->audience[i], 1));
}

static void
check_times(const struct jwt *t)
{
	const char *why = NULL;

	ASSERT(t->exp_s <= 253402300799 && t->nbf_s <= 253402300799 && t->iat_s <= 253402300799);
	ASSERT(jwt_check_times(t, t->exp_s, 0, &why) == E_TIMEOUT && why != NULL);
	if (jwt_check_times(t, 1000, 60, &why) == 0)
		ASSERT(t->exp_s > 940 && t->nbf_s <= 1060 && t->iat_s <= 1060);
}

/* The signature, spelled again, is what stood there. */
static void
check_spelling(struct str token, const struct jwt *t)
{
	struct buf b;

	ASSERT(token.n <= JWT_MAX && t->signed_part.p == token.p && t->alg < JWT_ALGS);
	ASSERT(t->signed_part.n < token.n && token.p[t->signed_part.n] == '.');
	buf_init(&b, JWT_MAX);
	base64_url_add(&b, t->signature);
	ASSERT(str_eq(buf_str(&b), (struct str){token.p + t->signed_part.n + 1,
						token.n - t->signed_part.n - 1}));
	buf_free(&b);
}

static void
check_forgery(struct str token, const struct jwt *t)
{
	static struct jwks_key *known;
	static unsigned known_count;
	static struct arena *lasting;
	const char *why;

	if (lasting == NULL) {
		lasting = arena_new(4096, SCRATCH);
		ASSERT(jwks_parse(STR("{\"keys\":[{" RFC_RSA "},{" RFC_EC "},{" RFC_OKP "}]}"),
				  lasting, &known, &known_count, &why) == 0);
	}
	for (unsigned i = 0; i < known_count; i++)
		if (jwks_verify(&known[i], t) == 0)
			ASSERT(str_eq(token, STR(RFC_RSA_TOKEN)) ||
			       str_eq(token, STR(RFC_EC_TOKEN)));
}

static bool
check_token(struct str token, struct arena *a, struct jwt *t)
{
	const char *why = NULL;

	if (jwt_read(token, a, t, &why) != 0) {
		ASSERT(why != NULL && t->claims == NULL);
		return false;
	}
	check_spelling(token, t);
	check_claims(t, a);
	check_times(t);
	check_forgery(token, t);
	return true;
}

static void
check_key(const struct jwks_key *k, const struct jwt *t)
{
	uint8_t der[JWKS_DER_MAX], again[JWKS_DER_MAX];
	struct jwks_key back;
	size_t n, m;

	ASSERT(k->algs != 0 && k->algs < 1u << JWT_ALGS && k->kid.n <= JWT_KID_MAX);
	ASSERT(jwks_key_der(k, der, sizeof der, &n) == 0);
	ASSERT(jwks_key_from_der((struct str){(char *)der, n}, k->kid, k->algs, &back) == 0);
	ASSERT(back.algs == k->algs && jwks_key_der(&back, again, sizeof again, &m) == 0);
	ASSERT(n == m && memcmp(der, again, n) == 0);
	if (t != NULL)
		ASSERT(jwks_verify(&back, t) == jwks_verify(k, t));
	jwks_free(&back, 1);
}

static bool
has_rsa(const struct jwks_key *keys, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if ((keys[i].algs & (1u << JWT_ES256 | 1u << JWT_ES384 | 1u << JWT_EDDSA)) == 0)
			return true;
	return false;
}

/*
 * What is printed is read again, as the same keys; but for RSA, as OpenSSL throws dice: a modulus
 * that is no product of two large primes passes its check now and then.
 */
static void
check_print(const struct jwks_key *keys, unsigned count, struct arena *a)
{
	struct jwks_key *again = NULL;
	unsigned n = 0;
	const char *why;
	struct buf b;
	bool same;

	buf_init(&b, SCRATCH);
	ASSERT(jwks_print(keys, count, &b) == 0);
	same = jwks_parse(buf_str(&b), a, &again, &n, &why) == 0 && n == count;
	ASSERT(same || has_rsa(keys, count));
	for (unsigned i = 0; same && i < n; i++)
		ASSERT(again[i].algs == keys[i].algs && str_eq(again[i].kid, keys[i].kid));
	jwks_free(again, n);
	buf_free(&b);
}

static void
check_set(struct str text, struct arena *a, const struct jwt *t)
{
	struct jwks_key *keys;
	const char *why = NULL;
	unsigned count;
	int err = jwks_parse(text, a, &keys, &count, &why);

	if (err != 0) {
		ASSERT(why != NULL);
		return;
	}
	ASSERT(count > 0 && count <= JWKS_KEYS);
	check_print(keys, count, a);
	for (unsigned i = 0; i < count; i++)
		check_key(&keys[i], t);
	jwks_free(keys, count);
}

static void
check_pat(struct str s)
{
	static const uint8_t pepper[PAT_PEPPER];
	uint8_t random[PAT_RANDOM] = {0}, digest[PAT_DIGEST];
	char token[PAT_TEXT];

	if (pat_check(s))
		ASSERT(pat_looks_like(s) && s.n == PAT_LEN);
	memcpy(random, s.n > 0 ? s.p : "", s.n < sizeof random ? s.n : sizeof random);
	pat_make(random, token);
	ASSERT(pat_check(str_from(token)));
	ASSERT(pat_digest(pepper, s, digest) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct str all = {(const char *)p, n}, rest, token = str_cut(all, '\n', &rest);
	struct arena *a = arena_new(4096, SCRATCH);
	struct jwt t = {0};
	bool good = check_token(token, a, &t);

	check_set(rest.p != NULL ? rest : all, a, good ? &t : NULL);
	check_pat(token);
	jwt_clear(&t);
	arena_free(&a);
	return 0;
}
