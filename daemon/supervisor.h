/*
 * The supervisor: binds, forks, reaps, reloads, stops. Never reads a byte from the network, holds
 * no business rules, and writes nothing to shared memory after its first fork.
 */
#pragma once
#include <stdint.h>
#include "daemon/handover.h"
#include "daemon/world.h"

struct supervisor_setup {
	struct world *first;	     /* whose reference it takes over */
	const char *controller_path; /* the program to run */
	const char *program;	     /* this one's path, for an upgrade; and its arguments */
	char *const *argv;
	uint8_t *pepper; /* for the workers (shm/pepper.h); the caller's, who cleanses it */
	const struct handover *handover;
	int lock_fd; /* of the run directory; -1 afterwards: it was handed over */
};

/* Runs the gateway until it is told to stop or a successor serves. Returns the exit status: 0 then,
 * 1 when it could not start. */
int supervisor_run(struct supervisor_setup *) MUST_CHECK;
