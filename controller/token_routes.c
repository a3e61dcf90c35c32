/*
 * Tokens that the gateway gives out, over HTTP: wishes come in, messages to the keeper go out, and
 * the token itself goes back to who asked.
 *
 *	personal  random --> text, digest --> TOKEN --> answer
 *	service   signing key in hand --> signed text --> TOKEN --> answer
 */
#include "controller/token_routes.h"

#include <microhttpd.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include "controller/acts.h"
#include "controller/issue.h"
#include "controller/record.h"
#include "controller/signer.h"
#include "controller/token_page.h"
#include "controller/token_wish.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/pat.h"
#include "shm/pepper.h"

#define CREATION_MAGIC 0x746f6b6eu
#define ARENA_FIRST    ((size_t)4096)
#define ARENA_CEILING  ((size_t)64 * 1024)

/* A token in the making, until it is handed to an act. */
struct creation {
	unsigned magic;
	struct office *office;
	struct admin_request *request;
	json_t *body;
	struct arena *arena;
	struct token_wish wish; /* its texts are in the two above */
	uint64_t now_ms, expires_ms;
	char id[TOKEN_ID + 1];
	uint8_t digest[TOKEN_DIGEST];
};

static void
drop(struct creation *c)
{
	CHECK_MAGIC(c, CREATION_MAGIC);
	arena_free(&c->arena);
	json_decref(c->body);
	c->magic = 0;
	free(c);
}

static void
refuse(struct creation *c, unsigned status, const char *words)
{
	log_warn(admin_peer(c->request), "token create: refused: %s", words);
	record_act(c->office->asks, "token create", admin_peer(c->request), words);
	admin_refuse(c->request, status, words);
	drop(c);
}

/* ---- the answer ---- */

static json_t *
describe(const struct creation *c)
{
	const struct token_wish *w = &c->wish;
	json_t *envs = json_array();

	for (unsigned i = 0; i < w->envs_count; i++)
		json_array_append_new(envs, view_text(w->envs[i]));
	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:I, s:I}", "id", c->id, "type",
			 tokens_type_name(w->type), "user", view_text(w->user), "team",
			 view_text(w->team), "envs", envs, "now_ms", (json_int_t)c->now_ms,
			 "expires_ms", (json_int_t)c->expires_ms);
}

/* Put together by hand, so that the token is in one place only. It needs no escapes. */
static char *
print_answer(const struct creation *c, const char *token)
{
	json_t *rest = describe(c);
	char *text = rest != NULL ? json_dumps(rest, JSON_COMPACT) : NULL, *answer = NULL;
	size_t size = text != NULL ? strlen(text) + strlen(token) + 16 : 0;

	if (text != NULL)
		answer = malloc(size);
	if (answer != NULL)
		snprintf(answer, size, "{\"token\":\"%s\",%s", token, text + 1);
	free(text);
	json_decref(rest);
	return answer;
}

/* ---- the row ---- */

static void
fill(const struct creation *c, struct keeper_token *m)
{
	const struct token_wish *w = &c->wish;

	memcpy(m->digest, c->digest, TOKEN_DIGEST);
	m->type = w->type;
	m->expires_ms = c->expires_ms;
	str_copy(m->id, sizeof(m->id), str_from(c->id));
	str_copy(m->user, sizeof(m->user), w->user);
	str_copy(m->team, sizeof(m->team), w->team);
	str_copy(m->note, sizeof(m->note), w->note);
	m->envs_count = w->envs_count;
	for (unsigned i = 0; i < w->envs_count; i++)
		str_copy(m->envs[i], sizeof(m->envs[i]), w->envs[i]);
}

