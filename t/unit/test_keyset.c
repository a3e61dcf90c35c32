/*
 * The keys of identity providers (controller/keyset, keysets) and the signing keys of the gateway
 * (controller/signer) against a small HTTP server and a keeper that only takes notes.
 */
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <string.h>
#include "controller/backoff.h"
#include "controller/keysets.h"
#include "controller/pair.h"
#include "controller/signer.h"
#include "lib/clock.h"
#include "lib/sock.h"
#include "proto/jwks.h"
#include "shm/counters.h"
#include "t/unit/http_rig.h"
#include "t/unit/scratch.h"

/* ---- the provider ---- */

static char good[4096]; /* two keys */
static const char *body, *status = "200 OK";

static void
make_keys(void)
{
	struct jwks_key keys[2];
	struct pair pairs[2];
	struct buf text;

	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(pair_make(&pairs[i]), 0);
		cr_assert_eq(jwks_key_from_der((struct str){(char *)pairs[i].der, pairs[i].der_len},
					       str_from(pairs[i].kid), 1u << JWT_ES256, &keys[i]),
			     0);
	}
	buf_init(&text, sizeof(good) - 1);
	cr_assert_eq(jwks_print(keys, 2, &text), 0);
	snprintf(good, sizeof(good), "%s", buf_cstr(&text));
	buf_free(&text);
	jwks_free(keys, 2);
	body = good;
}

static void
http_serve(int fd, const char *path)
{
	http_answer(fd, status, body);
}

/* ---- the keeper ---- */

static struct loop *loop;
static struct asks asks;
static struct msg_channel keeper;
static int ends[2];
static int keeper_result;
static unsigned keys_seen, sets_seen, secrets_seen, secrets_removed;
static struct keeper_keys last_set;
static struct keeper_secret last_secret;

static void
note(void *arg, const struct msg_head *head)
{
	const void *m = head;
	struct keeper_done done = {
		.head = {.type = KEEPER_DONE, .size = sizeof(done), .id = head->id},
		.result = keeper_result,
		.count = 1,
	};

	if (head->type == KEEPER_KEY) {
		keys_seen++;
	} else if (head->type == KEEPER_KEYS) {
		sets_seen++;
		last_set = *(const struct keeper_keys *)m;
	} else {
		cr_assert_eq(head->type, KEEPER_SECRET);
		last_secret = *(const struct keeper_secret *)m;
		if (last_secret.len > 0)
			secrets_seen++;
		else
			secrets_removed++;
	}
	cr_assert_eq(msg_send(ends[1], &done.head), 0);
}

/* ---- both, and the loop ---- */

static char url[128], issuer[128];
static struct conf_provider provider;
static struct conf conf = {.providers = &provider, .providers_count = 1};
static struct view view; /* without a store: nothing is known from before */
static struct keyset_world world;
static struct keyset set;

static void
start(void)
{
	http_start();
	make_keys();
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/keys", http_port);
	snprintf(issuer, sizeof(issuer), "http://127.0.0.1:%u", http_port);
	provider = (struct conf_provider){.name = STR("idp"),
					  .type = PROVIDER_OIDC,
					  .issuer = str_from(issuer),
					  .jwks_url = str_from(url),
					  .refresh_ms = 3600000};
	curl_global_init(CURL_GLOBAL_DEFAULT);
	loop = loop_new();
	cr_assert_eq(sock_pair(ends), 0);
	asks_init(&asks, loop, ends[0]);
	msg_open(&keeper, loop, ends[1], note, NULL, NULL);
	world = (struct keyset_world){loop, fetch_open(loop), &asks, &view};
}

static void
stop(void)
{
	keyset_stop(&set);
	asks_close(&asks);
	msg_close(&keeper);
	fetch_close(&world.fetch);
	loop_free(&loop);
	http_stop();
	curl_global_cleanup();
}

TestSuite(keyset, .init = start, .fini = stop, .timeout = 60);

static bool (*is_reached)(void);
static unsigned turns;

static void
look(void *arg)
{
	if (is_reached() || ++turns > 500)
		loop_stop(loop);
}

