/*
 * Prometheus' text format, version 0.0.4, written by hand into a buffer: it is a few lines of
 * rules, and a page of many thousand lines must cost milliseconds.
 *
 *	exposition_family(x, "name", "counter", "help");
 *	exposition_begin(x); exposition_label(x, "team", team); exposition_value(x, n, 0);
 *
 * Numbers are integers with `digits` of them behind the point, so nothing is rounded. Values of
 * labels are escaped, and bytes that are no UTF-8 become '?', for one such byte would spoil the
 * page. Failure is the buffer's (sticky). Names, kinds and help are ours and written as they are.
 */
#pragma once
#include <stdint.h>
#include "lib/buf.h"
#include "lib/str.h"

#define EXPOSITION_TYPE	  "text/plain; version=0.0.4; charset=utf-8"
#define EXPOSITION_LABELS 2048 /* bytes of one series' labels; what is longer is cut */
#define EXPOSITION_BOUNDS 32

struct exposition { /* private */
	struct buf *out;
	struct str name;
	size_t labels_len;
	char labels[EXPOSITION_LABELS];
	unsigned bounds_count, digits; /* of the histograms that follow */
	char bounds[EXPOSITION_BOUNDS][24];
};

void exposition_open(struct exposition *, struct buf *out);
void exposition_family(struct exposition *, const char *name, const char *type, const char *help);
void exposition_begin(struct exposition *); /* a series without labels */
void exposition_label(struct exposition *, const char *key, struct str value);
void exposition_value(struct exposition *, uint64_t value, unsigned digits);

/* Of the family: upper bounds, ascending, in units of 10^-digits. */
void exposition_bounds(struct exposition *, const uint64_t *bounds, unsigned count,
		       unsigned digits);
/* count: each bucket's own, one more than there are bounds; sum in the bounds' unit. */
void exposition_histogram(struct exposition *, const uint64_t *count, uint64_t sum);

/* "0.25" for 250 and 3; without zeros at the end. Returns the length. size >= 24 */
size_t exposition_decimal(uint64_t value, unsigned digits, char *buf, size_t size);
