/*
 * TLS contexts, made by the supervisor from files before it forks; children only use them.
 *
 * Server: TLS 1.2 (ECDHE with AEAD only) and 1.3, ALPN "h2" demanded (no_application_protocol
 * otherwise), no renegotiation, no early data, one session ticket. Ticket keys are shared by all
 * workers because the context is made before the fork; they are carried over a reload. Where client
 * certificates are demanded there are no tickets: each connection shows its certificate anew.
 * Further certificates are chosen by SNI (sni.h). Client: own trust store, name checked, ALPN "h2"
 * offered and demanded.
 */
#pragma once
#include <openssl/ssl.h>
#include <stddef.h>
#include "lib/err.h"
#include "lib/str.h"

/* PEM paths, NUL-terminated; a certificate's file may hold a chain */
struct tls_pair {
	struct str certificate, key;
};
struct tls_server_files {
	struct str certificate, key;
	struct str client_ca; /* STR_NONE: no client certificates asked for; else demanded */
	const struct tls_pair *more; /* chosen by SNI; each must have a DNS name of its own */
	unsigned more_count;
};
struct tls_client_files {
	struct str ca;		     /* PEM; STR_NONE: the system's store */
	struct str certificate, key; /* both or neither */
};

/* E_TLS or E_NOMEM with words for the operator ("cannot load key FILE: key values mismatch"), and in
 * *ret_wrong which pair they are about (0: the first, i + 1: more[i]). previous: the context whose
 * ticket keys go on, or NULL. The caller owns *ret (SSL_CTX_free). */
int tls_server_ctx(const struct tls_server_files *, SSL_CTX *previous, SSL_CTX **ret,
		   unsigned *ret_wrong, char *words, size_t words_size) MUST_CHECK;
int tls_client_ctx(const struct tls_client_files *, SSL_CTX **ret, char *words,
		   size_t words_size) MUST_CHECK;

/* The first error of OpenSSL's queue in words, and empties the queue. Returns buf. */
const char *tls_error(char *buf, size_t size);
