/*
 * What all processes have counted, added up, and the metrics of RPCs made of it.
 */
#include "controller/scrape.h"

#include <stdlib.h>
#include "lib/clock.h"
#include "lib/panic.h"
#include "shm/earlier.h"
#include "shm/labels.h"

#define WORDS (sizeof(struct metrics_slot) / sizeof(uint64_t))

_Static_assert(sizeof(struct metrics_slot) % sizeof(uint64_t) == 0, "nothing but 64-bit numbers");

/* A slot is an array of counts; the sum has the same form. */
static void
add_slot(struct metrics_slot *sum, const struct metrics_slot *slot)
{
	_Atomic uint64_t *to = (_Atomic uint64_t *)(void *)sum;
	const _Atomic uint64_t *from = (const _Atomic uint64_t *)(const void *)slot;

	for (size_t i = 0; i < WORDS; i++)
		metrics_add(&to[i], scrape_load(&from[i]));
}

static void
add_up(struct scrape *s)
{
	const struct counters_slot *slots = segment_counters(s->segment);
	const struct earlier *earlier = segment_earlier(s->segment);

	add_slot(s->sum, &earlier->rpcs);
	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		s->counters[i] += scrape_load(&earlier->counters[i]);
	for (unsigned i = 0; i < SEGMENT_PROCS; i++) {
		const struct metrics_slot *slot = segment_metrics(s->segment, i);

		counters_sum(&slots[i], view_is_alive(s->from->view, i), s->counters);
		if (slot != NULL)
			add_slot(s->sum, slot);
	}
}

int
scrape_begin(struct scrape *s, const struct scrape_from *from, struct buf *out)
{
	*s = (struct scrape){
		.from = from,
		.segment = from->view->segment,
		.wall_ms = clock_wall_ms(),
		.mono_ms = clock_ms(),
		.sum = calloc(1, sizeof(*s->sum)),
	};
	if (s->sum == NULL)
		return E_NOMEM;
	exposition_open(&s->x, out);
	s->pairs = labels_count(segment_labels(s->segment));
	view_look_back(from->view);
	add_up(s);
	return 0;
}

void
scrape_end(struct scrape *s)
{
	free(s->sum);
	s->sum = NULL;
}

struct scrape_histogram
scrape_read(const struct metrics_histogram *h)
{
	struct scrape_histogram copy;

	for (unsigned i = 0; i < METRICS_BUCKETS; i++)
		copy.count[i] = scrape_load(&h->count[i]);
	copy.sum_us = scrape_load(&h->sum_us);
	return copy;
}

static bool
is_empty(const struct scrape_histogram *h)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < METRICS_BUCKETS; i++)
		all |= h->count[i];
	return all == 0;
}

static void
begin_pair(struct scrape *s, unsigned pair)
{
	struct str team, env;

	labels_get(segment_labels(s->segment), pair, &team, &env);
	exposition_begin(&s->x);
	exposition_label(&s->x, "team", team);
	exposition_label(&s->x, "env", env);
}

/* One of the counts of a pair, with a word as its third label. */
static void
write_count(struct scrape *s, unsigned pair, const char *key, const char *word,
	    const _Atomic uint64_t *count)
{
	uint64_t n = scrape_load(count);

	if (n == 0)
		return;
	begin_pair(s, pair);
	exposition_label(&s->x, key, str_from(word));
	exposition_value(&s->x, n, 0);
}

void
scrape_requests(struct scrape *s, unsigned what)
{
	for (unsigned pair = 0; pair < s->pairs; pair++)
		for (unsigned code = 0; code < GRPC_CODES; code++)
			write_count(s, pair, "status", grpc_code_name(code),
				    &s->sum->requests[pair][code]);
}

void
scrape_errors(struct scrape *s, unsigned what)
{
	for (unsigned pair = 0; pair < s->pairs; pair++)
		for (unsigned i = 0; i < METRICS_ERRORS_COUNT; i++)
			write_count(s, pair, "error_type", metrics_errors[i].name,
				    &s->sum->errors[pair][i]);
}

/* digits: 3 for milliseconds, 6 for seconds, as all times are counted in microseconds. */
void
scrape_latency(struct scrape *s, unsigned digits)
{
	exposition_bounds(&s->x, metrics_bounds_us, METRICS_BUCKETS - 1, digits);
	for (unsigned pair = 0; pair < s->pairs; pair++)
		for (unsigned m = 0; m < METHODS; m++) {
			struct scrape_histogram h = scrape_read(&s->sum->latency[pair][m]);

			if (is_empty(&h))
				continue;
			begin_pair(s, pair);
			exposition_label(&s->x, "method", str_from(methods_get(m)->name));
			exposition_histogram(&s->x, h.count, h.sum_us);
		}
}

static void
write_by_method(struct scrape *s, const struct metrics_histogram *list)
{
	exposition_bounds(&s->x, metrics_bounds_us, METRICS_BUCKETS - 1, 6);
	for (unsigned m = 0; m < METHODS; m++) {
		struct scrape_histogram h = scrape_read(&list[m]);

		if (is_empty(&h))
			continue;
		exposition_begin(&s->x);
		exposition_label(&s->x, "method", str_from(methods_get(m)->name));
		exposition_histogram(&s->x, h.count, h.sum_us);
	}
}

void
scrape_overhead(struct scrape *s, unsigned what)
{
	write_by_method(s, s->sum->overhead);
}

void
scrape_first_response(struct scrape *s, unsigned what)
{
	write_by_method(s, s->sum->first_response);
}

/* Of every pair, for 0 is news, too. */
void
scrape_sessions(struct scrape *s, unsigned what)
{
	const _Atomic uint32_t *bound = segment_pair_sessions(s->segment);

	for (unsigned pair = 0; pair < s->pairs; pair++) {
		begin_pair(s, pair);
		exposition_value(&s->x, atomic_load(&bound[pair]), 0);
	}
}

void
scrape_label_pairs(struct scrape *s, unsigned what)
{
	exposition_value(&s->x, s->pairs - 1, 0);
}

void
scrape_counter(struct scrape *s, unsigned what)
{
	ASSERT(what < COUNTERS_COUNT);
	exposition_value(&s->x, s->counters[what], 0);
}
