/*
 * The sealed audit files of state_dir/audit, and which of them the store does not have yet. Reads
 * the disk, writes nothing.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"
#include "shm/chain.h"

#define SEALED_OBJECT 640

struct sealed {
	unsigned count; /* files that wait */
	uint64_t bytes;
	uint64_t listed_ms; /* when one was last written down as shipped (wall clock); 0: never */
	char first[CHAIN_NAME_MAX]; /* the oldest of them, "" when there is none */
};

/* No folder: nothing waits. E_IO with errno, E_NOMEM, E_LIMIT. */
int sealed_look(const char *state_dir, struct sealed *ret) MUST_CHECK;
/* For reading. E_IO with errno. */
int sealed_open(const char *state_dir, const char *name, int *ret_fd) MUST_CHECK;
/* "PREFIX/date=2026-11-22/hour=10/GATEWAY-1-1234.ndjson.gz", by what stands in the file's first
 * and last line. If that is nothing a keeper wrote: "…/damaged-1.ndjson.gz", by the file's name.
 * E_IO, E_SYNTAX (the name, too, is none). */
int sealed_object(int fd, const char *name, struct str prefix, char ret[SEALED_OBJECT]) MUST_CHECK;
