/*
 * The keys of one provider, in the controller: documents come in through fetch.h, key sets go out
 * to the keeper.
 */
#include "controller/keyset.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include "controller/backoff.h"
#include "controller/keystore.h"
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/jwks.h"

#define KEYSET_MAGIC  0x6b657973u
#define ARENA_FIRST   ((size_t)16 * 1024)
#define ARENA_CEILING ((size_t)1024 * 1024)

static void begin(void *arg);

static const char *
name(const struct keyset *k, char buf[96])
{
	snprintf(buf, 96, "provider=%.*s", STR_ARG(k->provider->name));
	return buf;
}

static uint64_t
any_number(void)
{
	struct hash_key key;

	hash_key_random(&key);
	return key.k0;
}

/* ---- when ---- */

static void
wait_for(struct keyset *k, uint64_t ms)
{
	k->state = KEYSET_IDLE;
	if (k->stopped)
		return;
	k->due_ms = loop_ms(k->world->loop) + ms;
	loop_timer_start(k->world->loop, &k->timer, ms, 0, begin, k);
}

static void
wait_for_age(struct keyset *k)
{
	uint64_t now_ms = clock_wall_ms();
	uint64_t age_ms = now_ms > k->fetched_ms ? now_ms - k->fetched_ms : 0;

	wait_for(k, backoff_refresh_ms(k->provider->refresh_ms, age_ms, any_number()));
}

void
keyset_want(struct keyset *k)
{
	uint64_t now_ms = loop_ms(k->world->loop), at_ms = now_ms;

	CHECK_MAGIC(k, KEYSET_MAGIC);
	/* what is being fetched may be what is wanted; if not, the workers will ask again */
	if (k->provider->jwks_file.p != NULL || k->stopped || k->state != KEYSET_IDLE)
		return;
	if (k->extra_ms != 0 && now_ms < k->extra_ms + BACKOFF_EXTRA_MS)
		at_ms = k->extra_ms + BACKOFF_EXTRA_MS;
	if (loop_timer_active(&k->timer) && k->due_ms <= at_ms)
		return;
	k->extra_ms = at_ms;
	wait_for(k, at_ms - now_ms);
}

/* ---- how it ends ---- */

static void
succeed(struct keyset *k, unsigned count, bool changed)
{
	char ctx[96];

	if (k->fetched_ms == 0 || k->count == 0)
		log_info(name(k, ctx), "keys fetched: %u", count);
	else if (changed)
		log_info(name(k, ctx), "the keys have changed: %u now", count);
	else if (k->failures > 0)
		log_info(name(k, ctx), "the keys can be fetched again");
	k->failures = 0;
	k->count = count;
	k->fetched_ms = k->tried_ms;
	k->state = KEYSET_IDLE;
	if (k->provider->jwks_file.p != NULL)
		return;
	wait_for_age(k);
}

static void
fail(struct keyset *k, const char *words)
{
	char ctx[96];

	str_copy(k->error, sizeof(k->error), str_from(words));
	if (k->failures++ == 0)
		log_warn(name(k, ctx), "the keys cannot be fetched: %s; %s", words,
			 k->count > 0 ? "the last good ones stay"
				      : "its tokens are refused until they can");
	else
		log_debug(name(k, ctx), "the keys cannot be fetched: %s", words);
	wait_for(k, backoff_retry_ms(k->failures, any_number()));
}

/* ---- storing ---- */

struct batch { /* keys on their way to the keeper */
	struct arena *arena;
	struct keys now, fresh;
};

static void
stored(struct keyset *k, int err, bool changed)
{
	char words[96];

	CHECK_MAGIC(k, KEYSET_MAGIC);
	ASSERT(k->state == KEYSET_STORING);
	snprintf(words, sizeof(words), "they cannot be stored: %s", err_text(err));
	if (err == 0)
		succeed(k, k->storing, changed);
	else
		fail(k, words);
}

static void
stored_new(void *arg, int err)
{
	stored(arg, err, true);
}

static void
stored_same(void *arg, int err)
{
	stored(arg, err, false);
}

static int
compare(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	size_t n = x->der.n < y->der.n ? x->der.n : y->der.n;
	int order = memcmp(x->der.p, y->der.p, n);

	return order != 0 ? order : (x->der.n > y->der.n) - (x->der.n < y->der.n);
}

/* Rows as they will be stored, of keys that were checked; in an order of our own, so that a
 * provider that shuffles its keys has not changed them. */
static bool
convert(struct batch *b, const struct jwks_key *keys, unsigned count)
{
	b->fresh.list = arena_array(b->arena, count, sizeof(*b->fresh.list));
	for (unsigned i = 0; b->fresh.list != NULL && i < count; i++) {
		uint8_t der[KEYS_DER_MAX];
		size_t n;

		if (jwks_key_der(&keys[i], der, sizeof(der), &n) != 0)
			return false;
		b->fresh.list[i] = (struct key){
			.kid = keys[i].kid,
			.algs = keys[i].algs,
			.der = {arena_copy(b->arena, der, n), n},
		};
	}
	if (arena_failed(b->arena))
		return false;
	b->fresh.count = count;
	qsort(b->fresh.list, count, sizeof(*b->fresh.list), compare);
	return true;
}

/* Also what is stored already is written again: workers who wait for a key learn by it that there
 * is none, and when the set was fetched. */
