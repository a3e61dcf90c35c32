/*
 * The table of names, and OpenSSL's callback that looks into it.
 *
 *	base --ex_data--> table --> names, sorted --> base, or one of `more`
 *
 * What stays the base's after a change of context: tickets and their keys, whether a client
 * certificate is demanded, options. What is the new context's: certificate, ALPN, suites, and the
 * authorities that a client certificate is checked against.
 */
#include <stdlib.h>
#include "lib/arena.h"
#include "lib/cert.h"
#include "lib/panic.h"
#include "lib/sni.h"

#define SNI_MAGIC	0x534E49u
#define SNI_TABLE_BYTES ((size_t)1 << 30)

struct entry {
	struct str name;
	SSL_CTX *ctx;
	unsigned order; /* of its certificate */
};
struct names {
	struct str *list;
	unsigned count;
};
struct table {
	unsigned magic;
	struct arena *arena; /* all of this */
	SSL_CTX *base;	     /* it owns us, not we it */
	SSL_CTX **more;
	unsigned more_count;
	struct entry *entries; /* by name, each once */
	size_t count;
};

/* ---- in the handshake ---- */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool
is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

struct str
sni_name(const SSL *ssl, char buf[SNI_SIZE])
{
	struct str s = str_from(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));

	if (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	if (s.n == 0 || s.n >= SNI_SIZE)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++) {
		buf[i] = lower(s.p[i]);
		if (!is_host_char(buf[i]))
			return STR_NONE;
	}
	buf[s.n] = '\0';
	return (struct str){buf, s.n};
}

static int
compare_text(struct str a, struct str b)
{
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

	return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int
compare_name(const void *key, const void *entry)
{
	return compare_text(*(const struct str *)key, ((const struct entry *)entry)->name);
}

static SSL_CTX *
find(const struct table *t, struct str name)
{
	char wildcard[SNI_SIZE + 1] = "*.";
	const struct entry *e;
	struct str rest;

	if (t->count == 0)
		return t->base;
	e = bsearch(&name, t->entries, t->count, sizeof(*e), compare_name);
	str_cut(name, '.', &rest);
	if (e == NULL && rest.n > 0 && name.p[0] != '.') {
		memcpy(wildcard + 2, rest.p, rest.n);
		rest = (struct str){wildcard, rest.n + 2};
		e = bsearch(&rest, t->entries, t->count, sizeof(*e), compare_name);
	}
	return e != NULL ? e->ctx : t->base;
}

/* A name is acknowledged even when it chose nothing, for the router uses it too; so TLS 1.2 keeps
 * it in the session. After a HelloRetryRequest it comes a second time. */
static int
choose(SSL *ssl, int *alert, void *arg)
{
	const struct table *t = arg;
	char buf[SNI_SIZE];
	struct str name;
	SSL_CTX *ctx;

	CHECK_MAGIC(t, SNI_MAGIC);
	name = sni_name(ssl, buf);
	ctx = name.p != NULL ? find(t, name) : t->base;
	if (SSL_get_SSL_CTX(ssl) != ctx && SSL_set_SSL_CTX(ssl, ctx) == NULL) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return name.p != NULL ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* ---- before the fork ---- */

static void
drop(struct table *t)
{
	struct arena *arena = t->arena;

	for (unsigned i = 0; i < t->more_count; i++)
		SSL_CTX_free(t->more[i]);
	t->magic = 0;
	arena_free(&arena);
}

/* Called when a context goes, with NULL for those that are nobody's base. */
static void
base_gone(void *ctx, void *table, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)ctx, (void)ad, (void)index, (void)argl, (void)argp;
	if (table != NULL)
		drop(table);
}

static int
own_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, base_gone);
	return index;
}

static struct table *
new_table(SSL_CTX *base, SSL_CTX *const *more, unsigned count)
{
	struct arena *arena = arena_new(1024, SNI_TABLE_BYTES);
	struct table *t = arena != NULL ? arena_alloc(arena, sizeof(*t)) : NULL;
	SSL_CTX **own = t != NULL ? arena_array(arena, (size_t)count + 1, sizeof(*own)) : NULL;

	if (own == NULL) {
		arena_free(&arena);
		return NULL;
	}
	for (unsigned i = 0; i < count; i++)
		own[i] = more[i];
	*t = (struct table){SNI_MAGIC, arena, base, own, count, NULL, 0};
	return t;
}

