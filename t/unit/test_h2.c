/*
 * h2/: a server and a client in one loop. Bodies both ways, back-pressure, every way in which a
 * stream can end, and all of it at random.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "h2/session.h"
#include "t/unit/duo.h"
#include "t/unit/raw.h"

#define WINDOW (256u << 10)

TestSuite(h2, .init = duo_setup, .fini = duo_drop, .timeout = 60);

/* ---- whole calls ---- */

struct call {
	const char *path;
	size_t up, down;
	const char *grpc;
	unsigned trailer_blocks;
};

static const struct call calls[] = {
	{"/answer/100", 10, 100, "0", 1},	 {"/answer/0", 0, 0, "0", 1},
	{"/answer/16384", 16384, 16384, "0", 1}, {"/answer/16385", 16383, 16385, "0", 1},
	{"/answer/5000000", 1, 5000000, "0", 1}, {"/answer/1", 5000000, 1, "0", 1},
	{"/echo", 3000000, 3000000, "0", 1},	 {"/only", 0, 0, "5", 0},
};

static void
check_call(const struct call *c, const struct duo_stream *r, const struct duo_stream *s)
{
	cr_expect_str_eq(r->status, "200", "%s", c->path);
	cr_expect_str_eq(r->grpc, c->grpc, "%s", c->path);
	cr_expect(r->got == c->down && !r->wrong, "%s: %zu bytes came back", c->path, r->got);
	cr_expect(r->headers == 1 && r->trailer_blocks == c->trailer_blocks && r->ends == 0,
		  "%s: %u, %u, %u", c->path, r->headers, r->trailer_blocks, r->ends);
	cr_expect_eq(r->code, NGHTTP2_NO_ERROR, "%s: %u", c->path, r->code);
	cr_expect(s->got == c->up && !s->wrong && s->code == NGHTTP2_NO_ERROR,
		  "%s: %zu bytes went up, %u", c->path, s->got, s->code);
}

Test(h2, calls_one_by_one)
{
	duo_pair();
	for (unsigned i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		struct duo_stream *r = duo_request(calls[i].path, calls[i].up);

		cr_assert(duo_until(duo_all_closed, 10000), "%s", calls[i].path);
		check_call(&calls[i], r, duo_served(i));
		cr_expect(pool_in_use() == 0, "%s: %zu blocks", calls[i].path, pool_in_use());
	}
	cr_expect(duo.client_up == 1 && duo.settings == 1);
	cr_expect(duo.server.streams == NULL && duo.client.streams_open == 0);
}

Test(h2, calls_all_at_once)
{
	struct duo_stream *r[64];

	duo_pair();
	for (unsigned i = 0; i < 64; i++)
		r[i] = duo_request("/echo", 100000 + i);
	cr_assert(duo_until(duo_all_closed, 20000));
	for (unsigned i = 0; i < 64; i++)
		cr_expect(r[i]->got == 100000 + i && !r[i]->wrong && r[i]->code == 0,
			  "stream %u: %zu", i, r[i]->got);
}

Test(h2, calls_over_tcp_with_small_buffers)
{
	int fds[2];

	duo_tcp_fds(fds, 32768);
	duo_open_server(fds[0]);
	duo_open_client(fds[1]);
	struct duo_stream *r = duo_request("/echo", 1000000), *t = duo_request("/echo", 1000000);
	cr_assert(duo_until(duo_all_closed, 20000), "%zu, %zu", r->got, t->got);
	cr_expect(r->got == 1000000 && !r->wrong && t->got == 1000000 && !t->wrong);
}

/* ---- back-pressure ---- */

Test(h2, upload_stops_at_the_window)
{
	duo_pair();
	struct duo_stream *r = duo_request("/hold", 5000000);
	duo_run(100);
	struct duo_stream *s = duo_served(0);
	cr_expect_eq(s->got, WINDOW, "%zu", s->got);
	cr_expect_eq(body_len(&r->s.out) + r->to_send, 5000000 - WINDOW);
	cr_expect(pool_in_use() <= 6, "%zu blocks: what the test has put in, no more",
		  pool_in_use());
	struct duo_stream *other = duo_request("/answer/3", 1000000);
	duo_run(200);
	cr_expect_eq(other->got, 3, "a stalled stream does not hold up its neighbour");
	duo_credit(s);
	duo_run(200);
	cr_expect_eq(s->got, 5000000, "%zu", s->got);
	cr_expect(!s->wrong);
	h2_reset(&r->s, NGHTTP2_CANCEL);
	cr_assert(duo_until(duo_all_closed, 1000));
}

