/*
 * Bad tokens per address: who sends many is answered late. Good tokens are never held back, so that
 * whoever shares the address (a NAT, a notebook host) does not suffer.
 *
 * One per worker; a fixed table by hash of the address (IPv6: of its /64), in which a newcomer takes
 * the place of the one that has been quiet for longest. Pure but for its memory.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/sock.h"

#define THROTTLE_REFILL_MS 5000u /* a failure is forgotten after that */

struct throttle;

struct throttle *throttle_new(uint32_t failures); /* limits.failed_tokens; aborts when out of memory */
void throttle_free(struct throttle **);

/* A token from this address was refused. True when its refusals are to be held back. */
bool throttle_failed(struct throttle *, const struct sock_addr *, uint64_t now_ms);
