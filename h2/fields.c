/*
 * Growing arrays of fields in an arena. A list that grows leaves its old array behind there, so the
 * first size is what a usual request has.
 */
#include "h2/fields.h"

#define FIRST	16
#define NO_COPY (NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE)

static void *
grow(struct arena *arena, const void *old, unsigned count, unsigned cap, size_t size)
{
	void *p = arena_array(arena, cap, size);

	if (p != NULL && count > 0)
		memcpy(p, old, count * size);
	return p;
}

static nghttp2_nv *
next(struct h2_fields *f, struct arena *arena)
{
	if (f->count == f->cap) {
		unsigned cap = f->cap ? 2 * f->cap : FIRST;
		nghttp2_nv *nv = grow(arena, f->nv, f->count, cap, sizeof *nv);

		if (nv == NULL)
			return NULL;
		f->nv = nv;
		f->cap = cap;
	}
	return &f->nv[f->count];
}

static int
hold(struct h2_fields *f, struct arena *arena, nghttp2_rcbuf *rc)
{
	if (f->held_count == f->held_cap) {
		unsigned cap = f->held_cap ? 2 * f->held_cap : 2 * FIRST;
		nghttp2_rcbuf **held = grow(arena, f->held, f->held_count, cap, sizeof *held);

		if (held == NULL)
			return E_NOMEM;
		f->held = held;
		f->held_cap = cap;
	}
	if (!nghttp2_rcbuf_is_static(rc)) {
		nghttp2_rcbuf_incref(rc);
		f->held[f->held_count++] = rc;
	}
	return 0;
}

int
h2_fields_receive(struct h2_fields *f, struct arena *arena, nghttp2_rcbuf *name,
		  nghttp2_rcbuf *value, uint8_t flags)
{
	nghttp2_nv *nv = next(f, arena);

	if (nv == NULL || hold(f, arena, name) != 0 || hold(f, arena, value) != 0)
		return E_NOMEM;
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	*nv = (nghttp2_nv){n.base, v.base, n.len, v.len, (uint8_t)(flags | NO_COPY)};
	f->count++;
	f->bytes += n.len + v.len + 32;
	return 0;
}

static void
add(struct h2_fields *f, struct arena *arena, struct str name, struct str value, uint8_t flags)
{
	nghttp2_nv *nv = next(f, arena);

	if (nv == NULL)
		return;
	union { /* nghttp2's fields are not const, but it writes to none of them */
		const char *in;
		uint8_t *out;
	} n = {name.p}, v = {value.p};
	*nv = (nghttp2_nv){n.out, v.out, name.n, value.n, (uint8_t)(flags | NO_COPY)};
	f->count++;
	f->bytes += name.n + value.n + 32;
}

void
h2_fields_add(struct h2_fields *f, struct arena *arena, struct str name, struct str value)
{
	add(f, arena, name, value, NGHTTP2_NV_FLAG_NONE);
}

void
h2_fields_add_once(struct h2_fields *f, struct arena *arena, struct str name, struct str value)
{
	add(f, arena, name, value, NGHTTP2_NV_FLAG_NO_INDEX);
}

void
h2_fields_pass(struct h2_fields *f, struct arena *arena, const struct h2_fields *from, unsigned i)
{
	add(f, arena, h2_field_name(from, i), h2_field_value(from, i), from->nv[i].flags);
}

void
h2_fields_restart(struct h2_fields *f)
{
	f->count = 0;
	f->bytes = 0;
}

struct h2_fields
h2_fields_keep(struct h2_fields *f)
{
	struct h2_fields kept = {
		.nv = f->nv, .count = f->count, .cap = f->count, .bytes = f->bytes};

	f->nv = NULL;
	f->count = f->cap = 0;
	f->bytes = 0;
	return kept;
}

void
h2_fields_clear(struct h2_fields *f)
{
	for (unsigned i = 0; i < f->held_count; i++)
		nghttp2_rcbuf_decref(f->held[i]);
	f->held_count = f->count = 0;
	f->bytes = 0;
}

struct str
h2_fields_get(const struct h2_fields *f, struct str name)
{
	for (unsigned i = 0; i < f->count; i++)
		if (str_eq(h2_field_name(f, i), name))
			return h2_field_value(f, i);
	return STR_NONE;
}
