/*
 * One probe of one driver, as an HTTP/2 client with one stream.
 *
 *	connect -> up: HEADERS, DATA(00000000 00), END_STREAM -> :status, grpc-status -> conclude()
 *
 * The first thing that settles the outcome is kept (conclude), whatever comes later while the
 * connection is being closed. Everything lives in the probe's arena, which goes in the last
 * callback.
 */
#include <errno.h>
#include <stdarg.h>
#include "checker/probe.h"
#include "h2/h2.h"
#include "lib/clock.h"
#include "lib/panic.h"
#include "proto/grpc.h"
#include "proto/wire.h"

#define PROBE_MAGIC   0x50726f62u
#define ARENA_FIRST   8192
#define ARENA_CEILING 65536
#define ANSWER_MAX    64 /* a HealthCheckResponse has 2 bytes */
#define SERVING	      1	 /* grpc.health.v1.HealthCheckResponse.ServingStatus */

struct probe {
	unsigned magic;
	struct arena *arena;
	struct loop *loop;
	struct probe_target target;
	struct h2 h2;
	struct h2_stream stream;
	struct loop_timer deadline;
	struct loop_later stillborn; /* when there was no connection to begin with */
	uint64_t asked_ns;
	uint8_t answer[ANSWER_MAX];
	size_t answer_len;
	bool opened, concluded;
	struct probe_result result;
	void (*done)(void *arg, const struct probe_result *); /* NULL: nobody asks any more */
	void *arg;
};

static const struct h2_limits limits = {
	.streams = 0,
	.stream_window = 65535,
	.connection_window = 65535,
	.header_bytes = 16384,
	.header_fields = 64,
};

static struct probe *
of_h2(struct h2 *h2)
{
	struct probe *p = (struct probe *)((char *)h2 - offsetof(struct probe, h2));

	CHECK_MAGIC(p, PROBE_MAGIC);
	return p;
}

static struct probe *
of_stream(struct h2_stream *s)
{
	struct probe *p = (struct probe *)((char *)s - offsetof(struct probe, stream));

	CHECK_MAGIC(p, PROBE_MAGIC);
	return p;
}

__attribute__((format(printf, 3, 4))) static void
conclude(struct probe *p, enum health_reason reason, const char *fmt, ...)
{
	va_list ap;

	if (p->concluded)
		return;
	p->concluded = true;
	p->result.reason = reason;
	va_start(ap, fmt);
	vsnprintf(p->result.words, sizeof(p->result.words), fmt, ap);
	va_end(ap);
	loop_timer_stop(&p->deadline);
	if (p->opened)
		h2_close(&p->h2, 0);
}

static void
finish(struct probe *p)
{
	struct arena *arena = p->arena;
	struct probe_result result = p->result;
	void (*done)(void *, const struct probe_result *) = p->done;
	void *arg = p->arg;

	ASSERT(p->concluded);
	loop_timer_stop(&p->deadline);
	p->magic = 0;
	arena_free(&arena);
	if (done != NULL)
		done(arg, &result);
}

/* ---- the answer ---- */

/* HealthCheckResponse.status of the one message; 0 (UNKNOWN) when it is not there, E_SYNTAX. */
static int
serving_status(const uint8_t *p, size_t n)
{
	struct grpc_prefix prefix;
	struct wire_field field;
	uint64_t status = 0;
	int rc;

	if (n < GRPC_PREFIX || grpc_prefix_get(p, &prefix) != 0 || prefix.compressed ||
	    prefix.length != n - GRPC_PREFIX)
		return E_SYNTAX;
	struct wire_cursor at = {p + GRPC_PREFIX, p + n};
	while ((rc = wire_next(&at, &field)) == 1)
		if (field.number == 1 && field.type == WIRE_VARINT)
			status = field.value;
	if (rc != 0 || status > INT32_MAX)
		return E_SYNTAX;
	return (int)status;
}

static void
good(struct probe *p)
{
	uint64_t us = (clock_ns() - p->asked_ns) / 1000;

	p->result.rtt_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
	conclude(p, HEALTH_OK, "%s", "");
}

