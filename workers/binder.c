/*
 * The worker's side of the keeper's channel. In: steps of RPCs that need a binding; out: messages
 * to the keeper, and its answers back to those who wait. A keeper that dies leaves the questions in
 * the socket or in our list; they are sent once more, then given up.
 */
#include <stdlib.h>
#include "lib/clock.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "workers/binder.h"
#include "workers/client.h"
#include "workers/context.h"
#include "workers/errand.h"

#define TOUCH_EVERY_MS 60000u
#define TOUCHED_SIZE   4096 /* direct-mapped; a collision costs one more message */
#define USED_SETS      1024
#define USED_WAYS      4
#define CHECK_EVERY_MS 250u
#define WAITING_MAX    20000u

struct touched {
	uint64_t key;
	uint64_t at_ms;
};

struct binder {
	struct worker *worker;
	struct msg_channel channel;
	struct binder_ask *first, *last;
	unsigned waiting;
	uint32_t next_id;
	struct loop_timer check;
	struct hash_key hash;
	struct touched touched[TOUCHED_SIZE], used[USED_SETS][USED_WAYS];
};

static void
unlink_ask(struct binder *b, struct binder_ask *a)
{
	ASSERT(a->waiting);
	a->waiting = false;
	b->waiting--;
	if (a->prev != NULL)
		a->prev->next = a->next;
	else
		b->first = a->next;
	if (a->next != NULL)
		a->next->prev = a->prev;
	else
		b->last = a->prev;
	a->next = a->prev = NULL;
}

static void
finish(struct binder *b, struct binder_ask *a, int err, const struct binder_found *found)
{
	unlink_ask(b, a);
	a->done(a, err, found);
}

static void
put_names(struct binder_found *found, struct str cluster, struct str team, struct str env)
{
	str_copy(found->cluster, sizeof found->cluster, cluster);
	str_copy(found->team, sizeof found->team, team);
	str_copy(found->env, sizeof found->env, env);
}

/* What stands may be another's binding, with other names than were asked for. It is on the disk. */
static void
fill_names(struct binder *b, const struct keeper_bind *asked, struct binder_found *found)
{
	struct session_key key = {.user = {asked->key.user, asked->key.user_len}};
	struct db *db = b->worker->db;
	struct session s;
	int rc = db_read_begin(db);

	memcpy(key.id, asked->key.id, sizeof key.id);
	if (rc == 0)
		rc = sessions_get(db, &key, &s);
	if (rc == 0 && s.created_ms == found->created_ms)
		put_names(found, s.cluster, s.team, s.env);
	else /* it is gone again */
		put_names(found, str_from(asked->cluster), str_from(asked->team),
			  str_from(asked->env));
	db_read_end(db);
}

static void
got_bound(struct binder *b, const struct keeper_bound *m)
{
	struct binder_found found = {.state = (enum session_state)m->state,
				     .driver_id = m->driver_id,
				     .created_ms = m->created_ms,
				     .seen_ms = m->created_ms};

	for (struct binder_ask *a = b->first; a != NULL; a = a->next)
		if (a->id == m->head.id) {
			if (m->result == 0)
				fill_names(b, &a->message, &found);
			finish(b, a, m->result, &found);
			return;
		}
}

static void
got_closed(struct binder *b, const struct keeper_closed *m)
{
	struct session_key key = {.user = {m->key.user, m->key.user_len}};

	memcpy(key.id, m->key.id, sizeof key.id);
	client_session_closed(b->worker, &key);
	/* one of the workers is enough; one that leaves opens no connections any more */
	if (b->worker->setup->seat.slot == 0 && !b->worker->draining)
		errand_release(b->worker, &key, m->driver_id);
}

