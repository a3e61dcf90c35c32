/*
 * One small unary call without a client. In: a session's key and its driver; out: a stream to that
 * driver whose answer is dropped. Ends with the stream, or with a time-out.
 */
#include <stdlib.h>
#include "lib/log.h"
#include "lib/panic.h"
#include "proto/grpc.h"
#include "proto/methods.h"
#include "proto/uuid.h"
#include "proto/wire.h"
#include "workers/context.h"
#include "workers/driver_pool.h"
#include "workers/errand.h"

#define ERRAND_MAGIC  0x45525244u
#define ARENA_CEILING (256u << 10) /* the driver's headers */
#define LIMIT_MS      10000u
#define MESSAGE_MAX   512

/* apache/spark base.proto: ReleaseSessionRequest, UserContext */
enum { SESSION_ID = 1, USER_CONTEXT = 2, USER_ID = 1 };

struct errand {
	unsigned magic;
	struct arena *arena;
	struct h2_stream stream;
	struct h2_fields fields;
	struct loop_timer limit;
	struct loop_later bury;
	struct loop *loop;
};

static struct errand *
errand_of(struct h2_stream *s)
{
	struct errand *e = (struct errand *)(void *)((char *)s - offsetof(struct errand, stream));

	CHECK_MAGIC(e, ERRAND_MAGIC);
	return e;
}

static void
bury(void *arg)
{
	struct errand *e = arg;

	h2_fields_clear(&e->stream.in);
	arena_free(&e->arena);
	free(e);
}

static void
on_headers(struct h2_stream *s, enum h2_block block, bool end)
{
	(void)s, (void)block, (void)end;
}

static void
on_data(struct h2_stream *s, struct str bytes)
{
	h2_consume(s, bytes.n);
}

static void
on_nothing(struct h2_stream *s)
{
	(void)s;
}

static void
on_closed(struct h2_stream *s, uint32_t code)
{
	struct errand *e = errand_of(s);

	(void)code;
	loop_timer_stop(&e->limit);
	loop_later(e->loop, LOOP_FREE, &e->bury, bury, e);
}

static void
too_long(void *arg)
{
	struct errand *e = arg;

	h2_reset(&e->stream, NGHTTP2_CANCEL);
}

static const struct h2_stream_ops ops = {on_headers, on_data,	 on_nothing,
					 on_nothing, on_nothing, on_closed};

static struct str
frame(const struct session_key *key, uint8_t *buf, size_t size)
{
	uint8_t user[MESSAGE_MAX / 2 + 64], *end = buf + size;
	char text[UUID_TEXT];
	uint8_t *u = wire_put_len(user, user + sizeof user, USER_ID, key->user);

	ASSERT(u != NULL);
	uint8_t *p = wire_put_len(buf + GRPC_PREFIX, end, SESSION_ID,
				  str_from(uuid_text(key->id, text)));
	p = wire_put_len(p, end, USER_CONTEXT,
			 (struct str){(const char *)user, (size_t)(u - user)});
	ASSERT(p != NULL);
	grpc_prefix_put(buf, (uint32_t)(p - buf - GRPC_PREFIX));
	return (struct str){(const char *)buf, (size_t)(p - buf)};
}

void
errand_release(struct worker *w, const struct session_key *key, uint32_t driver_id)
{
	struct registry_driver *rd = worker_driver(w, driver_id);
	struct errand *e = calloc(1, sizeof *e);
	uint8_t buf[MESSAGE_MAX];
	struct h2 *h2;

	ASSERT(e != NULL);
	*e = (struct errand){
		.magic = ERRAND_MAGIC, .arena = arena_new(2048, ARENA_CEILING), .loop = w->loop};
	ASSERT(e->arena != NULL);
	h2_stream_init(&e->stream, &ops, e->arena);
	struct driver *d = rd != NULL ? driver_pool_get(w->drivers, rd) : NULL;
	if (d == NULL || driver_connection(d, &h2) != 0) {
		bury(e);
		return;
	}
	driver_request_fields(d, &e->fields, e->arena, STR("/" METHODS_SERVICE "/ReleaseSession"),
			      STR("application/grpc"));
	body_add(&e->stream.out, frame(key, buf, sizeof buf));
	if (arena_failed(e->arena) || h2_request(h2, &e->stream, &e->fields, false) != 0) {
		body_clear(&e->stream.out);
		bury(e);
		return;
	}
	h2_end(&e->stream);
	loop_timer_start(w->loop, &e->limit, LIMIT_MS, 0, too_long, e);
}
