/*
 * h2/: every way in which a connection can end: GOAWAY towards clients of all kinds, the owner who
 * closes, a server that is not there; and that its last bytes arrive before the end.
 */
#include <criterion/criterion.h>
#include <sys/socket.h>
#include "h2/session.h"
#include "lib/sock.h"
#include "t/unit/duo.h"
#include "t/unit/raw.h"

TestSuite(h2_ends, .init = duo_setup, .fini = duo_drop, .timeout = 60);

Test(h2_ends, go_away_lets_streams_finish)
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

Test(h2_ends, go_away_without_streams)
{
	duo_pair();
	duo_run(20);
	h2_go_away(&duo.server);
	cr_assert(duo_until(duo_ended, 500), "our client leaves at the first GOAWAY");
	cr_expect(duo.server_closed == 1 && duo.client_closed == 1 && duo.client_why == 0);
}

/* One that stays is let go of after the final GOAWAY, once it has closed or had its time. */
Test(h2_ends, go_away_from_one_who_stays)
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
Test(h2_ends, go_away_serves_what_is_under_way)
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

Test(h2_ends, go_away_before_the_client_has_spoken)
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

Test(h2_ends, closed_by_the_owner)
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

Test(h2_ends, connection_refused)
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

/* ---- the end of a connection does not eat its last bytes ---- */

/* A client that goes on sending WINDOW_UPDATEs while a long answer is on its way: had the server
 * closed with them unread, the kernel would throw the rest of the answer away. */
Test(h2_ends, last_bytes_arrive_before_the_end)
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
