/*
 * The supervisor: binds, forks, reaps, reloads, stops. Never reads a byte from the network, holds
 * no business rules, and writes nothing to shared memory after its first fork.
 */
#pragma once
#include <stdint.h>
#include "daemon/world.h"

/* Runs the gateway with its first world, whose reference it takes over, until it is told to stop.
 * controller_path: the program to run. pepper: for the workers (shm/pepper.h); the caller's, who
 * cleanses it. Returns the exit status: 0 after SIGTERM or SIGINT, 1 when it could not start. */
int supervisor_run(struct world *first, const char *controller_path, uint8_t *pepper) MUST_CHECK;
