/*
 * Key sets come from files of at most 256 KiB and are checked as a whole at load, so that an error
 * is found by the operator and not by the first client.
 */
#include <stdlib.h>
#include "conf/keyset.h"
#include "conf/secret.h"
#include "proto/jwks.h"

_Static_assert(KEYSET_MAX == JWKS_TEXT_MAX, "both say 256 KiB");

#define P "auth.providers[]."

/* NULL, or what is wrong with the text of a key set. The keys themselves are made by whoever checks
 * tokens with them. */
static const char *
keys_wrong(struct str text, struct arena *arena)
{
	struct jwks_key *keys;
	unsigned count;
	const char *why;

	if (jwks_parse(text, arena, &keys, &count, &why) != 0)
		return why;
	jwks_free(keys, count);
	return NULL;
}

static const char *
authority_wrong(struct str text, struct arena *arena)
{
	static const char mark[] = "-----BEGIN CERTIFICATE-----";

	if (memmem(text.p, text.n, mark, sizeof(mark) - 1) == NULL)
		return "holds no certificate in PEM";
	return NULL;
}

/* The file's text in buf; STR_NONE after an error, which has been told. */
static struct str
take(struct loading *l, const struct conf_provider *p, struct str file, const char *key, char *buf,
     const char *(*wrong)(struct str text, struct arena *))
{
	struct str text = {buf, 0};
	const char *why = NULL;
	char words[128];

	if (l->reader->read_public(file.p, buf, KEYSET_MAX, &text.n, words, sizeof(words)) != 0)
		why = words;
	else
		why = wrong(text, l->conf->arena);
	if (why == NULL)
		return text;
	loading_fail(l, p, key, -1, "%s: %s", file.p, why);
	return STR_NONE;
}

static void
load(struct loading *l, struct conf_provider *p, char *buf)
{
	if (p->jwks_file.p != NULL)
		p->jwks = arena_str(l->conf->arena,
				    take(l, p, p->jwks_file, P "jwks_file", buf, keys_wrong));
	if (p->ca.p != NULL)
		(void)take(l, p, p->ca, P "ca", buf, authority_wrong);
}

void
keyset_load(struct loading *l)
{
	struct conf *c = l->conf;
	char *buf = malloc(KEYSET_MAX);

	for (unsigned i = 0; buf != NULL && i < c->providers_count; i++)
		load(l, &c->providers[i], buf);
	free(buf);
}
