/*
 * Takes a secret out of what a driver says: any user may ask Spark for all settings of its session
 * (ConfigResponse of spark.connect base.proto), and the driver's own pre-shared token is one of
 * them. Pure.
 */
#pragma once
#include <stdbool.h>
#include "lib/arena.h"
#include "lib/str.h"

#define REDACT_WORDS "*********(redacted)" /* as Spark itself writes it */

/*
 * `message` is a whole ConfigResponse, without prefix. Of every pair and warning whose value has
 * the secret in it, the value becomes REDACT_WORDS; all else stays byte for byte. Keys, which the
 * client has sent or could not guess, are not looked at. *ret is in the arena, or the message
 * itself when nothing changed. The secret is not empty. E_SYNTAX: malformed, and the secret is
 * somewhere in it; E_NOMEM.
 */
int redact_config(struct str message, struct str secret, struct arena *, struct str *ret,
		  bool *ret_changed) MUST_CHECK;
