/*
 * h2/: a server and a client in one loop. Bodies both ways, back-pressure, every way in which a
 * stream or a connection can end.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "h2/session.h"
#include "lib/sock.h"
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

/* ---- connections that end ---- */

Test(h2, go_away_lets_streams_finish)
{
	duo_pair();
	struct duo_stream *r = duo_request("/hold", 0), *t = duo_request("/hold", 0);
	duo_run(20);
	h2_go_away(&duo.server);
	h2_go_away(&duo.server); /* asked twice, done once */
	duo_run(20);
	cr_expect_eq(duo.turned_away, 1);
	cr_expect(!h2_can_open(&duo.client) && h2_room(&duo.client) == 0);
	duo_answer(duo_served(0), 100);
	duo_run(1500);
	cr_expect(r->got == 100 && r->code == 0 && t->closed == 0);
	cr_expect_eq(duo.turned_away, 2, "the first GOAWAY, then the final one");
	cr_expect(duo.client_here && duo.server_here);
	duo_answer(duo_served(1), 500000);
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect(t->got == 500000 && t->code == 0 && t->trailer_blocks == 1);
	cr_expect(duo.server_why == 0 && duo.client_why == 0, "%d, %d", duo.server_why,
		  duo.client_why);
}

Test(h2, go_away_without_streams)
{
	duo_pair();
	duo_run(20);
	h2_go_away(&duo.server);
	cr_assert(duo_until(duo_ended, 500), "our client leaves at the first GOAWAY");
	cr_expect(duo.server_closed == 1 && duo.client_closed == 1 && duo.client_why == 0);
}

/* One that stays is let go of after the final GOAWAY, once it has closed or had its time. */
Test(h2, go_away_from_one_who_stays)
{
	struct raw raw;
	int fds[2];

	duo_pair_fds(fds);
	duo_open_server(fds[0]);
	raw_open(&raw, fds[1]);
	raw_hello(&raw);
	h2_go_away(&duo.server);
	for (unsigned i = 0; i < 1300 && !raw.eof; i++)
		raw_turn(&raw, 1);
	cr_expect(raw.eof && raw.goaways == 2 && duo.server_here);
	raw_frame(&raw, NGHTTP2_PING, 0, 0, "12345678", 8);
	raw_turn(&raw, 10);
	cr_expect(duo.server_here && raw.pings == 0);
	cr_expect(duo_until(duo_ended, 5500));
	cr_expect_eq(duo.server_why, 0);
	raw_drop(&raw);
}

/* A request that crosses the first GOAWAY is served. */
Test(h2, go_away_serves_what_is_under_way)
{
	uint8_t block[64];
	struct raw raw;
	int fds[2];

	duo_pair_fds(fds);
	duo_open_server(fds[0]);
	raw_open(&raw, fds[1]);
	raw_hello(&raw);
	h2_go_away(&duo.server);
	raw_turn(&raw, 500);
	cr_expect(raw.goaways == 1 && raw.goaway_last == 0x7fffffff && raw.goaway_code == 0);
	raw_frame(&raw, NGHTTP2_HEADERS, 5, 7, block, raw_request(block, "/answer/10"));
	raw_turn(&raw, 800);
	cr_expect(duo.count == 1 && duo_served(0)->closed == 1 && raw.frames[NGHTTP2_DATA] == 1);
	cr_expect(raw.goaways == 2 && raw.goaway_last == 7 && raw.goaway_code == 0, "%u, %u",
		  raw.goaways, raw.goaway_last);
	raw_drop(&raw);
	cr_expect(duo_until(duo_ended, 1000));
}

Test(h2, go_away_before_the_client_has_spoken)
{
	uint8_t block[64];
	struct raw raw;
	int fds[2];

	duo_pair_fds(fds);
	duo_open_server(fds[0]);
	h2_go_away(&duo.server);
	raw_open(&raw, fds[1]);
	raw_hello(&raw);
	raw_frame(&raw, NGHTTP2_HEADERS, 5, 1, block, raw_request(block, "/answer/10"));
	raw_turn(&raw, 50);
	cr_expect(duo.count == 1 && raw.frames[NGHTTP2_DATA] == 1);
	raw_turn(&raw, 1200);
	raw_drop(&raw);
	cr_expect(duo_until(duo_ended, 1000));
}