static int
send_batch(struct keyset *k, struct batch *b)
{
	struct str provider = k->provider->name;
	bool same = keystore_read(k->world->view->db, provider, b->arena, &b->now) == 0 &&
		    memcmp(b->now.source, k->source, sizeof(k->source)) == 0 &&
		    keystore_same(&b->now, &b->fresh);

	b->fresh.fetched_ms = k->tried_ms;
	memcpy(b->fresh.source, k->source, sizeof(k->source));
	return keystore_write(k->world->asks, provider, &b->fresh, same ? stored_same : stored_new,
			      k);
}

static void
store(struct keyset *k, struct str text)
{
	struct batch b = {.arena = arena_new(ARENA_FIRST, ARENA_CEILING)};
	struct jwks_key *keys = NULL;
	const char *words = "out of memory";
	unsigned count = 0;
	bool sent = false;

	k->state = KEYSET_STORING;
	if (b.arena != NULL && jwks_parse(text, b.arena, &keys, &count, &words) == 0) {
		k->storing = count;
		words = "they cannot be stored";
		sent = convert(&b, keys, count) && send_batch(k, &b) == 0;
	}
	jwks_free(keys, count);
	arena_free(&b.arena);
	if (!sent)
		fail(k, words);
}

/* ---- fetching ---- */

static void
got_keys(void *arg, int err, struct str body, const char *words)
{
	struct keyset *k = arg;

	CHECK_MAGIC(k, KEYSET_MAGIC);
	k->job = NULL;
	if (err == 0)
		store(k, body);
	else
		fail(k, words);
}

static void got_description(void *arg, int err, struct str body, const char *words);

static void
fetch_from(struct keyset *k, enum keyset_state state, const char *url, fetch_done *done)
{
	const char *words;

	k->state = state;
	if (fetch_start(k->world->fetch, url, k->provider->ca.p, done, k, &k->job, &words) != 0)
		fail(k, words);
}

static void
got_description(void *arg, int err, struct str body, const char *words)
{
	struct keyset *k = arg;
	char url[DISCOVERY_URL];

	CHECK_MAGIC(k, KEYSET_MAGIC);
	k->job = NULL;
	if (err == 0)
		err = discovery_parse(body, k->provider->issuer, url, sizeof(url), &words);
	if (err == 0)
		fetch_from(k, KEYSET_FETCHING, url, got_keys);
	else
		fail(k, words);
}

static void
begin(void *arg)
{
	struct keyset *k = arg;
	char url[DISCOVERY_URL];

	CHECK_MAGIC(k, KEYSET_MAGIC);
	ASSERT(k->state == KEYSET_IDLE);
	k->tried_ms = clock_wall_ms();
	if (k->provider->jwks_file.p != NULL)
		store(k, k->provider->jwks);
	else if (k->provider->jwks_url.p != NULL)
		fetch_from(k, KEYSET_FETCHING, k->provider->jwks_url.p, got_keys);
	else if (discovery_url(k->provider->issuer, url, sizeof(url)) == 0)
		fetch_from(k, KEYSET_DESCRIBING, url, got_description);
	else
		fail(k, "the issuer is too long");
}

/* ---- its life ---- */

/* Keys of a file are what the file says: another text is another source. */
static void
name_source(struct keyset *k)
{
	const struct conf_provider *p = k->provider;
	uint8_t digest[SHA256_DIGEST_LENGTH];
	char text[2 * SHA256_DIGEST_LENGTH + 1];

	if (p->jwks_file.p == NULL) {
		keys_source(p->issuer, p->jwks_url, k->source);
		return;
	}
	SHA256((const uint8_t *)p->jwks.p, p->jwks.n, digest);
	for (unsigned i = 0; i < SHA256_DIGEST_LENGTH; i++)
		snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
	keys_source(p->issuer, str_from(text), k->source);
}

void
keyset_start(struct keyset *k, const struct keyset_world *world, const struct conf_provider *p)
{
	struct arena *arena = arena_new(ARENA_FIRST, ARENA_CEILING);
	struct keys stored;

	*k = (struct keyset){.magic = KEYSET_MAGIC, .world = world, .provider = p};
	name_source(k);
	if (arena != NULL && keystore_read(world->view->db, p->name, arena, &stored) == 0 &&
	    memcmp(stored.source, k->source, sizeof(k->source)) == 0) {
		k->count = stored.count;
		k->fetched_ms = stored.fetched_ms;
	}
	arena_free(&arena);
	if (k->fetched_ms == 0)
		wait_for(k, 0);
	else if (p->jwks_file.p == NULL)
		wait_for_age(k);
}

void
keyset_stop(struct keyset *k)
{
	if (k->magic == 0)
		return;
	CHECK_MAGIC(k, KEYSET_MAGIC);
	k->stopped = true;
	fetch_end(&k->job);
	loop_timer_stop(&k->timer);
}

json_t *
keyset_show(const struct keyset *k)
{
	json_t *row = json_pack("{s:o, s:s, s:o, s:i, s:I, s:I, s:i}", "name",
				view_text(k->provider->name), "type", "oidc", "issuer",
				view_text(k->provider->issuer), "keys", (int)k->count, "fetched_ms",
				(json_int_t)k->fetched_ms, "tried_ms", (json_int_t)k->tried_ms,
				"failures", (int)k->failures);

	json_object_set_new(row, "error",
			    k->failures > 0 ? view_text(str_from(k->error)) : json_null());
	return row;
}
