/*
 * Health of each driver: one sequence-locked row per driver slot.
 *
 * Writer: the checker, nobody else. Readers: workers, keeper, controller; they never wait:
 * health_read() tries a bounded number of times and answers E_AGAIN when a writer died in mid-row
 * (the next checker repairs it in health_repair()).
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/sock.h"
#include "shm/limits.h"

enum health_state { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

/* Why the last probe failed. */
enum health_reason {
	HEALTH_OK,
	HEALTH_REFUSED,
	HEALTH_TIMEOUT,
	HEALTH_UNRESOLVED,
	HEALTH_TLS,
	HEALTH_PROTOCOL,
	HEALTH_NOT_SERVING,
	HEALTH_CLOSED
};

struct health {
	uint32_t driver_id;	/* whom the row is about; compare with the registry's. 0: nobody */
	uint32_t state;		/* enum health_state */
	uint32_t reason;	/* enum health_reason */
	uint32_t failures;	/* in a row */
	uint32_t changes;	/* of verdict, since the checker first saw this driver */
	uint32_t rtt_us;	/* of the last good probe */
	uint64_t since_wall_ms; /* of this state */
	uint64_t probed_wall_ms;
	/* Bindings made before this moment are lost (the driver's process is gone, or was
	 * unreachable for session.driver_lost_after). 0: never. */
	uint64_t lost_wall_ms;
	struct sock_addr address; /* last good resolution; family 0 while unknown */
};

struct health_row {
	_Atomic uint32_t sequence; /* odd while written */
	_Atomic uint32_t pad;
	_Atomic uint64_t words[(sizeof(struct health) + 7) / 8];
};

const char *health_state_name(unsigned state);	 /* "up" */
const char *health_reason_name(unsigned reason); /* "refused" */

void health_write(struct health_row *, const struct health *);
int health_read(const struct health_row *, struct health *ret) MUST_CHECK; /* E_AGAIN */
/* Checker, at its start: odd sequences become even, and what stood there is emptied. */
void health_repair(struct health_row *rows, unsigned count);
