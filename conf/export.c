/*
 * What leaves for other services: whether it can be sent as the configuration says. The files of
 * keys are only looked at: who sends reads them again, each time.
 */
#include "conf/export.h"
#include "conf/secret.h"
#include "conf/url.h"

#define OBJECT_MAX (5ull << 30) /* of one PUT, by S3 */
#define KEY_MAX	   ((size_t)256)

static bool
is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-' || c == '=';
}

/* Names that every store and every reader of tables takes as they are. */
static bool
is_prefix(struct str prefix)
{
	struct str rest = prefix;

	while (rest.p != NULL) {
		struct str part = str_cut(rest, '/', &rest);

		if (part.n == 0 || part.p[0] == '.')
			return false;
		for (size_t i = 0; i < part.n; i++)
			if (!is_plain(part.p[i]))
				return false;
	}
	return true;
}

static void
check_key(struct loading *l, const struct conf_ship *ship, const char *path, struct str file)
{
	char buf[KEY_MAX], words[128];
	size_t n = 0;

	if (file.p == NULL)
		return;
	if (l->reader->read(file.p, buf, sizeof(buf), &n, words, sizeof(words)) != 0)
		loading_fail(l, ship, path, -1, "%s: %s", file.p, words);
	else if (n == 0)
		loading_fail(l, ship, path, -1, "%s is empty", file.p);
	explicit_bzero(buf, sizeof(buf));
}

static void
check_ship(struct loading *l, const struct conf_ship *ship)
{
	if (ship->endpoint.p != NULL && url_has_query(ship->endpoint))
		loading_fail(l, ship, "audit.ship.endpoint", -1, "must have no query");
	if (ship->prefix.p != NULL && !is_prefix(ship->prefix))
		loading_fail(l, ship, "audit.ship.prefix", -1,
			     "must be names of A-Z a-z 0-9 . _ - = with single slashes between, "
			     "none beginning with a dot");
	check_key(l, ship, "audit.ship.access_key_file", ship->access_key_file);
	check_key(l, ship, "audit.ship.secret_key_file", ship->secret_key_file);
	if (l->conf->audit.max_bytes > OBJECT_MAX)
		loading_fail(l, l->conf, "audit.max_bytes", -1,
			     "at most 5GiB where files are shipped: a store takes no larger ones");
	if (!l->conf->audit.enabled)
		loading_fail(l, ship, "audit.ship.endpoint", -1,
			     "there is nothing to ship with audit.enabled: false");
}

static void
check_tracing(struct loading *l, const struct conf_tracing *t)
{
	if (t->endpoint.p != NULL && url_has_query(t->endpoint))
		loading_fail(l, t, "tracing.endpoint", -1, "must have no query");
	if (!l->conf->audit.enabled)
		loading_fail(l, t, "tracing.endpoint", -1,
			     "spans are made of audit records: they need audit.enabled: true");
}

void
export_check(struct loading *l)
{
	if (l->conf->audit.has_ship)
		check_ship(l, &l->conf->audit.ship);
	if (l->conf->audit.has_tracing)
		check_tracing(l, &l->conf->audit.tracing);
}