Test(h2, closed_by_the_owner)
{
	duo_pair();
	struct duo_stream *r = duo_request("/hold", 1000), *t = duo_request("/answer/5000000", 0);
	t->hold = true;
	duo_run(50);
	h2_close(&duo.server, E_TIMEOUT);
	h2_close(&duo.server, 0);
	cr_expect(duo.server_closed == 0, "never from inside");
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect(duo.server_why == E_TIMEOUT && duo.client_why == E_CLOSED, "%d, %d",
		  duo.server_why, duo.client_why);
	cr_expect(r->code == H2_CONNECTION_LOST && t->code == H2_CONNECTION_LOST);
	cr_expect(duo_served(0)->code == H2_CONNECTION_LOST);
	cr_expect(h2_respond(&duo_served(0)->s, &(struct h2_fields){0}, true) == 0);
}

Test(h2, connection_refused)
{
	struct sock_addr a;
	struct sockaddr_storage name;
	socklen_t size = sizeof name;
	int fd, client;

	cr_assert_eq(sock_addr_parse(STR("127.0.0.1:0"), &a), 0);
	cr_assert_eq(sock_listen(&a, false, 1, &fd), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	cr_assert_eq(sock_addr_from_sys((struct sockaddr *)&name, &a), 0);
	sock_close(&fd);
	int rc = sock_connect(&a, &client);
	if (rc == E_REFUSED)
		return; /* known at once */
	cr_assert_eq(rc, 0);
	duo_open_client(client);
	struct duo_stream *r = duo_request("/x", 100000);
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect_eq(duo.client_why, E_REFUSED);
	cr_expect_eq(r->code, H2_NEVER_SENT);
	cr_expect_eq(duo.client_up, 0);
}

/* ---- a driver that is not ours: raw bytes towards a client ---- */

static void
serve_raw(struct raw *raw)
{
	int fds[2];

	duo_pair_fds(fds);
	duo_open_client(fds[1]);
	raw_open(raw, fds[0]);
	raw_frame(raw, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	raw_frame(raw, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
	/* the preface is no frame; it is taken out of the way before frames are counted */
	duo_run(5);
	char preface[NGHTTP2_CLIENT_MAGIC_LEN];
	cr_assert_eq(recv(raw->fd, preface, sizeof preface, 0), NGHTTP2_CLIENT_MAGIC_LEN);
	cr_assert(memcmp(preface, NGHTTP2_CLIENT_MAGIC, sizeof preface) == 0);
	raw_read(raw);
}

#define STATUS_200 "\x88"
#define STATUS_100 \
	"\x08\x03" \
	"100"
#define GRPC_STATUS   \
	"\x00\x0b"    \
	"grpc-status" \
	"\x01"        \
	"0"

static void
raw_answer(struct raw *raw, uint32_t id)
{
	raw_frame(raw, NGHTTP2_HEADERS, 4, id, STATUS_200, 1);
	raw_frame(raw, NGHTTP2_DATA, 0, id, "\0\7\16", 3);
	raw_frame(raw, NGHTTP2_HEADERS, 5, id, GRPC_STATUS, sizeof GRPC_STATUS - 1);
}

static void
raw_goaway(struct raw *raw, uint32_t last)
{
	uint8_t p[8] = {(uint8_t)(last >> 24), (uint8_t)(last >> 16), (uint8_t)(last >> 8),
			(uint8_t)last};

	raw_frame(raw, NGHTTP2_GOAWAY, 0, 0, p, 8);
}

Test(h2, driver_goes_away)
{
	struct duo_stream *r[3];
	struct raw raw;

	serve_raw(&raw);
	for (unsigned i = 0; i < 3; i++)
		r[i] = duo_request("/x", 10);
	raw_turn(&raw, 20);
	raw_goaway(&raw, 0x7fffffff);
	raw_turn(&raw, 20);
	cr_expect(duo.turned_away == 1 && !h2_can_open(&duo.client));
	cr_expect(r[2]->closed == 0, "the first GOAWAY takes nothing back");
	raw_goaway(&raw, r[0]->s.id > 0 ? (uint32_t)r[0]->s.id : 1);
	raw_turn(&raw, 20);
	cr_expect(r[0]->closed == 0);
	cr_expect(r[1]->code == H2_NEVER_SENT && r[2]->code == H2_NEVER_SENT, "%u", r[1]->code);
	raw_answer(&raw, 1);
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect(r[0]->code == 0 && r[0]->got == 3 && strcmp(r[0]->grpc, "0") == 0);
	cr_expect_eq(duo.client_why, 0);
	raw_drop(&raw);
}

/* A request after GOAWAY, by an owner who did not ask h2_can_open(): back, safe to send anew. */
Test(h2, request_after_goaway)
{
	struct raw raw;

	serve_raw(&raw);
	struct duo_stream *r = duo_request("/x", 10);
	raw_turn(&raw, 20);
	raw_goaway(&raw, 1);
	raw_turn(&raw, 20);
	struct duo_stream *t = duo_request("/x", 10);
	raw_turn(&raw, 20);
	cr_expect(t == NULL || (t->closed == 1 && t->code == H2_NEVER_SENT));
	raw_answer(&raw, 1);
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect(r->code == 0);
	raw_drop(&raw);
}

Test(h2, driver_vanishes)
{
	struct raw raw;

	serve_raw(&raw);
	struct duo_stream *r = duo_request("/x", 10);
	raw_turn(&raw, 20);
	raw_drop(&raw);
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect_eq(r->code, H2_CONNECTION_LOST);
	cr_expect_eq(duo.client_why, E_CLOSED);
}

struct driver_row {
	const char *about;
	unsigned informational;
	uint32_t rst; /* after that; 0: a whole answer */
	unsigned headers;
	uint32_t code;
};

static const struct driver_row driver_rows[] = {
	{"none", 0, 0, 1, NGHTTP2_NO_ERROR},
	{"three", 3, 0, 1, NGHTTP2_NO_ERROR},
	{"ten", 10, 0, 1, NGHTTP2_NO_ERROR},
	{"eleven", 11, 0, 0, NGHTTP2_ENHANCE_YOUR_CALM},
	{"refused", 0, NGHTTP2_REFUSED_STREAM, 0, H2_NEVER_SENT},
	{"cancelled", 2, NGHTTP2_CANCEL, 0, NGHTTP2_CANCEL},
};

Test(h2, informational_answers)
{
	struct raw raw;

	serve_raw(&raw);
	for (unsigned i = 0; i < sizeof driver_rows / sizeof driver_rows[0]; i++) {
		const struct driver_row *row = &driver_rows[i];
		struct duo_stream *r = duo_request("/x", 10);
		uint32_t id = 1 + 2 * i, code = htonl(row->rst);

		raw_turn(&raw, 10);
		for (unsigned k = 0; k < row->informational; k++)
			raw_frame(&raw, NGHTTP2_HEADERS, 4, id, STATUS_100, 5);
		if (row->rst != 0)
			raw_frame(&raw, NGHTTP2_RST_STREAM, 0, id, &code, 4);
		else
			raw_answer(&raw, id);
		cr_assert(duo_until(duo_all_closed, 1000), "%s", row->about);
		cr_expect(r->headers == row->headers && r->code == row->code, "%s: %u, %u",
			  row->about, r->headers, r->code);
	}
	raw_drop(&raw);
}

Test(h2, room_follows_the_drivers_settings)
{
	static const uint8_t three[] = {0, 3, 0, 0, 0, 3};
	struct raw raw;

	serve_raw(&raw);
	raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, three, 6);
	raw_turn(&raw, 20);
	cr_expect_eq(h2_room(&duo.client), 3);
	for (unsigned i = 0; i < 3; i++)
		(void)duo_request("/x", 0);
	cr_expect_eq(h2_room(&duo.client), 0);
	raw_turn(&raw, 20);
	raw_answer(&raw, 3);
	raw_turn(&raw, 20);
	cr_expect_eq(h2_room(&duo.client), 1);
	raw_drop(&raw);
}

/* ---- the end of a connection does not eat its last bytes ---- */

/* A client that goes on sending WINDOW_UPDATEs while a long answer is on its way: had the server
 * closed with them unread, the kernel would throw the rest of the answer away. */
Test(h2, last_bytes_arrive_before_the_end)
{
	static const uint8_t settings[] = {0, 4, 0x7f, 0xff, 0xff, 0xff}, more[] = {0x7f, 0, 0, 0},
			     one[] = {0, 0, 0, 1};
	uint8_t block[64];
	struct raw raw;
	int fds[2];

	duo_tcp_fds(fds, 0);
	duo_open_server(fds[0]);
	raw_open(&raw, fds[1]);
	raw_hello(&raw);
	raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, settings, 6);
	raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 0, more, 4);
	raw_frame(&raw, NGHTTP2_HEADERS, 5, 1, block, raw_request(block, "/answer/1500000"));
	duo_run(50);
	h2_go_away(&duo.server);
	for (unsigned i = 0; i < 100; i++) { /* 1.2 s; reads nothing of the answer at first */
		raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 0, one, 4);
		if (i < 90)
			duo_run(12);
		else
			raw_turn(&raw, 12);
	}
	for (unsigned i = 0; i < 100 && !raw.eof; i++) {
		raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 0, one, 4);
		raw_turn(&raw, 2);
	}
	cr_expect(raw.frames[NGHTTP2_DATA] >= 1500000 / 16384, "%u frames",
		  raw.frames[NGHTTP2_DATA]);
	cr_expect(raw.frames[NGHTTP2_HEADERS] == 2 && raw.goaways == 2);
	cr_expect(raw.eof);
	raw_drop(&raw);
	cr_expect(duo_until(duo_ended, 1000));
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

