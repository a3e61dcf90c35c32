/*
 * The gate for JSON Web Tokens: text enters, claims that nobody has vouched for yet leave. Pure.
 */
#include "proto/jwt.h"
#include "lib/panic.h"
#include "proto/base64.h"
#include "proto/object.h"

#define SIGNATURE_MAX 1024	   /* RSA of 8192 bits */
#define TIME_MAX      253402300799 /* the end of the year 9999 */

static const char *const alg_names[JWT_ALGS] = {
	[JWT_RS256] = "RS256", [JWT_RS384] = "RS384", [JWT_RS512] = "RS512", [JWT_PS256] = "PS256",
	[JWT_ES256] = "ES256", [JWT_ES384] = "ES384", [JWT_EDDSA] = "EdDSA",
};

const char *
jwt_alg_name(enum jwt_alg alg)
{
	ASSERT(alg < JWT_ALGS);
	return alg_names[alg];
}

int
jwt_alg_find(struct str name, enum jwt_alg *ret)
{
	for (unsigned i = 0; i < JWT_ALGS; i++) {
		if (str_eq(name, str_from(alg_names[i]))) {
			*ret = (enum jwt_alg)i;
			return 0;
		}
	}
	return E_NOT_FOUND;
}

static int
refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return E_SYNTAX;
}

/* ---- values ---- */

static bool
has_control(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == '\x7f')
			return true;
	return false;
}

/* A copy of a text that may stand in logs and messages. */
static int
read_text(const json_t *v, struct arena *a, struct str *ret)
{
	struct str s = {json_string_value(v), json_string_length(v)};

	if (s.n == 0 || has_control(s))
		return E_SYNTAX;
	s = arena_str(a, s);
	if (s.p == NULL)
		return E_NOMEM;
	*ret = s;
	return 0;
}

/* A list of at most `most` texts, or one. */
static int
read_texts(const json_t *v, unsigned most, struct arena *a, const struct str **ret,
	   unsigned *ret_count)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	struct str *list;
	int err = 0;

	if (n > most)
		return E_LIMIT;
	list = arena_array(a, n, sizeof *list);
	if (list == NULL)
		return E_NOMEM;
	for (size_t i = 0; err == 0 && i < n; i++)
		err = read_text(json_is_array(v) ? json_array_get(v, i) : v, a, &list[i]);
	if (err < 0)
		return err;
	*ret = list;
	*ret_count = (unsigned)n;
	return 0;
}

/* A member that may be absent, and is a text when it is there. */
static int
optional_text(const json_t *o, const char *name, struct arena *a, struct str *ret)
{
	const json_t *v = json_object_get(o, name);

	return v != NULL ? read_text(v, a, ret) : 0;
}

/* NumericDate of RFC 7519, of which only whole seconds are taken. */
static int
optional_time(const json_t *o, const char *name, uint64_t *ret)
{
	const json_t *v = json_object_get(o, name);
	json_int_t s = json_integer_value(v);

	if (v == NULL)
		return 0;
	if (!json_is_integer(v) || s < 0 || s > TIME_MAX)
		return E_SYNTAX;
	*ret = (uint64_t)s;
	return 0;
}

/* ---- the three parts ---- */

static json_t *
read_object(struct str text)
{
	uint8_t buf[JWT_MAX];
	size_t n;

	if (base64_url_decode(text, buf, sizeof buf, &n) < 0)
		return NULL;
	return object_parse((struct str){(char *)buf, n});
}

static bool
is_known_type(struct str typ)
{
	static const struct str prefix = {"application/", 12};

	if (typ.n > prefix.n && str_eq_nocase((struct str){typ.p, prefix.n}, prefix))
		typ = (struct str){typ.p + prefix.n, typ.n - prefix.n};
	return str_eq_nocase(typ, STR("JWT")) || str_eq_nocase(typ, STR("at+jwt"));
}

static int
check_header(const json_t *o, struct arena *a, struct jwt *t, const char **ret_why)
{
	static const char *const forbidden[] = {"crit", "b64", "jku", "jwk", "x5c", "x5u"};
	struct str alg = STR_NONE, typ = STR("JWT");

	for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		if (json_object_get(o, forbidden[i]) != NULL)
			return refuse(ret_why,
				      "the token's header has crit, b64, jku, jwk, x5c or x5u");
	if (optional_text(o, "alg", a, &alg) < 0 || jwt_alg_find(alg, &t->alg) < 0)
		return refuse(ret_why, "the token's algorithm is not accepted");
	if (optional_text(o, "typ", a, &typ) < 0 || !is_known_type(typ))
		return refuse(ret_why, "the token's type is not JWT or at+jwt");
	if (optional_text(o, "kid", a, &t->kid) < 0 || t->kid.n > JWT_KID_MAX)
		return refuse(ret_why, "the token's kid is no text, or too long");
	return 0;
}

static int
read_header(struct str text, struct arena *a, struct jwt *t, const char **ret_why)
{
	json_t *o = read_object(text);
	int err;

	if (o == NULL)
		return refuse(ret_why, "the token's header is malformed");
	err = check_header(o, a, t, ret_why);
	json_decref(o);
	return err;
}

