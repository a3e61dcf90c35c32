/*
 * Questions to the keeper, in the controller: one struct each from asks_send() to its answer or its
 * time-out.
 */
#include "controller/asks.h"

#include <stdlib.h>
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"

#define ASK_MAGIC 0x61736b21u

struct ask {
	unsigned magic;
	struct ask *next;
	struct asks *asks;
	struct loop_timer timer;
	uint64_t until_ms;
	asks_done *done;
	void *arg;
	union {
		struct msg_head head;
		struct keeper_close close;
		struct keeper_drain drain;
		struct keeper_token token;
		struct keeper_token_revoke revoke;
		struct keeper_public_key key;
		struct keeper_keys keys;
		struct keeper_rollout rollout;
		struct keeper_secret secret;
		struct keeper_shipped shipped;
		struct keeper_audit audit;
	} message;
};

static void
finish(struct ask *k, int err, const struct keeper_done *answer)
{
	struct ask **at = &k->asks->list;

	CHECK_MAGIC(k, ASK_MAGIC);
	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	loop_timer_stop(&k->timer);
	k->done(k->arg, err, answer);
	explicit_bzero(k, sizeof(*k));
	free(k);
}

static void
got(void *arg, const struct msg_head *head)
{
	struct asks *a = arg;

	if (head->type != KEEPER_DONE || !MSG_IS(head, keeper_done)) {
		log_debug(NULL, "a message of type %u from the keeper was not expected",
			  head->type);
		return;
	}
	for (struct ask *k = a->list; k != NULL; k = k->next) {
		if (k->message.head.id == head->id) {
			finish(k, 0, (const struct keeper_done *)head);
			return;
		}
	}
}

static void
gone(void *arg)
{
	struct asks *a = arg;

	while (a->list != NULL)
		finish(a->list, E_CLOSED, NULL);
}

/* A queue that is full now may have room at the next attempt. */
static void
attempt(void *arg)
{
	struct ask *k = arg;
	int err;

	CHECK_MAGIC(k, ASK_MAGIC);
	if (loop_ms(k->asks->loop) >= k->until_ms) {
		finish(k, E_TIMEOUT, NULL);
		return;
	}
	err = msg_send(k->asks->keeper.fd, &k->message.head);
	if (err != 0)
		log_debug(NULL, "the keeper was not asked: %s", err_text(err));
	loop_timer_start(k->asks->loop, &k->timer, KEEPER_RESEND_MS, 0, attempt, k);
}

void
asks_init(struct asks *a, struct loop *loop, int keeper_fd)
{
	struct hash_key seed;

	hash_key_random(&seed);
	a->loop = loop;
	a->next_id = (uint32_t)seed.k0; /* answers to a predecessor must not look like ours */
	a->list = NULL;
	msg_open(&a->keeper, loop, keeper_fd, got, gone, a);
}

int
asks_send(struct asks *a, const void *message, size_t size, asks_done *done, void *arg)
{
	struct ask *k;

	if (a->keeper.fd < 0)
		return E_CLOSED;
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return E_NOMEM;
	ASSERT(size <= sizeof(k->message));
	k->magic = ASK_MAGIC;
	k->asks = a;
	k->done = done;
	k->arg = arg;
	memcpy(&k->message, message, size);
	k->message.head.size = (uint16_t)size;
	k->message.head.id = a->next_id++;
	k->until_ms = loop_ms(a->loop) + KEEPER_WAIT_MS;
	k->next = a->list;
	a->list = k;
	attempt(k);
	return 0;
}

void
asks_close(struct asks *a)
{
	gone(a);
	msg_close(&a->keeper);
}
