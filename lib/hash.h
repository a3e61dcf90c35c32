/*
 * SipHash-2-4 (Aumasson, Bernstein 2012), keyed at start so that clients cannot choose collisions.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0, k1;
};

void hash_key_random(struct hash_key *ret_key); /* getrandom(2); aborts when the kernel has none */
uint64_t hash_sip(const struct hash_key *, const void *p, size_t n);

/* Unkeyed, stable over processes and versions: for rendezvous hashing of sessions over drivers. */
uint64_t hash_stable(const void *p, size_t n, uint64_t seed);
