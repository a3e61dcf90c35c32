/*
 * A list of header fields: received ones keep nghttp2's reference-counted buffers, added ones point
 * to memory of the owner's arena or to constants. Nothing is copied; the list lives in the owner's
 * arena, and h2_fields_clear() must be called before the arena goes.
 */
#pragma once
#include <nghttp2/nghttp2.h>
#include "lib/arena.h"
#include "lib/str.h"

struct h2_fields {
	nghttp2_nv *nv;
	nghttp2_rcbuf **held; /* buffers of received fields */
	unsigned count, cap, held_count, held_cap;
	size_t bytes; /* name + value + 32 each: RFC 9113 section 6.5.2 */
};

int h2_fields_receive(struct h2_fields *, struct arena *, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
		      uint8_t flags) MUST_CHECK;
/* failure shows in the arena */
void h2_fields_add(struct h2_fields *, struct arena *, struct str name, struct str value);
/* A value of this message alone: kept out of the peer's compression table, from where it would push
 * what comes again. */
void h2_fields_add_once(struct h2_fields *, struct arena *, struct str name, struct str value);
/* Field i of another list, whose buffers must outlive this one. What came "never indexed" goes on so
 * (RFC 7541 section 6.2.3). */
void h2_fields_pass(struct h2_fields *, struct arena *, const struct h2_fields *from, unsigned i);
/* empty again; buffers stay held, frames under way may point to them */
void h2_fields_restart(struct h2_fields *);
/* The list as it is, for the arena's life; *f starts anew, but goes on holding the buffers. */
struct h2_fields h2_fields_keep(struct h2_fields *f);
void h2_fields_clear(struct h2_fields *);

struct str h2_fields_get(const struct h2_fields *, struct str name); /* the first one; STR_NONE */

static inline struct str
h2_field_name(const struct h2_fields *f, unsigned i)
{
	return (struct str){(const char *)f->nv[i].name, f->nv[i].namelen};
}

static inline struct str
h2_field_value(const struct h2_fields *f, unsigned i)
{
	return (struct str){(const char *)f->nv[i].value, f->nv[i].valuelen};
}
