/*
 * What a peer may do that costs us more than it costs him, frame by frame: at which count the
 * connection is closed, and what is told before.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "h2/session.h"
#include "lib/clock.h"
#include "t/unit/duo.h"
#include "t/unit/raw.h"

TestSuite(h2_abuse, .init = duo_setup, .fini = duo_drop, .timeout = 60);

static struct raw raw;
static uint8_t block[256];

static void
begin(bool acknowledge)
{
	int fds[2];

	duo_pair_fds(fds);
	duo_open_server(fds[0]);
	raw_open(&raw, fds[1]);
	if (acknowledge) {
		raw_hello(&raw);
		return;
	}
	raw_bytes(&raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	raw_turn(&raw, 5);
}

static void
end(void)
{
	raw_drop(&raw);
	cr_assert(duo_until(duo_ended, 1000));
	cr_expect_eq(pool_in_use(), 0);
	duo.count = 0;
	duo.server = (struct h2){0};
}

static void
open_stream(uint32_t id, bool ended)
{
	raw_frame(&raw, NGHTTP2_HEADERS, ended ? 5 : 4, id, block, raw_request(block, "/hold"));
}

/* ---- one unit of each misuse ---- */

static void
rapid_reset(unsigned i)
{
	open_stream(1 + 2 * i, true);
	raw_frame(&raw, NGHTTP2_RST_STREAM, 0, 1 + 2 * i, "\0\0\0\x8", 4);
}

static void
rapid_reset_without_error(unsigned i)
{
	open_stream(1 + 2 * i, true);
	raw_frame(&raw, NGHTTP2_RST_STREAM, 0, 1 + 2 * i, "\0\0\0\0", 4);
}

static void
window_overflow(unsigned i) /* CVE-2025-8671, MadeYouReset */
{
	open_stream(1 + 2 * i, true);
	raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 1 + 2 * i, "\x7f\xff\xff\xff", 4);
}

static void
forbidden_field(unsigned i)
{
	size_t n = raw_request(block, "/hold");

	memcpy(block + n, "\0\012connection\1x", 14);
	raw_frame(&raw, NGHTTP2_HEADERS, 5, 1 + 2 * i, block, n + 14);
}

static void
malformed_field(unsigned i) /* a name that is none: the library alone would drop it and go on */
{
	size_t n = raw_request(block, "/hold");

	memcpy(block + n, "\0\3a b\1x", 7);
	raw_frame(&raw, NGHTTP2_HEADERS, 5, 1 + 2 * i, block, n + 7);
}

static void
wrong_length(unsigned i) /* less DATA than content-length promised */
{
	size_t n = raw_request(block, "/hold");

	memcpy(block + n,
	       "\0\016content-length\1"
	       "9",
	       18);
	raw_frame(&raw, NGHTTP2_HEADERS, 4, 1 + 2 * i, block, n + 18);
	raw_frame(&raw, NGHTTP2_DATA, 1, 1 + 2 * i, "abc", 3);
}

static void
too_many_streams(unsigned i) /* never acknowledged the limit */
{
	open_stream(1 + 2 * i, true);
}

static void
empty_data(unsigned i)
{
	if (i == 0)
		open_stream(1, false);
	raw_frame(&raw, NGHTTP2_DATA, 0, 1, NULL, 0);
}

static void
padding_only(unsigned i)
{
	static const uint8_t pad[256] = {255};

	if (i == 0)
		open_stream(1, false);
	raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, pad, sizeof pad);
}

static void
priority(unsigned i)
{
	(void)i;
	raw_frame(&raw, NGHTTP2_PRIORITY, 0, 3, "\0\0\0\1\20", 5);
}

static void
unknown_type(unsigned i)
{
	raw_frame(&raw, (uint8_t)(0x20 + i % 100), 0, i % 2 ? 0 : 1, "hello", 5);
}

static void
window_update(unsigned i)
{
	(void)i;
	raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4);
}

static void
ping(unsigned i)
{
	(void)i;
	raw_frame(&raw, NGHTTP2_PING, 0, 0, "12345678", 8);
}

