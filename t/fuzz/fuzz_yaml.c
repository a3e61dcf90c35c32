/*
 * A whole configuration from any bytes: it loads or is refused with words, and what loads prints to
 * something that loads. Files that the input names are not opened.
 */
#include <stdint.h>
#include <stdlib.h>
#include "conf/conf.h"
#include "conf/load.h"
#include "conf/secret.h"
#include "lib/panic.h"

/* What is printed has the defaults in it; below this it surely stays below the limits of a file. */
#define PRINTED_MAX 30000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
hand_out(struct str content, char *buf, size_t size, size_t *ret_n)
{
	if (size < content.n)
		return E_LIMIT;
	memcpy(buf, content.p, content.n);
	*ret_n = content.n;
	return 0;
}

static int
read_tokens(const char *path, char *buf, size_t size, size_t *ret_n, char *words, size_t words_size)
{
	return hand_out(STR("token user group,group"), buf, size, ret_n);
}

/* A key set, and an authority for those who look for nothing but its first line. */
static int
read_keys(const char *path, char *buf, size_t size, size_t *ret_n, char *words, size_t words_size)
{
	static const char text[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
				   "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}],"
				   "\"ca\":\"-----BEGIN CERTIFICATE-----\"}";

	return hand_out(STR(text), buf, size, ret_n);
}

static const struct secret_reader nowhere = {read_tokens, read_keys};

static void
check_errors(const struct conf *c, const struct conf_error *errors)
{
	char text[512];
	unsigned line = 0;

	for (; errors != NULL; errors = errors->next) {
		ASSERT(errors->line >= line); /* sorted */
		ASSERT(conf_error_text(c, errors, text, sizeof(text)) > 0);
		line = errors->line;
	}
}

static void
check_print(const struct conf *c)
{
	struct conf_error *errors;
	struct conf *again;
	struct buf first, second;

	buf_init(&first, 16u << 20);
	buf_init(&second, 16u << 20);
	ASSERT(conf_print(c, &first) == 0);
	if (first.len <= PRINTED_MAX) {
		ASSERT(load_text("fuzz.yaml", buf_str(&first), &nowhere, &again, &errors) == 0);
		ASSERT(conf_print(again, &second) == 0);
		ASSERT(str_eq(buf_str(&first), buf_str(&second)));
		conf_free(&again);
	}
	buf_free(&first);
	buf_free(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct conf_error *errors;
	struct conf *c;
	int err = load_text("fuzz.yaml", text, &nowhere, &c, &errors);

	ASSERT(c != NULL);
	if (err == 0) {
		ASSERT(errors == NULL);
		check_print(c);
	} else {
		ASSERT(err == E_SYNTAX || err == E_NOMEM);
		ASSERT(err == E_NOMEM || errors != NULL);
		check_errors(c, errors);
	}
	conf_free(&c);
	return 0;
}
