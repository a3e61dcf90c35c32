/*
 * Discovery documents, in the controller: a body in, the URL of the keys out.
 */
#include "controller/discovery.h"

#include <jansson.h>
#include "controller/url.h"

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
	bool is_https;

	*ret_words = "the issuer's description is not a JSON object";
	if (!json_is_object(document))
		return E_SYNTAX;
	*ret_words = "the issuer's description is another issuer's";
	if (get(document, "issuer").p == NULL || !str_eq(get(document, "issuer"), issuer))
		return E_DENIED;
	*ret_words = "the issuer's description has no jwks_uri";
	if (url.n == 0)
		return E_SYNTAX;
	*ret_words = "the issuer's jwks_uri is too long";
	if (url.n >= size)
		return E_SYNTAX;
	str_copy(ret_url, size, url);
	if (url_check(ret_url, &is_https, ret_words) == 0)
		return 0;
	*ret_words =
		"the issuer's jwks_uri is no URL that may be used (https, or http to loopback)";
	return E_DENIED;
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