static void
ping_with_stream(unsigned i)
{
	if (i == 0)
		open_stream(1, false);
	ping(i);
}

static void
settings(unsigned i)
{
	(void)i;
	raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, "\0\4\0\0\xff\xff", 6);
}

static void
continuation(unsigned i)
{
	if (i == 0)
		raw_frame(&raw, NGHTTP2_HEADERS, 1, 1, block, raw_request(block, "/hold"));
	raw_frame(&raw, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
}

/* ---- the table ---- */

struct row {
	const char *about;
	void (*unit)(unsigned);
	unsigned at; /* the unit that ends the connection */
	uint32_t code;
	const char *words;
	bool not_acknowledged;
};

static const struct row table[] = {
	{"rapid reset", rapid_reset, 201, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"rapid reset, NO_ERROR", rapid_reset_without_error, 201, NGHTTP2_ENHANCE_YOUR_CALM, "",
	 false},
	{"window overflow", window_overflow, 101, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"forbidden field", forbidden_field, 101, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"malformed field", malformed_field, 101, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"wrong length", wrong_length, 101, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"too many streams", too_many_streams, 301, NGHTTP2_ENHANCE_YOUR_CALM, "", true},
	{"empty DATA", empty_data, 23, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"padding only", padding_only, 23, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"PRIORITY", priority, 101, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"unknown type", unknown_type, 101, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"WINDOW_UPDATE", window_update, 106, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"PING", ping, 4, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings", false},
	{"PING with a stream", ping_with_stream, 4, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings",
	 false},
	{"SETTINGS", settings, 50, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
	{"CONTINUATION", continuation, 9, NGHTTP2_ENHANCE_YOUR_CALM, "", false},
};

/* One unit at a time, all answers read. */
static void
play_paced(const struct row *r)
{
	uint64_t since_ms = clock_ms();
	unsigned n = 0, paid;

	begin(!r->not_acknowledged);
	while (n < 2 * r->at && !raw.eof) {
		r->unit(n++);
		raw_turn(&raw, 0);
	}
	paid = (unsigned)((clock_ms() - since_ms) / 50); /* 20 a second flow back */
	cr_expect(n >= r->at && n <= r->at + 2 + paid, "%s: closed at %u, not %u", r->about, n,
		  r->at);
	cr_expect(raw.goaway_code == r->code, "%s: code %u", r->about, raw.goaway_code);
	cr_expect(strcmp(raw.goaway_words, r->words) == 0, "%s: \"%s\"", r->about,
		  raw.goaway_words);
	cr_expect(duo.server.abused, "%s", r->about);
	end();
}

Test(h2_abuse, paced)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		play_paced(&table[i]);
}

/* All at once, nothing read until the end: closed as well, and little is held meanwhile. */
Test(h2_abuse, in_bursts)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct row *r = &table[i];
		size_t most = 0;

		begin(!r->not_acknowledged);
		for (unsigned n = 0; n < 3 * r->at && duo.server_here; n++) {
			r->unit(n);
			most = pool_in_use() > most ? pool_in_use() : most;
		}
		cr_expect(duo_until(duo_ended, 200), "%s: still open", r->about);
		raw_read(&raw);
		cr_expect(most <= 4, "%s: %zu blocks", r->about, most);
		end();
	}
}

/* Who makes us answer and does not read the answers is not read from either. */
Test(h2_abuse, answers_unread)
{
	uint8_t f[17] = {0, 0, 8, NGHTTP2_PING};
	unsigned idle = 0;
	size_t most = 0;

	begin(true);
	while (idle < 50 && duo.server_here) {
		idle = send(raw.fd, f, sizeof f, MSG_NOSIGNAL) == sizeof f ? 0 : idle + 1;
		duo.server.budget.ping_strikes = 0;
		duo_run(0);
		most = pool_in_use() > most ? pool_in_use() : most;
	}
	cr_expect(most <= 4, "%zu blocks", most);
	cr_expect(duo.server.io.reading_off && duo.server_here);
	duo.server.budget.ping_strikes = 0;
	raw_read(&raw);
	raw_turn(&raw, 5);
	cr_expect(raw.eof || !duo.server.io.reading_off, "read again when there is room");
	end();
}

