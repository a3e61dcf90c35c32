/*
 * One HTTP/2 connection, as server or as client, on a socket (lib/io) and an nghttp2 session.
 *
 * Connections and streams are embedded in their owners. Flow control is by hand: connection credit
 * on receipt, stream credit when the owner says so (h2_consume), so that one stalled stream never
 * holds up its neighbours. Output is produced while the bytes are at hand and leaves with one
 * system call at the end of the loop's turn. Peers that misuse the protocol are held to a budget
 * (budget.h).
 *
 * Lifetimes: after h2_open_*() the owner gets exactly one closed(), from the loop; all streams have
 * been closed before. A stream's fields and arena live until its own closed(), which may come from
 * inside h2_push() of any stream of the connection.
 */
#pragma once
#include "h2/body.h"
#include "h2/budget.h"
#include "h2/fields.h"
#include "lib/arena.h"
#include "lib/io.h"
#include "lib/loop.h"

/* Codes of closed() besides those of RFC 9113 section 7. */
#define H2_NEVER_SENT	   NGHTTP2_REFUSED_STREAM /* the peer's application has seen nothing of it */
#define H2_CONNECTION_LOST 0x10000u		  /* the connection broke, or we closed it */

struct h2;
struct h2_stream;

enum h2_block { H2_REQUEST, H2_RESPONSE, H2_TRAILERS };

struct h2_stream_ops {
	/* A block is complete, in s->in (or s->too_large). end: the peer sends no more. */
	void (*headers)(struct h2_stream *, enum h2_block, bool end);
	void (*data)(struct h2_stream *, struct str bytes); /* credit: h2_consume() */
	void (*end)(struct h2_stream *);		    /* after data: the peer sends no more */
	void (*sent)(struct h2_stream *);    /* body bytes have left for the output */
	void (*stalled)(struct h2_stream *); /* ten minutes, and next to nothing was taken */
	void (*closed)(struct h2_stream *, uint32_t code); /* last call; HTTP/2 error code */
};

struct h2_stream {
	unsigned magic;
	struct h2 *h2;
	int32_t id;
	struct h2_stream *prev, *next; /* of the connection */
	const struct h2_stream_ops *ops;
	struct arena *arena;
	struct h2_fields in;	   /* the block being received, or last received */
	struct h2_fields trailers; /* to be sent after the body */
	struct h2_body out;
	size_t blocks;			/* header blocks begun (1xx included) */
	uint64_t sent_bytes, sent_mark; /* for `stalled` */
	uint8_t slow_ticks;
	bool too_large, response_sent, out_ended, trailers_out, in_ended, reset;
};

struct h2_ops {
	void (*up)(struct h2 *);		/* the transport stands; may be NULL */
	struct h2_stream *(*open)(struct h2 *); /* server: for a new request, h2_stream_init()ed */
	void (*turned_away)(struct h2 *);	/* GOAWAY came: no new streams; may be NULL */
	void (*settings)(struct h2 *);		/* the peer's SETTINGS arrived; may be NULL */
	void (*closed)(struct h2 *, int why);	/* last; why as io_ops.broken, or 0 */
};

struct h2_limits {
	uint32_t streams;	/* at once, opened by the peer */
	uint32_t stream_window; /* bytes we take unread per stream */
	uint32_t connection_window;
	size_t header_bytes; /* decoded; over it: too_large, half more: the end */
	unsigned header_fields;
};

struct h2 {
	unsigned magic;
	struct io io;
	struct loop *loop;
	nghttp2_session *ng;
	const struct h2_ops *ops;
	const struct h2_limits *limits;
	struct h2_stream *streams, *block; /* block: whose fields come in; NULL: nobody wants them */
	uint32_t streams_open, streams_total;
	struct budget budget;
	struct loop_later flush, bury;
	struct loop_timer tick;
	uint64_t idle_since_ms, block_since_ms;
	size_t waiting_mark;
	int32_t block_id; /* the stream whose header block began last, at block_since_ms */
	int why;
	uint16_t continuations;
	bool server, receiving, producing, dead, settings_acked, settings_got, goaway_got,
		going_away, abused, lingering;
};

/* Take over fd. The memory of `struct h2` must be zeroed. tls NULL: clear text. E_NOMEM (fd is
 * closed, no callbacks). */
int h2_open_server(struct h2 *, struct loop *, int fd, SSL_CTX *tls, const struct h2_limits *,
		   const struct h2_ops *) MUST_CHECK;
int h2_open_client(struct h2 *, struct loop *, int fd, SSL_CTX *tls, const char *server_name,
		   const struct h2_limits *, const struct h2_ops *) MUST_CHECK;
void h2_close(struct h2 *, int why); /* at once; closed() comes at the turn's end */
void h2_go_away(struct h2 *);	     /* graceful: closed() comes after the last stream */
bool h2_can_open(const struct h2 *); /* client: a further stream may be opened now */
uint32_t h2_room(const struct h2 *); /* client: how many further ones */

void h2_stream_init(struct h2_stream *, const struct h2_stream_ops *, struct arena *);

/* Client: opens the stream; fields live in s->arena. A body follows unless end. E_NOMEM, E_STATE
 * (no closed() then). */
int h2_request(struct h2 *, struct h2_stream *, const struct h2_fields *, bool end) MUST_CHECK;
/* Server: response headers; end: trailers-only. */
int h2_respond(struct h2_stream *, const struct h2_fields *, bool end) MUST_CHECK;

/* Body bytes: lent ones are valid until the callback in which they came ends. */
void h2_push(struct h2_stream *); /* sends what may go, stores the rest of what was lent */
void h2_end(struct h2_stream *);  /* END_STREAM after the body */
bool h2_end_sent(const struct h2_stream *); /* END_STREAM is on its way, or the stream is closed */
void h2_trailers(struct h2_stream *);	    /* s->trailers and END_STREAM after the body */
void h2_cut_short(struct h2_stream *);	    /* drops the unsent body, sends s->trailers */
void h2_reset(struct h2_stream *, uint32_t code); /* closed() follows */
void h2_consume(struct h2_stream *, size_t n);	  /* stream credit for n received bytes */
