/*
 * Segments that earlier lives of the gateway left with audit records in them.
 *
 * When everything was killed at once, rings and open slots are still there. The supervisor puts
 * such a file by (run_dir/segment.old.N) before it makes a new one; the keeper writes it out and
 * removes it.
 */
#pragma once
#include <stdbool.h>
#include "shm/segment.h"

#define LEFTOVER_FILES 64
#define LEFTOVER_PATH  4096

/* Nothing stands in it that is not in the audit file. */
bool leftover_is_empty(struct segment *);

/* Supervisor, before it makes the segment at `path`: renames the one that is there, if anything is
 * left in it or somebody still lives in it. Of another version: named segment.unreadable.
 * *ret_words: what happened, for the log; NULL: nothing. E_FULL: all names are taken; E_IO. */
int leftover_put_by(const char *path, const char **ret_words) MUST_CHECK;
/* n < LEFTOVER_FILES */
void leftover_path(const char *run_dir, unsigned n, char ret[LEFTOVER_PATH]);
