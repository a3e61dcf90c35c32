/*
 * Questions of sparkgwctl: a path and a body go out, JSON comes in, for a command or as it is for
 * standard output.
 */
#include "ctl/ask.h"

#include "ctl/http.h"

static void
print_refusal(const struct http_answer *answer)
{
	json_t *json = json_loadb((const char *)answer->body.p, answer->body.len, 0, NULL);
	const json_t *errors = json_object_get(json, "errors");

	for (size_t i = 0; i < json_array_size(errors); i++)
		fprintf(stderr, "%s\n", json_string_value(json_array_get(errors, i)));
	if (json_array_size(errors) == 0)
		fprintf(stderr, "sparkgwctl: the gateway answered HTTP %u\n", answer->status);
	json_decref(json);
}

static enum ask_result
take(const struct wish *w, const struct http_answer *answer, bool wanted, json_t **ret_json)
{
	if (answer->status != 200) {
		print_refusal(answer);
		return ASK_REFUSED;
	}
	if (w->json)
		printf("%.*s\n", (int)answer->body.len, (const char *)answer->body.p);
	if (!wanted)
		return ASK_DONE;
	*ret_json = json_loadb((const char *)answer->body.p, answer->body.len, 0, NULL);
	if (*ret_json != NULL)
		return ASK_DONE;
	fprintf(stderr, "sparkgwctl: the answer of %s is not JSON\n", w->socket_path);
	return ASK_NOBODY;
}

/* Why there is no answer, and what helps. */
static enum ask_result
say_nobody(const struct wish *w, int err, const char *words)
{
	const char *problem = "no gateway at", *advice = "";

	if (err == E_DENIED) {
		problem = "not allowed to use";
		advice = "; its owner and its group are";
	} else if (err == E_TIMEOUT || err == E_LIMIT) {
		problem = "no good answer from";
	} else if (err == E_NOT_FOUND) {
		advice = "; is it running, and is this its socket (-c FILE or -s SOCKET)?";
	}
	fprintf(stderr, "sparkgwctl: %s %s: %s%s\n", problem, w->socket_path, words, advice);
	return ASK_NOBODY;
}

enum ask_result
ask(const struct wish *w, const char *path, const char *body, enum ask_print print,
    json_t **ret_json)
{
	struct http_answer answer;
	const char *words = "";
	enum ask_result result;
	int err = http_ask(w->socket_path, path, body, &answer, &words);

	*ret_json = NULL;
	if (err != 0)
		return say_nobody(w, err, words);
	result = take(w, &answer, !w->json || print == ASK_KEEP, ret_json);
	explicit_bzero(answer.body.p, answer.body.len); /* it may be a token */
	buf_free(&answer.body);
	return result;
}

enum ask_result
ask_post(const struct wish *w, const char *path, json_t *object, json_t **ret_json)
{
	char *body = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	enum ask_result result;

	*ret_json = NULL;
	if (body != NULL)
		result = ask(w, path, body, ASK_PRINT, ret_json);
	else
		result = ask_usage("the arguments are not UTF-8");
	free(body);
	json_decref(object);
	return result;
}

enum ask_result
ask_show(const struct wish *w, const char *path, void (*show)(const json_t *))
{
	json_t *json;
	enum ask_result result = ask(w, path, NULL, ASK_PRINT, &json);

	if (json != NULL)
		show(json);
	json_decref(json);
	return result;
}

void
ask_parameter(struct buf *path, const char *key, const char *value)
{
	if (value == NULL)
		return;
	buf_printf(path, "%c%s=", memchr(path->p, '?', path->len) != NULL ? '&' : '?', key);
	http_escape(path, value);
}

enum ask_result
ask_usage(const char *words)
{
	fprintf(stderr, "sparkgwctl: %s\n", words);
	return ASK_USAGE;
}