/* Trailers beyond all limits that come in pieces: over at the limit, not when they end. */
static void
endless_trailers(size_t piece, bool whole)
{
	static uint8_t bytes[200000];
	struct raw raw;
	size_t n = 0;

	serve_raw(&raw);
	struct duo_stream *r = duo_request("/x", 10);
	raw_turn(&raw, 5);
	raw_frame(&raw, NGHTTP2_HEADERS, 4, 1, STATUS_200, 1);
	raw_frame(&raw, NGHTTP2_DATA, 0, 1, "\0\7\16", 3);
	raw_turn(&raw, 5);
	memset(bytes, 'v', sizeof bytes);
	for (unsigned i = 0; i < 10; i++, n += 9 + 16384)
		memcpy(bytes + n, i == 0 ? "\0\100\0\1\1\0\0\0\1" : "\0\100\0\11\0\0\0\0\1", 9);
	memcpy(bytes + 9, "\0\1a\x7f\x81\xe1\x09", 7); /* one value of 160,000 bytes */
	if (whole)
		bytes[n - 9 - 16384 + 4] = 4;
	for (size_t at = 0; at < n && !raw.eof; at += piece) {
		raw_bytes(&raw, bytes + at, piece < n - at ? piece : n - at);
		raw_turn(&raw, 0);
	}
	cr_expect(duo_until(duo_ended, 1000), "piece %zu", piece);
	cr_expect(r->closed == 1 && r->code == H2_CONNECTION_LOST, "piece %zu: %u", piece, r->code);
	if (duo.client_here)
		h2_close(&duo.client, 0);
	cr_assert(duo_until(duo_ended, 1000));
	raw_drop(&raw);
	duo.client = (struct h2){0};
	duo.count = 0;
}

Test(h2, trailers_without_end)
{
	static const size_t pieces[] = {1000000, 65536, 40000, 16393, 10000, 4000, 1000, 100, 20};

	for (unsigned i = 0; i < 9; i++) {
		endless_trailers(pieces[i], true);
		endless_trailers(pieces[i], false);
	}
}
