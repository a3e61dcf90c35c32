/*
 * Tokens, for sparkgwctl: created, listed, revoked; the key that signs those of services.
 */
#include "ctl/token.h"

#include "ctl/list.h"
#include "ctl/table.h"

#define PATH_SIZE 8192

static const char *
get_text(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text != NULL ? text : "";
}

static uint64_t
get_number(const json_t *row, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(row, key));
}

/* Only what was given; the gateway knows the defaults. NULL: not UTF-8. */
static json_t *
make_wish(const struct wish *w, uint64_t ttl_ms)
{
	json_t *object = json_pack("{s:s*, s:s*, s:s*, s:s*}", "user", w->user, "service",
				   w->service, "team", w->team, "note", w->note);
	json_t *envs = json_array();

	for (unsigned i = 0; i < w->envs_count; i++)
		if (json_array_append_new(envs, json_string(w->envs[i])) != 0) {
			json_decref(object);
			object = NULL;
		}
	if (w->envs_count > 0)
		json_object_set(object, "envs", envs);
	json_decref(envs);
	if (w->ttl != NULL)
		json_object_set_new(object, "ttl_ms", json_integer((json_int_t)ttl_ms));
	return object;
}

static void
print_created(const json_t *answer)
{
	uint64_t now_ms = get_number(answer, "now_ms");
	uint64_t expires_ms = get_number(answer, "expires_ms");
	char age[TABLE_WORD];

	printf("%s\n", get_text(answer, "token"));
	fprintf(stderr,
		"Token %s of %s, team %s, for %s. It is shown this once; revoke it by its id.\n",
		get_text(answer, "id"), get_text(answer, "user"), get_text(answer, "team"),
		table_age(expires_ms > now_ms ? expires_ms - now_ms : 0, age, sizeof(age)));
}

enum ask_result
token_create(const struct wish *w)
{
	enum ask_result result;
	uint64_t ttl_ms = 0;
	json_t *answer;

	if (w->ttl != NULL && str_duration_ms(str_from(w->ttl), &ttl_ms) != 0)
		return ask_usage("--ttl: a duration is expected, as 12h or 30d");
	result = ask_post(w, "/v1/tokens", make_wish(w, ttl_ms), &answer);
	if (answer != NULL)
		print_created(answer);
	json_decref(answer);
	return result;
}

enum ask_result
token_list(const struct wish *w)
{
	enum ask_result result;
	struct buf path;

	buf_init(&path, PATH_SIZE);
	buf_add_str(&path, STR("/v1/tokens"));
	ask_parameter(&path, "user", w->user);
	ask_parameter(&path, "team", w->team);
	ask_parameter(&path, "all", w->all ? "1" : NULL);
	result = list_print(w, buf_cstr(&path), SHOW_TOKENS);
	buf_free(&path);
	return result;
}

enum ask_result
token_revoke(const struct wish *w)
{
	json_t *answer;
	enum ask_result result =
		ask_post(w, "/v1/tokens/revoke", json_pack("{s:s}", "id", w->name), &answer);

	if (answer != NULL)
		printf("%s is refused from now on\n", w->name);
	json_decref(answer);
	return result;
}

enum ask_result
token_rotate(const struct wish *w)
{
	json_t *answer;
	enum ask_result result = ask_post(w, "/v1/tokens/rotate", json_object(), &answer);

	if (answer != NULL)
		printf("service tokens are signed with key %s; older keys that still verify: %d\n",
		       get_text(answer, "kid"), (int)get_number(answer, "keys") - 1);
	json_decref(answer);
	return result;
}

static void
print_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(2));
	printf("\n");
}

enum ask_result
token_keys(const struct wish *w)
{
	return ask_show(w, "/v1/tokens/keys", print_json);
}
