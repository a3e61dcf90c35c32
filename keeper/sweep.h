/*
 * What time does to tokens: rows whose token is over for long are found, a bounded number per step,
 * and handed to the group commit. As expiry.h does for sessions.
 */
#pragma once
#include "keeper/commit.h"

struct sweep;

struct sweep *sweep_new(struct loop *, struct db *, struct commit *); /* NULL when out of memory */
void sweep_free(struct sweep **);
