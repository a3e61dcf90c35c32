/* TLS contexts: what a reload carries over, and what is refused with words. */
#include <openssl/pem.h>
#include <openssl/x509.h>
#include "lib/tls.h"
#include "t/unit/scratch.h"

#define TICKET_KEYS 80

static struct tls_server_files files;

static void
write_pair(const char *certificate, const char *key)
{
	EVP_PKEY *pair = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	FILE *f;

	X509_set_version(x, 2);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"a test", -1,
				   -1, 0);
	X509_set_issuer_name(x, name);
	X509_gmtime_adj(X509_getm_notBefore(x), 0);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, pair);
	cr_assert(X509_sign(x, pair, EVP_sha256()) > 0);
	f = fopen(certificate, "w");
	cr_assert(f != NULL && PEM_write_X509(f, x) == 1 && fclose(f) == 0);
	f = fopen(key, "w");
	cr_assert(f != NULL && PEM_write_PrivateKey(f, pair, NULL, NULL, 0, NULL, NULL) == 1 &&
		  fclose(f) == 0);
	X509_free(x);
	EVP_PKEY_free(pair);
}

static void
start(void)
{
	scratch_make();
	files = (struct tls_server_files){
		.certificate = str_from(scratch_path("crt")),
		.key = str_from(scratch_path("key")),
	};
	write_pair(files.certificate.p, files.key.p);
}

TestSuite(tls, .init = start, .fini = scratch_drop, .timeout = 60);

static SSL_CTX *
make(SSL_CTX *previous)
{
	SSL_CTX *ctx = NULL;
	char words[256] = "";

	cr_assert_eq(tls_server_ctx(&files, previous, &ctx, words, sizeof(words)), 0, "%s", words);
	return ctx;
}

static bool
same_tickets(SSL_CTX *a, SSL_CTX *b)
{
	unsigned char x[TICKET_KEYS], y[TICKET_KEYS];

	cr_assert_eq(SSL_CTX_get_tlsext_ticket_keys(a, x, sizeof(x)), 1);
	cr_assert_eq(SSL_CTX_get_tlsext_ticket_keys(b, y, sizeof(y)), 1);
	return memcmp(x, y, sizeof(x)) == 0;
}

Test(tls, a_reload_keeps_tickets_unless_client_certificates_are_demanded)
{
	SSL_CTX *first = make(NULL), *stranger = make(NULL), *second = make(first), *third, *fourth;

	cr_expect(same_tickets(first, second));
	cr_expect_not(same_tickets(first, stranger));
	files.client_ca = files.certificate;
	third = make(second);
	cr_expect_not(same_tickets(second, third));
	fourth = make(third);
	cr_expect_not(same_tickets(third, fourth));
	cr_expect(SSL_CTX_get_verify_mode(fourth) ==
		  (SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT));
	SSL_CTX_free(first);
	SSL_CTX_free(stranger);
	SSL_CTX_free(second);
	SSL_CTX_free(third);
	SSL_CTX_free(fourth);
}

Test(tls, words_name_the_file_that_is_wrong)
{
	const char *other = scratch_path("other.key");
	struct tls_client_files ca = {.ca = files.key}; /* no certificate in it */
	char words[256] = "";
	SSL_CTX *ctx = NULL;

	write_pair(scratch_path("other.crt"), other);
	files.key = str_from(other);
	cr_expect_eq(tls_server_ctx(&files, NULL, &ctx, words, sizeof(words)), E_TLS);
	cr_expect_not_null(strstr(words, other), "%s", words);
	files.certificate = str_from("/nowhere/crt");
	cr_expect_eq(tls_server_ctx(&files, NULL, &ctx, words, sizeof(words)), E_TLS);
	cr_expect_not_null(strstr(words, "cannot load certificate /nowhere/crt"), "%s", words);
	cr_expect_eq(tls_client_ctx(&ca, &ctx, words, sizeof(words)), E_TLS);
	cr_expect_not_null(strstr(words, "cannot load ca"), "%s", words);
	cr_expect_null(ctx);
}
