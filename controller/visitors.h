/*
 * The connections of an HTTP server, in the order in which they last got on. When nearly all places
 * are taken, a newcomer's is made by closing the connection that has kept us waiting longest: one
 * without a whole request first, then one that does not read its answer. So whoever opens many, or
 * sends a byte now and then, keeps nobody out.
 */
#pragma once
#include <microhttpd.h>
#include <stdbool.h>

#define VISITORS_SPARE 8u /* places that are kept free for those who come while others are closed */

struct visitor;

struct visitors {
	unsigned count, limit; /* the limit is the library's, too */
	bool left;	       /* one was closed that had the last place, or nearly */
	struct visitor *first, *last;
};

enum visitors_state {
	VISITORS_LISTENED, /* the library waits for a request, or for the rest of it */
	VISITORS_ANSWERED,
	VISITORS_SUSPENDED /* never closed: the library does not allow it */
};

/* MHD_OPTION_NOTIFY_CONNECTION; its argument is a struct visitors. */
void visitors_notify(void *visitors, struct MHD_Connection *, void **slot,
		     enum MHD_ConnectionNotificationCode);
void visitors_set(struct visitors *, struct MHD_Connection *, enum visitors_state);
