/*
 * The audit files of a gateway, in the order of their records.
 */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"

struct audit_files {
	unsigned count;
	char (*paths)[PATH_MAX]; /* sealed ones by number, then the one that is written, if any */
};

/* E_IO with errno, E_NOMEM. */
int audit_files_list(const char *state_dir, struct audit_files *ret) MUST_CHECK;
void audit_files_free(struct audit_files *);
bool audit_files_is_live(const char *path); /* by its name: the one that is written */
