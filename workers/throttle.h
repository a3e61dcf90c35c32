/*
 * Bad tokens per address: from where many come, a token that was not seen before has to wait until it
 * is looked at, so that guessing takes time and costs no processor. Tokens that are known to be good
 * never wait, and new good ones only a moment, so that whoever shares the address (a NAT, a notebook
 * host) does not suffer.
 *
 * One per worker; a fixed table by hash of the address (IPv6: of its /64), in which a newcomer takes
 * the place of the one with the fewest failures. Pure but for its memory.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/sock.h"

#define THROTTLE_REFILL_MS 5000u   /* a failure is forgotten after that */
#define THROTTLE_REPEAT_MS 600000u /* an address is named again when it still is slow then, */
#define THROTTLE_WORDS_MS  1000u   /* and no two sooner than that */
#define THROTTLE_PLACES	   64u	   /* and half as many more for proven ones */

struct throttle;

struct throttle *throttle_new(uint32_t failures); /* limits.failed_tokens; aborts when out of memory */
void throttle_free(struct throttle **);

void throttle_failed(struct throttle *, const struct sock_addr *, uint64_t now_ms); /* a bad token */
/* Tokens that are not known yet are to be looked at later. */
bool throttle_is_slow(struct throttle *, const struct sock_addr *, uint64_t now_ms);

/* A place to wait in for whoever is slow; false: there is none. From one address they take three
 * quarters of all, and those known to bring bad tokens a quarter, so that others find one. */
enum throttle_standing {
	THROTTLE_SUSPECT, /* the connection has shown bad tokens, and no good one */
	THROTTLE_NEW,
	THROTTLE_PROVEN /* it has shown a good one, or was turned away and came again */
};
bool throttle_enter(struct throttle *, const struct sock_addr *, enum throttle_standing);
void throttle_leave(struct throttle *, const struct sock_addr *);

/* It is slow, and whoever reads the log is to be told: whoever asks tells. */
bool throttle_is_news(struct throttle *, const struct sock_addr *, uint64_t now_ms);
