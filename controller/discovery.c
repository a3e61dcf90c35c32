/*
 * Discovery documents, in the controller: a body in, the URL of the keys out.
 */
#include "controller/discovery.h"

#include <jansson.h>
#include "conf/url.h"

#define PATH "/.well-known/openid-configuration"

int
discovery_url(struct str issuer, char *ret, size_t size)
{
	int n;

	while (issuer.n > 0 && issuer.p[issuer.n - 1] == '/')
		issuer.n--;
	n = snprintf(ret, size, "%.*s" PATH, STR_ARG(issuer));
	return n > 0 && (size_t)n < size ? 0 : E_LIMIT;
}

static struct str
get(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return (struct str){json_string_value(value), json_string_length(value)};
}

static int
read_url(const json_t *document, struct str issuer, char *ret_url, size_t size,
	 const char **ret_words)
{
	struct str url = get(document, "jwks_uri");

	*ret_words = "the issuer's description is not a JSON object";
	if (!json_is_object(document))
		return E_SYNTAX;
	*ret_words = "the issuer's description is another issuer's";
	if (get(document, "issuer").p == NULL || !str_eq(get(document, "issuer"), issuer))
		return E_DENIED;
	*ret_words = "the issuer's description has no jwks_uri";
	if (url.n == 0)
		return E_SYNTAX;
	*ret_words = "the issuer's jwks_uri is none that may be used: https is needed, or http to"
		     " loopback";
	if (url.n >= size || url_wrong(url) != NULL)
		return E_DENIED;
	str_copy(ret_url, size, url);
	return 0;
}

int
discovery_parse(struct str text, struct str issuer, char *ret_url, size_t size,
		const char **ret_words)
{
	json_t *document =
		text.n > 0 ? json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL) : NULL;
	int err = read_url(document, issuer, ret_url, size, ret_words);

	json_decref(document);
	return err;
}
