/*
 * The roll-out, for sparkgwctl.
 */
#include "ctl/rollout.h"

static void
print_names(const json_t *answer, const char *key, const char *words)
{
	const json_t *list = json_object_get(answer, key);

	for (size_t i = 0; i < json_array_size(list); i++)
		printf("%s%s%s", i == 0 ? words : ", ", i == 0 ? ": " : "",
		       json_string_value(json_array_get(list, i)));
	if (json_array_size(list) > 0)
		printf("\n");
}

static void
print_rollout(const json_t *answer)
{
	int percent = (int)json_integer_value(json_object_get(answer, "percent"));
	int configured = (int)json_integer_value(json_object_get(answer, "configured"));

	if (json_is_null(json_object_get(answer, "live")))
		printf("%d %% of the teams, as configured\n", percent);
	else
		printf("%d %% of the teams, set live; %d %% is configured\n", percent, configured);
	print_names(answer, "allow_teams", "always teams");
	print_names(answer, "allow_users", "always users");
	print_names(answer, "deny_teams", "never teams");
	print_names(answer, "deny_users", "never users");
}

enum ask_result
rollout_show(const struct wish *w)
{
	return ask_show(w, "/v1/rollout", print_rollout);
}

static enum ask_result
set(const struct wish *w, json_t *percent)
{
	json_t *answer;
	enum ask_result result =
		ask_post(w, "/v1/rollout", json_pack("{s:o}", "percent", percent), &answer);

	if (answer != NULL)
		print_rollout(answer);
	json_decref(answer);
	return result;
}

enum ask_result
rollout_set(const struct wish *w)
{
	uint64_t percent;

	if (str_u64(str_from(w->name), 100, &percent) != 0)
		return ask_usage("a percentage from 0 to 100 is expected");
	return set(w, json_integer((json_int_t)percent));
}

enum ask_result
rollout_reset(const struct wish *w)
{
	return set(w, json_null());
}
