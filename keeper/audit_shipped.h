/*
 * Writes down that the store has a sealed file (shm/shipped.h). Blocks on the disk.
 */
#pragma once
#include "lib/err.h"

/* Files that are gone leave the list. Once more is fine. E_DENIED: no name of a sealed file;
 * E_NOT_FOUND: no such file; E_FULL, E_IO with errno, E_NOMEM, E_LIMIT. */
int audit_shipped_add(const char *state_dir, const char *name) MUST_CHECK;
