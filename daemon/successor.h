/*
 * The supervisor of a new binary, towards the one that started it and still carries the traffic.
 *
 *	new			old
 *	READY ->			all processes stand by
 *			<- GO		it may accept
 *	TOOK ->				it accepts; the old one drains now
 *	ANSWERS ->			its controller has the control socket
 *
 * Whoever sees the end of the other before TOOK goes its way: the new one ends, the old one stays.
 */
#pragma once
#include <stdbool.h>
#include "lib/loop.h"
#include "lib/msg.h"

enum link_type { LINK_READY = 1, LINK_GO, LINK_TOOK, LINK_ANSWERS, LINK_FAILED };

struct link_plain { /* all but FAILED */
	struct msg_head head;
};
struct link_failed { /* before READY: why it cannot start */
	struct msg_head head;
	char words[1536]; /* NUL-terminated; may be several lines */
};

struct successor {
	int fd; /* -1: there is no predecessor, or it has ended */
	struct msg_channel link;
	void (*go)(void *arg);
	void (*ended)(void *arg); /* the predecessor has: it drained, or died */
	void *arg;
};

void successor_open(struct successor *, struct loop *); /* the other members are set before */
void successor_say(struct successor *, enum link_type); /* no-op without a predecessor */
void successor_close(struct successor *);
void successor_fail(int fd, const char *words); /* before there is a loop */
