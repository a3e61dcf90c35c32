/*
 * Key pairs for ES256, and the files of their private keys.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

#define PAIR_PEM 512
#define PAIR_DER 128
#define PAIR_KID 17 /* 16 hexadecimal digits of the public key's digest */

struct pair {
	char pem[PAIR_PEM]; /* the private key; a secret */
	size_t pem_len;
	uint8_t der[PAIR_DER]; /* the public one, SubjectPublicKeyInfo */
	size_t der_len;
	char kid[PAIR_KID];
};

int pair_make(struct pair *ret) MUST_CHECK;			/* E_NOMEM */
int pair_read(const char *path, struct pair *ret) MUST_CHECK; /* E_IO, E_DENIED, E_SYNTAX */
void pair_wipe(struct pair *);
