/*
 * For tests of tokens: keys that are secret to nobody, and an issuer that signs whatever it is told
 * to. All memory goes with rig_close().
 */
#pragma once
#include <openssl/evp.h>
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/str.h"
#include "proto/jwks.h"

enum rig_kind { RIG_RSA, RIG_P256, RIG_P384, RIG_ED25519, RIG_KINDS };

#define RIG_EXP	   4000000000u /* in the year 2096 */
#define RIG_CLAIMS "{\"iss\":\"https://idp\",\"sub\":\"alice\",\"aud\":\"gw\",\"exp\":4000000000}"

extern struct arena *rig_arena;
extern const enum rig_kind rig_kind_of[JWT_ALGS];

void rig_open(void);
void rig_close(void);

EVP_PKEY *rig_key(enum rig_kind); /* with its private part; the rig's own */
struct str rig_pem(enum rig_kind, bool private);
struct jwks_key rig_public(enum rig_kind, struct str kid); /* good for all its algorithms */

struct str rig_url(struct str bytes); /* base64url */
/* The three parts as they are given. */
struct str rig_token(const char *header, const char *claims, struct str signature);
/* The signature as `alg` has it, with a salt of this length for PS256. */
struct str rig_signature(EVP_PKEY *, enum jwt_alg, struct str text, int salt);
/* A good token: {"alg":ALG,"kid":kid} unless another header is given; kid may be NULL. */
struct str rig_sign(enum rig_kind, enum jwt_alg, const char *kid, const char *claims);
struct str rig_sign_as(enum rig_kind, enum jwt_alg, const char *header, const char *claims);

/* 0, E_DENIED, or what jwt_read() said. */
int rig_verify(const struct jwks_key *, struct str token);
