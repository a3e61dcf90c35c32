/*
 * Who is it? From the token headers of a request to an identity. In this step of the spine nothing
 * waits and nothing allocates outside the RPC's arena.
 *
 * Sources: `authorization: Bearer`, and `authentication: Bearer` of the JVM clients; two different
 * tokens are refused. Without `auth.required` a request without a token is anonymous: the user is
 * the one the request names, or "anonymous".
 */
#pragma once
#include <stdbool.h>
#include "conf/conf.h"
#include "lib/str.h"
#include "policy/identity.h"

struct authn;				      /* prepared tokens; one per worker */
struct authn *authn_new(const struct conf *); /* aborts when out of memory, at start */
void authn_free(struct authn **);

/* authorization, authentication: values or STR_NONE. E_DENIED with *ret_why (constant words for the
 * client). */
int authn_check(const struct authn *, struct str authorization, struct str authentication,
		struct identity *ret, const char **ret_why) MUST_CHECK;
