/*
 * The two ends of duo.h. Bodies are a pattern by offset, so that an exchanged or lost byte shows.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "h2/session.h"
#include "lib/clock.h"
#include "lib/sock.h"
#include "t/unit/duo.h"

#define AHEAD	 (64u << 10) /* bytes put into a stream before they are sent */
#define SLOWNESS 10	     /* of valgrind, which says that it is there (t/tools/under-valgrind) */

struct duo duo;
struct h2_limits duo_server_limits, duo_client_limits;

/* ---- bytes ---- */

static uint8_t
pattern(size_t at)
{
	return (uint8_t)(at * 7 + (at >> 8) + (at >> 16));
}

static void
fill(struct duo_stream *d)
{
	uint8_t bytes[5000];

	while (d->to_send > 0 && d->s.h2 != NULL && body_len(&d->s.out) < AHEAD) {
		size_t n = d->to_send < sizeof bytes ? d->to_send : sizeof bytes;

		for (size_t i = 0; i < n; i++)
			bytes[i] = pattern(d->sent_offset + i);
		d->sent_offset += n;
		d->to_send -= n;
		body_lend(&d->s.out, (struct str){(const char *)bytes, n});
		h2_push(&d->s);
	}
	if (d->to_send == 0 && d->ending) {
		d->ending = false;
		if (d->trailers)
			h2_trailers(&d->s);
		else
			h2_end(&d->s);
	}
}

void
duo_send(struct duo_stream *d, size_t n)
{
	d->to_send += n;
	fill(d);
}

void
duo_credit(struct duo_stream *d)
{
	h2_consume(&d->s, d->held);
	d->held = 0;
	d->hold = false;
}

/* ---- a stream's calls ---- */

static struct duo_stream *
of(struct h2_stream *s)
{
	return (struct duo_stream *)(void *)((char *)s - offsetof(struct duo_stream, s));
}

static void
keep(char *to, size_t size, struct h2_stream *s, struct str name)
{
	struct str v = h2_fields_get(&s->in, name);

	if (v.p != NULL)
		str_copy(to, size, v);
}

void
duo_begin(struct duo_stream *d)
{
	struct h2_fields f = {0};

	h2_fields_add(&f, d->arena, STR(":status"), STR("200"));
	h2_fields_add(&d->s.trailers, d->arena, STR("grpc-status"), STR("0"));
	cr_assert_eq(h2_respond(&d->s, &f, false), 0);
}

void
duo_answer(struct duo_stream *d, size_t body)
{
	duo_begin(d);
	d->trailers = d->ending = true;
	duo_send(d, body);
}

/* As a proxy does it: bytes are lent on, and credited when they have left. */
static void
echo_credit(struct duo_stream *d)
{
	size_t waiting = body_len(&d->s.out);

	if (d->held > waiting) {
		h2_consume(&d->s, d->held - waiting);
		d->held = waiting;
	}
}

static void
echo(struct duo_stream *d, struct str bytes)
{
	d->held += bytes.n;
	body_lend(&d->s.out, bytes);
	h2_push(&d->s);
	echo_credit(d);
}

static void
answer_by_path(struct duo_stream *d, bool end)
{
	struct h2_fields f = {0};
	struct str path = str_from(d->path);

	if (str_eq(path, STR("/echo"))) {
		d->echo = true;
		if (d->headers == 1 && !end)
			duo_begin(d);
		if (end)
			h2_trailers(&d->s);
		return;
	}

	if (str_starts(path, STR("/before")) || (str_starts(path, STR("/answer/")) && end))
		duo_answer(d, strtoul(d->path + 8, NULL, 10));
	if (str_eq(path, STR("/only"))) {
		h2_fields_add(&f, d->arena, STR(":status"), STR("200"));
		h2_fields_add(&f, d->arena, STR("grpc-status"), STR("5"));
		cr_assert_eq(h2_respond(&d->s, &f, true), 0);
	}
	d->hold = str_eq(path, STR("/hold"));
}

