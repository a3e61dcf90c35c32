/*
 * The reload as a transaction: the next world is built beside the current one, then either takes
 * its place or leaves no trace. Supervisor only.
 *
 * Requests that come while one is under way are answered by one more reload after it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "daemon/children.h"
#include "daemon/listeners.h"
#include "daemon/world.h"

/*
 *	IDLE --reload_request--> STARTING --workers READY--> SWAPPING --keeper, checker READY--.
 *	 ^                          |                           |                             |
 *	 '-------------- any failure, or commit ----------------+-----------------------------'
 */
enum reload_state { RELOAD_IDLE, RELOAD_STARTING, RELOAD_SWAPPING };

struct reload_hooks {
	void (*began)(void *arg);
	void (*finished)(void *arg, bool failed);
};

struct reload_asker { /* a controller; pid 0: a signal */
	pid_t pid;
	uint32_t id;
};

struct reload {
	struct children *children;
	struct listeners *listeners;
	const struct reload_hooks *hooks;
	void *arg;
	struct world *current; /* owned */

	enum reload_state state;
	struct world *next;  /* owned, while not idle */
	unsigned generation; /* the newest that was ever forked */
	uint64_t began_ms;
	struct reload_asker asker, asker_again;
	bool again;
	struct loop_timer limit; /* of a state */
	struct loop_later repeat;
};

void reload_request(struct reload *, const struct reload_asker *); /* NULL: a signal */
void reload_ready(struct reload *, const struct seat *); /* from the hooks of children.h */
void reload_gone(struct reload *, const struct seat *);
void reload_abort(struct reload *, const char *why); /* fails what is under way or waits */
/* Afterwards: a controller of the current world is started beside the old one, which goes when that
 * is ready. */
void reload_renew_controller(struct reload *);
void reload_retire_controllers(struct reload *, const struct seat *successor);
