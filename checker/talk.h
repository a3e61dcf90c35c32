/*
 * What a worker says to the checker: "I could not reach this driver", which triggers a probe at
 * once. Never answered; a full queue drops it. One channel per worker seat.
 */
#pragma once
#include "lib/msg.h"

enum checker_type { CHECKER_SUSPECT = 1 };

struct checker_suspect {
	struct msg_head head;
	uint32_t driver_id;
	uint32_t pad;
};
