/*
 * The step from token to identity. What is kept: verdicts about tokens (by digest), the keys they
 * were made with, and who waits for newer keys.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/tls.h"
#include "proto/fields.h"
#include "workers/authn.h"
#include "workers/binder.h"
#include "workers/client.h"
#include "workers/context.h"
#include "workers/keyring.h"
#include "workers/throttle.h"
#include "workers/verify.h"

#define WAIT_MS	       3000u /* for keys; the controller's fetch takes one or two round trips */
#define LOOK_MS	       50u
#define WAITING_MAX    1024u
#define FETCH_GAP_MS   60000u
#define FETCH_SLACK_MS 60000u /* clocks differ */
#define USED_MS	       60000u /* how often the store is told that a token is used */
#define MALFORMED      "malformed token header: \"Bearer TOKEN\" is expected"
#define ARENA_FIRST    1024
#define ARENA_CEILING  (128u << 10) /* the names of a certificate */

struct want {		   /* of keys that a token names and nobody here has */
	uint64_t first_ms; /* of this minute; 0: never */
	uint64_t generation;
};

struct authn {
	struct worker *worker;
	struct verdicts *verdicts;
	struct keyring *keyring;
	struct verify *verify;
	struct throttle *throttle;
	EVP_MD *sha256;
	EVP_MD_CTX *digest;
	struct identity *anonymous;
	uint64_t keys_generation, tokens_generation;
	struct want *wants; /* by provider */
	struct authn_wait *first;
	unsigned waiting;
	struct loop_timer look;
};

struct authn *
authn_new(struct worker *w)
{
	struct authn *a = calloc(1, sizeof *a);

	ASSERT(a != NULL);
	a->worker = w;
	a->verdicts = verdicts_new();
	a->keyring = keyring_new(w->conf);
	a->verify = verify_new(&(struct verify_setup){
		.conf = w->conf, .keyring = a->keyring, .pepper = w->setup->pepper});
	a->throttle = throttle_new(w->conf->limit_failed_tokens);
	a->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL); /* once: a fetch costs more than a digest */
	a->digest = EVP_MD_CTX_new();
	a->wants = calloc(w->conf->providers_count + 1, sizeof *a->wants);
	a->anonymous = identity_new(&(struct identity){.verified = false});
	ASSERT(a->sha256 != NULL && a->digest != NULL && a->wants != NULL && a->anonymous != NULL);
	a->keys_generation = a->tokens_generation = UINT64_MAX;
	return a;
}

void
authn_free(struct authn **pa)
{
	struct authn *a = *pa;

	*pa = NULL;
	if (a == NULL)
		return;
	ASSERT(a->first == NULL);
	loop_timer_stop(&a->look);
	verify_free(&a->verify);
	keyring_free(&a->keyring);
	verdicts_free(&a->verdicts);
	throttle_free(&a->throttle);
	identity_unref(&a->anonymous);
	free(a->wants);
	EVP_MD_CTX_free(a->digest);
	EVP_MD_free(a->sha256);
	free(a);
}

static int
refuse(struct authn_answer *ret, enum grpc_code code, const char *words)
{
	ret->code = code;
	ret->why = words;
	return E_DENIED;
}

static int
take(struct authn_answer *ret, struct identity *who)
{
	ret->who = identity_ref(who);
	return 0;
}

/* ---- what others have changed ---- */

/* True when the keys are others now. */
static bool
refresh(struct authn *a)
{
	struct worker *w = a->worker;
	uint64_t keys = atomic_load_explicit(segment_generation(w->setup->segment, SEGMENT_KEYS),
					     memory_order_acquire);
	uint64_t tokens = atomic_load_explicit(
		segment_generation(w->setup->segment, SEGMENT_TOKENS), memory_order_acquire);
	bool others = keys != a->keys_generation;

	if (others && w->db != NULL) {
		a->keys_generation = keys;
		keyring_refresh(a->keyring, w->db);
		verdicts_drop_all(a->verdicts); /* a key may have gone */
	}
	if (tokens != a->tokens_generation) {
		a->tokens_generation = tokens;
		verdicts_drop_own(a->verdicts);
	}
	return others;
}

void
authn_forget(struct authn *a, struct str token_id)
{
	verdicts_drop_id(a->verdicts, token_id);
}

/* ---- waiting for keys ---- */

static void
unlink_wait(struct authn *a, struct authn_wait *x)
{
	ASSERT(x->waiting);
	x->waiting = false;
	a->waiting--;
	if (x->prev != NULL)
		x->prev->next = x->next;
	else
		a->first = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	x->next = x->prev = NULL;
}

static void
look(void *arg)
{
	struct authn *a = arg;
	bool others = refresh(a);
	uint64_t now = loop_ms(a->worker->loop);
	struct authn_wait *woken = NULL;

	for (struct authn_wait *x = a->first, *next; x != NULL; x = next) {
		next = x->next;
		if (!others && now < x->until_ms)
			continue;
		unlink_wait(a, x);
		x->next = woken; /* called from a list of its own: done() may wait again */
		woken = x;
	}
	while (woken != NULL) {
		struct authn_wait *x = woken;

		woken = x->next;
		x->next = NULL;
		x->done(x);
	}
	if (a->first == NULL)
		loop_timer_stop(&a->look);
}

