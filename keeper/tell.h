/*
 * News for every worker, after a commit: a session was closed, a token revoked.
 *
 * A worker whose queue is full is told a little later, and so on for TELL_MS: by then it has read
 * its queue, or is dead, and its successor has nothing under way that the news could end.
 */
#pragma once
#include "lib/loop.h"
#include "lib/msg.h"

#define TELL_MS 60000u

struct tell;

/* NULL when out of memory. The descriptors stay the caller's. */
struct tell *tell_new(struct loop *, const int *worker_fds, unsigned count);
void tell_free(struct tell **);		  /* what was not told yet never is */
void tell_all(struct tell *, struct str); /* whole messages, one after the other */
