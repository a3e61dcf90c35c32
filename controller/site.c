/*
 * The status page and its Content-Security-Policy (CSP 3): digests are taken of the very bytes that
 * are sent, so that they cannot differ from them.
 */
#include "controller/site.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "lib/panic.h"
#include "lib/str.h"

extern const char site_html[]; /* made by make */

const char *
site_page(void)
{
	return site_html;
}

/* What stands between the only pair of these tags. */
static struct str
between(const char *open, const char *close)
{
	const char *from = strstr(site_html, open), *to;

	ASSERT(from != NULL);
	from += strlen(open);
	to = strstr(from, close);
	ASSERT(to != NULL && strstr(to, open) == NULL);
	return (struct str){from, (size_t)(to - from)};
}

static bool
digest(struct str s, char ret[48])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n;

	if (EVP_Digest(s.p, s.n, sum, &n, EVP_sha256(), NULL) != 1)
		return false;
	ASSERT(n == 32);
	EVP_EncodeBlock((unsigned char *)ret, sum, (int)n); /* 44 bytes and a NUL */
	return true;
}

const char *
site_policy(void)
{
	static char policy[384];
	char script[48], style[48];

	if (policy[0] == '\0' && digest(between("<script>", "</script>"), script) &&
	    digest(between("<style>", "</style>"), style))
		snprintf(policy, sizeof(policy),
			 "default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; "
			 "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
			 "frame-ancestors 'none'",
			 script, style);
	return policy[0] != '\0' ? policy : NULL;
}
