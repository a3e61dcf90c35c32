/*
 * The files of secrets that a configuration names: tokens of clusters and of `static` providers.
 *
 * A file must be regular, at most 64 KiB and closed to others. Errors name the file and the line,
 * never what stands there.
 */
#pragma once
#include <stddef.h>
#include "conf/loading.h"

#define SECRET_MAX ((size_t)64 * 1024)

/* How files are read: the system, or something else in tests. */
struct secret_reader {
	/* At most `size` bytes into buf. E_IO, E_DENIED, E_LIMIT with words for the operator. */
	int (*read)(const char *path, char *buf, size_t size, size_t *ret_n, char *words,
		    size_t words_size);
	/* The same for what is no secret: the file may be open to others. */
	int (*read_public)(const char *path, char *buf, size_t size, size_t *ret_n, char *words,
			   size_t words_size);
};
extern const struct secret_reader secret_files;

void secret_load(struct loading *); /* all of them, into the configuration */
void secret_wipe(struct conf *);    /* cleanses them */
/* Keys and tokens are in this process: no core, no ptrace by others of the same user. Survives
 * fork, not exec. Does nothing under AddressSanitizer, whose leak check needs ptrace. */
void secret_hide_memory(void);
