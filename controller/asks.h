/*
 * What the controller asks of the keeper: sent, sent again, answered or given up.
 *
 * The channel outlives every process and for a moment two controllers share it: answers to
 * questions that are not ours are dropped, and a lost one is made good by asking again (talk.h).
 */
#pragma once
#include "keeper/talk.h"
#include "lib/loop.h"
#include "lib/msg.h"

struct ask;

struct asks {
	struct loop *loop; /* private, as all of it */
	struct msg_channel keeper;
	uint32_t next_id;
	struct ask *list;
};

/* err: 0, with the keeper's answer; E_TIMEOUT, E_CLOSED without one. */
typedef void asks_done(void *arg, int err, const struct keeper_done *answer);

void asks_init(struct asks *, struct loop *, int keeper_fd);
/* `message` is one of those that the keeper answers with DONE, with its type set; the rest of its
 * head is filled in here. The copy made of it is cleansed. Answered later, within KEEPER_WAIT_MS.
 * E_NOMEM, E_CLOSED. */
int asks_send(struct asks *, const void *message, size_t size, asks_done *done,
	      void *arg) MUST_CHECK;
void asks_close(struct asks *); /* answers what is open with E_CLOSED */
