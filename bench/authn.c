/*
 * What it costs to know who is asking: authn_check() of a token that was seen before, and the first
 * look at one. Prints nanoseconds of CPU per call.
 *
 *	make bench/authn && bench/authn		(a release build)
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "lib/clock.h"
#include "lib/panic.h"
#include "proto/jwks.h"
#include "shm/segment.h"
#include "t/unit/token_rig.h"
#include "workers/authn.h"
#include "workers/client.h"
#include "workers/context.h"

#define CACHED_CALLS 2000000u
#define FIRST_CALLS  2000u

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static struct conf *
configure(const char *folder, enum rig_kind kind)
{
	struct jwks_key key = rig_public(kind, STR("k"));
	char path[256], yaml[1024];
	struct conf_error *errors;
	struct conf *conf;
	struct buf jwks;
	FILE *f;

	buf_init(&jwks, 65536);
	ASSERT(jwks_print(&key, 1, &jwks) == 0);
	snprintf(path, sizeof path, "%s/jwks.json", folder);
	f = fopen(path, "w");
	ASSERT(f != NULL && fwrite(jwks.p, 1, jwks.len, f) == jwks.len && fclose(f) == 0);
	buf_free(&jwks);
	snprintf(yaml, sizeof yaml,
		 "listeners: [{address: \"127.0.0.1:1\"}]\n"
		 "auth: {providers: [{name: idp, type: oidc, issuer: \"https://idp\","
		 " audience: [gw], jwks_file: jwks.json}]}\n");
	snprintf(path, sizeof path, "%s/sparkgw.yaml", folder);
	ASSERT(conf_load_text(path, str_from(yaml), &conf, &errors) == 0);
	return conf;
}

/* A header of about 800 bytes, as identity providers make them. */
static struct str
header(enum rig_kind kind, enum jwt_alg alg, unsigned number)
{
	char claims[1024], *text;

	snprintf(claims, sizeof claims,
		 "{\"iss\":\"https://idp\",\"aud\":\"gw\",\"sub\":\"user-%06u\",\"exp\":4000000000,"
		 "\"iat\":1700000000,\"groups\":[\"eng\",\"everyone\",\"spark-users\"],"
		 "\"scp\":[\"openid\",\"profile\",\"spark\"],\"name\":\"A person of some name\"}",
		 number);
	struct str token = rig_sign(kind, alg, "k", claims);
	text = arena_printf(rig_arena, "Bearer %.*s", STR_ARG(token));
	ASSERT(text != NULL);
	return str_from(text);
}

static double
measure(struct authn *a, struct client *c, const struct str *headers, unsigned count,
	unsigned calls)
{
	struct authn_facts facts = {.client = c};
	struct authn_answer answer;
	uint64_t began = cpu_ns();

	for (unsigned i = 0; i < calls; i++) {
		facts.authorization = headers[i % count];
		ASSERT(authn_check(a, &facts, &answer) == 0);
		identity_unref(&answer.who);
	}
	return (double)(cpu_ns() - began) / calls;
}

static void
run(const char *folder, struct segment *segment, const char *name, enum rig_kind kind,
    enum jwt_alg alg)
{
	struct conf *conf = configure(folder, kind);
	const struct worker_setup setup = {.segment = segment, .conf = conf};
	struct worker w = {.setup = &setup, .conf = conf, .counters = segment_counters(segment)};
	struct client client = {.worker = &w};
	static struct str first[FIRST_CALLS];

	w.loop = loop_new();
	w.authn = authn_new(&w);
	for (unsigned i = 0; i < FIRST_CALLS; i++)
		first[i] = header(kind, alg, i);
	double slow = measure(w.authn, &client, first, FIRST_CALLS, FIRST_CALLS);
	double quick = measure(w.authn, &client, first, 64, CACHED_CALLS);
	printf("%s  token of %zu bytes: first %.0f ns, cached %.0f ns\n", name, first[0].n, slow,
	       quick);
	authn_free(&w.authn);
	loop_free(&w.loop);
	conf_free(&conf);
}

int
main(void)
{
	char folder[] = "/tmp/sparkgw-bench.XXXXXX", path[128];
	struct segment *segment;

	panic_init("bench");
	ASSERT(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/segment", folder);
	ASSERT(segment_create(path, &segment) == 0);
	rig_open();
	run(folder, segment, "RS256", RIG_RSA, JWT_RS256);
	run(folder, segment, "ES256", RIG_P256, JWT_ES256);
	rig_close();
	segment_detach(&segment);
	unlink(path);
	return 0;
}