static void
on_headers(struct h2_stream *s, enum h2_block block, bool end)
{
	struct duo_stream *d = of(s);

	if (block == H2_TRAILERS)
		d->trailer_blocks++;
	else
		d->headers++;
	keep(d->path, sizeof d->path, s, STR(":path"));
	keep(d->status, sizeof d->status, s, STR(":status"));
	keep(d->grpc, sizeof d->grpc, s, STR("grpc-status"));
	if (d->server && block == H2_REQUEST)
		answer_by_path(d, end);
}

static void
on_data(struct h2_stream *s, struct str bytes)
{
	struct duo_stream *d = of(s);

	for (size_t i = 0; i < bytes.n; i++)
		d->wrong |= (uint8_t)bytes.p[i] != pattern(d->got + i);
	d->got += bytes.n;
	if (d->echo)
		echo(d, bytes);
	else if (d->hold)
		d->held += bytes.n;
	else
		h2_consume(s, bytes.n);
}

static void
on_end(struct h2_stream *s)
{
	struct duo_stream *d = of(s);

	d->ends++;
	if (d->server)
		answer_by_path(d, true);
}

static void
on_sent(struct h2_stream *s)
{
	struct duo_stream *d = of(s);

	if (d->echo)
		echo_credit(d);
	else
		fill(d);
}

static void
on_stalled(struct h2_stream *s)
{
	of(s)->stalled++;
}

static void
on_closed(struct h2_stream *s, uint32_t code)
{
	struct duo_stream *d = of(s);

	cr_assert_eq(d->closed, 0, "a stream is closed once");
	d->closed++;
	d->code = code;
	h2_fields_clear(&s->in);
	arena_free(&d->arena); /* whoever still points there is found out */
}

static const struct h2_stream_ops stream_calls = {on_headers, on_data,	  on_end,
						  on_sent,    on_stalled, on_closed};

static struct duo_stream *
new_stream(bool server)
{
	cr_assert_lt(duo.count, DUO_STREAMS);
	struct duo_stream *d = &duo.streams[duo.count++];

	*d = (struct duo_stream){.server = server, .arena = arena_new(1024, 1u << 20)};
	h2_stream_init(&d->s, &stream_calls, d->arena);
	return d;
}

struct duo_stream *
duo_request_open(const char *path)
{
	struct duo_stream *d = new_stream(false);
	struct h2_fields f = {0};

	h2_fields_add(&f, d->arena, STR(":method"), STR("POST"));
	h2_fields_add(&f, d->arena, STR(":scheme"), STR("http"));
	h2_fields_add(&f, d->arena, STR(":path"), arena_str(d->arena, str_from(path)));
	h2_fields_add(&f, d->arena, STR(":authority"), STR("gw"));
	int rc = h2_request(&duo.client, &d->s, &f, false);
	if (rc != 0) {
		d->closed = 1;
		arena_free(&d->arena);
		return NULL;
	}
	return d;
}

struct duo_stream *
duo_request(const char *path, size_t body)
{
	struct duo_stream *d = duo_request_open(path);

	if (d == NULL)
		return NULL;
	d->ending = true;
	duo_send(d, body);
	return d;
}

struct duo_stream *
duo_served(unsigned n)
{
	for (unsigned i = 0; i < duo.count; i++)
		if (duo.streams[i].server && n-- == 0)
			return &duo.streams[i];
	return NULL;
}

/* ---- the connections' calls ---- */

static struct h2_stream *
server_opens(struct h2 *h2)
{
	(void)h2;
	return duo.refuse_open ? NULL : &new_stream(true)->s;
}

static void
server_gone(struct h2 *h2, int why)
{
	cr_assert_eq(h2, &duo.server);
	duo.server_here = false;
	duo.server_closed++;
	duo.server_why = why;
}

static void
client_gone(struct h2 *h2, int why)
{
	cr_assert_eq(h2, &duo.client);
	duo.client_here = false;
	duo.client_closed++;
	duo.client_why = why;
}

static void
client_up(struct h2 *h2)
{
	(void)h2;
	duo.client_up++;
}

static void
turned_away(struct h2 *h2)
{
	(void)h2;
	duo.turned_away++;
}

static void
client_settings(struct h2 *h2)
{
	(void)h2;
	duo.settings++;
}

