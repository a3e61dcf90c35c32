/*
 * From a token to an identity: which provider vouches for it, is it good, what does it say. The
 * slow way, taken once per token and worker (verdicts.h keeps the result): up to some 100 us for
 * a signature, or one short read of the store.
 *
 * Providers are asked in the order of the configuration. A signed token belongs to the provider
 * whose issuer it names and to no other; its algorithm is the one of the key, whatever it says.
 */
#pragma once
#include "conf/conf.h"
#include "lib/io.h"
#include "policy/identity.h"
#include "shm/db.h"
#include "workers/keyring.h"
#include "workers/verdicts.h"

struct verify;

struct verify_setup {
	const struct conf *conf;
	const struct keyring *keyring;
	const uint8_t *pepper; /* 32 bytes; NULL: no personal tokens */
};

struct verify_result {
	struct identity *who;	/* a reference for the caller */
	const char *why;	/* E_DENIED: constant words for the client */
	unsigned provider;	/* E_AGAIN: whose keys lack the token's */
	uint64_t issued_ms;	/* E_AGAIN: by its own word; 0: it does not say */
};

struct verify *verify_new(const struct verify_setup *); /* aborts when out of memory */
void verify_free(struct verify **);

/* db: may be NULL, then the gateway's own tokens are not known. digest: SHA-256 of the token.
 * 0: good, or expired within auth.grace (who->expired). E_DENIED: bad. E_AGAIN: it names a key that
 * is not here (yet). */
int verify_token(struct verify *, struct db *, struct str token,
		 const uint8_t digest[VERDICTS_DIGEST], uint64_t now_ms,
		 struct verify_result *ret) MUST_CHECK;

/* A client certificate, with its names of the kind that was wanted: the first one that the
 * certificate provider admits. E_DENIED. */
int verify_certificate(struct verify *, const struct io_peer *, struct verify_result *ret) MUST_CHECK;
/* The kind of names that the certificate provider looks at; false: there is no such provider. */
bool verify_wants_certificate(const struct verify *, enum cert_kind *ret_kind);