/* Five seconds at most. */
static void
run_until(bool (*question)(void))
{
	struct loop_timer timer = {0};

	is_reached = question;
	turns = 0;
	loop_timer_start(loop, &timer, 10, 10, look, NULL);
	loop_run(loop);
	loop_timer_stop(&timer);
	cr_assert(question(), "not within five seconds");
}

static void
end_wait(void *arg)
{
	loop_stop(loop);
}

static void
run_for(uint64_t ms)
{
	struct loop_timer timer = {0};

	loop_timer_start(loop, &timer, ms, 0, end_wait, NULL);
	loop_run(loop);
}

static bool
is_fetched(void)
{
	return set.fetched_ms != 0 && set.state == KEYSET_IDLE;
}

static bool
has_failed(void)
{
	return set.failures > 0;
}

static uint64_t
wait_left(void)
{
	cr_assert(loop_timer_active(&set.timer));
	return set.due_ms - loop_ms(loop);
}

/* ---- one set ---- */

Test(keyset, is_fetched_stored_and_waits_for_its_age)
{
	keyset_start(&set, &world, &provider);
	run_until(is_fetched);
	cr_expect_eq(set.count, 2);
	cr_expect_eq(keys_seen, 2);
	cr_expect_eq(sets_seen, 1);
	cr_expect_eq(last_set.count, 2);
	cr_expect_str_eq(last_set.provider, "idp");
	cr_expect_neq(last_set.set, 0);
	cr_expect_eq(last_set.fetched_ms, set.fetched_ms);
	cr_expect(wait_left() > 3600000 / 2 && wait_left() < 3600000);
}

Test(keyset, an_extra_fetch_at_once_and_the_next_after_a_minute)
{
	keyset_start(&set, &world, &provider);
	run_until(is_fetched);
	http_requests = 0;
	keyset_want(&set);
	cr_expect(wait_left() < 10);
	run_for(200);
	cr_expect_eq(http_requests, 1);
	for (unsigned i = 0; i < 5; i++)
		keyset_want(&set);
	cr_expect(wait_left() > BACKOFF_EXTRA_MS - 2000 && wait_left() <= BACKOFF_EXTRA_MS);
	run_for(200);
	cr_expect_eq(http_requests, 1);
}

Test(keyset, asked_for_while_it_is_fetched)
{
	keyset_start(&set, &world, &provider);
	run_for(0);
	cr_assert_neq(set.state, KEYSET_IDLE);
	keyset_want(&set);
	run_until(is_fetched);
	run_for(200);
	cr_expect_eq(http_requests, 1, "%u: that may have been what was wanted", http_requests);
	keyset_want(&set);
	run_for(200);
	cr_expect_eq(http_requests, 2, "%u: the minute's extra fetch was not used up",
		     http_requests);
}

Test(keyset, bad_answers_leave_what_is_there)
{
	static const struct {
		const char *status, *body;
	} cases[] = {
		{"200 OK", "{\"keys\": []}"}, {"200 OK", "nothing"}, {"200 OK", ""},
		{"404 Not Found", good},      {"200 OK", "[]"},
	};

	keyset_start(&set, &world, &provider);
	run_until(is_fetched);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		status = cases[i].status;
		body = cases[i].body;
		set.failures = 0;
		set.extra_ms = 0;
		keyset_want(&set);
		run_until(has_failed);
		cr_expect_neq(set.error[0], '\0', "case %zu", i);
		cr_expect_eq(set.count, 2, "case %zu", i);
		cr_expect(wait_left() > BACKOFF_FIRST_MS / 2 && wait_left() <= BACKOFF_FIRST_MS,
			  "case %zu", i);
	}
	cr_expect_eq(sets_seen, 1);
}

Test(keyset, a_keeper_that_cannot_commit)
{
	keeper_result = E_FULL;
	keyset_start(&set, &world, &provider);
	run_until(has_failed);
	cr_expect_not_null(strstr(set.error, "stored"), "%s", set.error);
	cr_expect_eq(set.count, 0);
	cr_expect_eq(keys_seen, 1);
	cr_expect_eq(sets_seen, 0);
}

