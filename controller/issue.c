/*
 * Service tokens, in the controller: claims in, a signed text out.
 */
#include "controller/issue.h"

#include <jansson.h>
#include <jwt.h> /* its tags are also those of proto/jwt.h: never both */
#include <stdlib.h>

static json_t *
texts(const struct str *list, unsigned count)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, json_stringn(list[i].p, list[i].n));
	return array;
}

/* One audience is written as a text, as everybody does (RFC 7519 section 4.1.3). */
static json_t *
print_claims(const struct issue_claims *c)
{
	json_t *claims =
		json_pack("{s:s%, s:s%, s:s%, s:s, s:I, s:I}", "iss", c->issuer.p, c->issuer.n,
			  "sub", c->subject.p, c->subject.n, "team", c->team.p, c->team.n, "jti",
			  c->id, "iat", (json_int_t)c->issued_s, "exp", (json_int_t)c->expires_s);

	if (claims == NULL)
		return NULL;
	if (c->audience_count == 1)
		json_object_set_new(claims, "aud",
				    json_stringn(c->audience[0].p, c->audience[0].n));
	else
		json_object_set_new(claims, "aud", texts(c->audience, c->audience_count));
	if (c->envs_count > 0)
		json_object_set_new(claims, "envs", texts(c->envs, c->envs_count));
	return claims;
}

int
issue_service(const struct issue_claims *c, struct str pem, const char *kid, char **ret)
{
	json_t *claims = print_claims(c);
	char *text = claims != NULL ? json_dumps(claims, JSON_COMPACT) : NULL;
	jwt_t *jwt = NULL;
	int err = E_SYNTAX;

	json_decref(claims);
	if (text == NULL)
		return E_SYNTAX;
	if (jwt_new(&jwt) != 0)
		err = E_NOMEM;
	else if (jwt_add_grants_json(jwt, text) == 0 && jwt_add_header(jwt, "kid", kid) == 0 &&
		 jwt_set_alg(jwt, JWT_ALG_ES256, (const unsigned char *)pem.p, (int)pem.n) == 0 &&
		 (*ret = jwt_encode_str(jwt)) != NULL)
		err = 0;
	jwt_free(jwt);
	free(text);
	return err;
}

void
issue_wipe(char **token)
{
	if (*token != NULL)
		explicit_bzero(*token, strlen(*token));
	free(*token);
	*token = NULL;
}
