/*
 * The strict subset of RFC 3986 that a key set can be fetched from: what a careless reader could
 * take for another host is refused rather than understood.
 */
#include <stdio.h>
#include "conf/url.h"
#include "lib/sock.h"

#define HOST_MAX_BYTES 253
#define LABEL_MAX      63
#define URL_MAX	       1023

static const char host_chars[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";

static bool
is_label(struct str label)
{
	if (label.n == 0 || label.n > LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (label.p[i] == '\0' || strchr(host_chars, label.p[i]) == NULL)
			return false;
	return label.p[0] != '-' && label.p[label.n - 1] != '-';
}

bool
url_is_host(struct str host)
{
	struct str rest = host;

	if (host.n == 0 || host.n > HOST_MAX_BYTES)
		return false;
	while (rest.p != NULL)
		if (!is_label(str_cut(rest, '.', &rest)))
			return false;
	return true;
}

bool
url_is_url(struct str text)
{
	struct str rest, scheme = str_cut(text, ':', &rest);

	return scheme.n > 0 && rest.p != NULL && str_starts(rest, STR("//"));
}

bool
url_has_query(struct str url)
{
	return memchr(url.p, '?', url.n) != NULL;
}

static bool
has_strange(struct str url)
{
	for (size_t i = 0; i < url.n; i++)
		if (url.p[i] <= ' ' || url.p[i] >= 0x7f || strchr("\"<>\\^`{|}", url.p[i]) != NULL)
			return true;
	return false;
}

/* What stands between the slashes: "host", "host:port", "[::1]:port". */
static struct str
authority(struct str url)
{
	struct str rest;

	(void)str_cut(url, '/', &rest);
	(void)str_cut(rest, '/', &rest); /* behind "https://", which is there */
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] == '/' || rest.p[i] == '?')
			rest.n = i;
	return rest;
}

/* `full` has the port. */
static bool
is_loopback(struct str full, struct str host)
{
	struct sock_addr address;

	return str_eq(host, STR("localhost")) ||
	       (sock_addr_parse(full, &address) == 0 && sock_addr_is_loopback(&address));
}

/* `clear`: for http:// */
static const char *
authority_wrong(struct str text, bool clear)
{
	char buf[HOST_MAX_BYTES + 16];
	struct str host, full, end = text;
	uint16_t port;
	bool has_port;

	while (end.n > 0 && strchr("0123456789", end.p[end.n - 1]) != NULL)
		end.n--;
	has_port = end.n > 0 && end.p[end.n - 1] == ':'; /* "[::1]" does not end in digits */
	full = (struct str){buf, (size_t)snprintf(buf, sizeof(buf), "%.*s%s", STR_ARG(text),
						  has_port ? "" : ":443")};
	if (full.n >= sizeof(buf))
		return "has a host that is too long";
	for (char *p = buf; *p != '\0'; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	if (sock_split_host_port(full, &host, &port) != 0 || port == 0 ||
	    (buf[0] != '[' && !url_is_host(host)))
		return "must name a host, or a host and a port of 1 to 65535";
	if (clear && !is_loopback(full, host))
		return "would go in clear text to another host: https:// is needed";
	return NULL;
}

const char *
url_wrong(struct str url)
{
	bool clear = str_starts(url, STR("http://"));
	struct str host;

	if (url.n > URL_MAX)
		return "must have at most 1023 bytes";
	if (has_strange(url))
		return "has characters that no URL has";
	if (!clear && !str_starts(url, STR("https://")))
		return "must begin with https://, or with http:// when the host is loopback";
	if (memchr(url.p, '#', url.n) != NULL)
		return "must have no fragment ('#' and what follows)";
	host = authority(url);
	if (memchr(host.p, '@', host.n) != NULL)
		return "must hold no user and no password";
	return authority_wrong(host, clear);
}
