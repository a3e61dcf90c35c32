/*
 * state_dir/audit/shipped: the names of the sealed audit files that the store has, a line each.
 * Written by the keeper (keeper/audit_shipped.h), read by it and by the controller.
 */
#pragma once
#include <stdbool.h>
#include "lib/buf.h"
#include "lib/err.h"
#include "shm/chain.h"

#define SHIPPED_FILE "shipped" /* in the folder of the audit files */
#define SHIPPED_MAX  ((size_t)64 << 20)

struct shipped { /* private */
	struct buf text;
	const char **names; /* sorted, in text */
	size_t count;
};

/* folder: descriptor of the audit folder. Without the file nothing was shipped. E_IO with errno,
 * E_NOMEM, E_LIMIT. */
int shipped_read(int folder, struct shipped *ret) MUST_CHECK;
void shipped_free(struct shipped *); /* zeroed is fine */
bool shipped_has(const struct shipped *, const char *name);
/* A name that a sealed file may have, and nothing else. */
bool shipped_is_name(const char *name);
