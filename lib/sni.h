/*
 * Several certificates on one listener: which one a client is shown is decided in the handshake, by
 * the host name that he asks for (SNI, RFC 6066 section 3) and the DNS names in the certificates.
 *
 * A name that stands in a certificate counts before one with a wildcard ("*.example.com": any one
 * label), the first certificate before later ones. No name, or one that no certificate has: the
 * first certificate, which belongs to the base context. Supervisor, before the fork; in the workers
 * two binary searches a handshake.
 */
#pragma once
#include <openssl/ssl.h>
#include "lib/err.h"
#include "lib/str.h"

#define SNI_SIZE 256 /* a host name and its NUL */

/*
 * `base` chooses from now on. The references to `more` are taken over, also on failure: those
 * contexts live as long as the base. All contexts must be alike but for the certificate. On failure
 * (E_TLS, E_NOMEM) *ret_wrong is the certificate that is wrong (0: the base's, i + 1: more[i]) and
 * *ret_why constant words.
 */
int sni_choose_from(SSL_CTX *base, SSL_CTX *const *more, unsigned count, unsigned *ret_wrong,
		    const char **ret_why) MUST_CHECK;

/* The name the client asked for, in lower case, without a dot at its end; STR_NONE: none, or none
 * that a host can have. In buf. */
struct str sni_name(const SSL *, char buf[SNI_SIZE]);
