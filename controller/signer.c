/*
 * The signing keys of the gateway, in the controller. A new pair goes to the disk before anybody
 * can meet its public key, and to all workers before anything is signed with it:
 *
 *	make --> SECRET (private) --> KEY.., KEYS (public) --> in use --> SECRET (the old one away)
 */
#include "controller/signer.h"

#include <limits.h>
#include <stdlib.h>
#include "controller/keystore.h"
#include "controller/pair.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/jwks.h"

#define SIGNER_MAGIC 0x7369676eu
#define ARENA_FIRST  ((size_t)16 * 1024)

struct signer {
	unsigned magic;
	const struct conf *conf;
	const struct conf_provider *provider;
	struct asks *asks;
	const struct view *view;
	struct pair pair;  /* that signs; zeroed: none yet */
	struct pair next;  /* that is being made */
	signer_done *done; /* NULL: none is being made */
	void *arg;
};

struct signer *
signer_new(const struct conf *conf, struct asks *asks, const struct view *view)
{
	struct signer *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SIGNER_MAGIC;
	s->conf = conf;
	s->asks = asks;
	s->view = view;
	for (unsigned i = 0; i < conf->providers_count; i++)
		if (conf->providers[i].type == PROVIDER_SERVICE)
			s->provider = &conf->providers[i];
	return s;
}

void
signer_free(struct signer **signer)
{
	struct signer *s = *signer;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SIGNER_MAGIC);
	*signer = NULL;
	explicit_bzero(s, sizeof(*s));
	free(s);
}

/* ---- what there is ---- */

/* No set, or one of another issuer: no keys. */
static int
read_keys(const struct signer *s, struct arena *arena, struct keys *ret)
{
	int err =
		arena != NULL ? keystore_read(s->view->db, s->provider->name, arena, ret) : E_NOMEM;
	uint8_t source[KEYS_SOURCE];

	keys_source(s->provider->issuer, STR_NONE, source);
	if (err == E_NOT_FOUND || (err == 0 && memcmp(source, ret->source, KEYS_SOURCE) != 0)) {
		*ret = (struct keys){0};
		err = 0;
	}
	memcpy(ret->source, source, KEYS_SOURCE);
	return err;
}

static void
name_file(const char *kid, char *buf, size_t size)
{
	snprintf(buf, size, "service-%s.pem", kid);
}

/* The newest key is the one in hand, or its file is there and fits. */
static bool
load(struct signer *s, const struct key *newest)
{
	char kid[PAIR_KID], file[KEEPER_SECRET_NAME_MAX], path[PATH_MAX];
	int err;

	str_copy(kid, sizeof(kid), newest->kid);
	if (s->pair.pem_len > 0 && strcmp(kid, s->pair.kid) == 0)
		return true;
	name_file(kid, file, sizeof(file));
	snprintf(path, sizeof(path), "%.*s/keys/%s", STR_ARG(s->conf->state_dir), file);
	err = pair_read(path, &s->pair);
	if (err == 0 && !str_eq((struct str){(char *)s->pair.der, s->pair.der_len}, newest->der))
		err = E_SYNTAX;
	if (err == 0)
		return true;
	pair_wipe(&s->pair);
	log_warn(NULL, "the key that signs service tokens cannot be used: %s: %s", path,
		 err_text(err));
	return false;
}

/* ---- a new one ---- */

static void
end_making(struct signer *s, int err, const char *words)
{
	signer_done *done = s->done;

	s->done = NULL;
	pair_wipe(&s->next);
	done(s->arg, err, words);
}

static void
removed(void *arg, int err, const struct keeper_done *answer)
{
	if (err == 0)
		err = answer->result;
	if (err != 0)
		log_warn(NULL, "an old private key could not be removed: %s", err_text(err));
}

static void
remove_file(struct signer *s, const char *kid)
{
	struct keeper_secret m = {.head.type = KEEPER_SECRET};
	int err;

	name_file(kid, m.name, sizeof(m.name));
	err = asks_send(s->asks, &m, sizeof(m), removed, s);
	if (err != 0)
		log_warn(NULL, "%s could not be removed: %s", m.name, err_text(err));
}

static void
published(void *arg, int err)
{
	struct signer *s = arg;
	struct pair old;

	CHECK_MAGIC(s, SIGNER_MAGIC);
	if (err != 0) {
		remove_file(s, s->next.kid);
		end_making(s, err, "the new key could not be stored");
		return;
	}
	old = s->pair;
	s->pair = s->next;
	log_info(NULL, "service tokens are signed with key %s from now on", s->pair.kid);
	if (old.pem_len > 0)
		remove_file(s, old.kid);
	pair_wipe(&old);
	end_making(s, 0, "");
}

/* The new one first, then the newest of the old ones. */
static int
publish(struct signer *s, struct arena *arena)
{
	struct keys keys;
	struct key list[1 + SIGNER_OLD_KEYS] = {{
		.kid = str_from(s->next.kid),
		.algs = 1u << JWT_ES256,
		.der = {(char *)s->next.der, s->next.der_len},
	}};
	int err = read_keys(s, arena, &keys);

	if (err != 0)
		return err;
	if (keys.count > SIGNER_OLD_KEYS)
		keys.count = SIGNER_OLD_KEYS;
	if (keys.count > 0)
		memcpy(list + 1, keys.list, keys.count * sizeof(*list));
	keys.list = list;
	keys.count++;
	keys.fetched_ms = clock_wall_ms();
	return keystore_write(s->asks, s->provider->name, &keys, published, s);
}

