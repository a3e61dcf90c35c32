/*
 * libjwt, for the tests: the other opinion on what a token is. In a file of its own, as its header
 * has the same tags as proto/jwt.h.
 */
#pragma once
#include <stdbool.h>
#include "lib/str.h"

struct arena;

/* Signed with a private key; claims and kid as they are given. STR_NONE: libjwt cannot. */
struct str other_jwt_sign(struct arena *, const char *alg, const char *kid, const char *claims,
			  struct str pem);
/* With a public key. */
bool other_jwt_verify(struct str token, struct str pem);
