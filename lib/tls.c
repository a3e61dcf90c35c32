/*
 * TLS contexts from files; in the supervisor, before the fork. In: paths; out: a context, or words
 * that tell the operator what is wrong with which file.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "lib/sni.h"
#include "lib/str.h"
#include "lib/tls.h"

#define TICKET_KEYS 80 /* bytes of OpenSSL's default ticket key block */
#define SUITES_12                                                                                  \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
	"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

static const unsigned char alpn_h2[] = {2, 'h', '2'};

const char *
tls_error(char *buf, size_t size)
{
	unsigned long e = ERR_peek_error(); /* the oldest; newer ones only say who called whom */
	const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;

	if (ERR_SYSTEM_ERROR(e))
		reason = strerror(ERR_GET_REASON(e));
	str_copy(buf, size, str_from(reason != NULL ? reason : "protocol error"));
	ERR_clear_error();
	return buf;
}

static int
say(char *words, size_t size, const char *what, struct str file)
{
	unsigned long e = ERR_peek_error();
	bool strange = ERR_GET_REASON(e) == ERR_R_UNSUPPORTED ||
		       e == ERR_PACK(ERR_LIB_PEM, 0, PEM_R_NO_START_LINE);
	char why[128];

	tls_error(why, sizeof why); /* of such a file "unsupported" or "no start line" */
	snprintf(words, size, "%s %.*s: %s", what, STR_ARG(file),
		 strange ? "it holds none in PEM" : why);
	return E_TLS;
}

/* A pipe would hold up the supervisor, and with it every signal, until somebody writes into it.
 * What is not there OpenSSL tells. */
static int
demand_file(const char *what, struct str file, char *words, size_t size)
{
	struct stat st;

	if (stat(file.p, &st) != 0 || S_ISREG(st.st_mode))
		return 0;
	snprintf(words, size, "%s %.*s: not a regular file", what, STR_ARG(file));
	return E_TLS;
}

