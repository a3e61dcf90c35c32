/*
 * Rows in JSON, so that people can read a dump and later versions can add members. They are few and
 * rarely read; nothing here needs to be fast.
 */
#include "shm/row.h"

struct str
row_str(struct arena *a, const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_string(v))
		return STR_NONE;
	return arena_str(a, (struct str){json_string_value(v), json_string_length(v)});
}

int
row_u64(const json_t *o, const char *name, uint64_t least, uint64_t most, uint64_t *ret)
{
	const json_t *v = json_object_get(o, name);
	json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;

	if (n < 0 || (uint64_t)n < least || (uint64_t)n > most)
		return E_SYNTAX;
	*ret = (uint64_t)n;
	return 0;
}

struct str *
row_list(struct arena *a, const json_t *o, const char *name, unsigned *ret_count)
{
	const json_t *list = json_object_get(o, name);
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

json_t *
row_load(struct str json)
{
	json_t *o = json_loadb(json.p, json.n, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(o))
		return o;
	json_decref(o);
	return NULL;
}

json_t *
row_of_str(struct str s)
{
	return json_stringn(s.n > 0 ? s.p : "", s.n);
}

json_t *
row_of_list(const struct str *items, unsigned count)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < count; i++) {
		if (json_array_append_new(list, row_of_str(items[i])) == 0)
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

struct str
row_print(struct arena *a, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	struct str s = text != NULL ? arena_str(a, str_from(text)) : STR_NONE;

	free(text);
	json_decref(o);
	return s;
}
