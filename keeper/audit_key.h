/*
 * state_dir/keys/audit: 32 random bytes under which audit files are sealed. Made by the keeper at
 * its first start; whoever has it can forge a seal.
 */
#pragma once
#include <stdint.h>
#include "lib/err.h"
#include "shm/chain.h"

/* Makes it if there is none. Logged when it fails: E_DENIED (open to others, not 32 bytes), E_FULL,
 * E_IO. */
int audit_key_read(const char *state_dir, uint8_t ret[CHAIN_KEY]) MUST_CHECK;
