/*
 * Sends spans to a collector: made of the audit file's lines (otlp.h) as they are added, up to
 * SPANS_BATCH at once, at least every SPANS_MS.
 *
 * What a collector does not take in time is lost, and counted: at most SPANS_QUEUE wait. Nothing is
 * remembered over a restart or a reload.
 */
#pragma once
#include <jansson.h>
#include "conf/types.h"
#include "lib/loop.h"

#define SPANS_BATCH 512u
#define SPANS_QUEUE 8192u
#define SPANS_MS    5000u

struct spans;

/* NULL: out of memory. Without `tracing` it does nothing. */
struct spans *spans_new(const struct conf *, struct loop *);
void spans_stop(struct spans *); /* a successor is there, or the end: what waits is lost */
void spans_free(struct spans **);
json_t *spans_show(const struct spans *); /* null without `tracing` */
