/*
 * A connection's life: open, bytes in, frames out at the end of each turn, graceful or sudden end.
 *
 *	io bytes --> session_receive --> stream ops (owner)
 *	h2_push --> session_produce --> io.out;  end of the turn: settle() --> io_flush
 *
 * Nothing is freed inside a callback: bury() runs when the turn is over.
 */
#include <nghttp2/nghttp2.h>
#include "h2/h2.h"
#include "h2/session.h"
#include "lib/panic.h"
#include "lib/sock.h"

#define TICK_MS	    10000u
#define IDLE_MS	    3600000u /* clients keep their channels */
#define SLOW_TICKS  60	     /* ten minutes; a person may look at a part of a result that long */
#define SLOW_BYTES  (SLOW_TICKS * 10 * 1024u)
#define NOTICE_MS   1000u /* between the first GOAWAY and the final one */
#define LINGER_MS   5000u /* for the peer to take the last bytes and close */
#define ANSWERS_MAX 64	  /* control frames waiting for a peer that does not read */

static void settle(void *arg);
static void give_notice(struct h2 *h2);

static void
mark(struct h2 *h2)
{
	if (!h2->dead)
		loop_later(h2->loop, LOOP_FLUSH, &h2->flush, settle, h2);
}

static void
bury(void *arg)
{
	struct h2 *h2 = arg;

	CHECK_MAGIC(h2, H2_MAGIC);
	loop_later_cancel(h2->loop, &h2->flush);
	uint32_t code = io_up(&h2->io) ? H2_CONNECTION_LOST : H2_NEVER_SENT;

	while (h2->streams != NULL)
		session_stream_gone(h2->streams, code);
	io_close(&h2->io);
	nghttp2_session_del(h2->ng);
	h2->ng = NULL;
	h2->magic = 0;
	h2->ops->closed(h2, h2->why);
}

void
h2_close(struct h2 *h2, int why)
{
	CHECK_MAGIC(h2, H2_MAGIC);
	if (h2->dead)
		return;
	h2->dead = true;
	h2->why = why;
	loop_timer_stop(&h2->tick);
	io_pause(&h2->io, true);
	loop_later(h2->loop, LOOP_FREE, &h2->bury, bury, h2);
}

/* ---- output ---- */

/* A peer that makes us answer and does not read the answers is not read from either. */
static void
brake(struct h2 *h2)
{
	bool over =
		io_blocked(&h2->io) && io_up(&h2->io) &&
		nghttp2_session_get_outbound_queue_size(h2->ng) > ANSWERS_MAX + h2->streams_open;

	if (over != h2->io.reading_off)
		io_pause(&h2->io, over);
}

static void
lingered(void *arg)
{
	h2_close(arg, 0);
}

static bool
finished(const struct h2 *h2)
{
	return !nghttp2_session_want_read(h2->ng) && !nghttp2_session_want_write(h2->ng);
}

/* Everything is said, and the socket has it; a client that is to lose nothing may not yet. */
static void
finish(struct h2 *h2)
{
	bool in_peace = h2->server && !h2->abused && (h2->going_away || h2->goaway_got);

	if (!in_peace || !io_up(&h2->io)) {
		h2_close(h2, 0);
		return;
	}
	h2->lingering = true;
	io_pause(&h2->io, false); /* his end is to be seen, also by one who was braked */
	io_say_end(&h2->io);
	loop_timer_start(h2->loop, &h2->tick, LINGER_MS, 0, lingered, h2);
}

/* End of the turn: all that may leave, leaves. */
static void
settle(void *arg)
{
	struct h2 *h2 = arg;
	size_t before;

	CHECK_MAGIC(h2, H2_MAGIC);
	if (h2->dead || h2->lingering)
		return;
	do {
		if (!session_produce(h2)) {
			h2_close(h2, E_SYNTAX);
			return;
		}
		before = h2->io.out.len;
		int rc = io_flush(&h2->io);
		if (rc != 0) {
			h2_close(h2, rc);
			return;
		}
	} while (before > 0 && h2->io.out.len == 0 && !io_blocked(&h2->io));
	if (h2->dead)
		return;
	if (finished(h2) && io_waiting(&h2->io) == 0)
		finish(h2);
	else
		brake(h2);
}

/* ---- the io's calls ---- */

static void
on_up(void *arg)
{
	struct h2 *h2 = arg;

	if (h2->ops->up != NULL)
		h2->ops->up(h2);
	if (h2->going_away)
		give_notice(h2);
	mark(h2);
}

