/*
 * Rows of the registry in JSON, so that people can read a dump and later versions can add keys.
 * Rows are few (clusters and drivers) and rarely read; nothing here needs to be fast.
 */
#include <jansson.h>
#include "shm/limits.h"
#include "shm/registry_row.h"

static struct str
get_str(struct arena *a, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_string(v))
		return STR_NONE;
	return arena_str(a, (struct str){json_string_value(v), json_string_length(v)});
}

static uint32_t
get_u32(const json_t *o, const char *key, uint32_t least, uint32_t most, bool *ok)
{
	const json_t *v = json_object_get(o, key);
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;

	if (n >= (json_int_t)least && n <= (json_int_t)most)
		return (uint32_t)n;
	*ok = false;
	return 0;
}

static struct str *
get_list(struct arena *a, const json_t *o, const char *key, unsigned *ret_count)
{
	const json_t *list = json_object_get(o, key);
	unsigned n = (unsigned)json_array_size(list);
	struct str *items = arena_array(a, n, sizeof(*items));

	*ret_count = 0;
	if (items == NULL)
		return NULL;
	for (unsigned i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, i);

		if (json_is_string(v))
			items[(*ret_count)++] = arena_str(
				a, (struct str){json_string_value(v), json_string_length(v)});
	}
	return items;
}

static json_t *
load(struct str json)
{
	json_t *o = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
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
	json_t *o = load(json);

	if (o == NULL || name.p == NULL) {
		json_decref(o);
		return E_SYNTAX;
	}
	*ret = (struct registry_cluster){
		.name = arena_str(a, name),
		.team = get_str(a, o, "team"),
		.env = get_str(a, o, "env"),
		.region = get_str(a, o, "region"),
		.origin = get_str(a, o, "origin"),
		.shared = json_is_true(json_object_get(o, "shared")),
	};
	ret->teams = get_list(a, o, "teams", &ret->teams_count);
	ret->hosts = get_list(a, o, "hosts", &ret->hosts_count);
	json_decref(o);
	return 0;
}

int
registry_row_read_driver(struct arena *a, struct str key, struct str json, struct registry_row *ret)
{
	json_t *o = load(json);
	uint64_t id;
	bool ok = o != NULL;

	if (str_u64(after(key, STR(REGISTRY_DRIVER)), UINT32_MAX, &id) != 0 || id == 0)
		ok = false;
	if (ok) {
		*ret = (struct registry_row){
			.id = (uint32_t)id,
			.slot = get_u32(o, "slot", 0, SEGMENT_DRIVERS - 1, &ok),
			.weight = get_u32(o, "weight", 1, 1000, &ok),
			.cluster = get_str(a, o, "cluster"),
			.name = get_str(a, o, "name"),
			.address = get_str(a, o, "address"),
			.origin = get_str(a, o, "origin"),
			.draining = str_eq(get_str(a, o, "wanted"), STR("drain")),
		};
		ok = ok && ret->cluster.p != NULL && ret->name.p != NULL && ret->address.p != NULL;
	}
	json_decref(o);
	return ok ? 0 : E_SYNTAX;
}

/* Steals o; NULL parts made of bad UTF-8 make the whole NULL. */
static struct str
print(struct arena *a, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	struct str s = text != NULL ? arena_str(a, str_from(text)) : STR_NONE;

	free(text);
	json_decref(o);
	return s;
}

static json_t *
to_json(struct str s)
{
	return json_stringn(s.n > 0 ? s.p : "", s.n);
}

static json_t *
list_to_json(const struct str *items, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++) {
		if (json_array_append_new(list, to_json(items[i])) == 0)
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

struct str
registry_row_cluster(struct arena *a, const struct registry_cluster *c)
{
	json_t *o = json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "team", to_json(c->team),
			      "env", to_json(c->env), "region", to_json(c->region), "shared",
			      c->shared, "teams", list_to_json(c->teams, c->teams_count), "hosts",
			      list_to_json(c->hosts, c->hosts_count), "origin", to_json(c->origin));

	return print(a, o);
}

struct str
registry_row_driver(struct arena *a, const struct registry_row *d)
{
	json_t *o = json_pack("{s:o, s:o, s:o, s:i, s:i, s:s, s:o}", "cluster", to_json(d->cluster),
			      "name", to_json(d->name), "address", to_json(d->address), "weight",
			      (int)d->weight, "slot", (int)d->slot, "wanted",
			      d->draining ? "drain" : "active", "origin", to_json(d->origin));

	return print(a, o);
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
