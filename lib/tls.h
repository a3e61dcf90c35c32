/*
 * TLS contexts, made by the supervisor from files before it forks; children only use them.
 *
 * Server: TLS 1.2 (ECDHE with AEAD only) and 1.3, ALPN "h2" demanded (no_application_protocol
 * otherwise), no renegotiation, no early data, one session ticket. Ticket keys are shared by all
 * workers because the context is made before the fork; they are carried over a reload, but not to a
 * context that demands client certificates. Client: own trust store, name checked, ALPN "h2"
 * offered and demanded.
 */
#pragma once
#include <openssl/ssl.h>
#include <stddef.h>
#include "lib/err.h"
#include "lib/str.h"

struct tls_server_files {
	/* PEM paths, NUL-terminated; the certificate file may hold a chain */
	struct str certificate, key;
	struct str client_ca; /* STR_NONE: no client certificates asked for; else demanded */
};
struct tls_client_files {
	struct str ca;		     /* PEM; STR_NONE: the system's store */
	struct str certificate, key; /* both or neither */
};

/* E_TLS or E_IO with words for the operator ("key does not belong to the certificate"). previous:
 * the context whose ticket keys go on, or NULL. The caller owns *ret (SSL_CTX_free). */
int tls_server_ctx(const struct tls_server_files *, SSL_CTX *previous, SSL_CTX **ret, char *words,
		   size_t words_size) MUST_CHECK;
int tls_client_ctx(const struct tls_client_files *, SSL_CTX **ret, char *words,
		   size_t words_size) MUST_CHECK;

/* The first error of OpenSSL's queue in words, and empties the queue. Returns buf. */
const char *tls_error(char *buf, size_t size);
