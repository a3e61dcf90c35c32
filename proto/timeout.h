/*
 * The grpc-timeout header: 1 to 8 digits and a unit of H M S m u n. Pure.
 * grpc/grpc doc/PROTOCOL-HTTP2.md
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/str.h"

/* Nanoseconds; "0m" is 0; saturates at UINT64_MAX. E_SYNTAX for all else. */
int timeout_parse(struct str value, uint64_t *ret_ns) MUST_CHECK;
/*
 * In the finest unit that needs at most 8 digits, rounded down (never to 0, unless ns is 0).
 * NUL-terminated; size >= 12. Returns the length.
 */
size_t timeout_put(uint64_t ns, char *buf, size_t size);
