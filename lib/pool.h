/*
 * Blocks of 16 KiB for bytes on their way, kept on a free list of the process: what a TLS record or
 * a DATA frame carries fits one block. No locks; one thread.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define POOL_BLOCK 16384

struct pool_block {
	struct pool_block *next;
	uint32_t start, end; /* the bytes in use are data[start .. end) */
	uint8_t data[POOL_BLOCK];
};

/* A chain of blocks: first in, first out. */
struct pool_chain {
	struct pool_block *first, *last;
	size_t len; /* bytes in all */
};

/* empty; aborts when memory is out (a worker then starts afresh) */
struct pool_block *pool_get(void);
void pool_put(struct pool_block *);
size_t pool_in_use(void); /* blocks handed out */
void pool_trim(void);	  /* gives the free list back to the system; at exit and when idle */

void pool_append(struct pool_chain *, const void *p, size_t n);
void pool_take(struct pool_chain *, void *to, size_t n); /* copies out and drops; n <= len */
void pool_drop(struct pool_chain *, size_t n);		 /* n <= len */
void pool_clear(struct pool_chain *);
