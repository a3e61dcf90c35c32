/*
 * Personal access tokens: random bytes enter, text leaves; text enters, yes or no leaves. Pure.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "proto/pat.h"

#define BASE	 62
#define BODY_LEN 34 /* prefix and random part */
#define SUM_LEN	 (PAT_LEN - BODY_LEN)

static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* The lowest n digits of a big-endian number, which becomes what is left above them. */
static void
put_digits(uint8_t *number, size_t size, char *to, size_t n)
{
	while (n-- > 0) {
		unsigned rest = 0;

		for (size_t i = 0; i < size; i++) {
			rest = rest << 8 | number[i];
			number[i] = (uint8_t)(rest / BASE);
			rest %= BASE;
		}
		to[n] = digits[rest];
	}
}

/* CRC-32 as in zip and PNG. */
static uint32_t
crc32(const char *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= (uint8_t)p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void
put_sum(const char *body, char to[SUM_LEN])
{
	uint32_t crc = crc32(body, BODY_LEN);
	uint8_t number[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
			     (uint8_t)crc};

	put_digits(number, sizeof number, to, SUM_LEN);
}

void
pat_make(const uint8_t random[PAT_RANDOM], char ret[PAT_TEXT])
{
	size_t prefix = sizeof PAT_PREFIX - 1;
	uint8_t number[PAT_RANDOM];

	memcpy(number, random, sizeof number);
	memcpy(ret, PAT_PREFIX, prefix);
	put_digits(number, sizeof number, ret + prefix, BODY_LEN - prefix);
	put_sum(ret, ret + BODY_LEN);
	ret[PAT_LEN] = '\0';
	OPENSSL_cleanse(number, sizeof number);
}

bool
pat_looks_like(struct str token)
{
	return str_starts(token, STR(PAT_PREFIX));
}

bool
pat_check(struct str token)
{
	char sum[SUM_LEN];

	if (token.n != PAT_LEN || !pat_looks_like(token))
		return false;
	for (size_t i = sizeof PAT_PREFIX - 1; i < PAT_LEN; i++)
		if (memchr(digits, token.p[i], BASE) == NULL)
			return false;
	put_sum(token.p, sum);
	return memcmp(sum, token.p + BODY_LEN, SUM_LEN) == 0;
}

int
pat_digest(const uint8_t pepper[PAT_PEPPER], struct str token, uint8_t ret[PAT_DIGEST])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n;

	if (HMAC(EVP_sha256(), pepper, PAT_PEPPER, (const uint8_t *)token.p, token.n, digest, &n) ==
	    NULL)
		return E_NOMEM;
	memcpy(ret, digest, PAT_DIGEST);
	return 0;
}
