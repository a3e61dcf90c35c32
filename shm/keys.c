/*
 * Keys of providers as rows. Which set is current is one small row, so that all of them change at
 * once, and a set that was begun and never completed is seen by nobody.
 *
 *	value of a set's row	struct set_row (56 bytes, the machine's byte order)
 *	value of a key's row	struct key_row (8 bytes) | kid | der
 */
#include <openssl/sha.h>
#include "lib/buf.h"
#include "lib/panic.h"
#include "shm/keys.h"

#define KEY_BYTES_MAX (KEYS_PROVIDER_MAX + 1 + 9)
#define DELS_MAX      64 /* rows of other sets in one go */

struct set_row {
	uint64_t set, fetched_ms;
	uint8_t source[KEYS_SOURCE];
	uint32_t count, pad;
};
_Static_assert(sizeof(struct set_row) == 56, "rows of the store");

struct key_row {
	uint32_t algs;
	uint16_t kid_len, der_len;
};
_Static_assert(sizeof(struct key_row) == 8, "rows of the store");

/* ---- rows ---- */

static struct str
put_set_key(struct str provider, char buf[KEY_BYTES_MAX])
{
	ASSERT(provider.n > 0 && provider.n <= KEYS_PROVIDER_MAX);
	memcpy(buf, provider.p, provider.n);
	buf[provider.n] = '\0';
	return (struct str){buf, provider.n + 1};
}

static struct str
put_key_key(struct str provider, uint64_t set, unsigned index, char buf[KEY_BYTES_MAX])
{
	struct str key = put_set_key(provider, buf);

	ASSERT(index < KEYS_MAX);
	for (int shift = 56; shift >= 0; shift -= 8)
		buf[key.n++] = (char)(set >> shift);
	buf[key.n++] = (char)index;
	return key;
}

static int
parse_set(struct str value, struct set_row *ret)
{
	if (value.n != sizeof(*ret))
		return E_SYNTAX;
	memcpy(ret, value.p, sizeof(*ret));
	return ret->count <= KEYS_MAX ? 0 : E_SYNTAX;
}

static int
parse_key(struct str value, struct arena *a, struct key *ret)
{
	struct key_row row;
	const char *p = value.p + sizeof(row);

	if (value.n < sizeof(row))
		return E_SYNTAX;
	memcpy(&row, value.p, sizeof(row));
	if (value.n != sizeof(row) + row.kid_len + row.der_len || row.der_len == 0)
		return E_SYNTAX;
	*ret = (struct key){
		.kid = row.kid_len > 0 ? arena_str(a, (struct str){p, row.kid_len}) : STR_NONE,
		.algs = row.algs,
		.der = arena_str(a, (struct str){p + row.kid_len, row.der_len}),
	};
	return 0;
}

/* ---- reading ---- */

static int
load_list(struct db *db, struct str provider, const struct set_row *set, struct arena *a,
	  struct key *list)
{
	char buf[KEY_BYTES_MAX];
	struct str value;

	for (unsigned i = 0; i < set->count; i++) {
		int err = db_get(db, DB_KEYS, put_key_key(provider, set->set, i, buf), &value);

		if (err == 0)
			err = parse_key(value, a, &list[i]);
		if (err != 0)
			return err == E_NOT_FOUND ? E_SYNTAX : err;
	}
	return 0;
}

void
keys_source(struct str issuer, struct str url, uint8_t ret[KEYS_SOURCE])
{
	struct buf text;

	buf_init(&text, 4096);
	buf_printf(&text, "%.*s\n%.*s", STR_ARG(issuer), STR_ARG(url));
	SHA256(text.p, text.len, ret);
	buf_free(&text);
}

int
keys_load(struct db *db, struct str provider, struct arena *a, struct keys *ret)
{
	char buf[KEY_BYTES_MAX];
	struct set_row row;
	struct str value;
	struct key *list;
	int err = db_get(db, DB_KEYS, put_set_key(provider, buf), &value);

	if (err == 0)
		err = parse_set(value, &row);
	if (err != 0)
		return err;
	list = arena_array(a, row.count, sizeof(*list));
	err = list != NULL ? load_list(db, provider, &row, a, list) : E_NOMEM;
	if (err == 0 && arena_failed(a))
		err = E_NOMEM;
	if (err != 0)
		return err;
	*ret = (struct keys){
		.set = row.set, .fetched_ms = row.fetched_ms, .count = row.count, .list = list};
	memcpy(ret->source, row.source, sizeof(ret->source));
	return 0;
}

