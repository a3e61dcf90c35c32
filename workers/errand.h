/*
 * Calls of the gateway's own to a driver: ReleaseSession for a session that an administrator closed, so that its queries stop
 * and its memory there is free. Nobody waits for the answer; a failure leaves the session to the driver's own idle time-out.
 */
#pragma once
#include <stdint.h>
#include "shm/sessions.h"

struct worker;

void errand_release(struct worker *, const struct session_key *, uint32_t driver_id);
