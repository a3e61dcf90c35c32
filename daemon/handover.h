/*
 * What a supervisor is born with besides its configuration: sockets of the service manager, or all
 * that its predecessor hands over when one binary replaces another. Supervisor only.
 *
 * A predecessor writes it as text into a memory file, whose number stands in SPARKGW_UPGRADE:
 *
 *	link 7			to the predecessor (upgrade.h)
 *	lock 4			of the run directory
 *	generation 3		its last
 *	state /var/lib/sparkgw	its state_dir
 *	listen 9		a socket of its own; in the order of the slots
 *	given 10		a socket that the service manager made
 */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "lib/err.h"
#include "lib/str.h"

#define HANDOVER_LISTEN_FIRST 3 /* of the service manager: sd_listen_fds(3) */

struct handover_socket {
	int fd;
	bool given;
};

struct handover {
	int link_fd, lock_fd; /* -1: there is no predecessor */
	unsigned generation;
	char *state_dir;
	struct handover_socket *sockets;
	unsigned count;
};

/* Reads and forgets the variables of the environment; no child sees them. Descriptors become
 * close-on-exec. E_SYNTAX, E_IO, E_NOMEM: what was handed over makes no sense. */
int handover_take(struct handover *ret) MUST_CHECK;
void handover_free(struct handover *); /* closes no descriptor */

int handover_add(struct handover *, int fd, bool given) MUST_CHECK; /* E_NOMEM */

/* A memory file that survives exec, or -1; and its text for tests. */
int handover_write(const struct handover *) MUST_CHECK;
int handover_parse(struct str text, struct handover *ret) MUST_CHECK; /* E_SYNTAX, E_NOMEM */
/* LISTEN_FDS and LISTEN_PID; NULL: not set. How many are for process `self`: 0 when they are
 * somebody else's. E_SYNTAX. */
int handover_parse_listen(const char *fds, const char *pid, pid_t self,
			  unsigned *ret_count) MUST_CHECK;
