/*
 * Typed messages between our own processes over a SOCK_SEQPACKET pair: one struct
 * each, sizes checked.
 *
 * Sending never blocks: when the peer's queue is full, msg_send() answers E_AGAIN and the caller
 * decides (a worker drops a `touch`, and puts a `bind` off). Messages stay in the socket when the
 * peer dies; its successor inherits the same socket and reads them.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/loop.h"

#define MSG_MAX 2048 /* bytes of one message, head included */

struct msg_head {
	uint16_t type; /* the channel's own enum; 0 is never used */
	uint16_t size; /* of the whole message, head included */
	uint32_t id;   /* chosen by the asker, repeated in the answer */
};

struct msg_channel {
	struct loop_io io; /* private */
	int fd;
	int passed_fd; /* that came with the message, or -1; closed after got() unless that took it */
	/* One whole message, valid until the callback returns; it may call msg_close(). */
	void (*got)(void *arg, const struct msg_head *head);
	void (*gone)(void *arg); /* the other end is closed for good; may be NULL */
	void *arg;
};

void msg_open(struct msg_channel *, struct loop *, int fd,
	      void (*got)(void *, const struct msg_head *), void (*gone)(void *), void *arg);
void msg_close(struct msg_channel *); /* stops watching; does not close the descriptor */
/* E_AGAIN queue full, E_CLOSED. `head->size` bytes are sent. */
int msg_send(int fd, const struct msg_head *head) MUST_CHECK;
int msg_send_fd(int fd, const struct msg_head *head, int passed_fd) MUST_CHECK; /* -1: none */
/* For the supervisor and for tests: one message without a loop; E_AGAIN, E_CLOSED, E_SYNTAX. */
int msg_recv(int fd, void *buf, size_t size) MUST_CHECK;

/* True when the message is exactly (or at least) as long as the struct its type demands. */
#define MSG_IS(head, type_) ((head)->size == sizeof(struct type_))
