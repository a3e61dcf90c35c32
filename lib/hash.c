/*
 * Two hashes: SipHash-2-4 for tables that strangers fill, and a stable one for choosing drivers.
 * Any process.
 */
#include <sys/random.h>
#include "lib/hash.h"
#include "lib/panic.h"

static uint64_t
rotl(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

/* n <= 8 bytes, little endian on every machine */
static uint64_t
load(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void
hash_key_random(struct hash_key *ret_key)
{
	struct hash_key key;

	ASSERT(getrandom(&key, sizeof(key), 0) == sizeof(key));
	*ret_key = key;
}

static void
sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[0] = rotl(v[0], 32);
		v[2] += v[3];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[2] = rotl(v[2], 32);
	}
}

uint64_t
hash_sip(const struct hash_key *key, const void *data, size_t n)
{
	uint64_t v[4] = {
		key->k0 ^ 0x736f6d6570736575u,
		key->k1 ^ 0x646f72616e646f6du,
		key->k0 ^ 0x6c7967656e657261u,
		key->k1 ^ 0x7465646279746573u,
	};
	const uint8_t *p = data;
	uint64_t word = (uint64_t)n << 56;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t m = load(p, 8);

		v[3] ^= m;
		sip_rounds(v, 2);
		v[0] ^= m;
	}
	word |= load(p, n);
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The finalizer of splitmix64: a bijection; every input bit moves about half of the output. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

uint64_t
hash_stable(const void *data, size_t n, uint64_t seed)
{
	const uint8_t *p = data;
	uint64_t h = mix(seed + 0x9e3779b97f4a7c15u) ^ (uint64_t)n * 0x9e3779b97f4a7c15u;

	for (; n >= 8; n -= 8, p += 8)
		h = mix(h ^ load(p, 8)) + 0x9e3779b97f4a7c15u;
	if (n > 0)
		h ^= load(p, n);
	return mix(h);
}
