/*
 * What an administrator sets while the gateway runs, and what then stands above the configuration.
 * Table `settings`: a word and its value as text.
 *
 * Writer: keeper. Readers: all. segment_generation(SEGMENT_SETTINGS) moves after each change.
 */
#pragma once
#include "shm/db.h"

#define SETTINGS_UNSET (-1)

/* The percentage of the roll-out, 0 to 100; SETTINGS_UNSET: as the configuration says. Between
 * db_read_begin() and db_read_end(). E_SYNTAX (unreadable row), E_IO. */
int settings_rollout(struct db *, int *ret) MUST_CHECK;

/* Inside a write transaction of the keeper. */
void settings_put_rollout(struct db *, int percent);
