/*
 * Driving one driver's probes. Enter: time, suspicions, addresses, outcomes of probes; leave: rows
 * of the health table and one log line per change of verdict.
 */
#include <openssl/crypto.h>
#include "checker/probe.h"
#include "checker/watch.h"
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"

#define WATCH_MAGIC   0x57617463u
#define ARENA_FIRST   2048
#define ARENA_CEILING 65536
#define SHORT_SAID_MS 60000

enum watch_state { WATCH_IDLE, WATCH_NAMING, WATCH_QUEUED, WATCH_PROBING };

struct watch {
	unsigned magic;
	enum watch_state state;
	struct watch_house *house;
	struct arena *arena;
	struct watch *next; /* in the queue */
	uint32_t driver_id;
	struct str cluster, name, address, server_name, authorization;
	uint16_t port;
	SSL_CTX *tls;
	const char *ctx; /* for the log */
	struct health_row *row;
	struct health health; /* what stands in the row */
	struct verdict verdict;
	struct resolve_name *host;
	struct loop_timer timer; /* IDLE: the next round; NAMING: patience with the resolver */
	uint64_t due_ms, suspected_ms;

	/* the round under way */
	struct probe *probe;
	struct resolve_list list;
	struct sock_addr at; /* being probed */
	unsigned turn;	     /* where rounds begin in the list; moves on after bad ones */
	unsigned tried;	     /* addresses of the list in this round */
	uint64_t deadline_ms;
	struct probe_result worst; /* of those tried; a refusal counts only if all were */
};

static void begin(void *arg);
static void probed(void *arg, const struct probe_result *result);

static uint64_t
now_ms(const struct watch *w)
{
	return loop_ms(w->house->loop);
}

static void
be_idle(struct watch *w, uint64_t wait_ms)
{
	w->state = WATCH_IDLE;
	w->due_ms = now_ms(w) + wait_ms;
	loop_timer_start(w->house->loop, &w->timer, wait_ms, 0, begin, w);
}

/* Within a tenth, so that drivers are not all asked at the same moment. */
static uint64_t
jittered(struct watch_house *house, uint64_t ms)
{
	house->random ^= house->random << 13;
	house->random ^= house->random >> 7;
	house->random ^= house->random << 17;
	return ms - ms / 10 + house->random % (ms / 5 + 1);
}

/* ---- the end of a round ---- */

static void
tell(const struct watch *w, unsigned events, const struct probe_result *r)
{
	const char *reason = health_reason_name(w->health.reason);
	const char *colon = r->words[0] != '\0' ? ": " : "";
	char address[SOCK_ADDR_TEXT];

	if (events & VERDICT_CHANGED && w->health.state == HEALTH_UP)
		log_info(w->ctx, "driver is up at %s",
			 sock_addr_text(&w->health.address, address, sizeof(address)));
	else if (events & VERDICT_CHANGED)
		log_warn(w->ctx, "driver is down: %s%s%s%s", reason, colon, r->words,
			 events & VERDICT_LOST ? "; its sessions are lost" : "");
	else if (events & VERDICT_LOST)
		log_warn(w->ctx, "driver is lost, and so are its sessions: %s%s%s", reason, colon,
			 r->words);
}

static void
end_round(struct watch *w, const struct probe_result *result)
{
	const struct verdict_outcome outcome = {result->reason, result->rtt_us};
	const struct verdict_now now = {now_ms(w), clock_wall_ms()};
	const struct verdict_rules *rules = &w->house->rules;

	if (result->reason == HEALTH_OK) {
		w->health.address = w->at;
		w->turn = 0;
	} else if (w->health.state != HEALTH_UP) {
		w->turn++;
	}
	unsigned events = verdict_step(&w->verdict, &w->health, rules, &outcome, &now);
	health_write(w->row, &w->health);
	tell(w, events, result);
	be_idle(w, jittered(w->house, verdict_wait_ms(&w->verdict, &w->health, rules)));
}

static void
fail_round(struct watch *w, enum health_reason reason, const char *words)
{
	struct probe_result result = {.reason = reason};

	str_copy(result.words, sizeof(result.words), str_from(words));
	end_round(w, &result);
}

/* We ourselves lack descriptors or memory: that says nothing about the driver. */
static void
skip_round(struct watch *w)
{
	struct watch_house *house = w->house;
	uint64_t now = now_ms(w);

	if (house->short_ms == 0 || now - house->short_ms >= SHORT_SAID_MS) {
		house->short_ms = now;
		log_warn(w->ctx, "no descriptor, port or memory left for a probe; verdicts stay");
	}
	be_idle(w, jittered(house, house->rules.interval_ms));
}