static const struct h2_ops server_calls = {.open = server_opens, .closed = server_gone};
static const struct h2_ops client_calls = {.up = client_up,
					   .turned_away = turned_away,
					   .settings = client_settings,
					   .closed = client_gone};

/* ---- set up and drop ---- */

void
duo_setup(void)
{
	memset(&duo, 0, sizeof duo);
	duo.loop = loop_new();
	duo_server_limits = duo_client_limits = (struct h2_limits){.streams = 100,
								   .stream_window = 256u << 10,
								   .connection_window = 4u << 20,
								   .header_bytes = 16u << 10,
								   .header_fields = 100};
}

static bool
both_gone(void)
{
	return !duo.server_here && !duo.client_here;
}

void
duo_drop(void)
{
	if (duo.server_here)
		h2_close(&duo.server, 0);
	if (duo.client_here)
		h2_close(&duo.client, 0);
	cr_assert(duo_until(both_gone, 1000));
	for (unsigned i = 0; i < duo.count; i++)
		cr_expect_eq(duo.streams[i].closed, 1, "stream %u", i);
	cr_expect_eq(pool_in_use(), 0, "%zu blocks are left", pool_in_use());
	pool_trim();
	loop_free(&duo.loop);
}

void
duo_pair_fds(int fds[2])
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

void
duo_tcp_fds(int fds[2], int room)
{
	struct sock_addr a, peer;
	struct sockaddr_storage name;
	socklen_t size = sizeof name;
	int listener;

	cr_assert_eq(sock_addr_parse(STR("127.0.0.1:0"), &a), 0);
	cr_assert_eq(sock_listen(&a, false, 1, &listener), 0);
	if (room > 0) {
		setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
		setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	}
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&name, &size), 0);
	cr_assert_eq(sock_addr_from_sys((struct sockaddr *)&name, &a), 0);
	cr_assert_eq(sock_connect(&a, &fds[1]), 0);
	if (room > 0)
		setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	for (int i = 0; sock_accept(listener, &fds[0], &peer) != 0; i++) {
		cr_assert_lt(i, 1000);
		usleep(1000);
	}
	sock_close(&listener);
}

void
duo_open_server(int fd)
{
	cr_assert_eq(
		h2_open_server(&duo.server, duo.loop, fd, NULL, &duo_server_limits, &server_calls),
		0);
	duo.server_here = true;
}

void
duo_open_client(int fd)
{
	cr_assert_eq(h2_open_client(&duo.client, duo.loop, fd, NULL, NULL, &duo_client_limits,
				    &client_calls),
		     0);
	duo.client_here = true;
}

void
duo_pair(void)
{
	int fds[2];

	duo_pair_fds(fds);
	duo_open_server(fds[0]);
	duo_open_client(fds[1]);
}

/* ---- running ---- */

static struct {
	bool (*done)(void);
	uint64_t until_ms;
	bool held;
} waiting;

static void
poll_done(void *arg)
{
	(void)arg;
	waiting.held = waiting.done != NULL && waiting.done();
	if (waiting.held || loop_ms(duo.loop) >= waiting.until_ms)
		loop_stop(duo.loop);
}

bool
duo_until(bool (*done)(void), uint64_t ms)
{
	struct loop_timer timer = {0};

	if (getenv("UNDER_VALGRIND") != NULL && ms >= 20 && ms <= 200)
		ms *= SLOWNESS; /* others are steps of a loop, or wait for a timer of h2 */
	waiting.done = done;
	waiting.held = false;
	waiting.until_ms = clock_ms() + ms;
	loop_timer_start(duo.loop, &timer, 0, 1, poll_done, NULL);
	loop_run(duo.loop);
	loop_timer_stop(&timer);
	return waiting.held;
}

void
duo_run(uint64_t ms)
{
	(void)duo_until(NULL, ms);
}

bool
duo_all_closed(void)
{
	for (unsigned i = 0; i < duo.count; i++)
		if (duo.streams[i].closed == 0)
			return false;
	return true;
}

bool
duo_ended(void)
{
	return both_gone();
}