static SSL_CTX *
nth(const struct table *t, unsigned i)
{
	return i == 0 ? t->base : t->more[i - 1];
}

static int
read_names(struct table *t, unsigned i, struct names *ret, const char **ret_why)
{
	int rc = cert_names(SSL_CTX_get0_certificate(nth(t, i)), CERT_DNS, t->arena, &ret->list,
			    &ret->count);

	if (rc == E_NOMEM) {
		*ret_why = "out of memory";
		return rc;
	}
	if (rc == E_LIMIT)
		*ret_why = "has more than 256 names, or one of more than 255 bytes";
	else if (rc != 0)
		*ret_why = "has a malformed subjectAltName";
	else if (ret->count == 0 && i > 0)
		*ret_why = "has no DNS name in its subjectAltName, so it would never be chosen";
	else
		return 0;
	return E_TLS;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int c = compare_text(x->name, y->name);

	return c != 0 ? c : (x->order > y->order) - (x->order < y->order);
}

/* Of several certificates with one name only the first is left. */
static void
sort(struct table *t)
{
	size_t kept = 0;

	qsort(t->entries, t->count, sizeof(struct entry), compare_entries);
	for (size_t i = 0; i < t->count; i++)
		if (kept == 0 || !str_eq(t->entries[kept - 1].name, t->entries[i].name))
			t->entries[kept++] = t->entries[i];
	t->count = kept;
}

static int
fill(struct table *t, const struct names *names)
{
	size_t total = 0;

	for (unsigned i = 0; i <= t->more_count; i++)
		total += names[i].count;
	t->entries = arena_array(t->arena, total + 1, sizeof(struct entry));
	if (t->entries == NULL)
		return E_NOMEM;
	for (unsigned i = 0; i <= t->more_count; i++)
		for (unsigned k = 0; k < names[i].count; k++) {
			char buf[CERT_NAME_MAX + 1];
			struct str name = names[i].list[k];

			for (size_t at = 0; at < name.n; at++)
				buf[at] = lower(name.p[at]);
			t->entries[t->count++] = (struct entry){
				arena_str(t->arena, (struct str){buf, name.n}), nth(t, i), i};
		}
	return arena_failed(t->arena) ? E_NOMEM : 0;
}

/* A certificate that can never be shown is a mistake of whoever listed it. */
static int
find_useless(const struct table *t, unsigned *ret_wrong)
{
	for (unsigned i = 1; i <= t->more_count; i++) {
		bool used = false;

		for (size_t k = 0; k < t->count && !used; k++)
			used = t->entries[k].order == i;
		if (!used) {
			*ret_wrong = i;
			return E_TLS;
		}
	}
	return 0;
}

static int
build(struct table *t, unsigned *ret_wrong, const char **ret_why)
{
	struct names *names =
		arena_array(t->arena, (size_t)t->more_count + 1, sizeof(struct names));
	int rc = names == NULL ? E_NOMEM : 0;

	*ret_why = "out of memory";
	for (unsigned i = 0; i <= t->more_count && rc == 0; i++) {
		*ret_wrong = i;
		rc = read_names(t, i, &names[i], ret_why);
	}
	if (rc == 0)
		rc = fill(t, names);
	if (rc != 0)
		return rc;
	sort(t);
	*ret_why = "has only names that earlier certificates have, so it would never be chosen";
	return find_useless(t, ret_wrong);
}

int
sni_choose_from(SSL_CTX *base, SSL_CTX *const *more, unsigned count, unsigned *ret_wrong,
		const char **ret_why)
{
	struct table *t = new_table(base, more, count);
	unsigned wrong = 0;
	const char *why = "out of memory";
	int rc = t == NULL ? E_NOMEM : 0;

	if (t == NULL)
		for (unsigned i = 0; i < count; i++)
			SSL_CTX_free(more[i]);
	else if (count > 0)
		rc = build(t, &wrong, &why);
	if (rc == 0 && SSL_CTX_set_ex_data(base, own_index(), t) != 1)
		rc = E_NOMEM;
	if (rc != 0) {
		if (t != NULL)
			drop(t);
		*ret_wrong = wrong;
		*ret_why = why;
		return rc;
	}
	SSL_CTX_set_tlsext_servername_callback(base, choose);
	SSL_CTX_set_tlsext_servername_arg(base, t);
	return 0;
}
