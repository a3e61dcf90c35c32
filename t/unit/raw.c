/*
 * The raw peer of raw.h: its end of the socket does not block, and the loop of duo.h runs whenever
 * the other end must work.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "h2/session.h"
#include "lib/sock.h"
#include "t/unit/duo.h"
#include "t/unit/raw.h"

void
raw_open(struct raw *r, int fd)
{
	*r = (struct raw){.fd = fd, .in = malloc(1u << 20)};
	cr_assert(r->in != NULL);
}

void
raw_drop(struct raw *r)
{
	sock_close(&r->fd);
	free(r->in);
	r->in = NULL;
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
count(struct raw *r, uint8_t type, uint8_t flags, const uint8_t *p, size_t n)
{
	r->frames[type]++;
	if (type == NGHTTP2_SETTINGS && (flags & NGHTTP2_FLAG_ACK))
		r->acks++;
	if (type == NGHTTP2_PING && (flags & NGHTTP2_FLAG_ACK))
		r->pings++;
	if (type == NGHTTP2_RST_STREAM) {
		r->rst++;
		r->rst_code = be32(p);
	}
	if (type == NGHTTP2_GOAWAY) {
		r->goaways++;
		r->goaway_last = be32(p);
		r->goaway_code = be32(p + 4);
		if (n > 8)
			str_copy(r->goaway_words, sizeof r->goaway_words,
				 (struct str){(const char *)p + 8, n - 8});
	}
}

void
raw_read(struct raw *r)
{
	while (!r->eof) {
		ssize_t n = recv(r->fd, r->in + r->have, (1u << 20) - r->have, 0);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			r->eof = true;
			break;
		}
		r->have += (size_t)n;
		while (r->have - r->parsed >= 9) {
			const uint8_t *p = r->in + r->parsed;
			size_t size = be32(p) >> 8;

			if (r->have - r->parsed < 9 + size)
				break;
			count(r, p[3], p[4], p + 9, size);
			r->parsed += 9 + size;
		}
		memmove(r->in, r->in + r->parsed, r->have - r->parsed);
		r->have -= r->parsed;
		r->parsed = 0;
	}
}

void
raw_turn(struct raw *r, unsigned ms)
{
	duo_run(ms);
	raw_read(r);
}

void
raw_bytes(struct raw *r, const void *p, size_t n)
{
	const uint8_t *at = p;

	while (n > 0 && !r->eof) {
		ssize_t k = send(r->fd, at, n, MSG_NOSIGNAL);

		if (k < 0 && errno != EAGAIN) {
			raw_read(r);
			r->eof = true;
			return;
		}
		if (k < 0) {
			raw_turn(r, 1);
			continue;
		}
		at += k;
		n -= (size_t)k;
	}
}

void
raw_frame(struct raw *r, uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n)
{
	uint8_t *f = malloc(9 + n);

	f[0] = (uint8_t)(n >> 16);
	f[1] = (uint8_t)(n >> 8);
	f[2] = (uint8_t)n;
	f[3] = type;
	f[4] = flags;
	for (int i = 0; i < 4; i++)
		f[5 + i] = (uint8_t)(id >> (24 - 8 * i));
	if (n > 0)
		memcpy(f + 9, p, n);
	raw_bytes(r, f, 9 + n);
	free(f);
}

void
raw_hello(struct raw *r)
{
	raw_bytes(r, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN);
	raw_frame(r, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	raw_frame(r, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
	raw_turn(r, 5);
}

static size_t
literal(uint8_t *to, uint8_t name_index, const char *value)
{
	size_t n = strlen(value);

	to[0] = name_index; /* without indexing */
	to[1] = (uint8_t)n;
	memcpy(to + 2, value, n);
	return 2 + n;
}

size_t
raw_request(uint8_t *to, const char *path)
{
	size_t n = 2;

	to[0] = 0x83; /* :method POST */
	to[1] = 0x86; /* :scheme http */
	n += literal(to + n, 4, path);
	n += literal(to + n, 1, "gw");
	return n;
}
