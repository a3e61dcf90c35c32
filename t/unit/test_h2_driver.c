/*
 * h2/: a driver that is not ours: raw bytes towards a client. What it may say of streams and of the
 * connection, and trailers that never end.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include "h2/session.h"
#include "t/unit/duo.h"
#include "t/unit/raw.h"

TestSuite(h2_driver, .init = duo_setup, .fini = duo_drop, .timeout = 60);

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

Test(h2_driver, driver_goes_away)
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
Test(h2_driver, request_after_goaway)
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

Test(h2_driver, driver_vanishes)
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

Test(h2_driver, informational_answers)
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

Test(h2_driver, room_follows_the_drivers_settings)
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

Test(h2_driver, trailers_without_end)
{
	static const size_t pieces[] = {1000000, 65536, 40000, 16393, 10000, 4000, 1000, 100, 20};

	for (unsigned i = 0; i < 9; i++) {
		endless_trailers(pieces[i], true);
		endless_trailers(pieces[i], false);
	}
}
