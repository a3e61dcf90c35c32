/*
 * nghttp2's view of a connection: its callbacks, turned into calls on streams and charges to the
 * abuse budget. In: bytes (session_receive); out: frames appended to the io's output
 * (session_produce).
 *
 * The callbacks always let the session live on: a stream's trouble ends the stream, and what ends
 * the connection is done through GOAWAY. on_stream_close in particular must answer 0
 * (CVE-2023-35945).
 */
#include <nghttp2/nghttp2.h>
#include "config.h"
#include "h2/mem.h"
#include "h2/session.h"
#include "lib/panic.h"

#define FRAME_CONTINUATION 9
#define CONTINUATIONS_MAX  8
#define INFORMATIONAL_MAX  10

static struct h2_stream *
stream_of(nghttp2_session *ng, int32_t id)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(ng, id);

	if (s != NULL)
		ASSERT(s->magic == H2_STREAM_MAGIC);
	return s;
}

void
session_charge(struct h2 *h2, enum budget_event event)
{
	if (h2->abused)
		return;
	switch (budget_charge(&h2->budget, event, h2->streams_total, loop_ms(h2->loop))) {
	case BUDGET_FINE: return;
	case BUDGET_TIRED:
		if (h2->server)
			h2_go_away(h2);
		return;
	case BUDGET_PINGS: /* by these words gRPC clients know that they should ping less */
		nghttp2_submit_goaway(h2->ng, 0, nghttp2_session_get_last_proc_stream_id(h2->ng),
				      NGHTTP2_ENHANCE_YOUR_CALM, (const uint8_t *)"too_many_pings",
				      14);
		/* fallthrough */
	case BUDGET_SPENT:
		h2->abused = true;
		nghttp2_session_terminate_session(h2->ng, NGHTTP2_ENHANCE_YOUR_CALM);
		return;
	}
}

/* ---- header blocks ---- */

static void
link_stream(struct h2 *h2, struct h2_stream *s, int32_t id)
{
	s->h2 = h2;
	s->id = id;
	s->prev = NULL;
	s->next = h2->streams;
	if (s->next != NULL)
		s->next->prev = s;
	h2->streams = s;
	h2->streams_open++;
	h2->streams_total++;
	nghttp2_session_set_stream_user_data(h2->ng, id, s);
}

static int
begin_headers(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h2 = arg;
	struct h2_stream *s;

	h2->block = NULL;
	if (h2->server && f->headers.cat == NGHTTP2_HCAT_REQUEST) {
		s = h2->dead ? NULL : h2->ops->open(h2);
		if (s == NULL)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		link_stream(h2, s, f->hd.stream_id);
	} else {
		s = stream_of(ng, f->hd.stream_id);
	}
	h2->block_since_ms = loop_ms(h2->loop);
	h2->block_id = f->hd.stream_id;
	h2->continuations = 0;
	h2->block = s;
	if (s != NULL) {
		h2_fields_restart(&s->in);
		s->blocks++;
	}
	return 0;
}

static bool
is_informational(const struct h2_fields *f)
{
	return f->count > 0 && str_eq(h2_field_name(f, 0), STR(":status")) &&
	       f->nv[0].valuelen == 3 && f->nv[0].value[0] == '1';
}

/* Counted before anything is kept: a block of 64 KiB can decode to hundreds of megabytes. */
static bool
too_much(const struct h2 *h2, struct h2_stream *s, size_t more)
{
	const struct h2_limits *l = h2->limits;

	if (s->in.bytes + more <= l->header_bytes && s->in.count < l->header_fields)
		return false;
	s->too_large = true;
	s->in.bytes += more;
	return true;
}

static int
header(nghttp2_session *ng, const nghttp2_frame *f, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
       uint8_t flags, void *arg)
{
	struct h2 *h2 = arg;
	struct h2_stream *s = h2->block;

	(void)ng, (void)f;
	if (s == NULL || s->reset)
		return 0;
	nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
	if (too_much(h2, s, n.len + v.len + 32)) {
		if (s->in.bytes <= h2->limits->header_bytes + h2->limits->header_bytes / 2)
			return 0;
		nghttp2_session_terminate_session(h2->ng, NGHTTP2_ENHANCE_YOUR_CALM);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* no further fields */
	}
	if (h2_fields_receive(&s->in, s->arena, name, value, flags) != 0)
		s->too_large = true;
	return 0;
}

