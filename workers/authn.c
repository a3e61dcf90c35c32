/*
 * Bearer tokens against the configured providers. Tokens are compared by SHA-256 digest in constant
 * time; the tokens themselves are not kept here.
 */
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include "lib/panic.h"
#include "proto/fields.h"
#include "workers/authn.h"

struct known {
	uint8_t digest[SHA256_DIGEST_LENGTH];
	const struct conf_token *token;
};

struct authn {
	bool required;
	struct known *known;
	unsigned count;
};

struct authn *
authn_new(const struct conf *conf)
{
	struct authn *a = calloc(1, sizeof *a);
	unsigned total = 0;

	ASSERT(a != NULL);
	a->required = conf->auth_required;
	for (unsigned i = 0; i < conf->providers_count; i++)
		total += conf->providers[i].tokens_count;
	a->known = calloc(total + 1, sizeof *a->known);
	ASSERT(a->known != NULL);
	for (unsigned i = 0; i < conf->providers_count; i++)
		for (unsigned k = 0; k < conf->providers[i].tokens_count; k++) {
			const struct conf_token *t = &conf->providers[i].tokens[k];
			struct known *known = &a->known[a->count++];

			SHA256((const unsigned char *)t->token.p, t->token.n, known->digest);
			known->token = t;
		}
	return a;
}

void
authn_free(struct authn **a)
{
	if (*a == NULL)
		return;
	free((*a)->known);
	free(*a);
	*a = NULL;
}

static const struct conf_token *
find(const struct authn *a, struct str token)
{
	uint8_t digest[SHA256_DIGEST_LENGTH];
	const struct conf_token *found = NULL;

	SHA256((const unsigned char *)token.p, token.n, digest);
	for (unsigned i = 0; i < a->count; i++)
		if (CRYPTO_memcmp(a->known[i].digest, digest, sizeof digest) == 0)
			found = a->known[i].token;
	return found;
}

static int
refuse(const char *words, const char **ret_why)
{
	*ret_why = words;
	return E_DENIED;
}

int
authn_check(const struct authn *a, struct str authorization, struct str authentication,
	    struct identity *ret, const char **ret_why)
{
	struct str token = authorization.p != NULL ? authorization : authentication;

	if (authorization.p != NULL && authentication.p != NULL &&
	    !str_eq(authorization, authentication))
		return refuse("two different tokens: in authorization and in authentication",
			      ret_why);
	if (token.p == NULL || (a->count == 0 && !a->required)) {
		if (a->required)
			return refuse("no token: send \"authorization: Bearer TOKEN\"", ret_why);
		*ret = (struct identity){.verified = false};
		return 0;
	}
	token = fields_bearer(token);
	if (token.p == NULL)
		return refuse("malformed token header: \"Bearer TOKEN\" is expected", ret_why);
	const struct conf_token *t = find(a, token);
	if (t == NULL)
		return refuse("unknown token", ret_why);
	*ret = (struct identity){.verified = true,
				 .user = t->user,
				 .groups = t->groups,
				 .groups_count = t->groups_count};
	return 0;
}
