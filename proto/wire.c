/*
 * protobuf's wire format for scanners. Pure: no process, no state; bytes enter, numbers leave.
 */
#include "proto/wire.h"

#define VARINT_MAX 10
#define TAG_MAX	   5

int
wire_varint(const uint8_t *p, size_t n, uint64_t *ret)
{
	uint64_t v = 0;

	if (n > 0 && p[0] < 0x80) { /* nearly all tags and most lengths */
		*ret = p[0];
		return 1;
	}
	for (size_t i = 0; i < n && i < VARINT_MAX; i++) {
		if (i == VARINT_MAX - 1 && p[i] > 1)
			return E_SYNTAX;
		v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (p[i] < 0x80) {
			*ret = v;
			return (int)i + 1;
		}
	}
	return n < VARINT_MAX ? 0 : E_SYNTAX;
}

int
wire_tag(const uint8_t *p, size_t n, uint32_t *ret_field, enum wire_type *ret_type)
{
	uint64_t tag;
	int used = wire_varint(p, n, &tag);

	if (used == 0)
		return n < TAG_MAX ? 0 : E_SYNTAX;
	if (used < 0 || used > TAG_MAX || tag > UINT32_MAX || tag < 8)
		return E_SYNTAX;
	switch (tag & 7) {
	case WIRE_VARINT:
	case WIRE_I64:
	case WIRE_LEN:
	case WIRE_I32: break;
	default: return E_SYNTAX;
	}
	*ret_field = (uint32_t)(tag >> 3);
	*ret_type = (enum wire_type)(tag & 7);
	return used;
}

int
wire_head(const uint8_t *p, size_t n, struct wire_head *ret)
{
	struct wire_head h = {0};
	int tag = wire_tag(p, n, &h.number, &h.type);
	int more = 0;

	if (tag <= 0)
		return tag;
	switch (h.type) {
	case WIRE_I32: h.length = 4; break;
	case WIRE_I64: h.length = 8; break;
	case WIRE_VARINT:
	case WIRE_LEN:
		more = wire_varint(p + tag, n - (size_t)tag, &h.value);
		if (more <= 0)
			return more;
		h.length = h.type == WIRE_LEN ? h.value : 0;
		break;
	}
	*ret = h;
	return tag + more;
}

static uint64_t
little_endian(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

int
wire_next(struct wire_cursor *c, struct wire_field *ret)
{
	struct wire_head h;
	const uint8_t *body;
	int used;

	if (c->p == c->end)
		return 0;
	used = wire_head(c->p, (size_t)(c->end - c->p), &h);
	if (used <= 0)
		return E_SYNTAX;
	body = c->p + used;
	if (h.length > (size_t)(c->end - body))
		return E_SYNTAX;
	*ret = (struct wire_field){
		.number = h.number, .type = h.type, .value = h.value, .start = c->p};
	if (h.type == WIRE_LEN) {
		ret->value = 0;
		ret->bytes = (struct str){(const char *)body, (size_t)h.length};
	} else if (h.length > 0) {
		ret->value = little_endian(body, (size_t)h.length);
	}
	c->p = body + h.length;
	return 1;
}

static size_t
varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

uint8_t *
wire_put_varint(uint8_t *p, const uint8_t *end, uint64_t value)
{
	if (p == NULL || (size_t)(end - p) < varint_size(value))
		return NULL;
	for (; value >= 0x80; value >>= 7)
		*p++ = (uint8_t)(value | 0x80);
	*p++ = (uint8_t)value;
	return p;
}

uint8_t *
wire_put_len(uint8_t *p, const uint8_t *end, uint32_t field, struct str bytes)
{
	p = wire_put_varint(p, end, (uint64_t)field << 3 | WIRE_LEN);
	p = wire_put_varint(p, end, bytes.n);
	if (p == NULL || (size_t)(end - p) < bytes.n)
		return NULL;
	if (bytes.n > 0)
		memcpy(p, bytes.p, bytes.n);
	return p + bytes.n;
}

size_t
wire_len_size(uint32_t field, size_t n)
{
	return varint_size((uint64_t)field << 3 | WIRE_LEN) + varint_size(n) + n;
}
