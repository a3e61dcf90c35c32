/*
 * Names of hosts, and URLs from which keys are fetched: what is accepted. Pure; any process.
 */
#pragma once
#include <stdbool.h>
#include "lib/str.h"

/* RFC 1123 labels in lower case; an underscore is let through because names inside of clusters have
 * them. Numeric IPv4 addresses look the same. */
bool url_is_host(struct str host);
bool url_is_url(struct str text); /* it has a scheme, whatever it may be */
/* NULL, or why keys are not fetched from there: https is needed, or http and a loopback host; no
 * user, no fragment. The words never repeat the URL, which may hold a password. */
const char *url_wrong(struct str url);
bool url_has_query(struct str url);