/* Trailers, or headers that end the stream. */
static void
judge(struct probe *p)
{
	struct str value = h2_fields_get(&p->stream.in, STR("grpc-status"));
	unsigned code;

	if (value.p == NULL || grpc_status_parse(value, &code) != 0) {
		conclude(p, HEALTH_PROTOCOL, "the answer has no grpc-status");
		return;
	}
	if (code != GRPC_OK) {
		good(p);
		return;
	}
	int status =
		p->answer_len <= ANSWER_MAX ? serving_status(p->answer, p->answer_len) : E_SYNTAX;
	if (status == SERVING)
		good(p);
	else if (status < 0)
		conclude(p, HEALTH_PROTOCOL, "not a HealthCheckResponse");
	else
		conclude(p, HEALTH_NOT_SERVING, "health status %d", status);
}

static void
on_headers(struct h2_stream *s, enum h2_block block, bool end)
{
	struct probe *p = of_stream(s);

	if (p->concluded)
		return;
	if (s->too_large) {
		conclude(p, HEALTH_PROTOCOL, "header fields of more than %zu bytes",
			 limits.header_bytes);
		return;
	}
	if (block == H2_RESPONSE) {
		struct str status = h2_fields_get(&s->in, STR(":status"));
		struct str type = h2_fields_get(&s->in, STR("content-type"));

		if (!str_eq(status, STR("200")) || !grpc_is_content_type(type)) {
			conclude(p, HEALTH_PROTOCOL, "HTTP status %.*s, not gRPC", STR_ARG(status));
			return;
		}
	}
	if (end)
		judge(p);
}

static void
on_data(struct h2_stream *s, struct str bytes)
{
	struct probe *p = of_stream(s);

	if (p->answer_len + bytes.n <= ANSWER_MAX)
		memcpy(p->answer + p->answer_len, bytes.p, bytes.n);
	p->answer_len += bytes.n;
	if (p->answer_len > ANSWER_MAX)
		conclude(p, HEALTH_PROTOCOL, "a health answer of more than %d bytes", ANSWER_MAX);
	h2_consume(s, bytes.n);
}

static void
on_end(struct h2_stream *s)
{
	conclude(of_stream(s), HEALTH_PROTOCOL, "the answer has no trailers");
}

static void
on_sent(struct h2_stream *s)
{
	(void)s;
}

static void
on_stream_closed(struct h2_stream *s, uint32_t code)
{
	struct probe *p = of_stream(s);

	h2_fields_clear(&s->in);
	if (!p->h2.dead && !p->h2.goaway_got)
		conclude(p, HEALTH_PROTOCOL, "the stream was reset: %s",
			 nghttp2_http2_strerror(code));
}

static const struct h2_stream_ops stream_ops = {
	.headers = on_headers,
	.data = on_data,
	.end = on_end,
	.sent = on_sent,
	.stalled = on_sent,
	.closed = on_stream_closed,
};

/* ---- the connection ---- */

static int
ask(struct probe *p)
{
	static const char empty[GRPC_PREFIX] = {0};
	struct h2_fields f = {0};
	struct str scheme = p->target.tls != NULL ? STR("https") : STR("http");

	h2_fields_add(&f, p->arena, STR(":method"), STR("POST"));
	h2_fields_add(&f, p->arena, STR(":scheme"), scheme);
	h2_fields_add(&f, p->arena, STR(":path"), STR("/grpc.health.v1.Health/Check"));
	h2_fields_add(&f, p->arena, STR(":authority"), p->target.authority);
	h2_fields_add(&f, p->arena, STR("te"), STR("trailers"));
	h2_fields_add(&f, p->arena, STR("content-type"), STR("application/grpc"));
	h2_fields_add(&f, p->arena, STR("user-agent"), STR("sparkgw-checker/" SPARKGW_VERSION));
	if (p->target.authorization.p != NULL)
		h2_fields_add(&f, p->arena, STR("authorization"), p->target.authorization);
	if (arena_failed(p->arena))
		return E_NOMEM;
	h2_stream_init(&p->stream, &stream_ops, p->arena);
	int rc = h2_request(&p->h2, &p->stream, &f, false);
	if (rc != 0)
		return rc;
	body_add(&p->stream.out, (struct str){empty, sizeof(empty)});
	h2_end(&p->stream);
	return 0;
}