static void
on_bytes(void *arg, const uint8_t *p, size_t n)
{
	struct h2 *h2 = arg;

	CHECK_MAGIC(h2, H2_MAGIC);
	if (h2->dead || h2->lingering)
		return;
	if (!session_receive(h2, p, n)) {
		(void)session_produce(h2); /* the GOAWAY that says why */
		(void)io_flush(&h2->io);
		h2_close(h2, E_SYNTAX);
		return;
	}
	mark(h2);
}

static void
on_writable(void *arg)
{
	mark(arg);
}

static void
on_broken(void *arg, int why)
{
	struct h2 *h2 = arg;

	h2_close(h2, h2->lingering ? 0 : why);
}

static const struct io_ops io_calls = {on_up, on_bytes, on_writable, on_broken};

/* ---- time ---- */

static void
stall_check(struct h2_stream *s)
{
	bool waits = body_len(&s->out) > 0 || (s->out_ended && s->response_sent && s->h2->server);

	if (!waits || s->sent_bytes - s->sent_mark >= SLOW_BYTES) {
		s->slow_ticks = 0;
		s->sent_mark = s->sent_bytes;
	} else if (++s->slow_ticks >= SLOW_TICKS) {
		s->slow_ticks = 0;
		s->sent_mark = s->sent_bytes;
		s->ops->stalled(s);
	}
}

/* All is said, but the socket does not take it: as long as some of it moves, there is time. */
static void
take_leave(struct h2 *h2)
{
	size_t waiting = io_waiting(&h2->io);

	if (h2->abused || waiting == h2->waiting_mark)
		h2_close(h2, E_TIMEOUT);
	h2->waiting_mark = waiting;
}

static void
tick(void *arg)
{
	struct h2 *h2 = arg;
	uint64_t now = loop_ms(h2->loop);

	if (!h2->settings_got || !h2->settings_acked) {
		if (io_up(&h2->io) && h2->settings_got)
			nghttp2_session_terminate_session(h2->ng, NGHTTP2_SETTINGS_TIMEOUT);
		(void)session_produce(h2);
		(void)io_flush(&h2->io);
		h2_close(h2, E_TIMEOUT);
		return;
	}
	if (finished(h2)) {
		take_leave(h2);
		return;
	}
	if (h2->block_since_ms != 0 && now - h2->block_since_ms >= TICK_MS) {
		nghttp2_session_terminate_session(h2->ng, NGHTTP2_ENHANCE_YOUR_CALM);
	} else if (h2->streams_open == 0 && h2->server && now - h2->idle_since_ms >= IDLE_MS) {
		h2_go_away(h2);
	} else {
		for (struct h2_stream *s = h2->streams, *next; s != NULL; s = next) {
			next = s->next;
			stall_check(s);
		}
	}
	mark(h2);
}

/* ---- leaving ---- */

static void
final_goaway(void *arg)
{
	struct h2 *h2 = arg;

	nghttp2_submit_goaway(h2->ng, 0, nghttp2_session_get_last_proc_stream_id(h2->ng),
			      NGHTTP2_NO_ERROR, NULL, 0);
	mark(h2);
	loop_timer_start(h2->loop, &h2->tick, TICK_MS, TICK_MS, tick, h2);
}

/* The first GOAWAY takes back nothing; requests under way get their time, then the final one. */
static void
give_notice(struct h2 *h2)
{
	nghttp2_submit_shutdown_notice(h2->ng);
	loop_timer_start(h2->loop, &h2->tick, NOTICE_MS, 0, final_goaway, h2);
	mark(h2);
}

void
h2_go_away(struct h2 *h2)
{
	CHECK_MAGIC(h2, H2_MAGIC);
	if (h2->dead || h2->going_away)
		return;
	h2->going_away = true;
	if (io_up(&h2->io)) /* else told as soon as the handshake is done */
		give_notice(h2);
}

/* ---- opening ---- */

static int
open_any(struct h2 *h2, struct loop *loop, int *fd, const struct h2_limits *limits,
	 const struct h2_ops *ops)
{
	h2->magic = H2_MAGIC;
	h2->loop = loop;
	h2->limits = limits;
	h2->ops = ops;
	h2->idle_since_ms = loop_ms(loop);
	budget_init(&h2->budget, h2->idle_since_ms);
	if (session_new(h2) != 0) {
		sock_close(fd);
		return E_NOMEM;
	}
	return 0;
}