static void
got(void *arg, const struct msg_head *head)
{
	struct binder *b = arg;

	if (head->type == KEEPER_BOUND && MSG_IS(head, keeper_bound)) {
		got_bound(b, (const void *)head);
	} else if (head->type == KEEPER_CLOSED && MSG_IS(head, keeper_closed)) {
		got_closed(b, (const void *)head);
	} else if (head->type == KEEPER_REVOKED && MSG_IS(head, keeper_revoked)) {
		const struct keeper_revoked *m = (const void *)head;

		client_token_revoked(b->worker, str_from(m->id));
	}
}

static void
put_key(struct keeper_key *to, const struct session_key *key)
{
	ASSERT(key->user.n > 0 && key->user.n <= SESSION_USER_MAX);
	memcpy(to->id, key->id, sizeof to->id);
	memcpy(to->user, key->user.p, key->user.n);
	to->user_len = (uint16_t)key->user.n;
}

/* Gives up what waited too long; sends once more what the keeper may have lost. */
static void
check(void *arg)
{
	struct binder *b = arg;
	uint64_t now = loop_ms(b->worker->loop);

	for (struct binder_ask *a = b->first, *next; a != NULL; a = next) {
		next = a->next;
		if (now - a->asked_ms >= KEEPER_WAIT_MS) {
			finish(b, a, E_TIMEOUT, NULL);
		} else if (a->sent_ms == 0 || now - a->sent_ms >= KEEPER_RESEND_MS) {
			if (msg_send(b->channel.fd, &a->message.head) == 0)
				a->sent_ms = now;
		}
	}
	if (b->first == NULL)
		loop_timer_stop(&b->check);
}

struct binder *
binder_new(struct worker *w)
{
	struct binder *b = calloc(1, sizeof *b);

	ASSERT(b != NULL);
	b->worker = w;
	hash_key_random(&b->hash);
	b->next_id = (uint32_t)b->hash.k0; /* answers to a predecessor in this seat match nothing */
	msg_open(&b->channel, w->loop, w->setup->keeper_fd, got, NULL, b);
	return b;
}

void
binder_free(struct binder **b)
{
	if (*b == NULL)
		return;
	ASSERT((*b)->first == NULL);
	loop_timer_stop(&(*b)->check);
	msg_close(&(*b)->channel);
	free(*b);
	*b = NULL;
}

/* An old mark that the keeper has not removed yet. */
static bool
is_swept(const struct session *s)
{
	uint64_t now = clock_wall_ms();

	return s->state != SESSION_BOUND && now > s->seen_ms && now - s->seen_ms > SESSION_MARK_MS;
}

int
binder_find(struct binder *b, const struct session_key *key, struct binder_found *ret)
{
	struct db *db = b->worker->db;
	struct session s;
	int rc = db_read_begin(db);

	if (rc == 0)
		rc = sessions_get(db, key, &s);
	if (rc == 0 && is_swept(&s))
		rc = E_NOT_FOUND;
	if (rc == 0) { /* by field: to clear the names first would cost more than to copy them */
		ret->state = s.state;
		ret->driver_id = s.driver_id;
		ret->created_ms = s.created_ms;
		ret->seen_ms = s.seen_ms;
		put_names(ret, s.cluster, s.team, s.env);
	}
	db_read_end(db);
	return rc == 0 || rc == E_NOT_FOUND ? rc : E_IO;
}

void
binder_bind(struct binder *b, struct binder_ask *a, const struct session_key *key,
	    uint32_t driver_id, struct str cluster, struct str team, struct str env)
{
	uint64_t now = loop_ms(b->worker->loop);
	struct keeper_bind *m = &a->message;

	ASSERT(!a->waiting);
	*m = (struct keeper_bind){.head = {KEEPER_BIND, sizeof *m, ++b->next_id},
				  .driver_id = driver_id};
	put_key(&m->key, key);
	str_copy(m->cluster, sizeof m->cluster, cluster);
	str_copy(m->team, sizeof m->team, team);
	str_copy(m->env, sizeof m->env, env);
	a->id = m->head.id;
	a->asked_ms = now;
	a->waiting = true;
	a->next = NULL;
	a->prev = b->last;
	*(b->last != NULL ? &b->last->next : &b->first) = a;
	b->last = a;
	a->sent_ms = 0;
	if (++b->waiting > WAITING_MAX) /* overload: give up at the next check */
		a->asked_ms = now > KEEPER_WAIT_MS ? now - KEEPER_WAIT_MS : 0;
	else if (msg_send(b->channel.fd, &m->head) == 0)
		a->sent_ms = now;
	if (!loop_timer_active(&b->check))
		loop_timer_start(b->worker->loop, &b->check, CHECK_EVERY_MS, CHECK_EVERY_MS, check,
				 b);
}