Test(h2, answer_stops_at_the_window)
{
	duo_pair();
	struct duo_stream *r = duo_request("/answer/5000000", 0);
	r->hold = true;
	duo_run(100);
	cr_expect_eq(r->got, WINDOW, "%zu", r->got);
	cr_expect(pool_in_use() <= 6, "%zu blocks", pool_in_use());
	h2_consume(&r->s, WINDOW / 2);
	r->held -= WINDOW / 2;
	duo_run(50);
	cr_expect_eq(r->got, WINDOW + WINDOW / 2, "%zu", r->got);
	duo_credit(r);
	cr_assert(duo_until(duo_all_closed, 5000));
	cr_expect(r->got == 5000000 && !r->wrong && r->code == 0);
}

/* The windows are wide open, but nobody reads the socket: what is produced ahead stays small. */
Test(h2, output_is_bounded_while_the_socket_is_full)
{
	static const uint8_t settings[] = {0, 4, 0x7f, 0xff, 0xff, 0xff}, more[] = {0x7f, 0, 0, 0};
	uint8_t block[64];
	struct raw raw;
	int fds[2];

	duo_pair_fds(fds);
	duo_open_server(fds[0]);
	raw_open(&raw, fds[1]);
	raw_hello(&raw);
	raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, settings, sizeof settings);
	raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 0, more, 4);
	size_t n = raw_request(block, "/answer/1000000");
	for (uint32_t id = 1; id < 40; id += 2)
		raw_frame(&raw, NGHTTP2_HEADERS, 5, id, block, n);
	duo_run(100);
	cr_expect(io_waiting(&duo.server.io) <= H2_OUT_MAX + POOL_BLOCK + 1024, "%zu",
		  io_waiting(&duo.server.io));
	while (!duo_all_closed() || io_waiting(&duo.server.io) > 0)
		raw_turn(&raw, 1);
	raw_turn(&raw, 5);
	for (unsigned i = 0; i < 20; i++)
		cr_expect(duo_served(i)->code == 0 && duo_served(i)->to_send == 0);
	raw_drop(&raw);
}

/* ---- streams that end early ---- */

Test(h2, client_cancels)
{
	duo_pair();
	struct duo_stream *r = duo_request("/answer/5000000", 0);
	r->hold = true;
	duo_run(50);
	h2_reset(&r->s, NGHTTP2_CANCEL);
	h2_reset(&r->s, NGHTTP2_INTERNAL_ERROR); /* the first one counts */
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect_eq(r->code, NGHTTP2_CANCEL);
	cr_expect_eq(duo_served(0)->code, NGHTTP2_CANCEL);
	cr_expect_eq(pool_in_use(), 0);
}

Test(h2, client_cancels_before_anything_has_left)
{
	duo_pair();
	struct duo_stream *r = duo_request("/answer/10", 100000);
	h2_reset(&r->s, NGHTTP2_CANCEL);
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect_eq(r->code, NGHTTP2_CANCEL);
	struct duo_stream *next = duo_request("/answer/10", 0);
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect_eq(next->got, 10);
}

Test(h2, server_resets)
{
	duo_pair();
	struct duo_stream *r = duo_request("/hold", 5000000);
	duo_run(50);
	h2_reset(&duo_served(0)->s, NGHTTP2_ENHANCE_YOUR_CALM);
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect_eq(r->code, NGHTTP2_ENHANCE_YOUR_CALM);
	cr_expect_eq(duo_served(0)->code, NGHTTP2_ENHANCE_YOUR_CALM);
	cr_expect(duo.client_here && duo.server_here);
}

/* What was on its way to a stream that is gone counts against the connection's window no more. */
Test(h2, connection_window_survives_resets)
{
	duo_pair();
	for (unsigned i = 0; i < 40; i++) { /* 40 x 256 KiB are more than twice 4 MiB */
		struct duo_stream *r = duo_request("/hold", 300000);

		duo_run(i % 4); /* reset while bytes are under way, too */
		h2_reset(&r->s, NGHTTP2_CANCEL);
	}
	cr_assert(duo_until(duo_all_closed, 2000));
	struct duo_stream *r = duo_request("/echo", 5000000);
	cr_assert(duo_until(duo_all_closed, 5000));
	cr_expect_eq(r->got, 5000000, "%zu", r->got);
}