static void
saved(void *arg, int err, const struct keeper_done *answer)
{
	struct signer *s = arg;
	struct arena *arena = arena_new(ARENA_FIRST, KEYSTORE_ARENA);

	CHECK_MAGIC(s, SIGNER_MAGIC);
	if (err == 0)
		err = answer->result;
	if (err == 0)
		err = publish(s, arena);
	arena_free(&arena);
	if (err != 0)
		end_making(s, err, "the new key could not be saved");
}

static void
make(struct signer *s, signer_done *done, void *arg)
{
	struct keeper_secret m = {.head.type = KEEPER_SECRET};
	int err;

	if (s->done != NULL) {
		done(arg, E_AGAIN, "a new key is being made: ask again");
		return;
	}
	s->done = done;
	s->arg = arg;
	err = pair_make(&s->next);
	if (err == 0) {
		name_file(s->next.kid, m.name, sizeof(m.name));
		m.len = (uint32_t)s->next.pem_len;
		memcpy(m.bytes, s->next.pem, s->next.pem_len);
		err = asks_send(s->asks, &m, sizeof(m), saved, s);
		explicit_bzero(&m, sizeof(m));
	}
	if (err != 0)
		end_making(s, err, "no new key could be made");
}

/* ---- for others ---- */

/* 0: *ret_newest tells whether there is a key that can sign. */
static int
look(struct signer *s, bool *ret_newest, const char **ret_words)
{
	struct arena *arena = arena_new(ARENA_FIRST, KEYSTORE_ARENA);
	struct keys keys;
	int err;

	*ret_words = "no provider of type service is configured";
	err = s->provider != NULL ? read_keys(s, arena, &keys) : E_STATE;
	if (err == 0)
		*ret_newest = keys.count > 0 && load(s, &keys.list[0]);
	else if (s->provider != NULL)
		*ret_words = "the keys cannot be read";
	arena_free(&arena);
	return err;
}

void
signer_use(struct signer *s, signer_done *done, void *arg)
{
	const char *words = "";
	bool newest = false;
	int err;

	CHECK_MAGIC(s, SIGNER_MAGIC);
	err = look(s, &newest, &words);
	if (err != 0 || newest)
		done(arg, err, words);
	else
		make(s, done, arg);
}

/* The old pair is taken in hand first, so that its file is known to be removed. */
void
signer_rotate(struct signer *s, signer_done *done, void *arg)
{
	const char *words = "";
	bool newest;
	int err;

	CHECK_MAGIC(s, SIGNER_MAGIC);
	err = look(s, &newest, &words);
	if (err != 0)
		done(arg, err, words);
	else
		make(s, done, arg);
}

const struct conf_provider *
signer_provider(const struct signer *s)
{
	return s->provider;
}

struct str
signer_pem(const struct signer *s)
{
	ASSERT(s->pair.pem_len > 0);
	return (struct str){s->pair.pem, s->pair.pem_len};
}

const char *
signer_kid(const struct signer *s)
{
	return s->pair.kid;
}

void
signer_show(const struct signer *s, json_t *list)
{
	struct arena *arena = arena_new(ARENA_FIRST, KEYSTORE_ARENA);
	struct keys keys;
	int err;

	if (s->provider != NULL) {
		err = read_keys(s, arena, &keys);
		json_array_append_new(list,
				      json_pack("{s:o, s:s, s:o, s:i, s:I, s:s?}", "name",
						view_text(s->provider->name), "type", "service",
						"issuer", view_text(s->provider->issuer), "keys",
						err == 0 ? (int)keys.count : 0, "fetched_ms",
						err == 0 ? (json_int_t)keys.fetched_ms : 0, "error",
						err == 0 || err == E_STATE ? NULL : err_text(err)));
	}
	arena_free(&arena);
}

static int
print(const struct keys *keys, json_t **ret)
{
	struct jwks_key list[KEYS_MAX];
	struct buf text;
	unsigned count = 0;
	int err = 0;

	buf_init(&text, KEYSTORE_ARENA);
	while (err == 0 && count < keys->count) {
		const struct key *key = &keys->list[count];

		err = jwks_key_from_der(key->der, key->kid, key->algs, &list[count]);
		if (err == 0)
			count++;
	}
	if (err == 0)
		err = jwks_print(list, count, &text);
	jwks_free(list, count);
	*ret = err == 0 ? json_loadb((const char *)text.p, text.len, 0, NULL) : NULL;
	buf_free(&text);
	return err;
}

int
signer_jwks(const struct signer *s, json_t **ret)
{
	struct arena *arena = arena_new(ARENA_FIRST, KEYSTORE_ARENA);
	struct keys keys = {0};
	int err = s->provider != NULL ? read_keys(s, arena, &keys) : 0;

	if (err == 0)
		err = print(&keys, ret);
	arena_free(&arena);
	return err;
}