/* ---- header blocks ---- */

/* n fields of value_size bytes each, as literals, over HEADERS and CONTINUATIONs */
static void
send_fields(uint32_t id, unsigned n, unsigned value_size)
{
	uint8_t *b = malloc(64 + (size_t)n * (value_size + 8)), *p = b;

	p += raw_request(p, "/hold");
	for (unsigned i = 0; i < n; i++) {
		*p++ = 0;
		*p++ = 1;
		*p++ = 'a';
		if (value_size < 127) {
			*p++ = (uint8_t)value_size;
		} else {
			unsigned rest = value_size - 127;

			for (*p++ = 127; rest >= 128; rest >>= 7)
				*p++ = (uint8_t)(128 | (rest & 127));
			*p++ = (uint8_t)rest;
		}
		memset(p, 'v', value_size);
		p += value_size;
	}
	size_t left = (size_t)(p - b), first = left < 16384 ? left : 16384;
	raw_frame(&raw, NGHTTP2_HEADERS, left == first ? 5 : 1, id, b, first);
	for (p = b + first, left -= first; left > 0; p += first, left -= first) {
		first = left < 16384 ? left : 16384;
		raw_frame(&raw, NGHTTP2_CONTINUATION, left == first ? 4 : 0, id, p, first);
	}
	free(b);
	raw_turn(&raw, 5);
}

struct block_row {
	unsigned fields, size;
	bool served, too_large;
};

static const struct block_row blocks[] = {
	{10, 100, true, false}, {96, 10, true, false},	 {97, 10, true, true},
	{300, 10, true, true},	{1, 16000, true, false}, {1, 16300, true, true},
	{2, 11000, true, true}, {1, 24000, true, true},	 {1, 24600, false, true},
	{600, 10, false, true}, {40, 1000, false, true},
};

Test(h2_abuse, header_limits)
{
	for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
		const struct block_row *r = &blocks[i];

		begin(true);
		send_fields(1, r->fields, r->size);
		const struct duo_stream *s = duo_served(0);
		cr_expect((s->headers == 1) == r->served, "row %zu: served %u", i, s->headers);
		cr_expect(s->s.too_large == r->too_large, "row %zu: too large %d", i,
			  s->s.too_large);
		cr_expect(r->served == (raw.goaways == 0) &&
				  (r->served || raw.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM),
			  "row %zu: GOAWAY %u", i, raw.goaway_code);
		end();
	}
}

/* One entry of 4,000 bytes, referred to by single bytes: 60 MB decoded from one frame. */
Test(h2_abuse, header_bomb)
{
	uint8_t *b = malloc(16384);

	begin(true);
	size_t n = raw_request(b, "/hold");
	memcpy(b + n, "\x40\1a\x7f\xa1\x1e", 6); /* with indexing, 4,000 bytes */
	memset(b + n + 6, 'v', 4000);
	n += 4006;
	memset(b + n, 0x80 | 62, 16384 - n);
	raw_frame(&raw, NGHTTP2_HEADERS, 5, 1, b, 16384);
	raw_turn(&raw, 20);
	cr_expect(raw.goaways == 1 && raw.goaway_code == NGHTTP2_ENHANCE_YOUR_CALM);
	cr_expect(duo_served(0)->s.in.bytes < 32768 && duo_served(0)->headers == 0);
	free(b);
	end();
}