static void
store(struct creation *c, const char *token)
{
	struct keeper_token m = {.head.type = KEEPER_TOKEN};
	struct act act = {.request = c->request,
			  .twin = "its id was in use: ask again",
			  .answer = print_answer(c, token)};

	if (act.answer == NULL) {
		refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
		return;
	}
	fill(c, &m);
	snprintf(act.what, sizeof(act.what), "token create: %s token %s of user %.*s, team %.*s",
		 tokens_type_name(c->wish.type), c->id, STR_ARG(c->wish.user),
		 STR_ARG(c->wish.team));
	acts_ask(c->office->asks, &act, &m, sizeof(m));
	drop(c);
}

/* ---- personal ---- */

static const struct conf_provider *
find_provider(const struct conf *conf, enum conf_provider_type type)
{
	for (unsigned i = 0; i < conf->providers_count; i++)
		if (conf->providers[i].type == type)
			return &conf->providers[i];
	return NULL;
}

static int
make_personal(struct creation *c, char token[PAT_TEXT], char *words, size_t size)
{
	uint8_t random[PAT_RANDOM], pepper[PAT_PEPPER];
	int err = pepper_read(c->office->conf->state_dir, pepper, words, size);

	if (err == 0 && RAND_bytes(random, sizeof(random)) != 1) {
		snprintf(words, size, "no random bytes");
		err = E_IO;
	}
	if (err == 0) {
		pat_make(random, token);
		err = pat_digest(pepper, str_from(token), c->digest);
	}
	explicit_bzero(random, sizeof(random));
	explicit_bzero(pepper, sizeof(pepper));
	return err;
}

static void
create_personal(struct creation *c)
{
	char token[PAT_TEXT] = "", words[256] = "out of memory";

	_Static_assert(PAT_PEPPER == PEPPER_SIZE, "one pepper");
	if (find_provider(c->office->conf, PROVIDER_PAT) == NULL)
		refuse(c, MHD_HTTP_CONFLICT, "no provider of type pat is configured");
	else if (make_personal(c, token, words, sizeof(words)) != 0)
		refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, words);
	else
		store(c, token);
	explicit_bzero(token, sizeof(token));
}

/* ---- service ---- */

static void
sign(void *arg, int err, const char *words)
{
	struct creation *c = arg;
	const struct signer *s = c->office->signer;
	const struct conf_provider *p = signer_provider(s);
	char *token = NULL;

	CHECK_MAGIC(c, CREATION_MAGIC);
	if (err != 0) {
		refuse(c,
		       p == NULL || err == E_AGAIN ? MHD_HTTP_CONFLICT
						   : MHD_HTTP_SERVICE_UNAVAILABLE,
		       words);
		return;
	}
	const struct issue_claims claims = {
		.issuer = p->issuer,
		.subject = c->wish.service,
		.team = c->wish.team,
		.audience = p->audience,
		.audience_count = p->audience_count,
		.envs = c->wish.envs,
		.envs_count = c->wish.envs_count,
		.id = c->id,
		.issued_s = c->now_ms / 1000,
		.expires_s = c->expires_ms / 1000,
	};
	if (issue_service(&claims, signer_pem(s), signer_kid(s), &token) == 0)
		store(c, token);
	else
		refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "the token could not be signed");
	issue_wipe(&token);
}

static void
create_service(struct creation *c)
{
	SHA256((const uint8_t *)c->id, strlen(c->id), c->digest);
	signer_use(c->office->signer, sign, c);
}

/* ---- the routes ---- */

static bool
name_token(struct creation *c)
{
	uint8_t random[TOKEN_ID];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return false;
	tokens_id(random, c->id);
	c->now_ms = clock_wall_ms() / 1000 * 1000; /* a JWT counts seconds */
	c->expires_ms = c->now_ms + (c->wish.ttl_ms + 999) / 1000 * 1000;
	return true;
}

