/*
 * fdatasync beside the loop: the one thread of the keeper, which knows nothing but a descriptor.
 *
 * A sync of the audit file takes as long as the disk likes; on the loop it would stand before every
 * binding that comes meanwhile.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/loop.h"

struct audit_sync;

/* NULL: no memory, no descriptor or no thread. done: on the loop, with an errno or 0, and how long
 * it took. */
struct audit_sync *audit_sync_new(struct loop *, void (*done)(void *arg, int errnum, uint64_t us),
				  void *arg);
void audit_sync_free(struct audit_sync **); /* waits for the one under way; done is not called */
bool audit_sync_running(const struct audit_sync *);
void audit_sync_start(struct audit_sync *, int fd); /* not while one is running; fd stays open */
void audit_sync_wait(struct audit_sync *); /* the one under way, if any, has called done */
