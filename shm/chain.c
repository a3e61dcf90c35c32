/*
 * Chain, seal, and the shape of an audit line.
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/panic.h"
#include "shm/chain.h"

#define CHAIN_MAGIC 0x43686169u
#define CHAIN_NAME  ",\"chain\":\""
#define SEAL_NAME   ",\"seal\":\""
#define LINE_END    "\"}"
#define DIGEST	    32
#define NAME_FIRST  "audit-"
#define NAME_LAST   ".log"
#define SEQ_DIGITS  12

struct chain {
	unsigned magic;
	EVP_MD_CTX *ctx;
	EVP_MD *sha256;
	char value[CHAIN_HEX + 1];
};

_Static_assert(sizeof(CHAIN_NAME) - 1 + CHAIN_HEX + sizeof(LINE_END) == CHAIN_TAIL, "the tail");
_Static_assert(sizeof(SEAL_NAME) - 1 + CHAIN_SEAL_HEX + sizeof(LINE_END) == CHAIN_SEAL_TAIL,
	       "the tail");

struct chain *
chain_new(void)
{
	struct chain *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->magic = CHAIN_MAGIC;
	c->ctx = EVP_MD_CTX_new();
	c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (c->ctx == NULL || c->sha256 == NULL)
		chain_free(&c);
	else
		chain_set(c, NULL);
	return c;
}

void
chain_free(struct chain **ret)
{
	struct chain *c = *ret;

	if (c == NULL)
		return;
	CHECK_MAGIC(c, CHAIN_MAGIC);
	*ret = NULL;
	EVP_MD_CTX_free(c->ctx);
	EVP_MD_free(c->sha256);
	c->magic = 0;
	free(c);
}

const char *
chain_value(const struct chain *c)
{
	CHECK_MAGIC(c, CHAIN_MAGIC);
	return c->value;
}

void
chain_set(struct chain *c, const char value[CHAIN_HEX])
{
	CHECK_MAGIC(c, CHAIN_MAGIC);
	if (value == NULL)
		memset(c->value, '0', CHAIN_HEX);
	else
		memcpy(c->value, value, CHAIN_HEX);
	c->value[CHAIN_HEX] = '\0';
}

/* ---- making ---- */

static void
put_hex(char *p, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		*p++ = digits[bytes[i] >> 4];
		*p++ = digits[bytes[i] & 15];
	}
}

static void
put_tail(char *p, const char *name, const char *value, size_t n)
{
	size_t name_len = strlen(name);

	memcpy(p, name, name_len);
	memcpy(p + name_len, value, n);
	memcpy(p + name_len + n, LINE_END "\n", sizeof(LINE_END));
}

void
chain_add(struct chain *c, const char *line, size_t n, char ret_tail[CHAIN_TAIL])
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	CHECK_MAGIC(c, CHAIN_MAGIC);
	ASSERT(EVP_DigestInit_ex(c->ctx, c->sha256, NULL) == 1 &&
	       EVP_DigestUpdate(c->ctx, c->value, CHAIN_HEX) == 1 &&
	       EVP_DigestUpdate(c->ctx, line, n) == 1 &&
	       EVP_DigestFinal_ex(c->ctx, digest, NULL) == 1);
	put_hex(c->value, digest, CHAIN_HEX / 2);
	put_tail(ret_tail, CHAIN_NAME, c->value, CHAIN_HEX);
}

void
chain_seal(const uint8_t key[CHAIN_KEY], const char *line, size_t n, char ret_tail[CHAIN_SEAL_TAIL])
{
	uint8_t digest[DIGEST];
	char hex[CHAIN_SEAL_HEX];
	unsigned len = 0;

	ASSERT(HMAC(EVP_sha256(), key, CHAIN_KEY, (const uint8_t *)line, n, digest, &len) != NULL &&
	       len == DIGEST);
	put_hex(hex, digest, DIGEST);
	put_tail(ret_tail, SEAL_NAME, hex, CHAIN_SEAL_HEX);
}

/* ---- taking apart ---- */

static bool
is_hex(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
			return false;
	return true;
}

