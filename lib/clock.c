/*
 * Reading the two clocks, and the one stamp that people read. Every process.
 */
#include <stdio.h>
#include <time.h>
#include "lib/clock.h"
#include "lib/panic.h"

static uint64_t
read_ns(clockid_t id)
{
	struct timespec ts;

	ASSERT(clock_gettime(id, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t
clock_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t
clock_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000u;
}

const char *
clock_stamp(uint64_t wall_ms, char *buf, size_t size)
{
	time_t seconds = (time_t)(wall_ms / 1000u);
	struct tm tm = {0};

	ASSERT(size >= 25);
	gmtime_r(&seconds, &tm);
	snprintf(buf, size, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000u, (unsigned)(tm.tm_mon + 1) % 100u,
		 (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
		 (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u,
		 (unsigned)(wall_ms % 1000u));
	return buf;
}
