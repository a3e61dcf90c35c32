/*
 * Certificates, as far as somebody outside asks for their contents. In: OpenSSL's certificate; out:
 * texts in an arena.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include "lib/cert.h"

#define DAY_MS 86400000ll

static bool
is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static int
take(const GENERAL_NAME *name, struct arena *arena, struct str *ret)
{
	const ASN1_IA5STRING *text = GENERAL_NAME_get0_value(name, NULL);
	struct str s = {(const char *)ASN1_STRING_get0_data(text),
			(size_t)ASN1_STRING_length(text)};

	if (s.n > CERT_NAME_MAX)
		return E_LIMIT;
	if (!is_plain(s))
		return E_SYNTAX;
	*ret = arena_str(arena, s);
	return ret->p != NULL ? 0 : E_NOMEM;
}

static int
take_all(const GENERAL_NAMES *names, int type, struct arena *arena, struct str **ret,
	 unsigned *ret_count)
{
	int count = sk_GENERAL_NAME_num(names), rc = 0;
	unsigned taken = 0;

	if (count > CERT_NAMES_MAX)
		return E_LIMIT;
	struct str *list = arena_array(arena, (size_t)count + 1, sizeof(*list));
	if (list == NULL)
		return E_NOMEM;
	for (int i = 0; i < count && rc == 0; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == type)
			rc = take(name, arena, &list[taken++]);
	}
	if (rc != 0)
		return rc;
	*ret = list;
	*ret_count = taken;
	return 0;
}

int
cert_names(const X509 *x, enum cert_kind kind, struct arena *arena, struct str **ret,
	   unsigned *ret_count)
{
	static const int types[] = {
		[CERT_URI] = GEN_URI, [CERT_DNS] = GEN_DNS, [CERT_EMAIL] = GEN_EMAIL};
	int found, rc;
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, &found, NULL);

	ERR_clear_error();
	if (names == NULL && found != -1)
		return E_SYNTAX; /* there twice, or malformed */
	if (names == NULL) {
		*ret = NULL;
		*ret_count = 0;
		return 0;
	}
	rc = take_all(names, types[kind], arena, ret, ret_count);
	GENERAL_NAMES_free(names);
	return rc;
}

int
cert_expires_ms(const X509 *x, uint64_t *ret)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days, seconds;
	int ok = epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(x));

	ASN1_TIME_free(epoch);
	if (!ok) {
		ERR_clear_error();
		return E_SYNTAX;
	}
	long long ms = days * DAY_MS + seconds * 1000ll;
	*ret = ms > 0 ? (uint64_t)ms : 1;
	return 0;
}
