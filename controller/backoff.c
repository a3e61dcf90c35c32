/*
 * Delays between fetches, in the controller.
 */
#include "controller/backoff.h"

uint64_t
backoff_retry_ms(unsigned failures, uint64_t random)
{
	uint64_t delay_ms = BACKOFF_FIRST_MS;

	for (; failures > 1 && delay_ms < BACKOFF_MOST_MS; failures--)
		delay_ms *= 2;
	if (delay_ms > BACKOFF_MOST_MS)
		delay_ms = BACKOFF_MOST_MS;
	return delay_ms - random % (delay_ms / 4);
}

uint64_t
backoff_refresh_ms(uint64_t interval_ms, uint64_t age_ms, uint64_t random)
{
	uint64_t due_ms = interval_ms - interval_ms / 8 - random % (interval_ms / 4 + 1);

	return age_ms < due_ms ? due_ms - age_ms : 0;
}