static int
read_claims(struct str text, struct arena *a, struct jwt *t, const char **ret_why)
{
	const json_t *o = t->claims = read_object(text), *aud;

	if (o == NULL)
		return refuse(ret_why, "the token's claims are malformed");
	if (json_object_get(o, "exp") == NULL)
		return refuse(ret_why, "the token has no exp");
	if (optional_time(o, "exp", &t->exp_s) < 0 || optional_time(o, "nbf", &t->nbf_s) < 0 ||
	    optional_time(o, "iat", &t->iat_s) < 0)
		return refuse(ret_why, "the token's exp, nbf or iat is no whole number of seconds");
	if (optional_text(o, "iss", a, &t->issuer) < 0 ||
	    optional_text(o, "sub", a, &t->subject) < 0 || optional_text(o, "jti", a, &t->id) < 0)
		return refuse(ret_why, "the token's iss, sub or jti is no text");
	aud = json_object_get(o, "aud");
	if (aud != NULL && read_texts(aud, JWT_AUDIENCES, a, &t->audience, &t->audience_count) < 0)
		return refuse(ret_why, "the token's aud is no text or list of texts");
	return 0;
}

static int
read_signature(struct str text, struct arena *a, struct jwt *t, const char **ret_why)
{
	uint8_t buf[SIGNATURE_MAX];
	size_t n;

	if (text.n == 0)
		return refuse(ret_why, "the token is not signed");
	if (base64_url_decode(text, buf, sizeof buf, &n) < 0)
		return refuse(ret_why, "the token's signature is malformed");
	t->signature = arena_str(a, (struct str){(char *)buf, n});
	return 0;
}

int
jwt_read(struct str token, struct arena *a, struct jwt *ret, const char **ret_why)
{
	struct jwt t = {0};
	struct str header, claims, signature, rest;
	int err;

	*ret_why = "the token is longer than 8 KiB";
	if (token.n > JWT_MAX)
		return E_LIMIT;
	header = str_cut(token, '.', &rest);
	claims = str_cut(rest, '.', &signature);
	if (signature.p == NULL)
		return refuse(ret_why, "the token has not three parts");
	t.signed_part = (struct str){token.p, header.n + 1 + claims.n};
	err = read_header(header, a, &t, ret_why);
	if (err == 0)
		err = read_claims(claims, a, &t, ret_why);
	if (err == 0)
		err = read_signature(signature, a, &t, ret_why);
	if (arena_failed(a)) { /* whatever that looked like */
		*ret_why = "out of memory";
		err = E_NOMEM;
	}
	if (err < 0)
		jwt_clear(&t);
	else
		*ret = t;
	return err;
}

void
jwt_clear(struct jwt *t)
{
	json_decref(t->claims);
	t->claims = NULL;
}

/* ---- questions ---- */

int
jwt_check_times(const struct jwt *t, uint64_t now_s, uint64_t leeway_s, const char **ret_why)
{
	if (now_s >= t->exp_s + leeway_s) {
		*ret_why = "the token has expired";
		return E_TIMEOUT;
	}
	if (t->nbf_s > now_s + leeway_s || t->iat_s > now_s + leeway_s) {
		*ret_why = "the token is not valid yet";
		return E_DENIED;
	}
	return 0;
}

bool
jwt_has_audience(const struct jwt *t, const struct str *wanted, unsigned count)
{
	for (unsigned i = 0; i < t->audience_count; i++)
		for (unsigned k = 0; k < count; k++)
			if (str_eq(t->audience[i], wanted[k]))
				return true;
	return false;
}

/* The longest name that is there first, as names like "https://example.com/groups" have dots. */
static const json_t *
find_claim(const json_t *o, struct str path)
{
	char name[JWT_CLAIM_PATH + 1];
	const json_t *found = json_object_get(o, str_copy(name, sizeof name, path));

	for (size_t i = path.n; found == NULL && i-- > 0;) {
		const json_t *inner;

		if (path.p[i] != '.')
			continue;
		name[i] = '\0';
		inner = json_object_get(o, name);
		if (inner != NULL)
			found = find_claim(inner, (struct str){path.p + i + 1, path.n - i - 1});
	}
	return found;
}

static const json_t *
claim(const struct jwt *t, struct str path)
{
	const json_t *v = path.n <= JWT_CLAIM_PATH ? find_claim(t->claims, path) : NULL;

	return json_is_null(v) ? NULL : v;
}

int
jwt_claim_text(const struct jwt *t, struct str path, struct arena *a, struct str *ret)
{
	const json_t *v = claim(t, path);

	return v != NULL ? read_text(v, a, ret) : E_NOT_FOUND;
}

int
jwt_claim_texts(const struct jwt *t, struct str path, struct arena *a, const struct str **ret,
		unsigned *ret_count)
{
	const json_t *v = claim(t, path);

	return v != NULL ? read_texts(v, JWT_TEXTS, a, ret, ret_count) : E_NOT_FOUND;
}
