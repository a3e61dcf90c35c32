/*
 * The grpc-timeout header, both ways. Pure.
 */
#include "proto/timeout.h"
#include "lib/panic.h"

#define DIGITS_MAX 8
#define VALUE_MAX  99999999u
#define TEXT_MAX   12

static const struct {
	char unit;
	uint64_t ns;
} units[] = {
	/* finest first */
	{'n', 1},
	{'u', 1000},
	{'m', 1000 * 1000},
	{'S', 1000 * 1000 * 1000},
	{'M', 60ull * 1000 * 1000 * 1000},
	{'H', 3600ull * 1000 * 1000 * 1000},
};
#define UNITS (sizeof units / sizeof units[0])

int
timeout_parse(struct str value, uint64_t *ret_ns)
{
	uint64_t v;

	if (value.n < 2 || value.n > DIGITS_MAX + 1)
		return E_SYNTAX;
	if (str_u64((struct str){value.p, value.n - 1}, VALUE_MAX, &v) < 0)
		return E_SYNTAX;
	for (size_t i = 0; i < UNITS; i++) {
		if (units[i].unit != value.p[value.n - 1])
			continue;
		if (__builtin_mul_overflow(v, units[i].ns, ret_ns))
			*ret_ns = UINT64_MAX;
		return 0;
	}
	return E_SYNTAX;
}

size_t
timeout_put(uint64_t ns, char *buf, size_t size)
{
	size_t i = 0;

	ASSERT(size >= TEXT_MAX);
	while (i < UNITS - 1 && ns / units[i].ns > VALUE_MAX)
		i++;
	return (size_t)snprintf(buf, size, "%u%c", (unsigned)(ns / units[i].ns), units[i].unit);
}
