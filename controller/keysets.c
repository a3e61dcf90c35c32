/*
 * All key sets of the controller. Counters of workers come in, four times a second.
 */
#include "controller/keysets.h"

#include <curl/curl.h>
#include <stdlib.h>
#include "lib/panic.h"
#include "shm/counters.h"

#define KEYSETS_MAGIC 0x6b737321u
#define LISTEN_MS     250

struct keysets {
	unsigned magic;
	const struct conf *conf;
	struct keyset_world world;
	struct loop_timer ear;
	bool started;
	uint32_t wanted[SEGMENT_PROVIDERS]; /* sums, as seen last */
	struct keyset sets[];		    /* by provider; those that fetch nothing stay zeroed */
};

static bool
has_set(const struct keysets *k, unsigned i)
{
	return k->conf->providers[i].type == PROVIDER_OIDC;
}

struct keysets *
keysets_new(const struct conf *conf, struct loop *loop, struct asks *asks, const struct view *view)
{
	struct keysets *k = calloc(1, sizeof(*k) + conf->providers_count * sizeof(struct keyset));

	if (k == NULL)
		return NULL;
	k->magic = KEYSETS_MAGIC;
	k->conf = conf;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	k->world = (struct keyset_world){loop, fetch_open(loop), asks, view};
	if (k->world.fetch == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

/* Over the slots of all processes, also dead ones: the counters never go back. */
static void
add_up(const struct keysets *k, uint32_t sums[SEGMENT_PROVIDERS])
{
	const struct counters_slot *slots = segment_counters(k->world.view->segment);

	memset(sums, 0, SEGMENT_PROVIDERS * sizeof(*sums));
	for (unsigned i = 0; i < SEGMENT_COUNTERS; i++)
		for (unsigned p = 0; p < k->conf->providers_count && p < SEGMENT_PROVIDERS; p++)
			sums[p] += atomic_load_explicit(&slots[i].keys_wanted[p],
							memory_order_relaxed);
}

static void
hear(void *arg)
{
	struct keysets *k = arg;
	uint32_t sums[SEGMENT_PROVIDERS];

	CHECK_MAGIC(k, KEYSETS_MAGIC);
	add_up(k, sums);
	for (unsigned i = 0; i < k->conf->providers_count && i < SEGMENT_PROVIDERS; i++)
		if (sums[i] != k->wanted[i] && has_set(k, i))
			keyset_want(&k->sets[i]);
	memcpy(k->wanted, sums, sizeof(sums));
}

void
keysets_start(struct keysets *k)
{
	bool any = false;

	CHECK_MAGIC(k, KEYSETS_MAGIC);
	k->started = true;
	add_up(k, k->wanted);
	for (unsigned i = 0; i < k->conf->providers_count; i++) {
		if (!has_set(k, i))
			continue;
		any = true;
		keyset_start(&k->sets[i], &k->world, &k->conf->providers[i]);
	}
	if (any)
		loop_timer_start(k->world.loop, &k->ear, LISTEN_MS, LISTEN_MS, hear, k);
}

void
keysets_stop(struct keysets *k)
{
	CHECK_MAGIC(k, KEYSETS_MAGIC);
	loop_timer_stop(&k->ear);
	for (unsigned i = 0; i < k->conf->providers_count; i++)
		keyset_stop(&k->sets[i]);
}

void
keysets_free(struct keysets **keysets)
{
	struct keysets *k = *keysets;

	if (k == NULL)
		return;
	keysets_stop(k);
	*keysets = NULL;
	fetch_close(&k->world.fetch);
	curl_global_cleanup();
	k->magic = 0;
	free(k);
}

void
keysets_show(const struct keysets *k, json_t *list)
{
	CHECK_MAGIC(k, KEYSETS_MAGIC);
	for (unsigned i = 0; k->started && i < k->conf->providers_count; i++)
		if (has_set(k, i))
			json_array_append_new(list, keyset_show(&k->sets[i]));
}
