/*
 * When to fetch keys again. Pure; `random` spreads gateways that were started together.
 */
#pragma once
#include <stdint.h>

#define BACKOFF_FIRST_MS 5000u
#define BACKOFF_MOST_MS	 300000u
#define BACKOFF_EXTRA_MS 60000u /* between two fetches that workers asked for */

/* After so many failures in a row: doubling, and up to a quarter sooner. */
uint64_t backoff_retry_ms(unsigned failures, uint64_t random);
/* Of keys that are so old already: well before the interval ends. 0: now. */
uint64_t backoff_refresh_ms(uint64_t interval_ms, uint64_t age_ms, uint64_t random);
