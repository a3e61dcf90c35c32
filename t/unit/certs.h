/*
 * Certificates for tests, made on the spot: an authority, what it issues, PEM files in the scratch
 * folder.
 */
#pragma once
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include "lib/str.h"
#include "t/unit/scratch.h"

struct issued {
	EVP_PKEY *key;
	X509 *x;
};

/* issuer NULL: signs itself, as an authority. alt: "DNS:…,IP:…", NULL: none. days < 0: expired. */
static inline struct issued
certs_issue(const char *name, const struct issued *issuer, const char *alt, int days)
{
	static long serial;
	struct issued id = {EVP_EC_gen("P-256"), X509_new()};
	const struct issued *by = issuer != NULL ? issuer : &id;
	const char *value = issuer == NULL ? "critical,CA:TRUE" : alt;
	X509V3_CTX v3;

	X509_set_version(id.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(id.x), ++serial);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(id.x), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(id.x, X509_get_subject_name(by->x));
	X509_gmtime_adj(X509_getm_notBefore(id.x), days < 0 ? -1000000 : -1000);
	X509_gmtime_adj(X509_getm_notAfter(id.x), 86400 * days);
	X509_set_pubkey(id.x, id.key);
	X509V3_set_ctx(&v3, by->x, id.x, NULL, NULL, 0);
	if (value != NULL) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(
			NULL, &v3, issuer == NULL ? NID_basic_constraints : NID_subject_alt_name,
			value);
		cr_assert(e != NULL);
		X509_add_ext(id.x, e, -1);
		X509_EXTENSION_free(e);
	}
	cr_assert(X509_sign(id.x, by->key, EVP_sha256()) > 0);
	return id;
}

/* Into NAME.crt and NAME.key; frees it. */
static inline void
certs_save(struct issued *id, const char *name, const char *password)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "%s.crt", name);
	f = fopen(scratch_path(path), "w");
	cr_assert(f != NULL && PEM_write_X509(f, id->x) == 1 && fclose(f) == 0);
	snprintf(path, sizeof path, "%s.key", name);
	f = fopen(scratch_path(path), "w");
	cr_assert(f != NULL &&
		  PEM_write_PrivateKey(f, id->key, password != NULL ? EVP_aes_128_cbc() : NULL,
				       (const unsigned char *)password,
				       password != NULL ? (int)strlen(password) : 0, NULL,
				       NULL) == 1 &&
		  fclose(f) == 0);
	X509_free(id->x);
	EVP_PKEY_free(id->key);
}

/* A certificate of this issuer, straight into its files. */
static inline void
certs_make(const char *name, const struct issued *issuer, const char *alt)
{
	struct issued id = certs_issue(name, issuer, alt, 10);

	certs_save(&id, name, NULL);
}

/* "<folder>/NAME.SUFFIX"; STR_NONE for no name. */
static inline struct str
certs_path(const char *name, const char *suffix)
{
	char path[64];

	if (name == NULL)
		return STR_NONE;
	snprintf(path, sizeof path, "%s.%s", name, suffix);
	return str_from(scratch_path(path));
}
