/*
 * Strict JSON objects on jansson. Pure.
 */
#include "proto/object.h"

/* Brackets outside of texts: jansson itself would go down 2048 levels of recursion. */
static bool
is_shallow(struct str text)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '['))
			depth++;
		else if (!quoted && depth > 0 && (c == '}' || c == ']'))
			depth--;
		if (depth > OBJECT_DEPTH)
			return false;
	}
	return true;
}

json_t *
object_parse(struct str text)
{
	json_t *o;

	if (text.n == 0 || !is_shallow(text))
		return NULL;
	o = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	if (o != NULL && !json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int
object_text(const json_t *o, const char *name, struct str *ret)
{
	const json_t *v = json_object_get(o, name);

	if (v != NULL && !json_is_string(v))
		return E_SYNTAX;
	*ret = (struct str){json_string_value(v), json_string_length(v)};
	return 0;
}