/* A field that HTTP forbids: the library would drop it and go on; we reset the stream (RST
 * PROTOCOL_ERROR). */
static int
invalid_header(nghttp2_session *ng, const nghttp2_frame *f, nghttp2_rcbuf *name,
	       nghttp2_rcbuf *value, uint8_t flags, void *arg)
{
	(void)ng, (void)f, (void)name, (void)value, (void)flags, (void)arg;
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void
block_complete(struct h2 *h2, struct h2_stream *s, bool end)
{
	enum h2_block kind = h2->server ? (s->blocks == 1 ? H2_REQUEST : H2_TRAILERS)
					: (s->response_sent ? H2_TRAILERS : H2_RESPONSE);

	if (!h2->server && kind == H2_RESPONSE) {
		if (is_informational(&s->in)) {
			if (s->blocks > INFORMATIONAL_MAX)
				h2_reset(s, NGHTTP2_ENHANCE_YOUR_CALM);
			return;
		}
		s->response_sent = true; /* as client: the response was received */
	}
	if (end)
		s->in_ended = true;
	s->ops->headers(s, kind, end);
}

/* ---- frames ---- */

static int
begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
	struct h2 *h2 = arg;

	(void)ng;
	if (hd->type == FRAME_CONTINUATION && ++h2->continuations > CONTINUATIONS_MAX) {
		h2->abused = true;
		nghttp2_session_terminate_session(h2->ng, NGHTTP2_ENHANCE_YOUR_CALM);
		return NGHTTP2_ERR_CALLBACK_FAILURE; /* the block would be read on otherwise */
	}
	if (hd->type == NGHTTP2_PRIORITY) /* ignored by the library, which then calls nobody else */
		session_charge(h2, BUDGET_PRIORITY);
	if (hd->type > FRAME_CONTINUATION)
		session_charge(h2, BUDGET_UNKNOWN);
	return 0;
}

/* Frames of types unknown to us are counted in begin_frame(), which is called only for types that
 * somebody wants to have; nobody wants them further. */
static int
drop_unknown(nghttp2_session *ng, void **payload, const nghttp2_frame_hd *hd, void *arg)
{
	(void)ng, (void)payload, (void)hd, (void)arg;
	return NGHTTP2_ERR_CANCEL;
}

static void
data_or_headers(struct h2 *h2, const nghttp2_frame *f)
{
	struct h2_stream *s = stream_of(h2->ng, f->hd.stream_id);
	bool end = f->hd.flags & NGHTTP2_FLAG_END_STREAM;
	bool is_data = f->hd.type == NGHTTP2_DATA;

	if (is_data && f->hd.length == f->data.padlen && !end)
		session_charge(h2, BUDGET_EMPTY_DATA);
	else
		session_charge(h2, BUDGET_DATA);
	if (!is_data)
		h2->block_since_ms = 0;
	if (s == NULL || s->reset)
		return;
	if (!is_data) {
		block_complete(h2, s, end);
	} else if (end) {
		s->in_ended = true;
		s->ops->end(s);
	}
}

static void
reset_received(struct h2 *h2, const struct h2_stream *s)
{
	if (h2->server && s != NULL && !s->reset && !s->response_sent)
		session_charge(h2, BUDGET_PEER_RESET);
}

static int
frame_received(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h2 = arg;

	switch (f->hd.type) {
	case NGHTTP2_DATA:
	case NGHTTP2_HEADERS: data_or_headers(h2, f); break;
	case NGHTTP2_RST_STREAM: reset_received(h2, stream_of(ng, f->hd.stream_id)); break;
	case NGHTTP2_WINDOW_UPDATE: session_charge(h2, BUDGET_WINDOW_UPDATE); break;
	case NGHTTP2_PING:
		if (!(f->hd.flags & NGHTTP2_FLAG_ACK))
			session_charge(h2, BUDGET_PING);
		break;
	case NGHTTP2_SETTINGS:
		if (f->hd.flags & NGHTTP2_FLAG_ACK) {
			h2->settings_acked = true;
			break;
		}
		h2->settings_got = true;
		session_charge(h2, BUDGET_SETTINGS);
		if (h2->ops->settings != NULL)
			h2->ops->settings(h2);
		break;
	case NGHTTP2_GOAWAY:
		h2->goaway_got = true;
		if (h2->ops->turned_away != NULL)
			h2->ops->turned_away(h2);
		break;
	default: break;
	}
	return 0;
}

