/*
 * The texts of tokens that the gateway gives out. Whoever gets one cleanses it.
 */
#pragma once
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

struct issue_claims { /* of a service token */
	struct str issuer, subject, team;
	const struct str *audience, *envs;
	unsigned audience_count, envs_count;
	const char *id; /* the jti */
	uint64_t issued_s, expires_s;
};

/* A JWT signed with ES256 by libjwt, which leaves a part of its signature in freed memory; *ret is
 * malloc'ed: issue_wipe(). pem: the private key. E_NOMEM, E_SYNTAX (a claim that is no text, or the
 * key). */
int issue_service(const struct issue_claims *, struct str pem, const char *kid,
		  char **ret) MUST_CHECK;
void issue_wipe(char **); /* NULL inside is fine */