static void
on_up(struct h2 *h2)
{
	struct probe *p = of_h2(h2);

	if (p->concluded)
		return;
	p->asked_ns = clock_ns();
	if (ask(p) != 0)
		conclude(p, HEALTH_PROTOCOL, "the request could not be sent");
}

static enum health_reason
reason_of(int why)
{
	switch (why) {
	case E_REFUSED: return HEALTH_REFUSED;
	case E_TIMEOUT: return HEALTH_TIMEOUT;
	case E_TLS: return HEALTH_TLS;
	default: return HEALTH_CLOSED;
	}
}

static const char *
words_of(int why)
{
	return why == E_REFUSED ? "" : err_text(why);
}

/* Ended without an answer. */
static void
on_closed(struct h2 *h2, int why)
{
	struct probe *p = of_h2(h2);

	p->opened = false;
	if (h2->io.why[0] != '\0')
		conclude(p, HEALTH_TLS, "%s", h2->io.why);
	else if (why == 0 && h2->goaway_got)
		conclude(p, HEALTH_CLOSED, "turned away (GOAWAY)");
	else if (why == 0 || why == E_SYNTAX)
		conclude(p, HEALTH_PROTOCOL,
			 h2->settings_got ? "HTTP/2 broken" : "does not speak HTTP/2");
	else
		conclude(p, reason_of(why), "%s", words_of(why));
	finish(p);
}

static const struct h2_ops h2_calls = {.up = on_up, .closed = on_closed};

static void
on_deadline(void *arg)
{
	struct probe *p = arg;
	const char *where = p->h2.io.connecting	   ? "connecting"
			    : p->h2.io.handshaking ? "in the TLS handshake"
			    : !p->h2.settings_got  ? "waiting for HTTP/2 SETTINGS"
						   : "waiting for the answer";

	CHECK_MAGIC(p, PROBE_MAGIC);
	conclude(p, HEALTH_TIMEOUT, "%s", where);
}

static void
on_stillborn(void *arg)
{
	finish(arg);
}

static int
open_connection(struct probe *p)
{
	int fd, rc = sock_connect(&p->target.address, &fd);

	if (rc == E_FULL)
		return rc;
	if (rc != 0) {
		conclude(p, reason_of(rc), "%s", rc == E_IO ? strerror(errno) : words_of(rc));
		loop_later(p->loop, LOOP_FREE, &p->stillborn, on_stillborn, p);
		return 0;
	}
	rc = h2_open_client(&p->h2, p->loop, fd, p->target.tls, p->target.server_name, &limits,
			    &h2_calls);
	if (rc == 0)
		p->opened = true;
	return rc;
}

int
probe_start(struct loop *loop, const struct probe_target *target,
	    void (*done)(void *arg, const struct probe_result *), void *arg, struct probe **ret)
{
	struct arena *arena = arena_new(ARENA_FIRST, ARENA_CEILING);
	struct probe *p = arena != NULL ? arena_alloc(arena, sizeof(*p)) : NULL;
	int rc = E_NOMEM;

	if (p != NULL) {
		*p = (struct probe){.magic = PROBE_MAGIC, .arena = arena, .loop = loop};
		p->target = *target;
		p->done = done;
		p->arg = arg;
		rc = open_connection(p);
	}
	if (rc != 0) {
		arena_free(&arena);
		return rc;
	}
	if (p->opened)
		loop_timer_start(loop, &p->deadline, target->timeout_ms, 0, on_deadline, p);
	*ret = p;
	return 0;
}

void
probe_cancel(struct probe **probe)
{
	struct probe *p = *probe;

	if (p == NULL)
		return;
	CHECK_MAGIC(p, PROBE_MAGIC);
	*probe = NULL;
	p->done = NULL;
	conclude(p, HEALTH_CLOSED, "cancelled");
}
