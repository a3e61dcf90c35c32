/*
 * Pairs of team and env by number, so that metrics are an array: only configured names get one,
 * whatever clients write.
 *
 * Writer: keeper, at the start of each generation; pairs are only ever added, so a number means the
 * same for the life of the gateway. Pair 0 is ("other", "other"): whatever is not configured, or
 * found no room. Readers: workers, once per binding (a linear search, below 2 µs); controller.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"
#include "shm/limits.h"

#define LABELS_NAME 63 /* bytes of a team or env at most; longer ones are pair 0 */

struct labels_row {
	uint8_t team_len, env_len;
	char team[LABELS_NAME], env[LABELS_NAME];
};
struct labels {
	_Atomic uint32_t count; /* of rows that are whole, pair 0 not among them */
	uint32_t pad;
	struct labels_row rows[SEGMENT_PAIRS]; /* rows[0] is not used */
};

/* 0 when it has no number of its own. */
unsigned labels_find(const struct labels *, struct str team, struct str env);
unsigned labels_count(const struct labels *); /* at least 1; pair 0 is one of them */
void labels_get(const struct labels *, unsigned pair, struct str *ret_team, struct str *ret_env);

bool labels_is_other(struct str team, struct str env); /* pair 0, by its own name */

/* Keeper. The number it has or gets; 0: no room, a name is too long, or it is pair 0. */
unsigned labels_add(struct labels *, struct str team, struct str env);