int
authn_wait(struct authn *a, struct authn_wait *x, void (*done)(struct authn_wait *))
{
	ASSERT(!x->waiting);
	if (a->waiting >= WAITING_MAX)
		return E_LIMIT;
	a->waiting++;
	x->waiting = true;
	x->done = done;
	x->until_ms = loop_ms(a->worker->loop) + WAIT_MS;
	x->prev = NULL;
	x->next = a->first;
	if (x->next != NULL)
		x->next->prev = x;
	a->first = x;
	if (!loop_timer_active(&a->look))
		loop_timer_start(a->worker->loop, &a->look, LOOK_MS, LOOK_MS, look, a);
	return 0;
}

void
authn_cancel(struct authn *a, struct authn_wait *x)
{
	if (x->waiting)
		unlink_wait(a, x);
}

/* The controller fetches once a minute because of unknown keys, and at once: whoever comes first,
 * or while that goes on, waits for it; others come again when the next one is due. */
static bool
may_wait(struct authn *a, unsigned provider, uint32_t *ret_retry_ms)
{
	struct want *w = &a->wants[provider];
	uint64_t now = loop_ms(a->worker->loop), age = now - w->first_ms;

	*ret_retry_ms = WAIT_MS;
	if (w->first_ms == 0 || age >= FETCH_GAP_MS) {
		*w = (struct want){now, a->keys_generation};
		return true;
	}
	*ret_retry_ms = (uint32_t)(FETCH_GAP_MS - age);
	return age < WAIT_MS && w->generation == a->keys_generation;
}

/* A key that our last fetch did not bring: the token may be younger than that fetch, then its key
 * may be, too. Else nobody has such a key. */
static int
unknown_key(struct authn *a, const struct authn_facts *f, const struct verify_result *r,
	    struct authn_answer *ret)
{
	const struct keyring_set *set = keyring_get(a->keyring, r->provider);

	if (set->fixed || (set->fetched_ms != 0 && r->issued_ms != 0 &&
			   r->issued_ms + FETCH_SLACK_MS < set->fetched_ms))
		return refuse(ret, GRPC_UNAUTHENTICATED,
			      "the token was signed with a key that its issuer does not publish");
	counters_want_keys(a->worker->counters, r->provider);
	if (!f->waited_keys && may_wait(a, r->provider, &ret->retry_ms))
		return E_AGAIN;
	return refuse(ret, GRPC_UNAVAILABLE,
		      "the token was signed with a key that is not known here yet");
}

/* ---- a token ---- */

static int
digest_of(struct authn *a, struct str token, uint8_t ret[VERDICTS_DIGEST])
{
	return EVP_DigestInit_ex2(a->digest, a->sha256, NULL) == 1 &&
			       EVP_DigestUpdate(a->digest, token.p, token.n) == 1 &&
			       EVP_DigestFinal_ex(a->digest, ret, NULL) == 1
		       ? 0
		       : E_NOMEM;
}

static bool
is_over(const struct identity *who)
{
	return who->expires_ms != 0 && clock_wall_ms() >= who->expires_ms;
}

static void
note_use(struct authn *a, struct identity *who)
{
	uint64_t now = loop_ms(a->worker->loop);

	if (who->token_id.n == 0 || (who->used_ms != 0 && now - who->used_ms < USED_MS))
		return;
	who->used_ms = now;
	binder_token_used(a->worker->binder, who->store_digest);
}

/* Once for each address, not for each of its tokens. */
static void
say_slow(struct authn *a, const struct client *c)
{
	char ctx[128];

	if (throttle_is_news(a->throttle, &c->peer, loop_ms(a->worker->loop)))
		log_warn(client_text(c, ctx, sizeof ctx),
			 "many bad tokens come from this address: new ones from there wait");
}

static int
check_token(struct authn *a, const struct authn_facts *f, struct str token,
	    struct authn_answer *ret)
{
	uint8_t digest[VERDICTS_DIGEST];
	struct verify_result r;

