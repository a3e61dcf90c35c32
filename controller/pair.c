/*
 * ES256 key pairs, in the controller: made by libcrypto, or read from a PEM file.
 */
#include "controller/pair.h"

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <sys/stat.h>

static bool
put_pem(EVP_PKEY *key, struct pair *p)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	int n = 0;

	if (bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
		n = BIO_read(bio, p->pem, PAIR_PEM - 1);
	BIO_free(bio);
	p->pem_len = n > 0 ? (size_t)n : 0;
	return n > 0 && n < PAIR_PEM - 1;
}

static bool
put_public(EVP_PKEY *key, struct pair *p)
{
	uint8_t digest[SHA256_DIGEST_LENGTH], *at = p->der;
	int n = i2d_PUBKEY(key, NULL);

	if (n <= 0 || n > PAIR_DER || i2d_PUBKEY(key, &at) != n)
		return false;
	p->der_len = (size_t)n;
	SHA256(p->der, p->der_len, digest);
	for (unsigned i = 0; i < (PAIR_KID - 1) / 2; i++)
		snprintf(p->kid + (size_t)2 * i, 3, "%02x", digest[i]);
	return true;
}

int
pair_make(struct pair *ret)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	bool made;

	memset(ret, 0, sizeof(*ret));
	made = key != NULL && put_pem(key, ret) && put_public(key, ret);
	EVP_PKEY_free(key);
	if (!made)
		pair_wipe(ret);
	return made ? 0 : E_NOMEM;
}

static int
read_file(const char *path, struct pair *p)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	if (fd < 0)
		return E_IO;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) == 0)
		n = read(fd, p->pem, PAIR_PEM - 1);
	close(fd);
	if (n < 0)
		return E_DENIED;
	p->pem_len = (size_t)n;
	return 0;
}

static bool
is_p256(EVP_PKEY *key)
{
	char group[32];
	size_t n;

	return EVP_PKEY_is_a(key, "EC") == 1 &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), &n) == 1 &&
	       OBJ_sn2nid(group) == NID_X9_62_prime256v1;
}

int
pair_read(const char *path, struct pair *ret)
{
	EVP_PKEY *key = NULL;
	BIO *bio;
	int err;

	memset(ret, 0, sizeof(*ret));
	err = read_file(path, ret);
	if (err != 0)
		return err;
	bio = BIO_new_mem_buf(ret->pem, (int)ret->pem_len);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
	BIO_free(bio);
	if (key == NULL || !is_p256(key) || !put_public(key, ret))
		err = E_SYNTAX;
	EVP_PKEY_free(key);
	if (err != 0)
		pair_wipe(ret);
	return err;
}

void
pair_wipe(struct pair *p)
{
	explicit_bzero(p, sizeof(*p));
}
