/*
 * What time does to the store: idle bindings and old marks are found, a bounded number of rows per
 * step, and handed to the group commit; readers of dead processes are cleared.
 */
#pragma once
#include "keeper/commit.h"

struct expiry;

/* NULL when out of memory. idle_ms: session.idle_timeout. */
struct expiry *expiry_new(struct loop *, struct db *, struct commit *, uint64_t idle_ms);
void expiry_free(struct expiry **);
