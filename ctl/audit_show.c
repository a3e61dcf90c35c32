/*
 * Audit lines as text: JSON comes in, a line goes out.
 */
#include "ctl/audit_show.h"

#include <jansson.h>
#include "shm/chain.h"

#define SQL_SHOWN 120

/* Users write what they like; a terminal must not obey it. */
static void
add_clean(struct buf *out, struct str s)
{
	while (s.n > 0) {
		size_t len = str_utf8_step(s);

		if (str_shown_char(s) > 0)
			buf_add(out, s.p, len);
		else
			buf_add_byte(out, '?');
		s = (struct str){s.p + len, s.n - len};
	}
}

static const char *
text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL ? value : "-";
}

static void
add_word(struct buf *out, const char *word)
{
	buf_add_byte(out, ' ');
	add_clean(out, str_from(word));
}

/* "team/env", "cluster/driver"; "-" when neither is known. */
static void
add_pair(struct buf *out, const json_t *line, const char *a, const char *b)
{
	add_word(out, text(line, a));
	if (json_object_get(line, a) == NULL && json_object_get(line, b) == NULL)
		return;
	buf_add_byte(out, '/');
	add_clean(out, str_from(text(line, b)));
}

static void
add_plan(struct buf *out, const json_t *plan)
{
	struct str sql = str_from(json_string_value(json_object_get(plan, "sql")));

	if (json_object_get(plan, "command") != NULL)
		add_word(out, text(plan, "command"));
	else if (json_object_get(plan, "kind") != NULL)
		add_word(out, text(plan, "kind"));
	if (sql.n == 0)
		return;
	buf_add_str(out, STR(" sql: "));
	add_clean(out, (struct str){sql.p, sql.n < SQL_SHOWN ? sql.n : SQL_SHOWN});
	if (sql.n > SQL_SHOWN)
		buf_add_str(out, STR("..."));
}

static void
add_rpc(struct buf *out, const json_t *line)
{
	const json_t *ms = json_object_get(line, "ms");

	add_word(out, text(line, "status"));
	add_word(out, text(line, "method"));
	add_word(out, text(line, "user"));
	add_pair(out, line, "team", "env");
	add_pair(out, line, "cluster", "driver");
	if (json_is_number(json_object_get(ms, "total")))
		buf_printf(out, " %.1f ms", json_number_value(json_object_get(ms, "total")));
	if (json_is_true(json_object_get(line, "unfinished")))
		buf_add_str(out, STR(" unfinished"));
	add_plan(out, json_object_get(line, "plan"));
	if (json_object_get(line, "words") != NULL) {
		buf_add_str(out, STR(" refused:"));
		add_word(out, text(line, "words"));
	}
}

static bool
is_frame(const char *key)
{
	static const char *const frame[] = {"seq", "time", "gateway", "kind", "chain"};

	for (size_t i = 0; i < sizeof(frame) / sizeof(*frame); i++)
		if (strcmp(key, frame[i]) == 0)
			return true;
	return false;
}

/* Other kinds, whatever is in them: "act driver drain a/one by=uid=0 pid=17 done=true". */
static void
add_other(struct buf *out, json_t *line)
{
	const char *key;
	json_t *value;

	add_word(out, text(line, "kind"));
	json_object_foreach(line, key, value)
	{
		char *dump;

		if (is_frame(key))
			continue;
		buf_add_byte(out, ' ');
		if (strcmp(key, "act") != 0 && strcmp(key, "event") != 0) {
			add_clean(out, str_from(key));
			buf_add_byte(out, '=');
		}
		dump = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
		add_clean(out, str_from(dump != NULL ? dump : json_string_value(value)));
		free(dump);
	}
}

void
audit_show(struct buf *out, struct str line)
{
	json_t *json = json_loadb(line.p, line.n, 0, NULL);

	if (json_object_get(json, "seal") != NULL || strcmp(text(json, "kind"), "file") == 0) {
		json_decref(json);
		return;
	}
	if (json_is_object(json)) {
		add_clean(out, str_from(text(json, "time")));
		if (strcmp(text(json, "kind"), "rpc") == 0)
			add_rpc(out, json);
		else
			add_other(out, json);
	} else {
		if (line.n > 0 && line.p[line.n - 1] == '\n')
			line.n--;
		add_clean(out, line);
	}
	buf_add_byte(out, '\n');
	json_decref(json);
}
