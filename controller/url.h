/*
 * Where keys may be fetched from: https anywhere, http only from this host itself. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include "lib/err.h"
#include "lib/str.h"

#define URL_MAX 2048 /* bytes, with the NUL */

/* E_SYNTAX, E_DENIED with constant words. libcurl reads the text, so that nothing is meant by it
 * there that was not seen here. */
int url_check(const char *url, bool *ret_is_https, const char **ret_words) MUST_CHECK;

/* Where an issuer describes itself (OpenID Connect Discovery 1.0, section 4). E_LIMIT. */
int url_discovery(struct str issuer, char *ret, size_t size) MUST_CHECK;
