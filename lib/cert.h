/*
 * What is read out of a certificate: the names of its subjectAltName, and its end.
 *
 * Strict, for names become users and choose certificates: one that is empty, longer than
 * CERT_NAME_MAX, or holds a blank, a control character, a NUL or anything beyond ASCII spoils the
 * certificate, since whoever signed it is not to be trusted with the other names either.
 */
#pragma once
#include <openssl/x509.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/err.h"
#include "lib/str.h"

#define CERT_NAMES_MAX 256 /* of all kinds */
#define CERT_NAME_MAX  255 /* bytes */

enum cert_kind { CERT_URI, CERT_DNS, CERT_EMAIL };

/* The names of that kind in their order, copied into the arena. None: 0, and a count of 0.
 * E_SYNTAX, E_LIMIT, E_NOMEM. */
int cert_names(const X509 *, enum cert_kind, struct arena *, struct str **ret,
	       unsigned *ret_count) MUST_CHECK;
/* The end of its validity: wall clock, at least 1. E_SYNTAX. */
int cert_expires_ms(const X509 *, uint64_t *ret) MUST_CHECK;
