/*
 * Changes of the registry, for the keeper: the rows of origin `config` are made equal to the
 * configuration, and an administrator's wish about a driver is noted.
 *
 * A driver is known by cluster, name and address. Another address under the same name is another
 * process: it gets a new id (bindings to the old one are not its own), and only the administrator's
 * wish stays with the name.
 */
#include <stdlib.h>
#include "lib/panic.h"
#include "shm/limits.h"
#include "shm/registry.h"
#include "shm/registry_row.h"

#define ARENA_FIRST   4096
#define ARENA_CEILING ((size_t)64 << 20)
#define NEXT_ID_KEY   STR("driver_next")
#define ORIGIN	      STR("config")

struct old_driver {
	struct registry_row row;
	struct str key, json;
	bool kept;
};

struct old_cluster {
	struct registry_cluster row;
	struct str key, json;
	bool kept;
};

struct change {
	struct db *db;
	struct arena *arena;
	struct old_driver *drivers;
	struct old_cluster *clusters;
	unsigned drivers_count, clusters_count;
	uint64_t next_id;
	bool slots[SEGMENT_DRIVERS];   /* taken by a row that stays or is new */
	bool leaving[SEGMENT_DRIVERS]; /* taken by a row that goes: given again last */
	int err;
	bool changed;
};

static int
count_row(void *arg, struct str key, struct str value)
{
	struct change *c = arg;

	(void)value;
	if (str_starts(key, STR(REGISTRY_CLUSTER)))
		c->clusters_count++;
	else if (str_starts(key, STR(REGISTRY_DRIVER)))
		c->drivers_count++;
	return 0;
}

/* Copies: the rows are read before any is written, and compared after. */
static int
read_row(void *arg, struct str key, struct str value)
{
	struct change *c = arg;

	if (str_starts(key, STR(REGISTRY_CLUSTER))) {
		struct old_cluster *o = &c->clusters[c->clusters_count++];

		o->key = arena_str(c->arena, key);
		o->json = arena_str(c->arena, value);
		c->err = registry_row_read_cluster(c->arena, key, value, &o->row);
	} else if (str_starts(key, STR(REGISTRY_DRIVER))) {
		struct old_driver *o = &c->drivers[c->drivers_count++];

		o->key = arena_str(c->arena, key);
		o->json = arena_str(c->arena, value);
		c->err = registry_row_read_driver(c->arena, key, value, &o->row);
	}
	return c->err;
}

static int
read_all(struct change *c)
{
	int err = db_write_scan(c->db, DB_REGISTRY, STR_NONE, count_row, c);

	if (err != 0)
		return err;
	c->drivers = arena_array(c->arena, c->drivers_count, sizeof(*c->drivers));
	c->clusters = arena_array(c->arena, c->clusters_count, sizeof(*c->clusters));
	if (arena_failed(c->arena))
		return E_NOMEM;
	c->drivers_count = c->clusters_count = 0;
	err = db_write_scan(c->db, DB_REGISTRY, STR_NONE, read_row, c);
	if (err == 0)
		err = c->err;
	return err == 0 && arena_failed(c->arena) ? E_NOMEM : err;
}

static int
read_next_id(struct change *c)
{
	struct str value;
	int err = db_write_get(c->db, DB_META, NEXT_ID_KEY, &value);

	c->next_id = 1;
	if (err == E_NOT_FOUND)
		return 0;
	return err != 0 ? err : str_u64(value, UINT32_MAX, &c->next_id);
}

static void
write_next_id(struct change *c)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)c->next_id);
	db_put(c->db, DB_META, NEXT_ID_KEY, str_from(text));
}

static bool
is_ours(struct str origin)
{
	return str_eq(origin, ORIGIN);
}

/* By cluster and name; there may be two while the address changes, then the one with this address
 * is the better. */
static struct old_driver *
find_driver(struct change *c, struct str cluster, const struct registry_driver *want)
{
	struct old_driver *namesake = NULL;

	for (unsigned i = 0; i < c->drivers_count; i++) {
		struct old_driver *o = &c->drivers[i];

		if (!is_ours(o->row.origin) || !str_eq(o->row.cluster, cluster) ||
		    !str_eq(o->row.name, want->name))
			continue;
		if (str_eq(o->row.address, want->address))
			return o;
		namesake = o;
	}
	return namesake;
}

static bool
is_same(const struct old_driver *o, const struct registry_driver *want)
{
	return o != NULL && str_eq(o->row.address, want->address);
}

static void
put_row(struct change *c, struct str key, struct str old, struct str json)
{
	if (key.p == NULL || json.p == NULL) {
		c->err = arena_failed(c->arena) ? E_NOMEM : E_SYNTAX;
		return;
	}
	if (old.p != NULL && str_eq(old, json))
		return;
	db_put(c->db, DB_REGISTRY, key, json);
	c->changed = true;
}

static int
pick_slot(struct change *c, uint32_t *ret)
{
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < SEGMENT_DRIVERS; i++) {
			if (c->slots[i] || (pass == 0 && c->leaving[i]))
				continue;
			c->slots[i] = true;
			*ret = i;
			return 0;
		}
	}
	return E_FULL;
}

