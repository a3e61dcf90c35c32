/*
 * The choice between the drivers of a cluster. Any process.
 */
#include <stdatomic.h>
#include "lib/hash.h"
#include "policy/balance.h"

struct load {
	struct registry_driver *driver;
	uint64_t sessions, per_weight, hash;
};

/* NULL: it takes sessions; else why it does not. */
static const char *
obstacle(const struct balance *b, const struct registry_driver *d)
{
	struct health h;

	if (d->draining)
		return "it is being drained";
	if (d->id == b->avoid)
		return "it has just failed";
	if (health_read(&b->health[d->slot], &h) != 0 || h.driver_id != d->id)
		return "it has not been probed yet";
	if (h.state == HEALTH_DOWN)
		return "it is down";
	if (h.state != HEALTH_UP)
		return "it has not been probed yet";
	return h.address.family == 0 ? "its name has not been resolved yet" : NULL;
}

static struct load
weigh(const struct balance *b, struct registry_driver *d)
{
	uint64_t sessions =
		atomic_load_explicit(&b->driver_sessions[d->slot], memory_order_relaxed);

	return (struct load){d, sessions, sessions * 1000 / d->weight,
			     hash_stable(&d->id, sizeof d->id, b->key)};
}

static void
trace_best(const struct balance *b, const struct registry_cluster *c, const struct load *best,
	   unsigned usable, bool tie)
{
	if (usable == 1)
		ROUTER_TRACE(b->trace,
			     "driver: \"%.*s\" of cluster \"%.*s\", the only one that takes "
			     "sessions",
			     STR_ARG(best->driver->name), STR_ARG(c->name));
	else
		ROUTER_TRACE(b->trace,
			     "driver: \"%.*s\" of cluster \"%.*s\", of %u the one with the fewest "
			     "sessions per weight: %llu/%u%s",
			     STR_ARG(best->driver->name), STR_ARG(c->name), usable,
			     (unsigned long long)best->sessions, best->driver->weight,
			     tie ? "; the session's key decided a tie" : "");
}

struct registry_driver *
balance_pick(const struct balance *b, const struct registry_cluster *c)
{
	struct load best = {NULL, 0, UINT64_MAX, 0};
	unsigned usable = 0;
	bool tie = false;

	for (unsigned i = 0; i < c->drivers_count; i++) {
		const char *why_not = obstacle(b, &c->drivers[i]);

		if (why_not != NULL) {
			ROUTER_DETAIL(b->trace, "driver: \"%.*s\" is passed over: %s",
				      STR_ARG(c->drivers[i].name), why_not);
			continue;
		}
		struct load l = weigh(b, &c->drivers[i]);
		usable++;
		if (l.per_weight > best.per_weight)
			continue;
		tie = l.per_weight == best.per_weight;
		if (!tie || l.hash > best.hash)
			best = l;
	}
	if (b->trace != NULL && best.driver != NULL)
		trace_best(b, c, &best, usable, tie);
	return best.driver;
}
