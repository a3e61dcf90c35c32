#include <jwt.h>
#include <stdlib.h>
#include "lib/arena.h"
#include "t/unit/other_jwt.h"

struct str
other_jwt_sign(struct arena *a, const char *alg, const char *kid, const char *claims,
	       struct str pem)
{
	struct str token = STR_NONE;
	char *text = NULL;
	jwt_t *t;

	if (jwt_new(&t) != 0)
		return STR_NONE;
	if (jwt_set_alg(t, jwt_str_alg(alg), (const unsigned char *)pem.p, (int)pem.n) == 0 &&
	    jwt_add_header(t, "kid", kid) == 0 && jwt_add_grants_json(t, claims) == 0)
		text = jwt_encode_str(t);
	if (text != NULL)
		token = arena_str(a, str_from(text));
	free(text);
	jwt_free(t);
	return token;
}

bool
other_jwt_verify(struct str token, struct str pem)
{
	jwt_t *t = NULL;
	bool good = jwt_decode(&t, token.p, (const unsigned char *)pem.p, (int)pem.n) == 0;

	jwt_free(t);
	return good;
}
