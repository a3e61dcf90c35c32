/*
 * URLs of identity providers, in the controller: text in, yes or no out.
 */
#include "controller/url.h"

#include <curl/curl.h>
#include "lib/sock.h"

#define DISCOVERY_PATH "/.well-known/openid-configuration"

/* libcurl resolves "localhost" without asking anybody. */
static bool
is_loopback(const char *host)
{
	struct sock_addr addr;
	char text[SOCK_ADDR_TEXT];

	if (strcasecmp(host, "localhost") == 0)
		return true;
	snprintf(text, sizeof(text), "%s:0", host);
	return sock_addr_parse(str_from(text), &addr) == 0 && sock_addr_is_loopback(&addr);
}

static bool
is_plain(const char *url)
{
	for (; *url != '\0'; url++)
		if (*url <= 0x20 || *url >= 0x7f)
			return false;
	return true;
}

static bool
has_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

static int
judge(CURLU *u, bool *ret_is_https, const char **ret_words)
{
	char *scheme = NULL, *host = NULL;
	int err = 0;

	if (curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
		*ret_words = "not a URL";
		err = E_SYNTAX;
	} else if (has_part(u, CURLUPART_USER) || has_part(u, CURLUPART_PASSWORD)) {
		*ret_words = "a URL with a user name in it";
		err = E_DENIED;
	} else if (strcmp(scheme, "https") == 0) {
		*ret_is_https = true;
	} else if (strcmp(scheme, "http") != 0) {
		*ret_words = "neither https nor http";
		err = E_DENIED;
	} else if (!is_loopback(host)) {
		*ret_words = "http to another host; only https is allowed";
		err = E_DENIED;
	} else {
		*ret_is_https = false;
	}
	curl_free(scheme);
	curl_free(host);
	return err;
}

int
url_check(const char *url, bool *ret_is_https, const char **ret_words)
{
	CURLU *u = curl_url();
	int err = E_SYNTAX;

	*ret_words = "not a URL";
	if (u == NULL)
		return E_NOMEM;
	if (strlen(url) >= URL_MAX)
		*ret_words = "a URL longer than 2 KiB";
	else if (is_plain(url) && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
		err = judge(u, ret_is_https, ret_words);
	curl_url_cleanup(u);
	return err;
}

int
url_discovery(struct str issuer, char *ret, size_t size)
{
	int n;

	while (issuer.n > 0 && issuer.p[issuer.n - 1] == '/')
		issuer.n--;
	n = snprintf(ret, size, "%.*s" DISCOVERY_PATH, STR_ARG(issuer));
	return n > 0 && (size_t)n < size ? 0 : E_LIMIT;
}
