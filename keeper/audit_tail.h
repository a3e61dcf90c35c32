/*
 * The tail of the audit file: what was written and is not known to be on the disk.
 *
 * Its bytes stay in memory until a sync has covered them: after one that failed the system may hold
 * the pages for clean, or even drop them, so they are written once more before the next try.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/loop.h"
#include "shm/metrics.h"

struct audit_tail;

/* NULL: no memory, no descriptor or no thread. synced: after each sync, however it ended, and after
 * one that could not begin since the bytes could not be written anew. */
struct audit_tail *audit_tail_new(struct loop *, struct metrics_keeper *,
				  void (*synced)(void *arg), void *arg);
void audit_tail_free(struct audit_tail **); /* what is not on the disk stays so */

/* These bytes were written there in fd, which stays open until audit_tail_close(). */
void audit_tail_add(struct audit_tail *, int fd, const uint8_t *p, size_t n, uint64_t at);
void audit_tail_sync(struct audit_tail *);   /* is under way, if anything waits for it */
void audit_tail_finish(struct audit_tail *); /* blocks: one more sync, unless broken */
void audit_tail_close(struct audit_tail *);  /* blocks likewise, then forgets all */

size_t audit_tail_bytes(const struct audit_tail *);
bool audit_tail_is_broken(const struct audit_tail *); /* the last sync failed */
bool audit_tail_is_long(const struct audit_tail *);   /* nothing should be added for now */
