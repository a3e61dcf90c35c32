/*
 * One token against the providers. What is read of a signed token lives in a scratch arena until
 * the identity has been copied out of it.
 */
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include "conf/pattern.h"
#include "lib/panic.h"
#include "proto/jwt.h"
#include "proto/pat.h"
#include "shm/tokens.h"
#include "workers/verify.h"

#define ARENA_FIRST   16384
#define ARENA_CEILING (256u << 10)
#define USER_MAX      255
#define GROUPS_MAX    256

struct known { /* of the `static` providers */
	uint8_t digest[VERDICTS_DIGEST];
	const struct conf_token *token;
	struct str provider;
};

struct verify {
	struct verify_setup setup;
	struct arena *scratch;
	struct known *known;
	unsigned known_count;
};

/* One token on its way. */
struct check {
	struct verify *v;
	const struct conf_provider *provider;
	struct db *db;
	struct str token;
	const uint8_t *digest;
	uint64_t now_ms;
	struct jwt *jwt; /* NULL: not looked at yet, or not signed */
	struct verify_result *ret;
};

struct verify *
verify_new(const struct verify_setup *setup)
{
	struct verify *v = calloc(1, sizeof *v);
	const struct conf *conf = setup->conf;
	unsigned total = 0;

	ASSERT(v != NULL);
	v->setup = *setup;
	v->scratch = arena_new(ARENA_FIRST, ARENA_CEILING);
	for (unsigned i = 0; i < conf->providers_count; i++)
		total += conf->providers[i].tokens_count;
	v->known = calloc(total + 1, sizeof *v->known);
	ASSERT(v->scratch != NULL && v->known != NULL);
	for (unsigned i = 0; i < conf->providers_count; i++)
		for (unsigned k = 0; k < conf->providers[i].tokens_count; k++) {
			const struct conf_token *t = &conf->providers[i].tokens[k];
			struct known *known = &v->known[v->known_count++];

			SHA256((const unsigned char *)t->token.p, t->token.n, known->digest);
			known->token = t;
			known->provider = conf->providers[i].name;
		}
	return v;
}

void
verify_free(struct verify **v)
{
	if (*v == NULL)
		return;
	arena_free(&(*v)->scratch);
	free((*v)->known);
	free(*v);
	*v = NULL;
}

static int
deny(struct verify_result *ret, const char *why)
{
	ret->why = why;
	return E_DENIED;
}

static int
make(struct verify_result *ret, const struct identity *who)
{
	ret->who = identity_new(who);
	return ret->who != NULL ? 0 : deny(ret, "out of memory");
}

/* What becomes a user id goes into requests, logs and the store. */
static bool
is_user(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && s.n <= USER_MAX && str_is_utf8(s);
}

/* Good, good within the grace, or over. */
static int
make_until(const struct check *c, struct identity *who)
{
	const struct conf *conf = c->v->setup.conf;

	who->verified = true;
	who->provider = c->provider->name;
	if (who->expires_ms != 0 && c->now_ms >= who->expires_ms) {
		who->expired = true;
		if (c->now_ms - who->expires_ms >= conf->auth_grace_ms)
			return deny(c->ret, "token expired");
	}
	return make(c->ret, who);
}

/* ---- static ---- */

static int
check_static(struct check *c)
{
	const struct known *found = NULL;
	const struct verify *v = c->v;

	for (unsigned i = 0; i < v->known_count; i++)
		if (CRYPTO_memcmp(v->known[i].digest, c->digest, VERDICTS_DIGEST) == 0 &&
		    str_eq(v->known[i].provider, c->provider->name))
			found = &v->known[i];
	if (found == NULL)
		return E_NOT_FOUND;
	struct identity who = {.user = found->token->user,
			       .groups = found->token->groups,
			       .groups_count = found->token->groups_count};
	return make_until(c, &who);
}

/* ---- personal tokens ---- */

static int
read_row(struct check *c, const uint8_t digest[TOKEN_DIGEST], struct token *ret)
{
	int rc = E_IO;

	if (c->db == NULL)
		return E_IO;
	rc = db_read_begin(c->db);
	if (rc == 0)
		rc = tokens_get(c->db, digest, c->v->scratch, ret);
	db_read_end(c->db);
	return rc;
}

