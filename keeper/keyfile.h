/*
 * Files of state_dir/keys: private keys, which never enter the store.
 *
 * A file is replaced as a whole or not at all, and is on the disk when the call returns. Folder
 * 0700, files 0600, whatever the umask.
 */
#pragma once
#include <stddef.h>
#include "lib/err.h"

/* name: no '/', not ".". n == 0 removes it. E_FULL, E_IO, E_DENIED (the folder belongs to another
 * user, or is none). */
int keyfile_write(const char *state_dir, const char *name, const void *bytes, size_t n) MUST_CHECK;