/* ---- writing ---- */

static bool
is_current(struct db *db, struct str provider, uint64_t set, struct set_row *ret)
{
	char buf[KEY_BYTES_MAX];
	struct str value;

	return db_write_get(db, DB_KEYS, put_set_key(provider, buf), &value) == 0 &&
	       parse_set(value, ret) == 0 && ret->set == set;
}

void
keys_put(struct db *db, struct str provider, uint64_t set, unsigned index, const struct key *key)
{
	const struct key_row row = {key->algs, (uint16_t)key->kid.n, (uint16_t)key->der.n};
	char buf[KEY_BYTES_MAX], value[sizeof(row) + KEYS_KID_MAX + KEYS_DER_MAX];
	struct set_row current;

	ASSERT(key->kid.n <= KEYS_KID_MAX && key->der.n > 0 && key->der.n <= KEYS_DER_MAX);
	if (is_current(db, provider, set, &current))
		return;
	memcpy(value, &row, sizeof(row));
	if (key->kid.n > 0)
		memcpy(value + sizeof(row), key->kid.p, key->kid.n);
	memcpy(value + sizeof(row) + key->kid.n, key->der.p, key->der.n);
	db_put(db, DB_KEYS, put_key_key(provider, set, index, buf),
	       (struct str){value, sizeof(row) + key->kid.n + key->der.n});
}

static int
check_whole(struct db *db, struct str provider, uint64_t set, unsigned count)
{
	char buf[KEY_BYTES_MAX];
	struct str value;

	for (unsigned i = 0; i < count; i++) {
		int err = db_write_get(db, DB_KEYS, put_key_key(provider, set, i, buf), &value);

		if (err != 0)
			return err == E_NOT_FOUND ? E_STATE : err;
	}
	return 0;
}

struct others {
	struct str provider, mine; /* what their keys begin with */
	unsigned count;
	struct {
		size_t n;
		char key[KEY_BYTES_MAX];
	} list[DELS_MAX];
};

static int
find_other(void *arg, struct str key, struct str value)
{
	struct others *o = arg;

	(void)value;
	if (!str_starts(key, o->provider) || o->count == DELS_MAX)
		return 1;
	if (key.n == o->provider.n || str_starts(key, o->mine) || key.n > sizeof(o->list[0].key))
		return 0;
	o->list[o->count].n = key.n;
	memcpy(o->list[o->count++].key, key.p, key.n);
	return 0;
}

/* What this set replaces, and what was begun before it; in goes, as a visitor must not write. */
static int
del_others(struct db *db, struct str provider, uint64_t set)
{
	struct others o;
	char buf[KEY_BYTES_MAX], mine[KEY_BYTES_MAX];
	int err;

	o.provider = put_set_key(provider, buf);
	o.mine = put_key_key(provider, set, 0, mine);
	o.mine.n--;
	do {
		o.count = 0;
		err = db_write_scan(db, DB_KEYS, o.provider, find_other, &o);
		for (unsigned i = 0; i < o.count; i++)
			db_del(db, DB_KEYS, (struct str){o.list[i].key, o.list[i].n});
	} while (err == 0 && o.count == DELS_MAX);
	return err;
}

int
keys_complete(struct db *db, struct str provider, const struct keys *keys, bool *ret_changed)
{
	struct set_row row = {
		.set = keys->set, .fetched_ms = keys->fetched_ms, .count = keys->count};
	struct set_row current;
	char buf[KEY_BYTES_MAX];
	bool changed;
	int err;

	ASSERT(keys->count <= KEYS_MAX);
	memcpy(row.source, keys->source, sizeof(row.source));
	changed = !is_current(db, provider, row.set, &current) || current.count != row.count ||
		  memcmp(current.source, row.source, sizeof(row.source)) != 0;
	err = check_whole(db, provider, row.set, row.count);
	if (err == 0 && changed)
		err = del_others(db, provider, row.set);
	if (err != 0)
		return err;
	if (changed || current.fetched_ms != row.fetched_ms)
		db_put(db, DB_KEYS, put_set_key(provider, buf),
		       (struct str){(char *)&row, sizeof(row)});
	*ret_changed = changed;
	return 0;
}
