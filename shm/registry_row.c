/*
 * Rows of the registry: clusters and drivers as JSON.
 */
#include "shm/limits.h"
#include "shm/registry_row.h"
#include "shm/row.h"

static uint32_t
get_u32(const json_t *o, const char *key, uint32_t least, uint32_t most, bool *ok)
{
	uint64_t n = 0;

	if (row_u64(o, key, least, most, &n) != 0)
		*ok = false;
	return (uint32_t)n;
}

static struct str
after(struct str key, struct str prefix)
{
	if (!str_starts(key, prefix) || key.n == prefix.n)
		return STR_NONE;
	return (struct str){key.p + prefix.n, key.n - prefix.n};
}

int
registry_row_read_cluster(struct arena *a, struct str key, struct str json,
			  struct registry_cluster *ret)
{
	struct str name = after(key, STR(REGISTRY_CLUSTER));
	json_t *o = row_load(json);

	if (o == NULL || name.p == NULL) {
		json_decref(o);
		return E_SYNTAX;
	}
	*ret = (struct registry_cluster){
		.name = arena_str(a, name),
		.team = row_str(a, o, "team"),
		.env = row_str(a, o, "env"),
		.region = row_str(a, o, "region"),
		.origin = row_str(a, o, "origin"),
		.shared = json_is_true(json_object_get(o, "shared")),
	};
	ret->teams = row_list(a, o, "teams", &ret->teams_count);
	ret->hosts = row_list(a, o, "hosts", &ret->hosts_count);
	json_decref(o);
	return 0;
}

int
registry_row_read_driver(struct arena *a, struct str key, struct str json, struct registry_row *ret)
{
	json_t *o = row_load(json);
	uint64_t id;
	bool ok = o != NULL;

	if (str_u64(after(key, STR(REGISTRY_DRIVER)), UINT32_MAX, &id) != 0 || id == 0)
		ok = false;
	if (ok) {
		*ret = (struct registry_row){
			.id = (uint32_t)id,
			.slot = get_u32(o, "slot", 0, SEGMENT_DRIVERS - 1, &ok),
			.weight = get_u32(o, "weight", 1, 1000, &ok),
			.cluster = row_str(a, o, "cluster"),
			.name = row_str(a, o, "name"),
			.address = row_str(a, o, "address"),
			.origin = row_str(a, o, "origin"),
			.draining = str_eq(row_str(a, o, "wanted"), STR("drain")),
		};
		ok = ok && ret->cluster.p != NULL && ret->name.p != NULL && ret->address.p != NULL;
	}
	json_decref(o);
	return ok ? 0 : E_SYNTAX;
}

struct str
registry_row_cluster(struct arena *a, const struct registry_cluster *c)
{
	json_t *o =
		json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "team", row_of_str(c->team), "env",
			  row_of_str(c->env), "region", row_of_str(c->region), "shared", c->shared,
			  "teams", row_of_list(c->teams, c->teams_count), "hosts",
			  row_of_list(c->hosts, c->hosts_count), "origin", row_of_str(c->origin));

	return row_print(a, o);
}

struct str
registry_row_driver(struct arena *a, const struct registry_row *d)
{
	json_t *o =
		json_pack("{s:o, s:o, s:o, s:i, s:i, s:s, s:o}", "cluster", row_of_str(d->cluster),
			  "name", row_of_str(d->name), "address", row_of_str(d->address), "weight",
			  (int)d->weight, "slot", (int)d->slot, "wanted",
			  d->draining ? "drain" : "active", "origin", row_of_str(d->origin));

	return row_print(a, o);
}

static struct str
make_key(struct arena *a, const char *prefix, struct str rest)
{
	char *key;

	if (strlen(prefix) + rest.n > REGISTRY_KEY_MAX)
		return STR_NONE;
	key = arena_printf(a, "%s%.*s", prefix, STR_ARG(rest));
	return str_from(key);
}

struct str
registry_row_cluster_key(struct arena *a, struct str name)
{
	return make_key(a, REGISTRY_CLUSTER, name);
}

struct str
registry_row_driver_key(struct arena *a, uint32_t id)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", id);
	return make_key(a, REGISTRY_DRIVER, str_from(text));
}
