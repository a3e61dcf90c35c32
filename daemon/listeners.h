/*
 * The listening sockets: for each address one SO_REUSEPORT socket per worker slot. Supervisor only;
 * children inherit copies.
 *
 * Kept over reloads: the accept queue of a socket survives its workers, so that no connection is
 * lost. With N workers, slot i accepts from sockets i, i+N, i+2N, … (neighbours adopt what a shrink
 * leaves over). Sockets that the service manager made are as many as it made: with fewer than workers, a
 * socket is accepted from by several. A new socket is bound when a reload is prepared, but listens only from its commit
 * on, so that no client waits in the queue of a socket that may be given up.
 */
#pragma once
#include <stdbool.h>
#include "daemon/handover.h"
#include "daemon/world.h"
#include "lib/sock.h"

struct listeners_address {
	struct sock_addr address;
	int *fds;
	unsigned count;	    /* bound */
	unsigned listening; /* the first so many; fewer only while a reload is under way */
	bool given;	    /* by the service manager, which keeps it open: nothing is bound beside it */
};

struct listeners {
	struct listeners_address *addresses;
	unsigned count;
};

/*
 * Takes over a listening TCP socket that was inherited: the next one of its address. On failure it
 * stays the caller's. E_SYNTAX (something else), E_EXISTS (given and not, mixed), E_IO, E_NOMEM.
 */
int listeners_adopt(struct listeners *, int fd, bool given) MUST_CHECK;

int listeners_describe(const struct listeners *, struct handover *) MUST_CHECK; /* adds all; E_NOMEM */

/*
 * Binds what the world needs and does not exist yet; errors go to the world's list. patient (at
 * start): waits up to 2 s for an address that is in use, for the remains of a predecessor to go. On
 * failure call listeners_rollback(). E_IO, E_NOMEM.
 */
int listeners_prepare(struct listeners *, struct world *, bool patient) MUST_CHECK;
void listeners_rollback(struct listeners *); /* closes what only the prepared world needed */
/* Listens on all, and closes the addresses that the world does not have. */
void listeners_commit(struct listeners *, const struct world *);
void listeners_close(struct listeners *);

/* The sockets of a slot at an address: at most `size` are written, all are counted. Those of a
 * world that is not yet live include the ones that are only bound. */
unsigned listeners_of_slot(const struct listeners *, const struct world *, const struct sock_addr *,
			   unsigned slot, int *ret_fds, unsigned size);
bool listeners_is_shared(const struct listeners *, const struct world *, const struct sock_addr *);
