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

/* Days since 1970-01-01 of a date of the Gregorian calendar; years that begin in March have their
 * leap day at the end (H. Hinnant, chrono-compatible date algorithms). */
static uint64_t
days_of(unsigned year, unsigned month, unsigned day)
{
	unsigned y = year - (month <= 2), era = y / 400, of_era = y % 400;
	unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	unsigned of_era_days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;

	return (uint64_t)era * 146097 + of_era_days - 719468;
}

/* Digits of `shape` are 0 in it; *rest becomes what follows. */
static bool
take_numbers(struct str *rest, const char *shape, unsigned *numbers)
{
	unsigned n = 0;

	for (const char *c = shape; *c != '\0'; c++) {
		uint8_t digit;

		if (rest->n == 0)
			return false;
		digit = (uint8_t)(rest->p[0] - '0');
		if (*c == '0' ? digit > 9 : rest->p[0] != *c)
			return false;
		if (*c != '0')
			n++;
		else
			numbers[n] = numbers[n] * 10 + digit;
		*rest = (struct str){rest->p + 1, rest->n - 1};
	}
	return true;
}

int
clock_parse(struct str stamp, uint64_t *ret)
{
	unsigned n[6] = {0}, ms = 0, unit = 100;
	struct str rest = stamp;

	if (!take_numbers(&rest, "0000-00-00T00:00:00", n))
		return E_SYNTAX;
	if (rest.n > 0 && rest.p[0] == '.') {
		do {
			rest = (struct str){rest.p + 1, rest.n - 1};
			if (rest.n == 0 || rest.p[0] < '0' || rest.p[0] > '9')
				break;
			ms += unit * (unsigned)(rest.p[0] - '0');
			unit /= 10;
		} while (true);
	}
	if (!str_eq(rest, STR("Z")) || n[0] < 1970 || n[1] < 1 || n[1] > 12 || n[2] < 1 ||
	    n[2] > 31 || n[3] > 23 || n[4] > 59 || n[5] > 60)
		return E_SYNTAX;
	*ret = (((days_of(n[0], n[1], n[2]) * 24 + n[3]) * 60 + n[4]) * 60 + n[5]) * 1000 + ms;
	return 0;
}