/* Legal blocks in small pieces are not abuse. */
Test(h2_abuse, eight_continuations_byte_by_byte)
{
	uint8_t bytes[9 + 64], empty[9] = {0, 0, 0, NGHTTP2_CONTINUATION, 0, 0, 0, 0, 1};

	begin(true);
	size_t n = raw_request(block, "/answer/3");
	memcpy(bytes, "\0\0\0\1\1\0\0\0\1", 9);
	bytes[2] = (uint8_t)n;
	memcpy(bytes + 9, block, n);
	for (size_t i = 0; i < 9 + n; i++) {
		raw_bytes(&raw, bytes + i, 1);
		duo_run(0);
	}
	for (unsigned k = 0; k < 8; k++) {
		empty[4] = k == 7 ? 4 : 0;
		for (size_t i = 0; i < 9; i++) {
			raw_bytes(&raw, empty + i, 1);
			duo_run(0);
		}
	}
	raw_turn(&raw, 5);
	cr_expect(duo.count == 1 && duo_served(0)->closed == 1 && duo_served(0)->code == 0);
	cr_expect(raw.frames[NGHTTP2_DATA] == 1 && raw.goaways == 0);
	end();
}

/* A block whose stream was refused is over, and not counted as one that never ends. */
Test(h2_abuse, a_bad_block_is_no_slow_block)
{
	begin(true);
	forbidden_field(0);
	raw_turn(&raw, 5);
	cr_expect(raw.rst == 1 && raw.rst_code == NGHTTP2_PROTOCOL_ERROR);
	cr_expect_eq(duo.server.block_since_ms, 0);
	wrong_length(1);
	malformed_field(2);
	raw_turn(&raw, 5);
	cr_expect(raw.rst == 3 && duo.server.block_since_ms == 0);
	raw_frame(&raw, NGHTTP2_HEADERS, 1, 7, block, raw_request(block, "/hold"));
	raw_turn(&raw, 5);
	cr_expect_neq(duo.server.block_since_ms, 0, "this one has not ended");
	end();
}

/* ---- not HTTP/2, or not in time ---- */

Test(h2_abuse, not_http2)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: gw\r\n\r\n";
	int fds[2];

	duo_pair_fds(fds);
	duo_open_server(fds[0]);
	raw_open(&raw, fds[1]);
	raw_bytes(&raw, get, sizeof get - 1);
	cr_expect(duo_until(duo_ended, 200));
	cr_expect(duo.server_why == E_SYNTAX && duo.count == 0);
	end();
}

static const struct row ends_at_once[] = {
	{"a frame too large", NULL, 0, NGHTTP2_FRAME_SIZE_ERROR, "", false},
	{"an even stream", NULL, 0, NGHTTP2_PROTOCOL_ERROR, "", false},
	{"broken HPACK", NULL, 0, NGHTTP2_COMPRESSION_ERROR, "", false},
	{"a window of 2^31", NULL, 0, NGHTTP2_FLOW_CONTROL_ERROR, "", false},
};

Test(h2_abuse, errors_of_the_connection)
{
	static const uint8_t large[] = {0, 64, 1, NGHTTP2_DATA, 0, 0, 0, 0, 1};

	for (size_t i = 0; i < sizeof ends_at_once / sizeof ends_at_once[0]; i++) {
		begin(true);
		if (i == 0) {
			open_stream(1, false);
			raw_bytes(&raw, large, 9);
		} else if (i == 1) {
			open_stream(2, true);
		} else if (i == 2) {
			raw_frame(&raw, NGHTTP2_HEADERS, 5, 1, "\xff\xff\xff\xff\xff\xff", 6);
		} else {
			raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, "\0\4\x80\0\0\0", 6);
		}
		raw_turn(&raw, 20);
		cr_expect(raw.goaways == 1 && raw.goaway_code == ends_at_once[i].code && raw.eof,
			  "%s: %u", ends_at_once[i].about, raw.goaway_code);
		end();
	}
}

/* SETTINGS never acknowledged: ten seconds, and the reason. */
Test(h2_abuse, settings_in_time)
{
	begin(false);
	raw_turn(&raw, 9500);
	cr_expect(duo.server_here);
	for (unsigned i = 0; i < 100 && duo.server_here; i++)
		raw_turn(&raw, 10);
	raw_read(&raw);
	cr_expect(!duo.server_here && duo.server_why == E_TIMEOUT);
	cr_expect(raw.goaways == 1 && raw.goaway_code == NGHTTP2_SETTINGS_TIMEOUT);
	end();
}