static void
put_driver(struct change *c, struct str cluster, const struct registry_driver *want)
{
	const struct old_driver *old = find_driver(c, cluster, want);
	struct registry_row row = {
		.weight = want->weight,
		.draining = old != NULL && old->row.draining,
		.cluster = cluster,
		.name = want->name,
		.address = want->address,
		.origin = ORIGIN,
	};

	if (is_same(old, want)) {
		row.id = old->row.id;
		row.slot = old->row.slot;
	} else {
		c->err = c->next_id < UINT32_MAX ? pick_slot(c, &row.slot) : E_FULL;
		if (c->err != 0)
			return;
		row.id = (uint32_t)c->next_id++;
	}
	put_row(c, registry_row_driver_key(c->arena, row.id),
		is_same(old, want) ? old->json : STR_NONE, registry_row_driver(c->arena, &row));
}

static void
put_cluster(struct change *c, const struct registry_cluster *want)
{
	struct registry_cluster row = *want;
	struct str old = STR_NONE;

	row.origin = ORIGIN;
	for (unsigned i = 0; i < c->clusters_count; i++) {
		if (!str_eq(c->clusters[i].row.name, want->name))
			continue;
		c->clusters[i].kept = true;
		old = c->clusters[i].json;
	}
	put_row(c, registry_row_cluster_key(c->arena, want->name), old,
		registry_row_cluster(c->arena, &row));
	for (unsigned i = 0; i < want->drivers_count && c->err == 0; i++)
		put_driver(c, want->name, &want->drivers[i]);
}

/* Who stays is settled before anybody new is given a slot. */
static void
mark_kept(struct change *c, const struct registry_cluster *wanted, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		for (unsigned j = 0; j < wanted[i].drivers_count; j++) {
			const struct registry_driver *want = &wanted[i].drivers[j];
			struct old_driver *o = find_driver(c, wanted[i].name, want);

			if (is_same(o, want))
				o->kept = true;
		}
	}
	for (unsigned i = 0; i < c->drivers_count; i++) {
		struct old_driver *o = &c->drivers[i];

		if (!is_ours(o->row.origin))
			o->kept = true;
		(o->kept ? c->slots : c->leaving)[o->row.slot] = true;
	}
}

static void
del_rest(struct change *c)
{
	for (unsigned i = 0; i < c->drivers_count; i++) {
		if (c->drivers[i].kept)
			continue;
		db_del(c->db, DB_REGISTRY, c->drivers[i].key);
		c->changed = true;
	}
	for (unsigned i = 0; i < c->clusters_count; i++) {
		if (c->clusters[i].kept || !is_ours(c->clusters[i].row.origin))
			continue;
		db_del(c->db, DB_REGISTRY, c->clusters[i].key);
		c->changed = true;
	}
}

static int
reconcile(struct change *c, const struct registry_cluster *wanted, unsigned count)
{
	uint64_t first_id;
	int err = read_all(c);

	if (err == 0)
		err = read_next_id(c);
	if (err != 0)
		return err;
	first_id = c->next_id;
	mark_kept(c, wanted, count);
	for (unsigned i = 0; i < count && c->err == 0; i++)
		put_cluster(c, &wanted[i]);
	if (c->err != 0)
		return c->err;
	del_rest(c);
	if (c->next_id != first_id)
		write_next_id(c);
	return 0;
}

static struct change *
begin(struct db *db)
{
	struct change *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->db = db;
	c->arena = arena_new(ARENA_FIRST, ARENA_CEILING);
	if (c->arena != NULL)
		return c;
	free(c);
	return NULL;
}

static void
end(struct change *c)
{
	arena_free(&c->arena);
	free(c);
}

int
registry_reconcile(struct db *db, const struct registry_cluster *wanted, unsigned count,
		   bool *ret_changed)
{
	struct change *c = begin(db);
	int err;

	if (c == NULL)
		return E_NOMEM;
	err = reconcile(c, wanted, count);
	if (err == 0)
		*ret_changed = c->changed;
	end(c);
	return err;
}

/* ---- the wanted state of one driver ---- */

static bool
is_full_name(const struct registry_row *row, struct str name)
{
	return name.n == row->cluster.n + 1 + row->name.n && str_starts(name, row->cluster) &&
	       name.p[row->cluster.n] == '/' && str_ends(name, row->name);
}

static int
find_by_name(struct change *c, struct str name, struct old_driver **ret)
{
	struct old_driver *found = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < c->drivers_count; i++) {
		struct old_driver *o = &c->drivers[i];

		if (is_full_name(&o->row, name)) {
			*ret = o;
			return 0;
		}
		if (str_eq(o->row.name, name)) {
			found = o;
			count++;
		}
	}
	if (count == 1)
		*ret = found;
	return count == 0 ? E_NOT_FOUND : count == 1 ? 0 : E_EXISTS;
}

static int
set_drain(struct change *c, struct str name, bool drain, uint32_t *ret_id)
{
	struct old_driver *o = NULL;
	int err = read_all(c);

	if (err == 0)
		err = find_by_name(c, name, &o);
	if (err != 0)
		return err;
	o->row.draining = drain;
	put_row(c, o->key, o->json, registry_row_driver(c->arena, &o->row));
	if (c->err == 0)
		*ret_id = o->row.id;
	return c->err;
}

int
registry_set_drain(struct db *db, struct str name, bool drain, uint32_t *ret_id)
{
	struct change *c = begin(db);
	int err;

	if (c == NULL)
		return E_NOMEM;
	err = set_drain(c, name, drain, ret_id);
	end(c);
	return err;
}
