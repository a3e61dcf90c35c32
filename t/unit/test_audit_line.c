/* Facts become JSON, whatever bytes they are. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>
#include "keeper/audit_line.h"

static struct buf out;
static uint8_t bytes[AUDIT_RECORD_MAX];
static struct audit_facts facts;

static void
start(void)
{
	buf_init(&out, 1 << 20);
	facts = (struct audit_facts){.p = bytes, .size = sizeof(bytes)};
}

static void
stop(void)
{
	buf_free(&out);
}

TestSuite(audit_line, .init = start, .fini = stop, .timeout = 60);

static const char *
put(struct audit_redact *redact)
{
	struct audit_values v;

	cr_assert(audit_line_read((struct str){(char *)bytes, facts.n}, &v));
	buf_clear(&out);
	buf_add_str(&out, STR("{\"seq\":1"));
	audit_line_put(&out, &v, redact);
	buf_add_byte(&out, '}');
	return buf_cstr(&out);
}

Test(audit_line, the_least_that_is_known)
{
	cr_expect_str_eq(
		put(NULL),
		"{\"seq\":1,\"worker\":0,\"client\":0,\"rpc\":0,\"status\":\"OK\",\"code\":0,"
		"\"bytes_in\":0,"
		"\"bytes_out\":0,\"messages_in\":0,\"messages_out\":0,\"ms\":{\"total\":0.000}}");
	audit_number(&facts, AUDIT_unfinished, 1);
	audit_number(&facts, AUDIT_status, 14);
	cr_expect_str_eq(put(NULL), "{\"seq\":1,\"worker\":0,\"client\":0,\"rpc\":0,\"status\":"
				    "\"UNAVAILABLE\",\"code\":14,"
				    "\"unfinished\":true}");
}

Test(audit_line, a_text_cannot_pose_as_another_where_the_file_is_looked_at)
{
	audit_text(&facts, AUDIT_user,
		   STR("\x7f\xc2\x9b"
		       "31m\xe2\x80\xae\xc3\xa9\xe2\x82\xac\xff"));
	cr_expect_not_null(
		strstr(put(NULL),
		       "\"user\":\"\\u007f\\u009b31m\\u202e\xc3\xa9\xe2\x82\xac\xef\xbf\xbd\""),
		"%s", buf_cstr(&out));
}

Test(audit_line, all_that_can_be_known)
{
	static const char sha[32] = "\x00\x01\xff";
	json_t *json, *ms, *plan;

	for (enum audit_field f = 1; f < AUDIT_FIELDS_END; f++) {
		if (audit_fields[f].kind == AUDIT_TEXT)
			audit_text(&facts, f, STR("x \"y\" \\ \x01\n"));
		else if (audit_fields[f].kind == AUDIT_HEX)
			audit_text(&facts, f, (struct str){sha, sizeof(sha)});
		else
			audit_number(&facts, f, f == AUDIT_status ? 5 : 1764460800123ull + f);
	}
	json = json_loads(put(NULL), JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(json, "%s", buf_cstr(&out));
	ms = json_object_get(json, "ms");
	plan = json_object_get(json, "plan");
	/* time stands before the facts, and the number; code comes with status; two groups */
	cr_expect_eq(json_object_size(json) + json_object_size(ms) + json_object_size(plan),
		     (size_t)AUDIT_FIELDS_END - 1 - 1 + 1 + 1 + 2);
	cr_expect_str_eq(json_string_value(json_object_get(json, "user")), "x \"y\" \\ \x01\n");
	cr_expect_str_eq(json_string_value(json_object_get(json, "status")), "NOT_FOUND");
	cr_expect_str_eq(json_string_value(json_object_get(json, "begun")),
			 "2025-11-30T00:00:00.163Z");
	cr_expect_str_eq(json_string_value(json_object_get(plan, "sql_sha256")),
			 "0001ff0000000000000000000000000000000000000000000000000000000000");
	cr_expect_float_eq(json_real_value(json_object_get(ms, "who")), 1764460800.151, 0.01);
	json_decref(json);
}

/* Eight bytes are looked at together: each kind of character at each place. */
Test(audit_line, wherever_a_character_stands)
{
	static const char *const kinds[] = {"\"",	"\\", "\x7f", "\x1f", "\n",
					    "\xc3\xa4", "~",  " ",    "!"};

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		for (int at = 0; at < 20; at++) {
			char text[64];
			json_t *json;

			snprintf(text, sizeof(text), "%.*s%s%s", at, "abcdefghijklmnopqrstuvwxyz",
				 kinds[k], "0123456789abcdef");
			buf_clear(&out);
			buf_add_byte(&out, '{');
			audit_line_text(&out, "x", str_from(text));
			buf_add_byte(&out, '}');
			json = json_loads(buf_cstr(&out), 0, NULL);
			cr_assert_not_null(json, "%s", buf_cstr(&out));
			cr_expect_str_eq(json_string_value(json_object_get(json, "x")), text);
			cr_expect_eq(strchr(buf_cstr(&out), 0x7f), NULL);
			json_decref(json);
		}
}

/* What a worker that was taken over may put into its ring. */
Test(audit_line, any_bytes_make_json)
{
	struct audit_values v;

	srandom(5);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)random() % 300;
		json_t *json;

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)(random() % 3 ? random() % 64 | 0x80 : random());
		audit_line_read((struct str){(char *)bytes, n}, &v);
		buf_clear(&out);
		buf_add_str(&out, STR("{\"seq\":1"));
		audit_line_put(&out, &v, NULL);
		buf_add_byte(&out, '}');
		json = json_loadb((char *)out.p, out.len, JSON_REJECT_DUPLICATES, NULL);
		cr_assert_not_null(json, "%s", buf_cstr(&out));
		json_decref(json);
	}
}

Test(audit_line, redaction_knows_no_end_of_text)
{
	struct str patterns[] = {STR("x*"), STR("secret[0-9]+"), STR("^begin"), STR("q|w")};
	struct audit_redact *r = audit_redact_new(patterns, 4);

	cr_assert_not_null(r);
	cr_expect(str_eq(audit_redact_apply(r, STR("nothing here")), STR("nothing here")));
	cr_expect(str_eq(audit_redact_apply(r, STR("secret1 \0 secret22")),
			 STR("[redacted] \0 [redacted]")),
		  "behind a NUL, too");
	cr_expect(str_eq(audit_redact_apply(r, STR("xxx")), STR("[redacted]")));
	cr_expect(str_eq(audit_redact_apply(r, STR_NONE), STR_NONE));
	audit_redact_free(&r);
	patterns[1] = STR("(");
	cr_expect_null(audit_redact_new(patterns, 2));
	r = audit_redact_new(NULL, 0);
	cr_expect(str_eq(audit_redact_apply(r, STR("as it is")), STR("as it is")));
	audit_redact_free(&r);
}
