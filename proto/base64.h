/*
 * Base64 without padding: the plain alphabet of gRPC's "-bin" fields, and base64url of JOSE
 * (RFC 4648 sections 4 and 5). Pure.
 *
 * Reading is strict, as two spellings of one token would be two tokens to whoever compares: no
 * padding, no blanks, no other characters, and the bits that the last character does not need are
 * zero.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/str.h"

/* The plain alphabet, NUL-terminated; STR_NONE: no memory. */
struct str base64_encode(struct arena *, struct str bytes);
/* Appends base64url. */
void base64_url_add(struct buf *, struct str bytes);

/* E_SYNTAX; E_LIMIT: more than size bytes. After a failure the buffer holds anything. */
int base64_url_decode(struct str text, uint8_t *buf, size_t size, size_t *ret_n) MUST_CHECK;
