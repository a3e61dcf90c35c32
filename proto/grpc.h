/*
 * gRPC over HTTP/2: status codes, the five-byte message prefix, grpc-message's percent-encoding and
 * the maps from HTTP and HTTP/2 failures to a status (grpc/grpc doc/PROTOCOL-HTTP2.md,
 * doc/http-grpc-status-mapping.md). Pure.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/str.h"

#define GRPC_PREFIX	 5	      /* flag byte and big-endian length */
#define GRPC_MESSAGE_MAX (128u << 20) /* Spark's spark.connect.grpc.maxInboundMessageSize */

enum grpc_code {
	GRPC_OK,
	GRPC_CANCELLED,
	GRPC_UNKNOWN,
	GRPC_INVALID_ARGUMENT,
	GRPC_DEADLINE_EXCEEDED,
	GRPC_NOT_FOUND,
	GRPC_ALREADY_EXISTS,
	GRPC_PERMISSION_DENIED,
	GRPC_RESOURCE_EXHAUSTED,
	GRPC_FAILED_PRECONDITION,
	GRPC_ABORTED,
	GRPC_OUT_OF_RANGE,
	GRPC_UNIMPLEMENTED,
	GRPC_INTERNAL,
	GRPC_UNAVAILABLE,
	GRPC_DATA_LOSS,
	GRPC_UNAUTHENTICATED,
	GRPC_CODES
};

const char *grpc_code_name(unsigned code); /* "UNAVAILABLE"; "UNKNOWN" for all above 16 */

struct grpc_prefix {
	bool compressed;
	uint32_t length;
};
/* Five bytes at p. E_SYNTAX when the flag is neither 0 nor 1. */
int grpc_prefix_get(const uint8_t *p, struct grpc_prefix *ret) MUST_CHECK;
void grpc_prefix_put(uint8_t *p, uint32_t length); /* uncompressed */

/* Counts messages in a byte stream without keeping any of it (for responses). */
struct grpc_counter {
	uint64_t messages; /* whose prefix is complete */
	uint32_t left;	   /* bytes of the message under way */
	uint8_t have;	   /* prefix bytes gathered */
	uint8_t prefix[GRPC_PREFIX];
};
void grpc_count(struct grpc_counter *, const uint8_t *p, size_t n);
bool grpc_count_at_boundary(const struct grpc_counter *);

/* As grpc-message demands: all outside 0x20-0x7e, and '%'. NUL-terminated; STR_NONE: no memory. */
struct str grpc_percent_encode(struct arena *, struct str message);

/* "application/grpc" alone or followed by '+' or ';' is; "application/grpc-web" is not. */
bool grpc_is_content_type(struct str value);

enum grpc_code grpc_code_from_http(unsigned http_status);
enum grpc_code grpc_code_from_rst(uint32_t h2_error_code);
/* grpc-status header: decimal, at most 2 digits used by anybody; E_SYNTAX. */
int grpc_status_parse(struct str value, unsigned *ret_code) MUST_CHECK;
