/*
 * JSON Web Tokens (RFC 7515, 7519; RFC 9068 for the type), read by a strict gate: what passes has
 * one meaning and one spelling. Nothing is verified here: see proto/jwks.h. Pure.
 *
 * Refused, with words that tell nothing of the token itself: more than JWT_MAX bytes; not exactly
 * three parts; any spelling of base64url but the canonical one; JSON with a name twice or nested
 * deeply; an algorithm that is not in the list below; headers that bring a key or its address (jku,
 * jwk, x5c, x5u) or change the meaning (crit, b64); a type other than JWT and at+jwt; a missing
 * `exp`; times that are not whole seconds until the year 9999; a registered claim of the wrong
 * type, or with control characters.
 *
 * ECDSA allows two signatures for one message, so whoever wants to recognize a token again compares
 * its claims (jti), not its text.
 *
 * libjwt's <jwt.h> has the same tags: never both in one file.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/str.h"

#define JWT_MAX	       (8u << 10)
#define JWT_KID_MAX    128
#define JWT_AUDIENCES  32
#define JWT_TEXTS      256 /* of a list among the claims */
#define JWT_CLAIM_PATH 255

enum jwt_alg {
	JWT_RS256,
	JWT_RS384,
	JWT_RS512,
	JWT_PS256,
	JWT_ES256,
	JWT_ES384,
	JWT_EDDSA, /* Ed25519 */
	JWT_ALGS
};

struct jwt {
	enum jwt_alg alg;
	struct str kid;		/* STR_NONE: the token names no key; so are the texts below */
	struct str signed_part; /* within the token's text, which must stay until jwks_verify() */
	struct str signature;	/* bytes */
	struct str issuer, subject, id; /* iss, sub, jti */
	const struct str *audience;
	unsigned audience_count;
	uint64_t exp_s, nbf_s, iat_s; /* Unix time; nbf and iat 0: not said */
	struct json_t *claims;	      /* jansson's; freed by jwt_clear() */
};

/*
 * Everything but the claims is in the arena: 1 KiB, beside 1 KiB of heap, and 8 us, for a token of
 * 800 bytes. E_SYNTAX, E_LIMIT, E_NOMEM with *ret_why, and then there is nothing to clear.
 */
int jwt_read(struct str token, struct arena *, struct jwt *ret, const char **ret_why) MUST_CHECK;
void jwt_clear(struct jwt *); /* takes a zeroed one, and may be called twice */

/*
 * The leeway is for clocks that differ. E_TIMEOUT: expired; E_DENIED: from the future (nbf, iat);
 * with *ret_why.
 */
int jwt_check_times(const struct jwt *, uint64_t now_s, uint64_t leeway_s,
		    const char **ret_why) MUST_CHECK;
bool jwt_has_audience(const struct jwt *, const struct str *wanted, unsigned count);

/*
 * A claim that is a text, copied into the arena; "a.b.c" walks into objects, and where names have
 * dots themselves the longest one counts. E_NOT_FOUND; E_SYNTAX: no text, or empty, or with control
 * characters; E_NOMEM. null is as good as absent.
 */
int jwt_claim_text(const struct jwt *, struct str path, struct arena *, struct str *ret) MUST_CHECK;
/* A list of such texts, or one; likewise. E_LIMIT: more than JWT_TEXTS. */
int jwt_claim_texts(const struct jwt *, struct str path, struct arena *, const struct str **ret,
		    unsigned *ret_count) MUST_CHECK;

const char *jwt_alg_name(enum jwt_alg);				 /* "ES256" */
int jwt_alg_find(struct str name, enum jwt_alg *ret) MUST_CHECK; /* E_NOT_FOUND */