Test(h2, cut_short_needs_no_window)
{
	duo_pair();
	struct duo_stream *r = duo_request("/answer/5000000", 0);
	r->hold = true;
	duo_run(50);
	cr_expect_eq(r->got, WINDOW);
	h2_cut_short(&duo_served(0)->s);
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect(r->got == WINDOW && r->trailer_blocks == 1 && r->code == 0, "%zu, %u, %u", r->got,
		  r->trailer_blocks, r->code);
	cr_expect_str_eq(r->grpc, "0");
	cr_expect_eq(duo_served(0)->code, NGHTTP2_NO_ERROR);
}

Test(h2, cut_short_in_other_states)
{
	duo_pair();
	/* the body has left, the request goes on */
	struct duo_stream *r = duo_request_open("/hold");
	duo_run(20);
	duo_begin(duo_served(0));
	duo_send(duo_served(0), 1000);
	duo_run(20);
	h2_cut_short(&duo_served(0)->s);
	/* the response has not left yet, nor has the body */
	struct duo_stream *t = duo_request_open("/hold");
	duo_run(20);
	duo_begin(duo_served(1));
	duo_send(duo_served(1), 1000);
	h2_cut_short(&duo_served(1)->s);
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect(r->got == 1000 && r->trailer_blocks == 1 && strcmp(r->grpc, "0") == 0);
	cr_expect(t->headers == 1 && t->trailer_blocks == 1 && strcmp(t->grpc, "0") == 0);
}

/* RFC 9113 section 8.1: a complete answer may come before the request is, which then stops. */
Test(h2, early_answer_stops_the_upload)
{
	duo_pair();
	struct duo_stream *r = duo_request("/before/100", 50000000);
	cr_assert(duo_until(duo_all_closed, 5000));
	cr_expect(r->got == 100 && strcmp(r->grpc, "0") == 0 && r->trailer_blocks == 1);
	cr_expect_eq(r->code, NGHTTP2_NO_ERROR, "%u", r->code);
	cr_expect_eq(duo_served(0)->code, NGHTTP2_NO_ERROR);
	cr_expect(r->to_send > 10000000, "%zu were not sent", r->to_send);
	cr_expect(duo.server_here && duo.client_here);
}

Test(h2, server_has_no_stream_to_give)
{
	duo_pair();
	duo.refuse_open = true;
	struct duo_stream *r = duo_request("/answer/1", 1000);
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect_neq(r->code, NGHTTP2_NO_ERROR);
	duo.refuse_open = false;
	r = duo_request("/answer/1", 1000);
	cr_assert(duo_until(duo_all_closed, 1000));
	cr_expect_eq(r->got, 1);
}

/* ---- everything at random ---- */

static unsigned
dice(unsigned sides)
{
	static uint64_t state = 0x9E3779B97F4A7C15u;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % sides;
}

static void
disturb(struct duo_stream *d)
{
	if (d->closed)
		return;
	switch (dice(6)) {
	case 0: h2_reset(&d->s, NGHTTP2_CANCEL); break;
	case 1: duo_credit(d); break;
	case 2: d->hold = true; break;
	case 3:
		if (d->server && d->headers == 1 && d->s.response_sent)
			h2_cut_short(&d->s);
		break;
	case 4:
		if (d->server && !d->s.response_sent)
			duo_answer(d, dice(300000));
		break;
	default: break;
	}
}

Test(h2, storm)
{
	static const char *const paths[] = {"/echo", "/answer/200000", "/hold", "/before/50000",
					    "/only"};

	duo_pair();
	for (unsigned turn = 0; turn < 400; turn++) {
		if (duo.count < DUO_STREAMS - 4 && h2_can_open(&duo.client))
			(void)duo_request(paths[dice(5)], dice(400000));
		for (unsigned i = 0; i < 8; i++)
			disturb(&duo.streams[dice(duo.count)]);
		duo_run(dice(8) == 0);
		duo.server.budget.tokens = 200000; /* so much cancelling would be abuse */
		cr_assert(duo.server_here && duo.client_here, "turn %u", turn);
	}
	h2_close(dice(2) == 0 ? &duo.client : &duo.server, 0);
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect(duo_all_closed());
	for (unsigned i = 0; i < duo.count; i++)
		cr_expect(!duo.streams[i].wrong, "stream %u", i);
}
