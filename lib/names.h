/*
 * Comparing names in lists that are gone through for every RPC, and may be hundreds long.
 */
#pragma once
#include <string.h>
#include "lib/str.h"

static inline uint64_t
names_load(const char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* str_eq() that seldom calls anything, for names that are alike: they are compared from their ends,
 * where they tend to differ. */
static inline bool
names_same(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	if (a.n < 8)
		return a.n == 0 || (a.p[a.n - 1] == b.p[b.n - 1] && memcmp(a.p, b.p, a.n - 1) == 0);
	if (names_load(a.p + a.n - 8) != names_load(b.p + b.n - 8))
		return false;
	for (size_t i = 0; i + 8 < a.n; i += 8)
		if (names_load(a.p + i) != names_load(b.p + i))
			return false;
	return true;
}
