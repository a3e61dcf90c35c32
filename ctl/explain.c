/*
 * `sparkgwctl explain`: a person and a wish go out, the gateway's decisions come in, one on a line.
 */
#include "ctl/explain.h"

#define PATH_SIZE 8192

static const char *
get_text(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text != NULL ? text : "-";
}

static void
print_lines(const json_t *list, const char *title)
{
	if (json_array_size(list) > 0)
		printf("%s\n", title);
	for (size_t i = 0; i < json_array_size(list); i++)
		printf("  %s\n", json_string_value(json_array_get(list, i)));
}

static void
print_explanation(const json_t *answer)
{
	const json_t *refusal = json_object_get(answer, "refusal");

	print_lines(json_object_get(answer, "identity"), "identity");
	print_lines(json_object_get(answer, "routing"), "routing");
	print_lines(json_object_get(answer, "limits"), "limits");
	if (json_is_object(refusal))
		printf("refused: %s: %s\n", get_text(refusal, "code"), get_text(refusal, "words"));
	else
		printf("allowed: team %s, env %s, cluster %s, driver %s\n",
		       get_text(answer, "team"), get_text(answer, "env"),
		       get_text(answer, "cluster"), get_text(answer, "driver"));
}

enum ask_result
explain_session(const struct wish *w)
{
	enum ask_result result;
	struct buf path;

	buf_init(&path, PATH_SIZE);
	buf_add_str(&path, STR("/v1/explain"));
	ask_parameter(&path, "user", w->user);
	ask_parameter(&path, "groups", w->groups);
	ask_parameter(&path, "team", w->team);
	ask_parameter(&path, "env", w->envs_count > 0 ? w->envs[0] : NULL);
	ask_parameter(&path, "host", w->host);
	result = ask_show(w, buf_cstr(&path), print_explanation);
	buf_free(&path);
	return result;
}