static int
chunk(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
	struct h2_stream *s = stream_of(ng, id);

	(void)flags, (void)arg;
	nghttp2_session_consume_connection(ng, n);
	if (s != NULL && !s->reset)
		s->ops->data(s, (struct str){(const char *)p, n});
	return 0;
}

/* An answer that ends before its request: the client may stop sending (RFC 9113 section 8.1). */
static void
answer_complete(struct h2_stream *s)
{
	if (s == NULL || s->in_ended || s->reset)
		return;
	s->reset = true;
	nghttp2_submit_rst_stream(s->h2->ng, 0, s->id, NGHTTP2_NO_ERROR);
}

static int
frame_sent(nghttp2_session *ng, const nghttp2_frame *f, void *arg)
{
	struct h2 *h2 = arg;

	if (f->hd.type == NGHTTP2_DATA || f->hd.type == NGHTTP2_HEADERS) {
		h2->budget.data_sent++;
		if (h2->server && (f->hd.flags & NGHTTP2_FLAG_END_STREAM))
			answer_complete(stream_of(ng, f->hd.stream_id));
	} else if (f->hd.type == NGHTTP2_RST_STREAM && h2->server) {
		uint32_t code = f->rst_stream.error_code;

		if (code == NGHTTP2_REFUSED_STREAM)
			session_charge(h2, BUDGET_REFUSED);
		else if (code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
			 code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR)
			session_charge(h2, BUDGET_OUR_RESET);
	}
	return 0;
}

void
session_stream_gone(struct h2_stream *s, uint32_t code)
{
	struct h2 *h2 = s->h2;

	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		h2->streams = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	if (h2->block == s)
		h2->block = NULL;
	h2->streams_open--;
	if (h2->streams_open == 0)
		h2->idle_since_ms = loop_ms(h2->loop);
	s->h2 = NULL;
	body_clear(&s->out);
	s->ops->closed(s, code);
}

static int
stream_closed(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct h2 *h2 = arg;
	struct h2_stream *s = stream_of(ng, id);

	if (id == h2->block_id) /* also one whose end was never told, being malformed */
		h2->block_since_ms = 0;
	if (s == NULL)
		return 0;
	nghttp2_session_set_stream_user_data(ng, id, NULL);
	session_stream_gone(s, code);
	return 0;
}

/* ---- bodies ---- */

static ssize_t
read_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
	  nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = source->ptr;
	size_t n = body_len(&s->out);

	(void)to, (void)arg;
	if (n == 0 && !s->out_ended)
		return NGHTTP2_ERR_DEFERRED;
	if (n > len) {
		n = len;
	} else if (s->out_ended) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (s->trailers_out) {
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			if (nghttp2_submit_trailer(ng, id, s->trailers.nv, s->trailers.count) != 0)
				return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		}
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	return (ssize_t)n;
}

static bool
has_room(const struct h2 *h2)
{
	bool blocked = io_blocked(&h2->io) && io_up(&h2->io);

	return h2->io.out.len < (blocked ? H2_OUT_BLOCKED : H2_OUT_MAX);
}

static int
send_data(nghttp2_session *ng, nghttp2_frame *f, const uint8_t *head, size_t len,
	  nghttp2_data_source *source, void *arg)
{
	struct h2 *h2 = arg;
	struct h2_stream *s = source->ptr;

	(void)ng, (void)f;
	pool_append(&h2->io.out, head, 9);
	body_take(&s->out, &h2->io.out, len);
	s->sent_bytes += len;
	if (len > 0)
		s->ops->sent(s);
	return has_room(h2) ? 0
			    : NGHTTP2_ERR_PAUSE; /* else the library goes on to the next frame */
}

static nghttp2_data_provider
provider(struct h2_stream *s)
{
	return (nghttp2_data_provider){.source.ptr = s, .read_callback = read_body};
}

