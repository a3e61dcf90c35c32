/*
 * gRPC's framing, status codes and message encoding. Pure.
 */
#include "proto/grpc.h"

static const char *const names[GRPC_CODES] = {
	[GRPC_OK] = "OK",
	[GRPC_CANCELLED] = "CANCELLED",
	[GRPC_UNKNOWN] = "UNKNOWN",
	[GRPC_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
	[GRPC_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
	[GRPC_NOT_FOUND] = "NOT_FOUND",
	[GRPC_ALREADY_EXISTS] = "ALREADY_EXISTS",
	[GRPC_PERMISSION_DENIED] = "PERMISSION_DENIED",
	[GRPC_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
	[GRPC_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
	[GRPC_ABORTED] = "ABORTED",
	[GRPC_OUT_OF_RANGE] = "OUT_OF_RANGE",
	[GRPC_UNIMPLEMENTED] = "UNIMPLEMENTED",
	[GRPC_INTERNAL] = "INTERNAL",
	[GRPC_UNAVAILABLE] = "UNAVAILABLE",
	[GRPC_DATA_LOSS] = "DATA_LOSS",
	[GRPC_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *
grpc_code_name(unsigned code)
{
	return names[code < GRPC_CODES ? code : GRPC_UNKNOWN];
}

int
grpc_prefix_get(const uint8_t *p, struct grpc_prefix *ret)
{
	if (p[0] > 1)
		return E_SYNTAX;
	ret->compressed = p[0] == 1;
	ret->length = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
	return 0;
}

void
grpc_prefix_put(uint8_t *p, uint32_t length)
{
	p[0] = 0;
	p[1] = (uint8_t)(length >> 24);
	p[2] = (uint8_t)(length >> 16);
	p[3] = (uint8_t)(length >> 8);
	p[4] = (uint8_t)length;
}

/* The flag byte is not judged: what a driver sends is counted, not checked. */
void
grpc_count(struct grpc_counter *c, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t k = GRPC_PREFIX - c->have;

		if (c->left > 0) {
			k = c->left < n ? c->left : n;
			c->left -= (uint32_t)k;
		} else {
			k = k < n ? k : n;
			memcpy(c->prefix + c->have, p, k);
			c->have = (uint8_t)(c->have + k);
			if (c->have == GRPC_PREFIX) {
				struct grpc_prefix got;
				c->prefix[0] = 0;
				if (grpc_prefix_get(c->prefix, &got) == 0)
					c->left = got.length;
				c->messages++;
				c->have = 0;
			}
		}
		p += k;
		n -= k;
	}
}

bool
grpc_count_at_boundary(const struct grpc_counter *c)
{
	return c->have == 0 && c->left == 0;
}

static bool
is_plain(unsigned char c)
{
	return c >= 0x20 && c <= 0x7e && c != '%';
}

struct str
grpc_percent_encode(struct arena *a, struct str message)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t n = message.n;
	char *out, *to;

	for (size_t i = 0; i < message.n; i++)
		n += is_plain((unsigned char)message.p[i]) ? 0 : 2;
	out = to = arena_alloc(a, n + 1);
	if (out == NULL)
		return STR_NONE;
	for (size_t i = 0; i < message.n; i++) {
		unsigned char c = (unsigned char)message.p[i];
		if (is_plain(c)) {
			*to++ = (char)c;
			continue;
		}
		*to++ = '%';
		*to++ = digits[c >> 4];
		*to++ = digits[c & 15];
	}
	return (struct str){out, n};
}

bool
grpc_is_content_type(struct str value)
{
	static const struct str type = {"application/grpc", 16};

	if (value.n < type.n || !str_eq_nocase((struct str){value.p, type.n}, type))
		return false;
	return value.n == type.n || value.p[type.n] == '+' || value.p[type.n] == ';';
}

enum grpc_code
grpc_code_from_http(unsigned http_status)
{
	switch (http_status) {
	case 400: return GRPC_INTERNAL;
	case 401: return GRPC_UNAUTHENTICATED;
	case 403: return GRPC_PERMISSION_DENIED;
	case 404: return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504: return GRPC_UNAVAILABLE;
	default: return GRPC_UNKNOWN;
	}
}

enum grpc_code
grpc_code_from_rst(uint32_t h2_error_code)
{
	switch (h2_error_code) {
	case 0x7: return GRPC_UNAVAILABLE;	  /* REFUSED_STREAM */
	case 0x8: return GRPC_CANCELLED;	  /* CANCEL */
	case 0xb: return GRPC_RESOURCE_EXHAUSTED; /* ENHANCE_YOUR_CALM */
	case 0xc: return GRPC_PERMISSION_DENIED;  /* INADEQUATE_SECURITY */
	default: return GRPC_INTERNAL;
	}
}

int
grpc_status_parse(struct str value, unsigned *ret_code)
{
	uint64_t code;

	if (value.n < 1 || value.n > 2 || str_u64(value, 99, &code) < 0)
		return E_SYNTAX;
	*ret_code = (unsigned)code;
	return 0;
}
