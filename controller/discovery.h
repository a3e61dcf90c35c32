/*
 * What an OpenID provider says about itself at /.well-known/openid-configuration. Pure.
 */
#pragma once
#include <stddef.h>
#include "lib/err.h"
#include "lib/str.h"

#define DISCOVERY_URL 1024 /* room for any URL that is used, with its NUL */

/* Where it says so (OpenID Connect Discovery 1.0, section 4). E_LIMIT. */
int discovery_url(struct str issuer, char *ret, size_t size) MUST_CHECK;

/* The URL of its keys. The document must be this issuer's, to the byte (OpenID Connect Discovery
 * 1.0, section 4.3), and the URL one that conf/url.h allows. E_SYNTAX, E_DENIED with
 * constant words. */
int discovery_parse(struct str text, struct str issuer, char *ret_url, size_t size,
		    const char **ret_words) MUST_CHECK;