Test(keyset, discovery)
{
	char described[512];

	snprintf(described, sizeof(described), "{\"issuer\": \"%s\", \"jwks_uri\": \"%s\"}", issuer,
		 url);
	provider.jwks_url = STR_NONE;
	body = described; /* for both: it is no key set */
	keyset_start(&set, &world, &provider);
	run_until(has_failed);
	cr_expect_eq(http_requests, 2);
	cr_expect_eq(sets_seen, 0);
}

Test(keyset, of_a_file)
{
	provider.jwks_url = STR_NONE;
	provider.jwks_file = STR("/nowhere");
	provider.jwks = str_from(good);
	keyset_start(&set, &world, &provider);
	run_until(is_fetched);
	cr_expect_eq(http_requests, 0);
	cr_expect_eq(keys_seen, 2);
	keyset_want(&set);
	cr_expect(!loop_timer_active(&set.timer));
}

static int
by_der(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	cr_assert_eq(x->der.n, y->der.n);
	return memcmp(x->der.p, y->der.p, x->der.n);
}

/* The provider's keys as set 77 of a store, fetched at that time. */
static void
store_keys(uint64_t fetched_ms)
{
	struct arena *arena = arena_new(16384, 1 << 20);
	struct keys keys = {.set = 77, .fetched_ms = fetched_ms};
	struct key list[2];
	struct jwks_key *parsed;
	uint8_t der[2][KEYS_DER_MAX];
	const char *words;
	struct db *db;
	bool changed;

	cr_assert_eq(jwks_parse(str_from(good), arena, &parsed, &keys.count, &words), 0);
	for (unsigned i = 0; i < 2; i++) {
		list[i] = (struct key){.kid = parsed[i].kid, .algs = parsed[i].algs};
		list[i].der.p = (char *)der[i];
		cr_assert_eq(jwks_key_der(&parsed[i], der[i], KEYS_DER_MAX, &list[i].der.n), 0);
	}
	qsort(list, 2, sizeof(*list), by_der);
	keys_source(str_from(issuer), str_from(url), keys.source);
	scratch_make();
	cr_assert_eq(db_open(scratch, true, 0, &db, &words), 0);
	cr_assert_eq(db_write_begin(db), 0);
	for (unsigned i = 0; i < 2; i++)
		keys_put(db, STR("idp"), 77, i, &list[i]);
	cr_assert_eq(keys_complete(db, STR("idp"), &keys, &changed), 0);
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	jwks_free(parsed, 2);
	arena_free(&arena);
	view.state_dir = scratch;
	cr_assert_eq(view_open_store(&view, &words), 0);
}

static bool
is_dated(void)
{
	return sets_seen > 0 && is_fetched();
}

Test(keyset, stored_keys_that_stay_the_same_are_dated_anew)
{
	store_keys(1000); /* long ago */
	keyset_start(&set, &world, &provider);
	cr_expect_eq(set.count, 2);
	run_until(is_dated);
	cr_expect_eq(keys_seen, 2);
	cr_expect_neq(last_set.set, 77);
	cr_expect_gt(last_set.fetched_ms, 1000);
	view_close(&view);
	scratch_drop();
}

Test(keyset, fresh_keys_of_the_store_are_not_fetched_and_those_of_another_url_are)
{
	store_keys(clock_wall_ms() - 1000);
	keyset_start(&set, &world, &provider);
	run_for(200);
	cr_expect_eq(http_requests, 0);
	cr_expect_eq(set.count, 2);
	cr_expect(wait_left() > 3600000 / 2 && wait_left() < 3600000);
	keyset_stop(&set);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/other", http_port);
	provider.jwks_url = str_from(url);
	keyset_start(&set, &world, &provider);
	cr_expect_eq(set.count, 0);
	run_until(is_fetched);
	cr_expect_eq(http_requests, 1);
	cr_expect_eq(keys_seen, 2);
	cr_expect_neq(last_set.set, 77);
	view_close(&view);
	scratch_drop();
}

Test(keyset, what_is_stopped_does_not_go_on)
{
	keyset_start(&set, &world, &provider);
	keyset_stop(&set);
	keyset_want(&set);
	run_for(200);
	cr_expect_eq(http_requests, 0);
}

/* ---- all of them ---- */