/* ALPN "h2" or nothing: RFC 9113 section 3.2; the alert is no_application_protocol. */
static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	    unsigned in_len, void *arg)
{
	(void)ssl, (void)arg;
	for (unsigned i = 0; i < in_len; i += 1u + in[i])
		if (in[i] == 2 && i + 2 < in_len && memcmp(in + i + 1, "h2", 2) == 0) {
			*out = in + i + 1;
			*out_len = 2;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A ClientHello without any ALPN does not reach choose_alpn(); it is refused here. */
static int
demand_alpn(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *p;
	size_t n;

	(void)arg;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p,
				      &n))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static bool password_wanted;

/* Nobody sits at the terminal to be asked. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	password_wanted = true;
	return -1;
}

static SSL_CTX *
new_ctx(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_SSLv3 |
					 SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_default_passwd_cb(ctx, no_password);
	if (SSL_CTX_set_cipher_list(ctx, SUITES_12) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static int
load_pair(SSL_CTX *ctx, struct str certificate, struct str key, char *words, size_t size)
{
	if (demand_file("cannot load certificate", certificate, words, size) != 0 ||
	    demand_file("cannot load key", key, words, size) != 0)
		return E_TLS;
	if (SSL_CTX_use_certificate_chain_file(ctx, certificate.p) != 1)
		return say(words, size, "cannot load certificate", certificate);
	password_wanted = false;
	if (SSL_CTX_use_PrivateKey_file(ctx, key.p, SSL_FILETYPE_PEM) != 1)
		return say(words, size,
			   password_wanted ? "a password is needed for key" : "cannot load key",
			   key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return say(words, size, "certificate does not belong to key", key);
	return 0;
}

static int
demand_client_certificate(SSL_CTX *ctx, struct str ca, char *words, size_t size)
{
	if (demand_file("cannot load client_ca", ca, words, size) != 0)
		return E_TLS;
	if (SSL_CTX_load_verify_locations(ctx, ca.p, NULL) != 1)
		return say(words, size, "cannot load client_ca", ca);
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca.p);
	if (names == NULL)
		return say(words, size, "cannot load client_ca", ca);
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_verify_depth(ctx, 3);
	return 0;
}

static void
copy_ticket_keys(SSL_CTX *ctx, SSL_CTX *from)
{
	unsigned char keys[TICKET_KEYS];

	if (SSL_CTX_get_tlsext_ticket_keys(from, keys, sizeof keys) == 1)
		SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys);
	OPENSSL_cleanse(keys, sizeof keys);
}

/* Whoever resumes shows no certificate again: one that has expired meanwhile would go on, and after
 * a reload one of an authority that is no longer trusted. */
static void
refuse_tickets(SSL_CTX *ctx)
{
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
}

/* A context for one of the certificates; all of a listener are alike otherwise. */
static int
server_ctx(const struct tls_server_files *files, struct str certificate, struct str key,
	   SSL_CTX **ret, char *words, size_t size)
{
	SSL_CTX *ctx = new_ctx(TLS_server_method());
	int rc;

	if (ctx == NULL)
		return say(words, size, "cannot make a TLS context for", certificate);
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"sparkgw", 7);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	SSL_CTX_set_client_hello_cb(ctx, demand_alpn, NULL);
	rc = load_pair(ctx, certificate, key, words, size);
	if (rc == 0 && files->client_ca.n > 0) {
		refuse_tickets(ctx);
		rc = demand_client_certificate(ctx, files->client_ca, words, size);
	}
	if (rc != 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret = ctx;
	return 0;
}

/* All of `more`, or none. */
static int
load_more(const struct tls_server_files *files, SSL_CTX *base, SSL_CTX **more, unsigned *ret_wrong,
	  char *words, size_t size)
{
	for (unsigned i = 0; i < files->more_count; i++) {
		const struct tls_pair *p = &files->more[i];
		int rc = server_ctx(files, p->certificate, p->key, &more[i], words, size);

		if (rc != 0) {
			*ret_wrong = i + 1;
			while (i-- > 0)
				SSL_CTX_free(more[i]);
			return rc;
		}
		copy_ticket_keys(more[i], base);
	}
	return 0;
}

static int
add_more(const struct tls_server_files *files, SSL_CTX *base, unsigned *ret_wrong, char *words,
	 size_t size)
{
	SSL_CTX **more = calloc((size_t)files->more_count + 1, sizeof(SSL_CTX *));
	const char *why;
	int rc;

	if (more == NULL) {
		snprintf(words, size, "out of memory");
		return E_NOMEM;
	}
	rc = load_more(files, base, more, ret_wrong, words, size);
	if (rc == 0) {
		rc = sni_choose_from(base, more, files->more_count, ret_wrong, &why);
		if (rc != 0) {
			struct str path = *ret_wrong == 0 ? files->certificate
							  : files->more[*ret_wrong - 1].certificate;
			snprintf(words, size, "certificate %.*s %s", STR_ARG(path), why);
		}
	}
	free(more);
	return rc;
}

int
tls_server_ctx(const struct tls_server_files *files, SSL_CTX *previous, SSL_CTX **ret,
	       unsigned *ret_wrong, char *words, size_t words_size)
{
	unsigned wrong = 0;
	SSL_CTX *base;
	int rc = server_ctx(files, files->certificate, files->key, &base, words, words_size);

	if (rc == 0) {
		/* tickets that were handed out before a reload stay good after it */
		if (previous != NULL && files->client_ca.n == 0)
			copy_ticket_keys(base, previous);
		rc = add_more(files, base, &wrong, words, words_size);
		if (rc != 0)
			SSL_CTX_free(base);
	}
	if (rc != 0) {
		*ret_wrong = wrong;
		return rc;
	}
	*ret = base;
	return 0;
}

int
tls_client_ctx(const struct tls_client_files *files, SSL_CTX **ret, char *words, size_t words_size)
{
	SSL_CTX *ctx = new_ctx(TLS_client_method());
	int rc = 0;

	if (ctx == NULL)
		return say(words, words_size, "cannot make a TLS context for", files->ca);
	if (files->ca.n > 0)
		rc = demand_file("cannot load ca", files->ca, words, words_size);
	if (rc == 0 && (files->ca.n > 0 ? SSL_CTX_load_verify_locations(ctx, files->ca.p, NULL) != 1
					: SSL_CTX_set_default_verify_paths(ctx) != 1))
		rc = say(words, words_size, "cannot load ca", files->ca);
	if (rc == 0 && files->certificate.n > 0)
		rc = load_pair(ctx, files->certificate, files->key, words, words_size);
	if (rc != 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_alpn_protos(ctx, alpn_h2, sizeof alpn_h2);
	*ret = ctx;
	return 0;
}