/* ---- probing ---- */

static int
place_of(const struct watch *w, const struct sock_addr *a)
{
	for (unsigned i = 0; i < w->list.count; i++)
		if (sock_addr_eq(&w->list.at[i], a))
			return (int)i;
	return -1;
}

/* The address whose turn it is, the published one first; it is replaced if the name left it. */
static void
choose(struct watch *w)
{
	int place = place_of(w, &w->health.address);

	if (place < 0) {
		w->health.address = w->list.at[0];
		w->turn = 0;
		place = 0;
		health_write(w->row, &w->health);
	}
	w->at = w->list.at[((unsigned)place + w->turn + w->tried) % w->list.count];
}

static void
probe(struct watch *w)
{
	uint64_t now = now_ms(w);
	struct probe_target target = {
		.tls = w->tls,
		.server_name = w->server_name.p,
		.authority = w->address,
		.authorization = w->authorization,
	};

	if (w->tried == 0)
		w->deadline_ms = now + w->house->timeout_ms;
	choose(w);
	target.address = w->at;
	target.timeout_ms = w->deadline_ms - now;
	w->state = WATCH_PROBING;
	if (probe_start(w->house->loop, &target, probed, w, &w->probe) != 0) {
		skip_round(w);
		return;
	}
	w->house->running++;
}

void
watch_house_run(struct watch_house *house)
{
	while (house->queue != NULL && house->running < WATCH_PROBES) {
		struct watch *w = house->queue;

		house->queue = w->next;
		if (house->queue == NULL)
			house->queue_tail = &house->queue;
		probe(w);
	}
}

static void
probed(void *arg, const struct probe_result *result)
{
	struct watch *w = arg;

	CHECK_MAGIC(w, WATCH_MAGIC);
	w->probe = NULL;
	w->house->running--;
	if (w->tried == 0 || w->worst.reason == HEALTH_REFUSED || result->reason == HEALTH_OK)
		w->worst = *result;
	w->tried++;
	if (result->reason != HEALTH_OK && w->health.state != HEALTH_UP &&
	    w->tried < w->list.count && now_ms(w) < w->deadline_ms)
		probe(w);
	else
		end_round(w, &w->worst);
	watch_house_run(w->house);
}

/* ---- the beginning of a round ---- */

static void
enter_queue(struct watch *w)
{
	w->state = WATCH_QUEUED;
	w->tried = 0;
	w->next = NULL;
	*w->house->queue_tail = w;
	w->house->queue_tail = &w->next;
	watch_house_run(w->house);
}

static void
out_of_patience(void *arg)
{
	fail_round(arg, HEALTH_UNRESOLVED, "the resolver does not answer");
}

/* While the name does not resolve, what an earlier process has published serves. */
static int
get_addresses(struct watch *w)
{
	const struct sock_addr *published = &w->health.address;
	int rc = resolve_get(w->host, &w->list);

	for (unsigned i = 0; rc == 0 && i < w->list.count; i++)
		w->list.at[i].port = w->port;
	if (rc == 0 || published->family == 0 || published->port != w->port)
		return rc;
	w->list = (struct resolve_list){.at = {*published}, .count = 1};
	return 0;
}

static void
find_address(struct watch *w)
{
	int rc = get_addresses(w);

	loop_timer_stop(&w->timer);
	if (rc == 0) {
		enter_queue(w);
	} else if (rc == E_AGAIN) {
		w->state = WATCH_NAMING;
		loop_timer_start(w->house->loop, &w->timer, w->house->timeout_ms, 0,
				 out_of_patience, w);
	} else {
		fail_round(w, HEALTH_UNRESOLVED, resolve_words(w->host));
	}
}

static void
begin(void *arg)
{
	struct watch *w = arg;

	CHECK_MAGIC(w, WATCH_MAGIC);
	ASSERT(w->state == WATCH_IDLE);
	find_address(w);
}

void
watch_suspect(struct watch *w)
{
	uint64_t now = now_ms(w), due = w->suspected_ms + WATCH_SUSPECT_MS;

	CHECK_MAGIC(w, WATCH_MAGIC);
	if (w->state != WATCH_IDLE)
		return;
	if (due < now)
		due = now;
	if (due >= w->due_ms)
		return;
	w->suspected_ms = due;
	be_idle(w, due - now);
}

