/*
 * Names to addresses, without ever holding up the loop: getaddrinfo(3) runs in one helper thread,
 * one look-up at a time.
 *
 * Answers are kept for RESOLVE_KEEP_MS, failures for RESOLVE_RETRY_MS; after that the next
 * resolve_get() asks again while the last good addresses go on being handed out, however long the
 * resolver is down. The thread and the loop share nothing but a queue under a mutex. Checker only;
 * all calls from the loop's thread.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/sock.h"
#include "lib/str.h"

#define RESOLVE_KEEP_MS	  15000
#define RESOLVE_RETRY_MS  2000
#define RESOLVE_ADDRESSES 4 /* of one name; further ones are ignored */

struct resolve;	     /* the thread and its queue */
struct resolve_name; /* one host name, shared by all who opened it */

struct resolve_list {
	struct sock_addr at[RESOLVE_ADDRESSES]; /* port 0 */
	unsigned count;
};

/* done: a look-up of this name has ended, well or badly. NULL: no thread can be had. */
struct resolve *resolve_new(struct loop *, void (*done)(void *arg, const struct resolve_name *),
			    void *arg);
/* All names closed before; does not wait for a look-up under way. */
void resolve_free(struct resolve **);

/* A name, or a numeric address (never looked up). NULL: out of memory, or too long to be a name. */
struct resolve_name *resolve_open(struct resolve *, struct str host);
void resolve_close(struct resolve_name **);

/* E_AGAIN: being looked up, done() will tell; E_NOT_FOUND: see resolve_words(). */
int resolve_get(struct resolve_name *, struct resolve_list *ret) MUST_CHECK;
const char *resolve_words(const struct resolve_name *); /* about the last failure; constant */
