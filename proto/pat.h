/*
 * Personal access tokens: "sgw_", 30 characters of base62 (178 bits of chance), and 6 of the CRC-32
 * of all that, by which a mistyped or invented one is known without a look-up. Pure.
 *
 * A token is shown once and never kept: the store has its HMAC-SHA-256 under a key of the gateway
 * (the pepper), which is not in the store. With this much chance in it no slow hash is needed.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"

#define PAT_PREFIX "sgw_"
#define PAT_LEN	   40
#define PAT_TEXT   (PAT_LEN + 1)
#define PAT_RANDOM 32
#define PAT_PEPPER 32
#define PAT_DIGEST 32

/* From random bytes, NUL-terminated. No character is likelier than another by more than 2^-77. */
void pat_make(const uint8_t random[PAT_RANDOM], char ret[PAT_TEXT]);

bool pat_looks_like(struct str token); /* by its prefix: it claims to be one */
bool pat_check(struct str token);      /* it may have been made by pat_make() */

/* The key of its row in the store. E_NOMEM: libcrypto had none. */
int pat_digest(const uint8_t pepper[PAT_PEPPER], struct str token,
	       uint8_t ret[PAT_DIGEST]) MUST_CHECK;
