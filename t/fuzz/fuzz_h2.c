/*
 * h2: a client's bytes into a server connection whose owner answers. Whatever comes, every stream
 * is closed once and before the connection, what waits for the socket stays small, no block of the
 * pool is left.
 *
 *	input:  options, then the bytes.  The lowest bits of the options: 1 = the preface and the
 *	SETTINGS come first by themselves, 2 = the server goes away half-way, 4 = answers are not
 *	read; the others: how the bytes are cut.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "h2/session.h"
#include "lib/panic.h"
#include "lib/sock.h"

#define STREAMS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct served {
	struct h2_stream s;
	struct arena *arena;
	struct served *next;
	size_t debt;
	unsigned closed;
	bool answered;
};

static struct loop *loop;
static struct h2 server;
static struct served *all;
static unsigned opened;
static bool ended;

static const struct h2_limits limits = {.streams = 16,
					.stream_window = 65536,
					.connection_window = 1u << 20,
					.header_bytes = 4096,
					.header_fields = 32};

static struct served *
of(struct h2_stream *s)
{
	return (struct served *)(void *)((char *)s - offsetof(struct served, s));
}

/* ---- the owner ---- */

static void
answer(struct served *d, bool only)
{
	struct h2_fields f = {0};

	if (d->answered)
		return;
	d->answered = true;
	h2_fields_add(&f, d->arena, STR(":status"), STR("200"));
	h2_fields_add(&f, d->arena, STR("content-type"), STR("application/grpc"));
	h2_fields_add(only ? &f : &d->s.trailers, d->arena, STR("grpc-status"), STR("0"));
	if (arena_failed(d->arena) || h2_respond(&d->s, &f, only) != 0)
		h2_reset(&d->s, NGHTTP2_INTERNAL_ERROR);
}

/* What is done with a request is said by the second byte of its path. */
static char
wish(const struct served *d)
{
	struct str path = h2_fields_get(&d->s.in, STR(":path"));

	return path.n > 1 ? path.p[1] : 'e';
}

static void
on_headers(struct h2_stream *s, enum h2_block block, bool end)
{
	struct served *d = of(s);

	ASSERT(d->closed == 0);
	ASSERT(s->in.count <= limits.header_fields);
	if (block != H2_REQUEST) {
		if (end)
			h2_trailers(s);
		return;
	}
	switch (wish(d)) {
	case 'o': answer(d, true); return;
	case 'r': h2_reset(s, NGHTTP2_CANCEL); return;
	case 'c': h2_close(&server, E_TIMEOUT); return;
	case 'h': return; /* never answers */
	case 's':
		answer(d, false);
		body_add(&s->out, STR("hello"));
		h2_push(s);
		h2_cut_short(s);
		return;
	default: answer(d, false);
	}
	if (end)
		h2_trailers(s);
}

static void
credit(struct served *d)
{
	size_t waiting = body_len(&d->s.out);

	if (d->debt > waiting) {
		h2_consume(&d->s, d->debt - waiting);
		d->debt = waiting;
	}
}

static void
on_data(struct h2_stream *s, struct str bytes)
{
	struct served *d = of(s);

	ASSERT(d->closed == 0);
	if (!d->answered || s->out_ended) {
		h2_consume(s, bytes.n / 2); /* a window that closes slowly */
		return;
	}
	d->debt += bytes.n;
	body_lend(&s->out, bytes);
	h2_push(s);
	credit(d);
}

static void
on_end(struct h2_stream *s)
{
	struct served *d = of(s);

	ASSERT(d->closed == 0);
	if (d->answered && !s->out_ended)
		h2_trailers(s);
}

static void
on_sent(struct h2_stream *s)
{
	credit(of(s));
}

static void
on_stalled(struct h2_stream *s)
{
	h2_reset(s, NGHTTP2_CANCEL);
}

static void
on_closed(struct h2_stream *s, uint32_t code)
{
	struct served *d = of(s);

	(void)code;
	ASSERT(!ended && ++d->closed == 1);
	h2_fields_clear(&s->in);
	arena_free(&d->arena);
}

static const struct h2_stream_ops stream_calls = {on_headers, on_data,	  on_end,
						  on_sent,    on_stalled, on_closed};

static struct h2_stream *
on_open(struct h2 *h2)
{
	if (opened == STREAMS_MAX)
		return NULL;
	struct served *d = calloc(1, sizeof *d);

	ASSERT(d != NULL && h2 == &server && !ended);
	opened++;
	d->arena = arena_new(1024, 65536);
	d->next = all;
	all = d;
	h2_stream_init(&d->s, &stream_calls, d->arena);
	return &d->s;
}

static void
on_gone(struct h2 *h2, int why)
{
	(void)h2, (void)why;
	ASSERT(!ended);
	ended = true;
}

static const struct h2_ops calls = {.open = on_open, .closed = on_gone};

/* ---- the client ---- */

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
turn(int fd, bool reads)
{
	static uint8_t trash[65536];
	struct loop_timer timer = {0};

	loop_timer_start(loop, &timer, 0, 0, stop, NULL);
	loop_run(loop);
	loop_timer_stop(&timer);
	ASSERT(ended || io_waiting(&server.io) <= H2_OUT_MAX + 2 * POOL_BLOCK);
	while (reads && recv(fd, trash, sizeof trash, 0) > 0)
		;
}

static void
give(int fd, const void *bytes, size_t n, size_t piece, bool reads)
{
	const uint8_t *p = bytes;

	while (n > 0 && !ended) {
		ssize_t k = send(fd, p, n < piece ? n : piece, MSG_NOSIGNAL);

		turn(fd, reads);
		if (k < 0)
			return; /* not read from, as it should be, or closed */
		p += k;
		n -= (size_t)k;
	}
}

static void
hello(int fd)
{
	static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0};

	give(fd, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN, 64, true);
	give(fd, settings, sizeof settings, 64, true);
}

static void
count_the_dead(void)
{
	ASSERT(ended && pool_in_use() == 0);
	while (all != NULL) {
		struct served *d = all;

		ASSERT(d->closed == 1);
		all = d->next;
		free(d);
	}
	opened = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const size_t pieces[] = {65536, 1, 9, 50, 1000, 4096, 13, 300};
	int fds[2];

	if (n < 2 || n > 65536 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		return 0;
	bool reads = !(*p & 4);
	size_t piece = pieces[*p >> 5], half = n / 2;
	if (piece < n / 200)
		piece = n / 200; /* so that an input takes no seconds */
	ended = false;
	server = (struct h2){0};
	loop = loop_new();
	ASSERT(h2_open_server(&server, loop, fds[0], NULL, &limits, &calls) == 0);
	if (*p & 1)
		hello(fds[1]);
	give(fds[1], p + 1, half, piece, reads);
	if (!ended && (*p & 2))
		h2_go_away(&server);
	give(fds[1], p + 1 + half, n - 1 - half, piece, reads);
	turn(fds[1], reads);
	if (!ended)
		h2_close(&server, 0);
	turn(fds[1], true);
	loop_free(&loop);
	count_the_dead();
	sock_close(&fds[1]);
	return 0;
}
