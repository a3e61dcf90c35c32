/*
 * Snapshots of the registry: read in one go, then immutable, shared by references within a process.
 */
#include <stdlib.h>
#include "lib/panic.h"
#include "shm/registry.h"
#include "shm/registry_row.h"

#define ARENA_FIRST   4096
#define ARENA_CEILING ((size_t)64 << 20)

struct loading {
	struct db *db;
	struct arena *arena;
	struct registry *registry;
	struct registry_row *rows; /* of drivers, in the order of their keys */
	unsigned clusters_max, rows_max, rows_count;
};

static char words[256];

static int
refuse(struct str key, const char *why)
{
	snprintf(words, sizeof(words), "registry row %.*s: %s", STR_ARG(key), why);
	return E_SYNTAX;
}

static int
count_row(void *arg, struct str key, struct str value)
{
	struct loading *l = arg;

	(void)value;
	if (str_starts(key, STR(REGISTRY_CLUSTER)))
		l->clusters_max++;
	else if (str_starts(key, STR(REGISTRY_DRIVER)))
		l->rows_max++;
	return 0;
}

static int
read_row(void *arg, struct str key, struct str value)
{
	struct loading *l = arg;
	struct registry *r = l->registry;

	if (str_starts(key, STR(REGISTRY_CLUSTER))) {
		ASSERT(r->clusters_count < l->clusters_max);
		if (registry_row_read_cluster(l->arena, key, value,
					      &r->clusters[r->clusters_count]) != 0)
			return refuse(key, "unreadable");
		r->clusters_count++;
	} else if (str_starts(key, STR(REGISTRY_DRIVER))) {
		ASSERT(l->rows_count < l->rows_max);
		if (registry_row_read_driver(l->arena, key, value, &l->rows[l->rows_count]) != 0)
			return refuse(key, "unreadable");
		l->rows_count++;
	}
	return 0;
}

static int
by_id(const void *a, const void *b)
{
	const struct registry_driver *const *x = a, *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

/* The drivers of each cluster side by side, and all of them by id. */
static int
link_drivers(struct loading *l)
{
	struct registry *r = l->registry;
	struct registry_driver *all = arena_array(l->arena, l->rows_count, sizeof(*all));

	r->by_id = arena_array(l->arena, l->rows_count, sizeof(struct registry_driver *));
	if (arena_failed(l->arena))
		return E_NOMEM;
	for (unsigned c = 0; c < r->clusters_count; c++) {
		struct registry_cluster *cluster = &r->clusters[c];

		cluster->drivers = &all[r->drivers_count];
		for (unsigned i = 0; i < l->rows_count; i++) {
			const struct registry_row *row = &l->rows[i];
			struct registry_driver *d = &all[r->drivers_count];

			if (!str_eq(row->cluster, cluster->name))
				continue;
			*d = (struct registry_driver){row->id,	    row->slot,	 row->name,
						      row->address, row->weight, row->draining,
						      cluster};
			r->by_id[r->drivers_count++] = d;
			cluster->drivers_count++;
		}
	}
	if (r->drivers_count != l->rows_count)
		return refuse(STR("driver/…"), "its cluster is not there");
	qsort(r->by_id, r->drivers_count, sizeof(*r->by_id), by_id);
	return 0;
}

static int
load(struct loading *l, uint64_t generation)
{
	struct registry *r = arena_alloc(l->arena, sizeof(*r));
	int err = db_scan(l->db, DB_REGISTRY, STR_NONE, count_row, l);

	if (err != 0)
		return err;
	l->rows = arena_array(l->arena, l->rows_max, sizeof(*l->rows));
	if (r != NULL)
		r->clusters = arena_array(l->arena, l->clusters_max, sizeof(*r->clusters));
	if (arena_failed(l->arena))
		return E_NOMEM;
	r->refs = 1;
	r->generation = generation;
	r->arena = l->arena;
	l->registry = r;
	err = db_scan(l->db, DB_REGISTRY, STR_NONE, read_row, l);
	if (err == 0 && words[0] != '\0')
		err = E_SYNTAX;
	return err != 0 ? err : link_drivers(l);
}

int
registry_load(struct db *db, uint64_t generation, struct registry **ret, const char **ret_words)
{
	struct loading l = {.db = db, .arena = arena_new(ARENA_FIRST, ARENA_CEILING)};
	int err;

	words[0] = '\0';
	if (ret_words != NULL)
		*ret_words = words;
	if (l.arena == NULL)
		return E_NOMEM;
	err = db_read_begin(db);
	if (err == 0)
		err = load(&l, generation);
	db_read_end(db);
	if (err == 0 && arena_failed(l.arena))
		err = E_NOMEM;
	if (err != 0) {
		if (words[0] == '\0')
			snprintf(words, sizeof(words), "registry: %s", err_text(err));
		arena_free(&l.arena);
		return err;
	}
	*ret = l.registry;
	return 0;
}

struct registry *
registry_ref(struct registry *r)
{
	ASSERT(r->refs > 0);
	r->refs++;
	return r;
}

void
registry_unref(struct registry **ret)
{
	struct registry *r = *ret;
	struct arena *arena;

	if (r == NULL)
		return;
	*ret = NULL;
	ASSERT(r->refs > 0);
	if (--r->refs > 0)
		return;
	arena = r->arena;
	arena_free(&arena);
}

struct registry_driver *
registry_driver(const struct registry *r, uint32_t id)
{
	unsigned low = 0, high = r->drivers_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (r->by_id[middle]->id == id)
			return r->by_id[middle];
		if (r->by_id[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

struct registry_cluster *
registry_cluster(const struct registry *r, struct str name)
{
	for (unsigned i = 0; i < r->clusters_count; i++)
		if (str_eq(r->clusters[i].name, name))
			return &r->clusters[i];
	return NULL;
}
