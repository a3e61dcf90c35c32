/*
 * A file as gzip, piece by piece, in bounded memory. The same bytes come out each time: there is no
 * name and no time in them.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"

struct gzip;

/* fd stays the caller's, and is read from its beginning. NULL: out of memory. */
struct gzip *gzip_new(int fd);
void gzip_free(struct gzip **);
/* Up to `size` bytes of output; *ret_n 0: the end. At most `input` bytes of the file are read for
 * it, so nothing may have come yet (E_AGAIN). E_IO with errno. */
int gzip_read(struct gzip *, uint8_t *buf, size_t size, size_t input, size_t *ret_n) MUST_CHECK;
