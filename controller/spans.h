/*
 * Sends spans to a collector: made of the audit file's lines (otlp.h) as they are added, up to
 * SPANS_BATCH at once, at least every SPANS_MS.
 *
 * What a collector does not take in time is lost, and counted: at most SPANS_QUEUE wait. At a reload
 * each record is looked at by one of the two controllers, and the one that leaves sends what waits,
 * as far as it comes in the time that its owner gives it. Nothing is remembered over a restart.
 */
#pragma once
#include <jansson.h>
#include "conf/types.h"
#include "lib/loop.h"

#define SPANS_BATCH 512u
#define SPANS_QUEUE 8192u
#define SPANS_MS    5000u

struct counters_slot;
struct segment;
struct spans;

/* NULL: out of memory. Without `tracing` it does nothing. */
struct spans *spans_new(const struct conf *, struct loop *, struct segment *,
			struct counters_slot *);
/* A successor is there, or the end: nothing more is collected, what waits is sent at once. */
void spans_leave(struct spans *);
size_t spans_waiting(const struct spans *); /* to be sent, or under way */
void spans_free(struct spans **); /* what waits is dropped, and counted */
json_t *spans_show(const struct spans *); /* null without `tracing` */
