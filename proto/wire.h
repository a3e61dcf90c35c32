/*
 * protobuf's wire format, as little of it as a scanner needs: varints, tags, lengths. Pure; never
 * allocates. https://protobuf.dev/programming-guides/encoding
 *
 * Stricter than parsers are, where leniency could let two readers disagree: tags of more than 5
 * bytes or above 2^32-1, field number 0, groups (wire types 3 and 4), wire types 6 and 7 are
 * malformed.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/str.h"

enum wire_type { WIRE_VARINT = 0, WIRE_I64 = 1, WIRE_LEN = 2, WIRE_I32 = 5 };

/* Returns the bytes used, 0 when more input is needed, or E_SYNTAX. */
int wire_varint(const uint8_t *p, size_t n, uint64_t *ret);
int wire_tag(const uint8_t *p, size_t n, uint32_t *ret_field, enum wire_type *ret_type);

/* The beginning of a field: tag and, by type, the varint or the length. Returns as above. */
#define WIRE_HEAD_MAX 15 /* bytes: a tag of 5 and a varint of 10 */
struct wire_head {
	uint32_t number;
	enum wire_type type;
	uint64_t value;	 /* VARINT; LEN: the length */
	uint64_t length; /* bytes that follow: 0 for VARINT */
};
int wire_head(const uint8_t *p, size_t n, struct wire_head *ret);

/* A cursor over one whole message in memory. */
struct wire_cursor {
	const uint8_t *p, *end;
};
struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t value;	      /* VARINT, I32, I64 */
	struct str bytes;     /* LEN */
	const uint8_t *start; /* of the tag; the field ends where the cursor stands */
};
/* 1: a field; 0: clean end; E_SYNTAX. */
int wire_next(struct wire_cursor *, struct wire_field *ret) MUST_CHECK;

/*
 * Building small messages: append to a buffer of the caller's and return the new end; NULL when it
 * does not fit, or was NULL already.
 */
uint8_t *wire_put_varint(uint8_t *p, const uint8_t *end, uint64_t value);
uint8_t *wire_put_len(uint8_t *p, const uint8_t *end, uint32_t field, struct str bytes);
size_t wire_len_size(uint32_t field, size_t n); /* of such a field, tag and length included */