Test(keyset, workers_are_heard)
{
	struct counters_slot *slots;
	struct keysets *all;

	scratch_make();
	cr_assert_eq(segment_create(scratch_path("segment"), &view.segment), 0);
	slots = segment_counters(view.segment);
	counters_want_keys(&slots[3], 0); /* before the start: does not count */
	all = keysets_new(&conf, loop, &asks, &view);
	cr_assert_not_null(all);
	keysets_start(all);
	run_for(1000);
	cr_expect_eq(http_requests, 1);
	counters_want_keys(&slots[7], 0);
	counters_want_keys(&slots[8], 1); /* of another configuration */
	run_for(1000);
	cr_expect_eq(http_requests, 2);
	keysets_stop(all);
	counters_want_keys(&slots[7], 0);
	run_for(500);
	cr_expect_eq(http_requests, 2);
	asks_close(&asks);
	keysets_free(&all);
	segment_detach(&view.segment);
	scratch_drop();
}

/* ---- signing keys ---- */

static int signer_err;
static unsigned signer_calls;

static void
signed_with(void *arg, int err, const char *words)
{
	signer_err = err;
	signer_calls++;
}

static bool
is_signed(void)
{
	return signer_calls > 0;
}

static struct signer *
make_signer(void)
{
	struct signer *s;
	const char *words;
	struct db *db;

	scratch_make();
	cr_assert_eq(db_open(scratch, true, 0, &db, &words), 0);
	db_close(&db);
	view.state_dir = scratch;
	cr_assert_eq(view_open_store(&view, &words), 0);
	provider = (struct conf_provider){
		.name = STR("own"), .type = PROVIDER_SERVICE, .issuer = STR("https://gw")};
	conf.state_dir = str_from(scratch);
	s = signer_new(&conf, &asks, &view);
	cr_assert_not_null(s);
	return s;
}

static void
drop_signer(struct signer *s)
{
	asks_close(&asks);
	signer_free(&s);
	view_close(&view);
	scratch_drop();
}

Test(keyset, a_signing_key_is_saved_before_it_is_published)
{
	struct signer *s = make_signer();

	signer_use(s, signed_with, NULL);
	cr_expect_eq(signer_calls, 0);
	signer_rotate(s, signed_with, NULL); /* one at a time */
	cr_expect_eq(signer_calls, 1);
	cr_expect_eq(signer_err, E_AGAIN);
	signer_calls = 0;
	run_until(is_signed);
	cr_expect_eq(signer_err, 0);
	cr_expect_eq(secrets_seen, 1);
	cr_expect_eq(keys_seen, 1);
	cr_expect_eq(last_set.count, 1);
	cr_expect_not_null(strstr(last_secret.name, signer_kid(s)));
	cr_expect_eq(memcmp(last_secret.bytes, signer_pem(s).p, signer_pem(s).n), 0);
	cr_expect_eq(secrets_removed, 0);
	drop_signer(s);
}

Test(keyset, a_signing_key_that_cannot_be_saved_is_not_published)
{
	struct signer *s = make_signer();

	keeper_result = E_DENIED;
	signer_use(s, signed_with, NULL);
	run_until(is_signed);
	cr_expect_eq(signer_err, E_DENIED);
	cr_expect_eq(keys_seen, 0);
	cr_expect_eq(signer_kid(s)[0], '\0');
	drop_signer(s);
}

Test(keyset, a_rotation_removes_the_private_key_before)
{
	struct signer *s = make_signer();
	char first[PAIR_KID];

	signer_use(s, signed_with, NULL);
	run_until(is_signed);
	str_copy(first, sizeof(first), str_from(signer_kid(s)));
	signer_calls = 0;
	signer_rotate(s, signed_with, NULL);
	run_until(is_signed);
	run_for(100);
	cr_expect_str_neq(signer_kid(s), first);
	cr_expect_eq(secrets_seen, 2);
	cr_expect_eq(secrets_removed, 1);
	cr_expect_not_null(strstr(last_secret.name, first));
	drop_signer(s);
}

Test(keyset, no_provider_of_this_type)
{
	struct signer *s = signer_new(&conf, &asks, &view);

	signer_use(s, signed_with, NULL);
	cr_expect_eq(signer_err, E_STATE);
	signer_rotate(s, signed_with, NULL);
	cr_expect_eq(signer_calls, 2);
	asks_close(&asks);
	signer_free(&s);
}