void
token_routes_create(struct office *o, struct admin_request *q)
{
	json_t *body = acts_body(q);
	struct creation *c = body != NULL ? calloc(1, sizeof(*c)) : NULL;
	const char *words = "out of memory";

	if (body == NULL)
		return;
	ASSERT(c != NULL);
	*c = (struct creation){.magic = CREATION_MAGIC, .office = o, .request = q, .body = body};
	c->arena = arena_new(ARENA_FIRST, ARENA_CEILING);
	ASSERT(c->arena != NULL);
	if (token_wish_parse(body, o->conf, c->arena, &c->wish, &words) != 0)
		refuse(c, MHD_HTTP_BAD_REQUEST, words);
	else if (!name_token(c))
		refuse(c, MHD_HTTP_SERVICE_UNAVAILABLE, "no random bytes");
	else if (c->wish.type == TOKEN_PERSONAL)
		create_personal(c);
	else
		create_service(c);
}

void
token_routes_list(struct office *o, struct admin_request *q)
{
	struct token_query query;
	const char *words;
	json_t *json = NULL;

	if (token_query_parse(admin_value, q, &query, &words) != 0)
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, words);
	else if (token_page(o->view, &query, &json) != 0)
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the store cannot be read");
	else
		admin_answer(q, MHD_HTTP_OK, json);
}

void
token_routes_revoke(struct office *o, struct admin_request *q)
{
	struct keeper_token_revoke m = {.head.type = KEEPER_TOKEN_REVOKE};
	struct act act = {.request = q, .counted = "revoked", .nobody = "there is no such token"};
	json_t *body = acts_body(q);
	struct str id = STR_NONE;

	if (body == NULL)
		return;
	if (json_unpack_ex(body, NULL, JSON_STRICT, "{s:s%}", "id", &id.p, &id.n) != 0 ||
	    !tokens_is_id(id)) {
		admin_refuse(q, MHD_HTTP_BAD_REQUEST, "{\"id\": \"a token's id\"} expected");
	} else {
		str_copy(m.id, sizeof(m.id), id);
		snprintf(act.what, sizeof(act.what), "token revoke %s", m.id);
		acts_ask(o->asks, &act, &m, sizeof(m));
	}
	json_decref(body);
}

struct rotation {
	struct office *office;
	struct admin_request *request;
};

static void
tell_rotated(struct rotation *r)
{
	struct admin_request *q = r->request;
	json_t *jwks = NULL;

	log_info(admin_peer(q), "token rotate: done");
	record_act(r->office->asks, "token rotate", admin_peer(q), NULL);
	if (signer_jwks(r->office->signer, &jwks) == 0)
		admin_answer(q, MHD_HTTP_OK,
			     json_pack("{s:s, s:i}", "kid", signer_kid(r->office->signer), "keys",
				       (int)json_array_size(json_object_get(jwks, "keys"))));
	else
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE,
			     "the key is another one now, but the keys cannot be read");
	json_decref(jwks);
}

static void
rotated(void *arg, int err, const char *words)
{
	struct rotation *r = arg;
	struct admin_request *q = r->request;

	if (err == 0) {
		tell_rotated(r);
	} else {
		log_warn(admin_peer(q), "token rotate: refused: %s", words);
		record_act(r->office->asks, "token rotate", admin_peer(q), words);
		admin_refuse(q,
			     err == E_STATE || err == E_AGAIN ? MHD_HTTP_CONFLICT
							      : MHD_HTTP_SERVICE_UNAVAILABLE,
			     words);
	}
	free(r);
}

void
token_routes_rotate(struct office *o, struct admin_request *q)
{
	struct rotation *r = malloc(sizeof(*r));

	ASSERT(r != NULL);
	*r = (struct rotation){o, q};
	signer_rotate(o->signer, rotated, r);
}

void
token_routes_keys(struct office *o, struct admin_request *q)
{
	json_t *jwks = NULL;

	if (signer_provider(o->signer) == NULL)
		admin_refuse(q, MHD_HTTP_CONFLICT, "no provider of type service is configured");
	else if (signer_jwks(o->signer, &jwks) == 0)
		admin_answer(q, MHD_HTTP_OK, jwks);
	else
		admin_refuse(q, MHD_HTTP_SERVICE_UNAVAILABLE, "the keys cannot be read");
}
