/*
 * Between nghttp2's callbacks and struct h2; private to h2/.
 */
#pragma once
#include "h2/h2.h"

#define H2_MAGIC	0x48324332u
#define H2_STREAM_MAGIC 0x48325354u
#define H2_OUT_MAX	(5 * POOL_BLOCK) /* output produced ahead of the socket */
#define H2_OUT_BLOCKED	POOL_BLOCK	 /* the same while the socket takes nothing */

int session_new(struct h2 *) MUST_CHECK; /* makes h2->ng and queues our SETTINGS */
/* Frames into h2->io.out until there are none, or enough. False: the session is broken. */
bool session_produce(struct h2 *);
bool session_receive(struct h2 *, const uint8_t *p, size_t n); /* false: the session is broken */
int session_respond(struct h2_stream *, const struct h2_fields *, bool end) MUST_CHECK;
int session_request(struct h2_stream *, const struct h2_fields *, bool end) MUST_CHECK;
void session_charge(struct h2 *, enum budget_event);
void session_stream_gone(struct h2_stream *, uint32_t code); /* out of the list, then ops->closed */
