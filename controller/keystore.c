/*
 * Key sets on their way to the store, in the controller: KEY, KEY ... KEYS, each sent when the one
 * before has been answered.
 */
#include "controller/keystore.h"

#include <stdlib.h>
#include "lib/hash.h"
#include "lib/panic.h"

#define JOB_MAGIC   0x6b736a62u
#define ARENA_FIRST ((size_t)4096)

struct job {
	unsigned magic;
	struct arena *arena;
	struct asks *asks;
	struct str provider;
	struct keys keys;
	unsigned next; /* the key that is sent next; keys.count: the set */
	keystore_done *done;
	void *arg;
};

int
keystore_read(struct db *db, struct str provider, struct arena *arena, struct keys *ret)
{
	int err;

	if (db == NULL)
		return E_STATE;
	err = db_read_begin(db);
	if (err == 0)
		err = keys_load(db, provider, arena, ret);
	db_read_end(db);
	return err;
}

bool
keystore_same(const struct keys *a, const struct keys *b)
{
	if (a->count != b->count)
		return false;
	for (unsigned i = 0; i < a->count; i++)
		if (!str_eq(a->list[i].kid, b->list[i].kid) || a->list[i].algs != b->list[i].algs ||
		    !str_eq(a->list[i].der, b->list[i].der))
			return false;
	return true;
}

static void
end(struct job *job, int err)
{
	CHECK_MAGIC(job, JOB_MAGIC);
	job->done(job->arg, err);
	job->magic = 0;
	arena_free(&job->arena);
	free(job);
}

static asks_done answered;

static int
send_key(struct job *job, const struct key *key)
{
	struct keeper_public_key m = {
		.head.type = KEEPER_KEY,
		.set = job->keys.set,
		.index = job->next,
		.algs = key->algs,
		.kid_len = (uint16_t)key->kid.n,
		.der_len = (uint16_t)key->der.n,
	};

	if (key->kid.n > sizeof(m.kid) || key->der.n > sizeof(m.der))
		return E_LIMIT;
	str_copy(m.provider, sizeof(m.provider), job->provider);
	if (key->kid.n > 0)
		memcpy(m.kid, key->kid.p, key->kid.n);
	memcpy(m.der, key->der.p, key->der.n);
	return asks_send(job->asks, &m, sizeof(m), answered, job);
}

static int
send_set(struct job *job)
{
	struct keeper_keys m = {
		.head.type = KEEPER_KEYS,
		.set = job->keys.set,
		.fetched_ms = job->keys.fetched_ms,
		.count = job->keys.count,
	};

	str_copy(m.provider, sizeof(m.provider), job->provider);
	memcpy(m.source, job->keys.source, sizeof(m.source));
	return asks_send(job->asks, &m, sizeof(m), answered, job);
}

static int
send_next(struct job *job)
{
	return job->next < job->keys.count ? send_key(job, &job->keys.list[job->next])
					   : send_set(job);
}

static void
answered(void *arg, int err, const struct keeper_done *answer)
{
	struct job *job = arg;

	CHECK_MAGIC(job, JOB_MAGIC);
	if (err == 0)
		err = answer->result;
	if (err == 0 && job->next++ < job->keys.count) {
		err = send_next(job);
		if (err == 0)
			return;
	}
	end(job, err);
}

static void
copy(struct job *job, struct str provider, const struct keys *keys)
{
	job->provider = arena_str(job->arena, provider);
	job->keys = *keys;
	job->keys.list = arena_array(job->arena, keys->count + 1, sizeof(*keys->list));
	for (unsigned i = 0; job->keys.list != NULL && i < keys->count; i++)
		job->keys.list[i] = (struct key){
			.kid = arena_str(job->arena, keys->list[i].kid),
			.algs = keys->list[i].algs,
			.der = arena_str(job->arena, keys->list[i].der),
		};
}

int
keystore_write(struct asks *asks, struct str provider, const struct keys *keys, keystore_done *done,
	       void *arg)
{
	struct job *job = calloc(1, sizeof(*job));
	struct hash_key number;
	int err = E_NOMEM;

	ASSERT(keys->count <= KEYS_MAX && provider.n < KEYS_PROVIDER_MAX);
	if (job == NULL)
		return E_NOMEM;
	*job = (struct job){.magic = JOB_MAGIC,
			    .asks = asks,
			    .done = done,
			    .arg = arg,
			    .arena = arena_new(ARENA_FIRST, KEYSTORE_ARENA)};
	if (job->arena != NULL) {
		copy(job, provider, keys);
		hash_key_random(&number);
		job->keys.set = number.k0;
		err = arena_failed(job->arena) ? E_NOMEM : send_next(job);
	}
	if (err == 0)
		return 0;
	arena_free(&job->arena);
	free(job);
	return err;
}
