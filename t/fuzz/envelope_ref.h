/*
 * What proto/envelope should do, said in the plainest way: whole messages in memory, fields one
 * after the other. Used by t/unit/test_envelope and t/fuzz/fuzz_envelope to compare with; shares
 * only proto/wire and proto/uuid with it.
 */
#pragma once
#include "lib/buf.h"
#include "proto/envelope.h"
#include "proto/grpc.h"
#include "proto/uuid.h"
#include "proto/wire.h"

struct ref {
	struct str session, user; /* of the first message */
	uint64_t messages;
};

static inline void
ref_put_len(struct buf *out, uint32_t field, struct str bytes)
{
	size_t n = wire_len_size(field, bytes.n);
	uint8_t *p = buf_room(out, n);

	if (p != NULL && wire_put_len(p, p + n, field, bytes) != NULL)
		buf_grew(out, n);
}

/* Reads a user_context; appends its replacement. */
static inline bool
ref_context(struct str ctx, struct str user, struct str name, struct str *ret_user, struct buf *out)
{
	struct wire_cursor c = {(const uint8_t *)ctx.p, (const uint8_t *)ctx.p + ctx.n};
	struct wire_field f;
	struct buf inner;
	bool good = true;
	int r;

	buf_init(&inner, 1 << 20);
	ref_put_len(&inner, 1, user);
	if (name.n > 0)
		ref_put_len(&inner, 2, name);
	while ((r = wire_next(&c, &f)) == 1) {
		if (f.number > 2) {
			buf_add(&inner, f.start, (size_t)(c.p - f.start));
			continue;
		}
		good = good && f.type == WIRE_LEN && f.bytes.n <= 256 && str_is_utf8(f.bytes);
		if (f.number == 1)
			*ret_user = f.bytes;
	}
	ref_put_len(out, 2, buf_str(&inner));
	buf_free(&inner);
	return good && r == 0;
}

/* One message without prefix: appends the rewritten one, prefix included. */
static inline bool
ref_message(struct ref *ref, struct str in, struct str user, struct str name, struct buf *out)
{
	struct wire_cursor c = {(const uint8_t *)in.p, (const uint8_t *)in.p + in.n};
	struct str session = STR_NONE, was = STR_NONE, context = STR_NONE;
	struct buf inserted, body;
	struct wire_field f;
	size_t after_session = 0;
	uint8_t id[16], prefix[GRPC_PREFIX];
	bool good = true;
	int r;

	buf_init(&inserted, 1 << 20);
	buf_init(&body, 256u << 20);
	while ((r = wire_next(&c, &f)) == 1) {
		bool low = c.p - (const uint8_t *)in.p <= 65536;
		if (f.number == 1) {
			good = good && low && f.type == WIRE_LEN && session.p == NULL;
			session = f.bytes;
		} else if (f.number == 2) {
			good = good && low && f.type == WIRE_LEN && context.p == NULL;
			context = f.bytes;
			good = good && ref_context(context, user, name, &was, &body);
			continue;
		}
		buf_add(&body, f.start, (size_t)(c.p - f.start));
		if (f.number == 1)
			after_session = body.len;
	}
	good = good && r == 0 && session.p != NULL && uuid_parse(session, id) == 0;
	if (context.p == NULL && good) {
		good = ref_context(STR(""), user, name, &was, &inserted);
		struct buf old = body;
		buf_init(&body, 256u << 20);
		buf_add(&body, old.p, after_session);
		buf_add_str(&body, buf_str(&inserted));
		buf_add(&body, old.p + after_session, old.len - after_session);
		buf_free(&old);
	}
	if (good && ref->messages++ == 0) {
		ref->session = session;
		ref->user = was;
	}
	good = good && str_eq(session, ref->session) && (was.n == 0 || str_eq(was, ref->user));
	grpc_prefix_put(prefix, (uint32_t)body.len);
	buf_add(out, prefix, sizeof prefix);
	buf_add_str(out, buf_str(&body));
	buf_free(&body);
	buf_free(&inserted);
	return good;
}

/* A whole stream: what should come out, or false when it should be refused. */
static inline bool
ref_stream(const uint8_t *p, size_t n, struct str user, struct str name, struct buf *out)
{
	struct ref ref = {0};

	while (n > 0) {
		uint32_t length;
		if (n < GRPC_PREFIX || p[0] != 0)
			return false;
		length = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
		if (length > n - GRPC_PREFIX || length > GRPC_MESSAGE_MAX)
			return false;
		if (!ref_message(&ref, (struct str){(const char *)p + GRPC_PREFIX, length}, user,
				 name, out))
			return false;
		p += GRPC_PREFIX + length;
		n -= GRPC_PREFIX + length;
	}
	return ref.messages > 0;
}

/* What proto/envelope makes of it, fed in pieces; `next` gives the next piece's size (>= 1). */
struct ref_run {
	bool accepted;
	int code; /* when not */
	const char *why;
	uint64_t messages;
	bool whole;	      /* of the last head */
	size_t memory, first; /* bytes of the arena used at the end, and after the first message */
};

static inline void
ref_take(struct envelope *e, const uint8_t *p, size_t n, struct str user, struct str name,
	 struct buf *out, struct arena *a, struct ref_run *run, int *ret)
{
	int r = 0;

	while (n > 0 && r >= 0) {
		struct str part = STR_NONE;
		size_t used = 0;
		r = envelope_feed(e, p, n, &used, &part);
		if (r == ENVELOPE_HEAD) {
			run->whole = e->whole;
			r = envelope_seal(e, user, name, &part);
		}
		if (r >= 0)
			buf_add_str(out, part);
		if (e->messages == 1 && run->first == 0)
			run->first = arena_used(a);
		p += used;
		n -= used;
	}
	*ret = r < 0 ? r : 0;
}

static inline struct ref_run
ref_run(const uint8_t *p, size_t n, struct str user, struct str name, size_t (*next)(void *),
	void *ctx, struct buf *out)
{
	struct arena *a = arena_new(1024, 1 << 20);
	struct ref_run run = {0};
	struct envelope e;
	int r = 0;

	envelope_init(&e, a);
	while (n > 0 && r == 0) {
		size_t k = next(ctx);
		uint8_t *piece;
		k = k < n ? k : n;
		piece = malloc(k); /* its own block: a pointer kept into it is found out */
		if (piece == NULL)
			abort();
		memcpy(piece, p, k);
		ref_take(&e, piece, k, user, name, out, a, &run, &r);
		memset(piece, 0xee, k);
		free(piece);
		p += k;
		n -= k;
	}
	if (r == 0)
		r = envelope_end(&e);
	run.accepted = r == 0;
	run.code = e.code;
	run.why = e.why;
	run.messages = e.messages;
	run.memory = arena_used(a);
	arena_free(&a);
	return run;
}
