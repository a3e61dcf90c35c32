/*
 * The key pairs with which the gateway signs tokens of services (ES256). The private key is a file
 * of state_dir/keys, the public ones are the key set of the provider of type `service`, newest
 * first; the newest signs.
 *
 * A pair is made when one is needed first, or by rotation. Then the older public keys stay, so that
 * what they have signed is good until it expires; the private one is removed. The store is asked
 * each time: another controller may have rotated.
 */
#pragma once
#include <jansson.h>
#include "conf/conf.h"
#include "controller/asks.h"
#include "controller/view.h"

#define SIGNER_OLD_KEYS 8 /* that go on verifying */

struct signer;

/* NULL: out of memory. */
struct signer *signer_new(const struct conf *, struct asks *, const struct view *);
void signer_free(struct signer **); /* after asks_close(); cleanses */

/* err: 0: signer_pem() and signer_kid() are those to sign with, now; else constant words. */
typedef void signer_done(void *arg, int err, const char *words);

/* `done` is called once, maybe before this returns. E_STATE to it: there is no such provider, or
 * no store; E_AGAIN: a pair is being made; else as keystore_write(). */
void signer_use(struct signer *, signer_done *done, void *arg);
void signer_rotate(struct signer *, signer_done *done, void *arg);

const struct conf_provider *signer_provider(const struct signer *); /* NULL: none */
struct str signer_pem(const struct signer *);
const char *signer_kid(const struct signer *);

void signer_show(const struct signer *, json_t *list);
/* {"keys": [...]} of the public keys. As keystore_read(). */
int signer_jwks(const struct signer *, json_t **ret) MUST_CHECK;
