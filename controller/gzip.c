/*
 * zlib's deflate with a gzip wrapper, fed from a file.
 */
#include "controller/gzip.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include "lib/panic.h"

#define GZIP_MAGIC 0x677a6970u
#define INPUT	   ((size_t)64 * 1024)
#define WINDOW	   (15 + 16) /* 32 KiB, and a gzip wrapper */
#define MEMORY	   8

struct gzip {
	unsigned magic;
	z_stream z;
	int fd;
	off_t at;
	bool fed, over;
	uint8_t input[INPUT];
};

struct gzip *
gzip_new(int fd)
{
	struct gzip *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->magic = GZIP_MAGIC;
	g->fd = fd;
	if (deflateInit2(&g->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW, MEMORY,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(g);
		return NULL;
	}
	return g;
}

void
gzip_free(struct gzip **ret)
{
	struct gzip *g = *ret;

	if (g == NULL)
		return;
	CHECK_MAGIC(g, GZIP_MAGIC);
	*ret = NULL;
	deflateEnd(&g->z);
	g->magic = 0;
	free(g);
}

static int
feed(struct gzip *g)
{
	ssize_t n;

	do
		n = pread(g->fd, g->input, sizeof(g->input), g->at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return E_IO;
	g->at += n;
	g->fed = n == 0;
	g->z.next_in = g->input;
	g->z.avail_in = (unsigned)n;
	return 0;
}

int
gzip_read(struct gzip *g, uint8_t *buf, size_t size, size_t input, size_t *ret_n)
{
	size_t read = 0;

	CHECK_MAGIC(g, GZIP_MAGIC);
	ASSERT(size > 0 && size <= UINT32_MAX);
	g->z.next_out = buf;
	g->z.avail_out = (unsigned)size;
	while (!g->over && g->z.avail_out > 0) {
		if (g->z.avail_in == 0 && !g->fed) {
			if (read >= input)
				break;
			if (feed(g) != 0)
				return E_IO;
			read += g->z.avail_in;
		}
		g->over = deflate(&g->z, g->fed ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_END;
	}
	*ret_n = size - g->z.avail_out;
	return *ret_n == 0 && !g->over ? E_AGAIN : 0;
}