static int
check_personal(struct check *c)
{
	uint8_t digest[TOKEN_DIGEST];
	struct token t;

	if (!pat_looks_like(c->token))
		return E_NOT_FOUND;
	if (!pat_check(c->token))
		return deny(c->ret, "malformed personal token: mistyped or cut short");
	if (c->v->setup.pepper == NULL)
		return deny(c->ret, "personal tokens cannot be checked here");
	if (pat_digest(c->v->setup.pepper, c->token, digest) != 0)
		return deny(c->ret, "out of memory");
	switch (read_row(c, digest, &t)) {
	case 0: break;
	case E_NOT_FOUND: return deny(c->ret, "unknown token");
	default: return deny(c->ret, "tokens cannot be looked up at the moment");
	}
	if (t.type != TOKEN_PERSONAL)
		return deny(c->ret, "unknown token");
	if (t.revoked_ms != 0)
		return deny(c->ret, "this token was revoked");
	struct identity who = {
		.user = t.user,
		.name = t.name,
		.team = t.team,
		.envs = t.envs,
		.envs_count = t.envs_count,
		.token_id = t.id,
		.expires_ms = t.expires_ms,
	};
	memcpy(who.store_digest, digest, sizeof digest);
	return make_until(c, &who);
}

/* ---- signed tokens ---- */

/* E_AGAIN: no key of that id. */
static int
check_signature(struct check *c, unsigned provider)
{
	const struct keyring_set *set = keyring_get(c->v->setup.keyring, provider);
	bool named = false, fits = false;

	for (unsigned i = 0; i < set->count; i++) {
		const struct jwks_key *key = &set->keys[i];

		named |= str_eq(key->kid, c->jwt->kid);
		if (!jwks_fits(key, c->jwt))
			continue;
		fits = true;
		if (jwks_verify(key, c->jwt) == 0)
			return 0;
	}
	if (fits)
		return deny(c->ret, "the token's signature is wrong");
	if (named)
		return deny(c->ret, "the token's algorithm is not that of its key");
	c->ret->provider = provider;
	c->ret->issued_ms = c->jwt->iat_s * 1000;
	return E_AGAIN;
}

/* Where subjects are listed, each has its place or none at all. */
static int
apply_subjects(const struct conf_provider *p, struct str subject, struct identity *who)
{
	for (unsigned i = 0; i < p->subjects_count; i++) {
		const struct conf_subject *s = &p->subjects[i];

		if (!pattern_matches(s->match, subject))
			continue;
		if (s->user.n > 0)
			who->user = s->user;
		who->team = s->team;
		who->envs = s->envs;
		who->envs_count = s->envs_count;
		return 0;
	}
	return p->subjects_count > 0 ? E_DENIED : 0;
}

static int
take_claims(struct check *c, struct identity *who)
{
	const struct conf_provider *p = c->provider;
	struct arena *a = c->v->scratch;
	const struct str *groups;

	if (jwt_claim_text(c->jwt, p->claim_user, a, &who->user) != 0 || !is_user(who->user))
		return deny(c->ret, "the token's claim of the user is missing or not usable");
	if (jwt_claim_texts(c->jwt, p->claim_groups, a, &groups, &who->groups_count) == 0)
		who->groups = groups;
	if (jwt_claim_text(c->jwt, p->claim_name, a, &who->name) != 0 || !is_user(who->name))
		who->name = STR_NONE;
	if (apply_subjects(p, c->jwt->subject, who) != 0)
		return deny(c->ret, "the token's subject is not admitted here");
	return 0;
}

/* What the gateway itself has signed says team and environments. The prefix keeps services apart
 * from people of the same name. */
static int
take_own_claims(struct check *c, struct identity *who)
{
	uint8_t digest[TOKEN_DIGEST];
	struct arena *a = c->v->scratch;
	const struct str *envs;
	struct token t;

	who->user = str_from(arena_printf(a, "service:%.*s", STR_ARG(c->jwt->subject)));
	who->token_id = c->jwt->id;
	if (c->jwt->subject.n == 0 || !is_user(who->user) || who->token_id.n == 0 ||
	    jwt_claim_text(c->jwt, STR("team"), a, &who->team) != 0)
		return deny(c->ret, "the token lacks a claim: sub, jti and team are expected");
	if (jwt_claim_texts(c->jwt, STR("envs"), a, &envs, &who->envs_count) == 0)
		who->envs = envs;
	SHA256((const unsigned char *)who->token_id.p, who->token_id.n, digest);
	memcpy(who->store_digest, digest, sizeof digest);
	switch (read_row(c, digest, &t)) {
	case 0: return t.revoked_ms != 0 ? deny(c->ret, "this token was revoked") : 0;
	case E_NOT_FOUND: return 0; /* issued by another gateway with the same key */
	default: return deny(c->ret, "tokens cannot be looked up at the moment");
	}
}

