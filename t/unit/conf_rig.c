/*
 * The rig itself; see conf_rig.h.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "conf/load.h"
#include "conf/schema.h"
#include "conf/secret.h"
#include "t/unit/conf_rig.h"

struct conf *conf;
struct conf_error *errors;

void
rig_teardown(void)
{
	conf_free(&conf);
}

static const char key_set[] = "{\"keys\":[{\"kty\":\"EC\",\"kid\":\"e1\",\"crv\":\"P-256\","
			      "\"x\":\"6pomt3A3YjSW_2R4J6ksGMG6UEunXiQvnADYFZw2xg8\","
			      "\"y\":\"rik71rkmNAkwClEDk3pL4lqDSus6diWcuGmeR9CNli8\"}]}\n";

/* Files that exist only here. */
static int
read_fake(const char *path, char *buf, size_t size, size_t *ret_n, char *words, size_t words_size)
{
	static const char *const files[][2] = {
		{"/t/spark.token", "\n s3cret-of-spark \n"},
		{"/t/fe-prod.token", "s3cret-of-fe"},
		{"/t/empty.token", " \n\n"},
		{"/t/two.token", "s3cret words"},
		{"/t/tokens",
		 "# who\ns3cret-a alice eng,ops\n\n\ts3cret-b\tbob\r\ns3cret-c carol eng"},
		{"/t/bad", "s3cret-a\ns3cret-b bob x y\ns3cret-c carol a,,b\n\x01s3 dan\n"},
		{"/t/twins", "s3cret alice\ns3cret-x carol\ns3cret bob\n"},
		{"/t/none", "# nobody\n"},
		{"/t/kubernetes.jwks", key_set},
		{"/t/secret.jwks", "{\"keys\":[{\"kty\":\"oct\",\"k\":"
				   "\"czNjcmV0LW9mLTMyLWJ5dGVzLWZvci1ITUFDLTI1Ng\"}]}"},
		{"/t/company-ca.crt", "it\n-----BEGIN CERTIFICATE-----\nMII\n"},
		{"/t/blank", " \n"},
		{"/t/ship.id", "AKIA1\n"},
		{"/t/ship.secret", "s3cret-of-ship\n"},
	};

	for (size_t i = 0; i < N(files); i++) {
		if (strcmp(path, files[i][0]) != 0)
			continue;
		*ret_n = strlen(files[i][1]);
		cr_assert_leq(*ret_n, size);
		memcpy(buf, files[i][1], *ret_n);
		return 0;
	}
	snprintf(words, words_size, "not here");
	return E_IO;
}

static const struct secret_reader fake = {read_fake, read_fake};

int
rig_load(const char *text)
{
	conf_free(&conf);
	return load_text("/t/gw.yaml", str_from(text), &fake, &conf, &errors);
}

/* All errors as they would be printed, without the file's name. */
const char *
rig_errors(void)
{
	static char text[8192];
	size_t at = 0;

	text[0] = '\0';
	for (const struct conf_error *e = errors; e != NULL && at + 1024 < sizeof(text);
	     e = e->next) {
		char line[1024];

		conf_error_text(conf, e, line, sizeof(line));
		cr_expect(strncmp(line, "/t/gw.yaml:", 11) == 0, "%s", line);
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", line + 11);
	}
	return text;
}

void
rig_refuses(const char *text, const char *wanted)
{
	cr_expect_eq(rig_load(text), E_SYNTAX, "%s", text);
	cr_expect_str_eq(rig_errors(), wanted, "--- %s--- got\n%s--- wanted\n%s", text,
			 rig_errors(), wanted);
	cr_expect_null(strstr(rig_errors(), "s3cret"));
}

static bool equal_block(const struct schema_row *, const char *, const char *);

static bool
equal_row(const struct schema_row *row, const char *a, const char *b)
{
	const char *x = a + row->at, *y = b + row->at;
	const struct str *s = (const void *)x, *t = (const void *)y;
	unsigned count = 1;

	if (row->type == SCHEMA_MAP) {
		if (row->has_at != SCHEMA_NOWHERE && a[row->has_at] != b[row->has_at])
			return false;
		return equal_block(row, x, y);
	}
	if (row->type == SCHEMA_U32 || row->type == SCHEMA_ENUM)
		return memcmp(x, y, sizeof(uint32_t)) == 0;
	if (row->type == SCHEMA_DURATION || row->type == SCHEMA_SIZE)
		return memcmp(x, y, sizeof(uint64_t)) == 0;
	if (row->type == SCHEMA_BOOL)
		return *x == *y;
	if (row->type == SCHEMA_ADDRESS)
		return sock_addr_eq((const void *)x, (const void *)y);
	if (row->type == SCHEMA_LIST || row->type == SCHEMA_STRS) {
		count = *(const unsigned *)(const void *)(a + row->count_at);
		if (memcmp(a + row->count_at, b + row->count_at, sizeof(count)) != 0)
			return false;
		s = *(const struct str *const *)(const void *)x;
		t = *(const struct str *const *)(const void *)y;
	}
	for (unsigned i = 0; i < count; i++) {
		size_t at = i * row->size;

		if (row->type == SCHEMA_LIST &&
		    !equal_block(row, (const char *)s + at, (const char *)t + at))
			return false;
		if (row->type != SCHEMA_LIST && !(str_eq(s[i], t[i]) && !s[i].p == !t[i].p))
			return false;
	}
	return true;
}

static bool
equal_block(const struct schema_row *block, const char *a, const char *b)
{
	const struct schema_row *row;

	for (row = schema_next(block, NULL); row != NULL; row = schema_next(block, row))
		if (!equal_row(row, a, b)) {
			cr_log_error("not equal: %s", row->path);
			return false;
		}
	return true;
}

void
rig_print_and_load(const char *text)
{
	struct conf *first;
	struct buf out;

	buf_init(&out, 1u << 20);
	cr_assert_eq(rig_load(text), 0, "%s\n%s", rig_errors(), text);
	cr_assert_eq(conf_print(conf, &out), 0);
	cr_expect_null(strstr(buf_cstr(&out), "s3cret"));
	first = conf;
	conf = NULL;
	cr_assert_eq(rig_load(buf_cstr(&out)), 0, "%s\n%s", rig_errors(), buf_cstr(&out));
	cr_expect(equal_block(NULL, (const char *)first, (const char *)conf), "%s", buf_cstr(&out));
	conf_free(&first);
	buf_free(&out);
}
