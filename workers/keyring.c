/*
 * Key sets: loaded beside the old ones and swapped, so that a row which cannot be read costs
 * nothing.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/keys.h"
#include "workers/keyring.h"

#define ARENA_FIRST   4096
#define ARENA_CEILING (256u << 10)

struct keyring {
	const struct conf *conf;
	struct keyring_set *sets; /* by provider */
};

static void
clear(struct keyring_set *s)
{
	jwks_free(s->keys, s->count);
	arena_free(&s->arena);
	*s = (struct keyring_set){0};
}

static bool
begin(struct keyring_set *s)
{
	*s = (struct keyring_set){.arena = arena_new(ARENA_FIRST, ARENA_CEILING)};
	return s->arena != NULL;
}

/* The file was checked when the configuration was loaded. */
static void
take_file(struct keyring_set *s, const struct conf_provider *p)
{
	const char *why = "";

	s->fixed = true;
	if (jwks_parse(p->jwks, s->arena, &s->keys, &s->count, &why) != 0)
		log_error(NULL, "provider %.*s: its keys cannot be used: %s", STR_ARG(p->name),
			  why);
}

struct keyring *
keyring_new(const struct conf *conf)
{
	struct keyring *k = calloc(1, sizeof *k);

	ASSERT(k != NULL);
	k->conf = conf;
	k->sets = calloc(conf->providers_count + 1, sizeof *k->sets);
	ASSERT(k->sets != NULL);
	for (unsigned i = 0; i < conf->providers_count; i++) {
		ASSERT(begin(&k->sets[i]));
		if (conf->providers[i].jwks.n > 0)
			take_file(&k->sets[i], &conf->providers[i]);
	}
	return k;
}

void
keyring_free(struct keyring **pk)
{
	struct keyring *k = *pk;

	*pk = NULL;
	if (k == NULL)
		return;
	for (unsigned i = 0; i < k->conf->providers_count; i++)
		clear(&k->sets[i]);
	free(k->sets);
	free(k);
}

static int
take_rows(struct keyring_set *s, const struct keys *rows)
{
	s->keys = arena_array(s->arena, rows->count, sizeof *s->keys);
	s->fetched_ms = rows->fetched_ms;
	for (unsigned i = 0; s->keys != NULL && i < rows->count; i++) {
		const struct key *row = &rows->list[i];

		if (jwks_key_from_der(row->der, row->kid, row->algs, &s->keys[s->count]) != 0)
			return E_SYNTAX;
		s->count++;
	}
	return arena_failed(s->arena) ? E_NOMEM : 0;
}

static int
load(struct keyring_set *s, const struct conf_provider *p, struct db *db)
{
	uint8_t source[KEYS_SOURCE];
	struct keys rows;
	int rc = db_read_begin(db);

	if (rc == 0)
		rc = keys_load(db, p->name, s->arena, &rows);
	db_read_end(db);
	if (rc != 0)
		return rc;
	keys_source(p->issuer, p->jwks_url, source);
	if (memcmp(source, rows.source, sizeof source) != 0)
		return E_NOT_FOUND; /* of another address, or issuer, that had this name */
	return take_rows(s, &rows);
}

void
keyring_refresh(struct keyring *k, struct db *db)
{
	for (unsigned i = 0; i < k->conf->providers_count; i++) {
		const struct conf_provider *p = &k->conf->providers[i];
		struct keyring_set fresh;

		if (k->sets[i].fixed || (p->type != PROVIDER_OIDC && p->type != PROVIDER_SERVICE) ||
		    !begin(&fresh))
			continue;
		int rc = load(&fresh, p, db);
		if (rc != 0) {
			clear(&fresh);
			if (rc != E_NOT_FOUND)
				log_error(NULL, "provider %.*s: its keys cannot be read: %s",
					  STR_ARG(p->name), err_text(rc));
			continue;
		}
		clear(&k->sets[i]);
		k->sets[i] = fresh;
	}
}

const struct keyring_set *
keyring_get(const struct keyring *k, unsigned provider)
{
	ASSERT(provider < k->conf->providers_count);
	return &k->sets[provider];
}