static int
check_signed(struct check *c, unsigned provider)
{
	const struct conf_provider *p = c->provider;
	uint64_t leeway_s = c->v->setup.conf->auth_leeway_ms / 1000;
	struct identity who = {0};

	if (c->jwt == NULL || !str_eq(c->jwt->issuer, p->issuer))
		return E_NOT_FOUND;
	int rc = check_signature(c, provider);
	if (rc != 0)
		return rc;
	if (!jwt_has_audience(c->jwt, p->audience, p->audience_count))
		return deny(c->ret, "the token is for another audience");
	rc = jwt_check_times(c->jwt, c->now_ms / 1000, leeway_s, &c->ret->why);
	if (rc != 0 && rc != E_TIMEOUT)
		return E_DENIED;
	rc = p->type == PROVIDER_SERVICE ? take_own_claims(c, &who) : take_claims(c, &who);
	if (rc != 0)
		return rc;
	who.expires_ms = (c->jwt->exp_s + leeway_s) * 1000;
	return make_until(c, &who);
}

/* ---- all of them ---- */

static int
ask_provider(struct check *c, unsigned i)
{
	c->provider = &c->v->setup.conf->providers[i];
	switch (c->provider->type) {
	case PROVIDER_STATIC: return check_static(c);
	case PROVIDER_PAT: return check_personal(c);
	case PROVIDER_OIDC:
	case PROVIDER_SERVICE: return check_signed(c, i);
	case PROVIDER_CERTIFICATE: break;
	}
	return E_NOT_FOUND;
}

int
verify_token(struct verify *v, struct db *db, struct str token,
	     const uint8_t digest[VERDICTS_DIGEST], uint64_t now_ms, struct verify_result *ret)
{
	struct check c = {
		.v = v, .db = db, .token = token, .digest = digest, .now_ms = now_ms, .ret = ret};
	const char *not_signed = "unknown token";
	struct jwt jwt = {0};
	int rc = E_NOT_FOUND;

	*ret = (struct verify_result){0};
	if (memchr(token.p, '.', token.n) != NULL) {
		if (jwt_read(token, v->scratch, &jwt, &not_signed) == 0)
			c.jwt = &jwt;
	}
	for (unsigned i = 0; rc == E_NOT_FOUND && i < v->setup.conf->providers_count; i++)
		rc = ask_provider(&c, i);
	if (rc == E_NOT_FOUND)
		rc = deny(ret, c.jwt != NULL ? "nobody here vouches for the token's issuer"
					     : not_signed);
	if (c.jwt != NULL)
		jwt_clear(&jwt);
	arena_reset(v->scratch);
	return rc;
}

/* ---- certificates ---- */

static const struct conf_provider *
certificate_provider(const struct verify *v)
{
	for (unsigned i = 0; i < v->setup.conf->providers_count; i++)
		if (v->setup.conf->providers[i].type == PROVIDER_CERTIFICATE)
			return &v->setup.conf->providers[i];
	return NULL;
}

bool
verify_wants_certificate(const struct verify *v, enum cert_kind *ret_kind)
{
	static const enum cert_kind kinds[] = {
		[SAN_URI] = CERT_URI, [SAN_DNS] = CERT_DNS, [SAN_EMAIL] = CERT_EMAIL};
	const struct conf_provider *p = certificate_provider(v);

	if (p == NULL)
		return false;
	*ret_kind = kinds[p->san];
	return true;
}

int
verify_certificate(struct verify *v, const struct io_peer *peer, struct verify_result *ret)
{
	const struct conf_provider *p = certificate_provider(v);

	*ret = (struct verify_result){0};
	if (p == NULL)
		return deny(ret, "client certificates are not an identity here");
	for (unsigned i = 0; i < peer->names_count; i++) {
		struct identity who = {.verified = true,
				       .user = peer->names[i],
				       .provider = p->name,
				       .expires_ms = peer->expires_ms};

		if (is_user(peer->names[i]) && apply_subjects(p, peer->names[i], &who) == 0)
			return make(ret, &who);
	}
	return deny(ret, peer->names_count == 0
				 ? "the client certificate carries no name of the wanted kind"
				 : "the client certificate's name is not admitted here");
}