static int
opened(struct h2 *h2, int io_rc)
{
	if (io_rc != 0) {
		nghttp2_session_del(h2->ng);
		h2->ng = NULL;
		return io_rc;
	}
	loop_timer_start(h2->loop, &h2->tick, TICK_MS, TICK_MS, tick, h2);
	mark(h2);
	return 0;
}

int
h2_open_server(struct h2 *h2, struct loop *loop, int fd, SSL_CTX *tls,
	       const struct h2_limits *limits, const struct h2_ops *ops)
{
	h2->server = true;
	if (open_any(h2, loop, &fd, limits, ops) != 0)
		return E_NOMEM;
	return opened(h2, io_open_server(&h2->io, loop, fd, tls, &io_calls, h2));
}

int
h2_open_client(struct h2 *h2, struct loop *loop, int fd, SSL_CTX *tls, const char *server_name,
	       const struct h2_limits *limits, const struct h2_ops *ops)
{
	if (open_any(h2, loop, &fd, limits, ops) != 0)
		return E_NOMEM;
	return opened(h2, io_open_client(&h2->io, loop, fd, tls, server_name, &io_calls, h2));
}

uint32_t
h2_room(const struct h2 *h2)
{
	if (h2->dead || h2->goaway_got || h2->going_away ||
	    !nghttp2_session_check_request_allowed(h2->ng))
		return 0;
	uint32_t max = nghttp2_session_get_remote_settings(h2->ng,
							   NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	return max > h2->streams_open ? max - h2->streams_open : 0;
}

bool
h2_can_open(const struct h2 *h2)
{
	return h2_room(h2) > 0;
}

/* ---- streams ---- */

void
h2_stream_init(struct h2_stream *s, const struct h2_stream_ops *ops, struct arena *arena)
{
	*s = (struct h2_stream){.magic = H2_STREAM_MAGIC, .ops = ops, .arena = arena};
}

int
h2_request(struct h2 *h2, struct h2_stream *s, const struct h2_fields *f, bool end)
{
	CHECK_MAGIC(h2, H2_MAGIC);
	if (h2->dead)
		return E_STATE;
	s->h2 = h2;
	int rc = session_request(s, f, end);
	if (rc != 0)
		s->h2 = NULL;
	else
		mark(h2);
	return rc;
}

static bool
alive(struct h2_stream *s)
{
	ASSERT(s->magic == H2_STREAM_MAGIC);
	return s->h2 != NULL && !s->h2->dead && !s->reset;
}

int
h2_respond(struct h2_stream *s, const struct h2_fields *f, bool end)
{
	if (!alive(s))
		return 0; /* closed() is on its way */
	mark(s->h2);
	return session_respond(s, f, end);
}

void
h2_push(struct h2_stream *s)
{
	if (!alive(s)) {
		body_clear(&s->out);
		return;
	}
	(void)nghttp2_session_resume_data(s->h2->ng, s->id);
	if (!s->h2->receiving && io_up(&s->h2->io))
		(void)session_produce(s->h2); /* a broken session shows again in settle() */
	body_store(&s->out);
	if (s->h2 != NULL) /* a reset that was queued may just have left, and closed it */
		mark(s->h2);
}

void
h2_end(struct h2_stream *s)
{
	s->out_ended = true;
	if (!alive(s))
		return;
	(void)nghttp2_session_resume_data(s->h2->ng, s->id);
	mark(s->h2);
}

bool
h2_end_sent(const struct h2_stream *s)
{
	return s->h2 == NULL || nghttp2_session_get_stream_local_close(s->h2->ng, s->id) == 1;
}

void
h2_trailers(struct h2_stream *s)
{
	s->trailers_out = true;
	h2_end(s);
}

void
h2_cut_short(struct h2_stream *s)
{
	body_clear(&s->out);
	s->out_ended = true;
	if (!alive(s))
		return;
	if (nghttp2_submit_trailer(s->h2->ng, s->id, s->trailers.nv, s->trailers.count) != 0)
		h2_reset(s, NGHTTP2_INTERNAL_ERROR);
	mark(s->h2);
}

void
h2_reset(struct h2_stream *s, uint32_t code)
{
	if (!alive(s))
		return;
	s->reset = true;
	body_clear(&s->out);
	if (nghttp2_submit_rst_stream(s->h2->ng, 0, s->id, code) != 0)
		h2_close(s->h2, E_NOMEM);
	mark(s->h2);
}

void
h2_consume(struct h2_stream *s, size_t n)
{
	if (n == 0 || !alive(s))
		return;
	(void)nghttp2_session_consume_stream(s->h2->ng, s->id, n);
	mark(s->h2);
}
