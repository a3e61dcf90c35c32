/*
 * For tests of the keeper's part in authentication, on top of keeper_rig.h: what the controller
 * sends about tokens, keys of providers, roll-out and private key files, and what is on the disk of
 * them. Token n has the digest that is made of n.
 */
#pragma once
#include "shm/settings.h"
#include "t/unit/keeper_rig.h"

#define DAY_MS (24ull * 3600 * 1000)

extern struct arena *rig_arena; /* of what is read */

void rig_make_auth(void); /* rig_make() and the arena */
void rig_drop_auth(void);

uint64_t rig_generation(enum segment_what);

/* ---- messages; whoever asks gets the answer's result ---- */

void rig_put_digest(unsigned n, uint8_t digest[TOKEN_DIGEST]);
struct keeper_token rig_token_message(unsigned n, const char *id);
struct keeper_done rig_make_token(unsigned n, const char *id);
struct keeper_token_revoke rig_revoke_message(const char *id);
struct keeper_done rig_revoke_token(const char *id);

/* Key i of a set is made of its numbers. */
struct keeper_public_key rig_key_message(const char *provider, uint64_t set, unsigned i);
int rig_put_key(const char *provider, uint64_t set, unsigned i);
int rig_complete(const char *provider, uint64_t set, unsigned count);

int rig_set_rollout(int percent);
struct keeper_secret rig_secret_message(const char *name, const char *text);
int rig_write_secret(const char *name, const char *text);

/* The next revocation told to a worker; what else comes is passed over. "" after a while. */
const char *rig_told(int worker, unsigned *ret_n);

/* ---- what is on the disk ---- */

int rig_look_token(unsigned n, struct token *ret);
/* The number of the current set, 0 when there is none; every key of it is looked at. */
uint64_t rig_current_set(const char *provider, unsigned want_count);
int rig_rollout(void);
const char *rig_read_secret(const char *name); /* its text; "" when there is none */
unsigned rig_files_in_folder(void);	       /* of private keys */
