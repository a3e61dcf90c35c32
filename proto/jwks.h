/*
 * JSON Web Key Sets (RFC 7517, 7518, 8037) and the verification of tokens with their keys, by
 * libcrypto. Pure.
 *
 * A key is good for the algorithms that its type, its curve and its own "alg" allow, and for no
 * other, whatever a token's header says (RFC 8725 section 3.1). Reading a set checks each key
 * thoroughly: 4 ms for RSA of 2048 bits, 200 ms for 8192. The controller does that once per
 * refresh; workers make their keys from the DER that it leaves, in 0.2 ms each.
 *
 * OpenSSL's queue of errors is left as it was found.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/str.h"
#include "proto/jwt.h"

#define JWKS_TEXT_MAX (256u << 10)
#define JWKS_KEYS     16   /* that can verify, of ... */
#define JWKS_LIST_MAX 64   /* that are looked at */
#define JWKS_DER_MAX  1100 /* of an RSA key of 8192 bits */

struct jwks_key {
	struct str kid;		 /* STR_NONE: it verifies tokens that name no key */
	uint32_t algs;		 /* 1u << enum jwt_alg, never 0 */
	struct evp_pkey_st *key; /* OpenSSL's EVP_PKEY; freed by jwks_free() */
};

/*
 * The keys of a set that can verify signatures; the list and its kids are in the arena. Passed
 * over, as RFC 7517 section 5 asks: unknown types and curves, keys for encryption, secret and
 * private ones, whatever is malformed or weak (RSA below 2048 bits, a point off its curve).
 * E_SYNTAX: no key set; E_NOT_FOUND: no key left; E_LIMIT: more than the bounds above; E_NOMEM;
 * with *ret_why.
 */
int jwks_parse(struct str text, struct arena *, struct jwks_key **ret, unsigned *ret_count,
	       const char **ret_why) MUST_CHECK;
void jwks_free(struct jwks_key *keys, unsigned count); /* what they hold, not the list */

/* SubjectPublicKeyInfo (RFC 5280). E_LIMIT: more than size. */
int jwks_key_der(const struct jwks_key *, uint8_t *buf, size_t size, size_t *ret_n) MUST_CHECK;
/*
 * The reverse, for DER that came from a key of jwks_parse(), without its slow checks: `algs` as far
 * as the key can do them. The kid is not copied. E_SYNTAX.
 */
int jwks_key_from_der(struct str der, struct str kid, uint32_t algs,
		      struct jwks_key *ret) MUST_CHECK;

/* True: the token names this key, and an algorithm that it is good for. */
bool jwks_fits(const struct jwks_key *, const struct jwt *);
/* 0: the key fits and has signed this token. E_DENIED. RSA 25 us, ES256 0.1 ms, ES384 0.8 ms. */
int jwks_verify(const struct jwks_key *, const struct jwt *) MUST_CHECK;

/* Appends {"keys":[...]}. E_NOMEM, also when the buffer is full. */
int jwks_print(const struct jwks_key *keys, unsigned count, struct buf *) MUST_CHECK;
