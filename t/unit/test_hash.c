/*
 * lib/hash: the reference vectors of SipHash-2-4; pinned values and even spread of the stable hash.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include "lib/hash.h"

#define N(a)	(sizeof(a) / sizeof((a)[0]))
#define DRIVERS 8
#define KEYS	20000

/* Aumasson, Bernstein: vectors.h. Key 00 01 .. 0f, input 00 01 .. n-1. */
Test(hash, sip_reference_vectors)
{
	static const struct {
		size_t n;
		uint64_t hash;
	} rows[] = {
		{0, 0x726fdb47dd0e0e31u},  {1, 0x74f839c593dc67fdu},  {2, 0x0d6c8009d9a94f5au},
		{3, 0x85676696d7fb7e2du},  {4, 0xcf2794e0277187b7u},  {5, 0x18765564cd99a68du},
		{6, 0xcbc9466e58fee3ceu},  {7, 0xab0200f58b01d137u},  {8, 0x93f5f5799a932462u},
		{15, 0xa129ca6149be45e5u}, {63, 0x958a324ceb064572u},
	};
	struct hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
	uint8_t input[64];

	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)i;
	for (size_t i = 0; i < N(rows); i++)
		cr_expect_eq(hash_sip(&key, input, rows[i].n), rows[i].hash, "n = %zu", rows[i].n);
}

Test(hash, keys_are_random)
{
	struct hash_key a = {0}, b = {0};

	hash_key_random(&a);
	hash_key_random(&b);
	cr_expect(memcmp(&a, &b, sizeof(a)) != 0);
	cr_expect_neq(hash_sip(&a, "x", 1), hash_sip(&b, "x", 1));
}

/* Gateways of different versions must agree: these values never change. */
Test(hash, stable_is_stable)
{
	static const struct {
		const char *text;
		uint64_t seed, hash;
	} rows[] = {
		{"", 0, 0x48218226ff3cd4bfu},
		{"a", 1, 0x76cb5dbe854c5c87u},
		{"alice", 2, 0x7998e92d619da27fu},
		{"12345678", 3, 0xb025ec4d5c48fa59u},
		{"alice 6b0f8f5c-5b0e-4b0b-9b1e-2f6f1f0d8a11", 4, 0x8bf81a5933639493u},
	};

	for (size_t i = 0; i < N(rows); i++) {
		uint64_t hash = hash_stable(rows[i].text, strlen(rows[i].text), rows[i].seed);

		cr_expect_eq(hash, rows[i].hash, "%s: 0x%016llx", rows[i].text,
			     (unsigned long long)hash);
	}
}

Test(hash, stable_tells_lengths_apart)
{
	static const uint8_t zeros[32];

	for (size_t n = 0; n < sizeof(zeros); n++)
		for (size_t m = n + 1; m <= sizeof(zeros); m++)
			cr_expect_neq(hash_stable(zeros, n, 1), hash_stable(zeros, m, 1));
}

/* The way the router uses it: the driver whose (key, driver) hashes highest. */
static unsigned
choose(unsigned key, unsigned without)
{
	uint64_t best = 0;
	unsigned winner = 0;
	char text[32];
	int n = snprintf(text, sizeof(text), "user-%u session", key);

	for (unsigned d = 0; d < DRIVERS; d++) {
		uint64_t hash = hash_stable(text, (size_t)n, d);

		if (d == without || hash < best)
			continue;
		best = hash;
		winner = d;
	}
	return winner;
}

Test(hash, spreads_and_moves_only_what_it_must)
{
	unsigned counts[DRIVERS] = {0}, after[DRIVERS] = {0};

	for (unsigned key = 0; key < KEYS; key++) {
		unsigned before = choose(key, DRIVERS), now = choose(key, 3);

		counts[before]++;
		after[now]++;
		cr_expect(before == 3 || now == before, "key %u moved from a living driver", key);
	}
	cr_expect_eq(after[3], 0);
	/* 2,500 each; the standard deviation is 47 */
	for (unsigned d = 0; d < DRIVERS; d++)
		cr_expect(counts[d] > 2250 && counts[d] < 2750, "driver %u: %u", d, counts[d]);
}