int
session_respond(struct h2_stream *s, const struct h2_fields *f, bool end)
{
	nghttp2_data_provider dp = provider(s);

	s->response_sent = true;
	if (end)
		s->out_ended = true;
	return nghttp2_submit_response(s->h2->ng, s->id, f->nv, f->count, end ? NULL : &dp) == 0
		       ? 0
		       : E_NOMEM;
}

int
session_request(struct h2_stream *s, const struct h2_fields *f, bool end)
{
	struct h2 *h2 = s->h2;
	nghttp2_data_provider dp = provider(s);
	int32_t id = nghttp2_submit_request(h2->ng, NULL, f->nv, f->count, end ? NULL : &dp, s);

	if (id < 0)
		return id == NGHTTP2_ERR_NOMEM ? E_NOMEM : E_STATE;
	s->out_ended = end;
	link_stream(h2, s, id);
	return 0;
}

/* ---- the session ---- */

static nghttp2_session_callbacks *
callbacks(void)
{
	static nghttp2_session_callbacks *cb;

	if (cb != NULL)
		return cb;
	ASSERT(nghttp2_session_callbacks_new(&cb) == 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, header);
	nghttp2_session_callbacks_set_on_invalid_header_callback2(cb, invalid_header);
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, begin_frame);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, frame_received);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, chunk);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, stream_closed);
	nghttp2_session_callbacks_set_send_data_callback(cb, send_data);
	nghttp2_session_callbacks_set_unpack_extension_callback(cb, drop_unknown);
	return cb;
}

static nghttp2_option *
options(void)
{
	static nghttp2_option *o;

	if (o != NULL)
		return o;
	ASSERT(nghttp2_option_new(&o) == 0);
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_outbound_ack(o, 200);
	nghttp2_option_set_max_send_header_block_length(o, 256 * 1024);
	nghttp2_option_set_peer_max_concurrent_streams(o, 100);
	for (unsigned type = FRAME_CONTINUATION + 1; type <= UINT8_MAX; type++)
		nghttp2_option_set_user_recv_extension_type(o, (uint8_t)type);
#ifdef HAVE_NGHTTP2_OPTION_SET_STREAM_RESET_RATE_LIMIT
	nghttp2_option_set_stream_reset_rate_limit(o, 200, 20);
#endif
#ifdef HAVE_NGHTTP2_OPTION_SET_MAX_CONTINUATIONS
	/* The library counts per read, not per frame; begin_frame() counts right. */
	nghttp2_option_set_max_continuations(o, 80);
#endif
	return o;
}

int
session_new(struct h2 *h2)
{
	const struct h2_limits *l = h2->limits;
	nghttp2_settings_entry iv[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->stream_window},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)l->header_bytes},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->streams},
	};
	size_t count = 4;
	int rc;

	if (h2->server) {
		rc = nghttp2_session_server_new3(&h2->ng, callbacks(), h2, options(), mem_small());
	} else {
		rc = nghttp2_session_client_new3(&h2->ng, callbacks(), h2, options(), mem_small());
		iv[3] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
	}
	if (rc == 0)
		rc = nghttp2_submit_settings(h2->ng, 0, iv, count);
	if (rc == 0)
		rc = nghttp2_session_set_local_window_size(h2->ng, 0, 0,
							   (int32_t)l->connection_window);
	if (rc == 0)
		return 0;
	nghttp2_session_del(h2->ng);
	h2->ng = NULL;
	return E_NOMEM;
}

bool
session_produce(struct h2 *h2)
{
	bool alright = true;

	if (h2->producing) /* closed() of one stream opened another: the call outside goes on */
		return true;
	h2->producing = true;
	while (alright && has_room(h2)) {
		const uint8_t *p;
		size_t before = h2->io.out.len;
		ssize_t n = nghttp2_session_mem_send(h2->ng, &p);

		alright = n >= 0;
		if (n > 0)
			pool_append(&h2->io.out, p, (size_t)n);
		if (h2->io.out.len == before)
			break;
	}
	h2->producing = false;
	return alright;
}

bool
session_receive(struct h2 *h2, const uint8_t *p, size_t n)
{
	h2->receiving = true;
	ssize_t used = nghttp2_session_mem_recv(h2->ng, p, n);
	h2->receiving = false;
	return used >= 0 && (size_t)used == n;
}