	if (digest_of(a, token, digest) != 0)
		return refuse(ret, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	struct identity *known = verdicts_find(a->verdicts, digest);
	if (known != NULL && !is_over(known)) {
		note_use(a, known);
		return take(ret, known);
	}
	if (!fields_token_ok(token))
		return refuse(ret, GRPC_UNAUTHENTICATED, MALFORMED);
	if (!f->waited_slow &&
	    throttle_is_slow(a->throttle, &f->client->peer, loop_ms(a->worker->loop))) {
		say_slow(a, f->client);
		ret->slow = true;
		return E_AGAIN;
	}
	counters_add(a->worker->counters, COUNTER_auth_verified, 1);
	int rc = verify_token(a->verify, a->worker->db, token, digest, clock_wall_ms(), &r);
	if (rc == E_AGAIN)
		return unknown_key(a, f, &r, ret);
	if (rc != 0) {
		verdicts_drop(a->verdicts, digest);
		return refuse(ret, GRPC_UNAUTHENTICATED, r.why);
	}
	verdicts_put(a->verdicts, digest, r.who);
	note_use(a, r.who);
	ret->who = r.who;
	return 0;
}

/* ---- a certificate ---- */

/* Once per connection: what was found stays with it. E_NOT_FOUND: none, or nobody looks at it. */
static int
check_certificate(struct authn *a, struct client *c, struct authn_answer *ret)
{
	struct arena *scratch;
	struct verify_result r;
	struct io_peer peer;
	enum cert_kind kind;

	if (c->certificate != NULL)
		return is_over(c->certificate) ? refuse(ret, GRPC_UNAUTHENTICATED,
							"the client certificate has expired")
					       : take(ret, c->certificate);
	if (!c->tls || !verify_wants_certificate(a->verify, &kind))
		return E_NOT_FOUND;
	scratch = arena_new(ARENA_FIRST, ARENA_CEILING);
	int rc = scratch != NULL ? io_peer(&c->h2.io, kind, scratch, &peer) : E_NOMEM;
	if (rc == 0)
		rc = verify_certificate(a->verify, &peer, &r);
	else if (rc != E_NOT_FOUND)
		r.why = "the client certificate cannot be used";
	arena_free(&scratch);
	if (rc == E_NOT_FOUND)
		return rc;
	if (rc != 0)
		return refuse(ret, GRPC_UNAUTHENTICATED, r.why);
	c->certificate = r.who;
	return take(ret, r.who);
}

/* ---- the step ---- */

static int
find_out(struct authn *a, const struct authn_facts *f, struct authn_answer *ret)
{
	struct str value = f->authorization.p != NULL ? f->authorization : f->authentication;

	if (f->authorization.p != NULL && f->authentication.p != NULL &&
	    !str_eq(f->authorization, f->authentication))
		return refuse(ret, GRPC_UNAUTHENTICATED,
			      "two different tokens: in authorization and in authentication");
	if (value.p == NULL) {
		int rc = check_certificate(a, f->client, ret);
		if (rc != E_NOT_FOUND)
			return rc;
	}
	if (value.p == NULL ||
	    (a->worker->conf->providers_count == 0 && !a->worker->conf->auth_required)) {
		if (!a->worker->conf->auth_required)
			return take(ret, a->anonymous);
		return refuse(ret, GRPC_UNAUTHENTICATED,
			      "no token: send \"authorization: Bearer TOKEN\"");
	}
	struct str token = fields_bearer(value);
	if (token.p == NULL)
		return refuse(ret, GRPC_UNAUTHENTICATED, MALFORMED);
	return check_token(a, f, token, ret);
}

/* Drivers and audit believe the header, so it must say what the token says. */
static int
check_user_header(const struct authn_facts *f, struct authn_answer *ret)
{
	const struct identity *who = ret->who;

	if (f->user.p == NULL || !who->verified || str_eq(f->user, who->user) ||
	    (who->name.n > 0 && str_eq(f->user, who->name)))
		return 0;
	identity_unref(&ret->who);
	return refuse(ret, GRPC_PERMISSION_DENIED,
		      "the user header names somebody else than the token");
}

/* Whoever opens a connection for each guess does not come again on it. */
static enum throttle_standing
standing_of(const struct client *c, uint64_t now_ms)
{
	if (c->proven)
		return THROTTLE_PROVEN;
	if (c->suspect)
		return THROTTLE_SUSPECT;
	return c->turned_away_ms != 0 && now_ms - c->turned_away_ms >= AUTHN_SLOW_MS
		       ? THROTTLE_PROVEN
		       : THROTTLE_NEW;
}

bool
authn_slow_enter(struct authn *a, struct client *c)
{
	uint64_t now = loop_ms(a->worker->loop);

	if (c->slowed < AUTHN_SLOW_CLIENT &&
	    throttle_enter(a->throttle, &c->peer, standing_of(c, now))) {
		c->slowed++;
		return true;
	}
	if (c->turned_away_ms == 0)
		c->turned_away_ms = now;
	return false;
}

void
authn_slow_leave(struct authn *a, struct client *c)
{
	c->slowed--;
	throttle_leave(a->throttle, &c->peer);
}

int
authn_check(struct authn *a, const struct authn_facts *f, struct authn_answer *ret)
{
	*ret = (struct authn_answer){0};
	(void)refresh(a);
	int rc = find_out(a, f, ret);
	if (rc == 0) {
		f->client->proven = f->client->proven || ret->who->verified;
		return check_user_header(f, ret);
	}
	if (rc == E_DENIED && ret->code == GRPC_UNAUTHENTICATED) {
		counters_add(a->worker->counters, COUNTER_auth_refused, 1);
		if (f->authorization.p != NULL || f->authentication.p != NULL) {
			f->client->suspect = true;
			throttle_failed(a->throttle, &f->client->peer, loop_ms(a->worker->loop));
		}
	}
	return rc;
}