int
binder_bind_like(struct binder *b, struct binder_ask *a, const struct session_key *key,
		 const struct session_key *like)
{
	struct db *db = b->worker->db;
	struct session s;
	int rc = db_read_begin(db);

	if (rc == 0)
		rc = sessions_get(db, like, &s);
	if (rc == 0)
		binder_bind(b, a, key, s.driver_id, s.cluster, s.team, s.env);
	db_read_end(db);
	return rc;
}

void
binder_cancel(struct binder *b, struct binder_ask *a)
{
	if (a->waiting)
		unlink_ask(b, a);
}

static void
send_note(struct binder *b, const struct msg_head *head)
{
	if (msg_send(b->channel.fd, head) != 0)
		log_debug(NULL, "keeper's queue is full: a note was dropped");
}

static void
tell(struct binder *b, enum keeper_type type, const struct session_key *key, uint32_t driver_id,
     uint64_t created_ms)
{
	struct keeper_note m = {.head = {(uint16_t)type, sizeof m, 0},
				.driver_id = driver_id,
				.created_ms = created_ms};

	put_key(&m.key, key);
	send_note(b, &m.head);
}

void
binder_touch(struct binder *b, const struct session_key *key, const struct binder_found *found)
{
	uint64_t wall = clock_wall_ms(), now = loop_ms(b->worker->loop);

	if (wall < found->seen_ms + TOUCH_EVERY_MS)
		return;
	uint64_t h = hash_sip(&b->hash, key->id, sizeof key->id) ^
		     hash_sip(&b->hash, key->user.p, key->user.n);
	struct touched *t = &b->touched[h % TOUCHED_SIZE];
	if (t->key == h && now - t->at_ms < TOUCH_EVERY_MS)
		return;
	*t = (struct touched){h, now};
	tell(b, KEEPER_TOUCH, key, 0, 0);
}

/* Of more tokens than there are ways some are said later: notes are never more than places. */
static bool
use_is_due(struct touched set[USED_WAYS], uint64_t hash, uint64_t now)
{
	struct touched *place = NULL;

	for (unsigned i = 0; i < USED_WAYS; i++) {
		if (set[i].key == 0 || now - set[i].at_ms >= TOUCH_EVERY_MS)
			place = &set[i];
		else if (set[i].key == hash)
			return false;
	}
	if (place == NULL)
		return false;
	*place = (struct touched){hash, now};
	return true;
}

void
binder_token_used(struct binder *b, const uint8_t digest[TOKEN_DIGEST])
{
	uint64_t h = hash_sip(&b->hash, digest, TOKEN_DIGEST);
	struct keeper_token_used m = {.head = {KEEPER_TOKEN_USED, sizeof m, 0}};

	if (!use_is_due(b->used[h % USED_SETS], h, loop_ms(b->worker->loop)))
		return;
	memcpy(m.digest, digest, sizeof m.digest);
	send_note(b, &m.head);
}

void
binder_release(struct binder *b, const struct session_key *key, uint32_t driver_id)
{
	tell(b, KEEPER_RELEASE, key, driver_id, 0);
}

void
binder_lost(struct binder *b, const struct session_key *key, uint32_t driver_id,
	    uint64_t created_ms)
{
	tell(b, KEEPER_LOST, key, driver_id, created_ms);
}
