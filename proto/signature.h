/*
 * What a public key of OpenSSL can verify, and whether it does (RFC 7518 section 3, RFC 8037).
 * Pure.
 *
 * OpenSSL's queue of errors is left as it was found.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"
#include "proto/jwt.h"

struct evp_pkey_st; /* EVP_PKEY */

#define SIGNATURE_ALG(alg) (1u << (alg)) /* a set of enum jwt_alg is a uint32_t */
#define SIGNATURE_RSA_MAX  1024		 /* bytes of an RSA modulus */

/* By type, curve and size (RSA of 2048 to 8192 bits). 0: none. */
uint32_t signature_algs(const struct evp_pkey_st *);

/* The key must be good for the algorithm. The signature has the one form that a token's has. */
bool signature_is_good(struct evp_pkey_st *, enum jwt_alg, struct str text, struct str signature);
