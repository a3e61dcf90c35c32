/*
 * Why the router decided as it did: one plain sentence per decision, for `explain`. The data path
 * has none (NULL) and pays one comparison per decision: the arguments of ROUTER_TRACE are worked
 * out only for a trace that is there.
 *
 * Whoever asks makes the struct, zeroed but for its arena, in which the sentences then are.
 */
#pragma once
#include <stddef.h>
#include "lib/arena.h"

#define ROUTER_TRACE_MAX     64
#define ROUTER_TRACE_DETAILS 48 /* of them may be about clusters and drivers passed over */

struct router_trace {
	struct arena *arena;
	const char *lines[ROUTER_TRACE_MAX];
	unsigned count;
	unsigned left_out; /* sentences there was no room for */
};

void router_trace_add(struct router_trace *, unsigned max, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define ROUTER_TRACE(trace, ...)                                               \
	do {                                                                   \
		if ((trace) != NULL)                                           \
			router_trace_add(trace, ROUTER_TRACE_MAX, __VA_ARGS__); \
	} while (0)
#define ROUTER_DETAIL(trace, ...)                                                  \
	do {                                                                       \
		if ((trace) != NULL)                                               \
			router_trace_add(trace, ROUTER_TRACE_DETAILS, __VA_ARGS__); \
	} while (0)