/* The line ends in NAME VALUE "}: its text before that, and the value. */
static bool
split(struct str line, const char *name, size_t hex, struct str *ret_text, struct str *ret_value)
{
	size_t name_len = strlen(name), tail = name_len + hex + strlen(LINE_END);
	struct str text;

	if (line.n <= tail)
		return false;
	text = (struct str){line.p, line.n - tail};
	*ret_text = text;
	*ret_value = (struct str){line.p + text.n + name_len, hex};
	return memcmp(line.p + text.n, name, name_len) == 0 && is_hex(*ret_value) &&
	       memcmp(line.p + line.n - strlen(LINE_END), LINE_END, strlen(LINE_END)) == 0;
}

/* Behind NAME, up to what does not belong to the value. */
static struct str
value_of(struct str line, const char *name, const char *after, const char *until)
{
	char key[48];
	int n = snprintf(key, sizeof(key), "\"%s\":%s", name, after);
	const char *at =
		n > 0 && (size_t)n < sizeof(key) ? memmem(line.p, line.n, key, (size_t)n) : NULL;
	size_t len = 0;

	if (at == NULL)
		return STR_NONE;
	at += n;
	while (at + len < line.p + line.n && strchr(until, at[len]) == NULL)
		len++;
	return (struct str){at, len};
}

struct str
chain_member(struct str line, const char *name)
{
	return value_of(line, name, "\"", "\"");
}

static int
number_of(struct str line, const char *name, uint64_t *ret)
{
	return str_u64(value_of(line, name, "", ",}"), UINT64_MAX - 1, ret);
}

static int
parse_seal(struct chain_line *ret)
{
	struct str text = ret->text;

	ret->is_seal = true;
	ret->first = chain_member(text, "first");
	ret->time = chain_member(text, "last");
	ret->chain = chain_member(text, "chain");
	if (!str_starts(text, STR("{\"records\":")) || ret->chain.n != CHAIN_HEX ||
	    number_of(text, "records", &ret->records) != 0 ||
	    number_of(text, "first_seq", &ret->first_seq) != 0 ||
	    number_of(text, "last_seq", &ret->seq) != 0)
		return E_SYNTAX;
	return 0;
}

int
chain_parse(struct str line, struct chain_line *ret)
{
	*ret = (struct chain_line){.is_seal = false};
	if (line.n > 0 && line.p[line.n - 1] == '\n')
		line.n--;
	if (split(line, SEAL_NAME, CHAIN_SEAL_HEX, &ret->text, &ret->value))
		return parse_seal(ret);
	if (!split(line, CHAIN_NAME, CHAIN_HEX, &ret->text, &ret->value))
		return E_SYNTAX;
	ret->time = chain_member(ret->text, "time");
	if (!str_starts(ret->text, STR("{\"seq\":")) || number_of(ret->text, "seq", &ret->seq) != 0)
		return E_SYNTAX;
	return 0;
}

/* ---- names ---- */

/* "2026-11-22T10:11:12.345Z" without what a name need not have. */
void
chain_file_name(struct str first_time, uint64_t first_seq, char ret[CHAIN_NAME_MAX])
{
	char stamp[20] = "";
	size_t n = 0;

	for (size_t i = 0; i < first_time.n && first_time.p[i] != '.' && n < sizeof(stamp) - 1; i++)
		if (first_time.p[i] != '-' && first_time.p[i] != ':')
			stamp[n++] = first_time.p[i];
	snprintf(ret, CHAIN_NAME_MAX, NAME_FIRST "%.*sZ-%0*llu" NAME_LAST, (int)n, stamp,
		 SEQ_DIGITS, (unsigned long long)first_seq);
}

int
chain_file_seq(const char *name, uint64_t *ret_first_seq)
{
	struct str s = str_from(name), rest;

	if (!str_starts(s, STR(NAME_FIRST)) || !str_ends(s, STR(NAME_LAST)))
		return E_SYNTAX;
	s.p += strlen(NAME_FIRST);
	s.n -= strlen(NAME_FIRST) + strlen(NAME_LAST);
	if (s.n > 64)
		return E_SYNTAX;
	str_cut(s, '-', &rest);
	if (rest.n < SEQ_DIGITS)
		return E_SYNTAX;
	return str_u64(rest, UINT64_MAX - 1, ret_first_seq);
}