void
watch_resolved(struct watch *w, const struct resolve_name *name)
{
	CHECK_MAGIC(w, WATCH_MAGIC);
	if (w->host != name)
		return;
	if (w->state == WATCH_NAMING) {
		find_address(w);
		return;
	}
	if (w->state != WATCH_IDLE || get_addresses(w) != 0)
		return; /* a round under way finishes with the list it has */
	if (place_of(w, &w->health.address) < 0)
		find_address(w);
}

/* ---- life ---- */

static int
fill(struct watch *w, const struct registry_driver *d, const struct watch_cluster *c)
{
	struct str host;

	w->driver_id = d->id;
	w->name = arena_str(w->arena, d->name);
	w->cluster = arena_str(w->arena, d->cluster->name);
	w->address = arena_str(w->arena, d->address);
	w->tls = c->tls;
	w->ctx = arena_printf(w->arena, "driver=%.*s cluster=%.*s", STR_ARG(d->name),
			      STR_ARG(d->cluster->name));
	if (c->token.p != NULL)
		w->authorization =
			str_from(arena_printf(w->arena, "Bearer %.*s", STR_ARG(c->token)));
	if (arena_failed(w->arena))
		return E_NOMEM;
	int rc = sock_split_host_port(w->address, &host, &w->port);
	if (rc != 0)
		return rc;
	w->server_name = arena_str(w->arena, c->server_name.n > 0 ? c->server_name : host);
	w->host = resolve_open(w->house->resolve, host);
	return w->host != NULL && !arena_failed(w->arena) ? 0 : E_NOMEM;
}

struct watch *
watch_new(struct watch_house *house, const struct registry_driver *d, const struct watch_cluster *c,
	  struct health_row *row)
{
	struct arena *arena = arena_new(ARENA_FIRST, ARENA_CEILING);
	struct watch *w = arena != NULL ? arena_alloc(arena, sizeof(*w)) : NULL;

	if (w == NULL) {
		arena_free(&arena);
		return NULL;
	}
	*w = (struct watch){.magic = WATCH_MAGIC, .arena = arena, .house = house, .row = row};
	int rc = fill(w, d, c);
	if (rc != 0) {
		log_error(w->ctx, "driver cannot be watched: %s", err_text(rc));
		watch_free(&w);
		return NULL;
	}
	if (health_read(row, &w->health) == 0 && w->health.driver_id == d->id) {
		verdict_adopt(&w->verdict, &w->health);
	} else {
		verdict_start(&w->verdict, &w->health, d->id, clock_wall_ms());
		health_write(row, &w->health);
	}
	be_idle(w, 0);
	return w;
}

static void
leave_queue(struct watch *w)
{
	struct watch_house *house = w->house;
	struct watch **at = &house->queue;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	if (house->queue_tail == &w->next)
		house->queue_tail = at;
}

void
watch_free(struct watch **watch)
{
	struct watch *w = *watch;
	struct arena *arena;

	if (w == NULL)
		return;
	CHECK_MAGIC(w, WATCH_MAGIC);
	*watch = NULL;
	loop_timer_stop(&w->timer);
	if (w->state == WATCH_QUEUED)
		leave_queue(w);
	if (w->probe != NULL) {
		probe_cancel(&w->probe);
		w->house->running--;
	}
	resolve_close(&w->host);
	union { /* the one place that writes to it */
		const char *in;
		void *out;
	} secret = {w->authorization.p};
	if (secret.out != NULL)
		OPENSSL_cleanse(secret.out, w->authorization.n);
	w->magic = 0;
	arena = w->arena;
	arena_free(&arena);
}

bool
watch_is(const struct watch *w, const struct registry_driver *d)
{
	return w->driver_id == d->id && str_eq(w->address, d->address) &&
	       str_eq(w->name, d->name) && str_eq(w->cluster, d->cluster->name);
}

void
watch_house_init(struct watch_house *house, struct loop *loop, struct resolve *resolve,
		 const struct conf *conf)
{
	struct hash_key seed;

	hash_key_random(&seed);
	*house = (struct watch_house){
		.loop = loop,
		.resolve = resolve,
		.rules = {.rise = conf->health_rise,
			  .fall = conf->health_fall,
			  .interval_ms = conf->health_interval_ms,
			  .lost_after_ms = conf->session_driver_lost_after_ms},
		.timeout_ms = conf->health_timeout_ms,
		.random = seed.k0 | 1,
	};
	house->queue_tail = &house->queue;
}
