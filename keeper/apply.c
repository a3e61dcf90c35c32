/*
 * One operation on the rows of the sessions. All are idempotent: an asker may ask again.
 *
 *	absent --BIND--> bound --LOST--> lost
 *	                 bound --CLOSE--> closed
 *	                 bound --RELEASE, idle--> absent
 *	lost, closed --SESSION_MARK_MS--> absent
 */
#include "keeper/apply.h"
#include "keeper/apply_auth.h"
#include "lib/panic.h"

static bool
ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static bool
is_key(const struct keeper_key *key, bool any_user)
{
	return key->user_len <= SESSION_USER_MAX && (key->user_len > 0 || any_user);
}

bool
apply_accepts(const struct msg_head *head)
{
	const void *m = head;
	const struct keeper_bind *bind = m;
	const struct keeper_note *n = m;
	const struct keeper_close *close = m;
	const struct keeper_drain *drain = m;
	const struct keeper_audit *audit = m;
	const struct keeper_shipped *shipped = m;

	switch (head->type) {
	case KEEPER_BIND:
		return MSG_IS(head, keeper_bind) && is_key(&bind->key, false) &&
		       ends(bind->cluster, sizeof(bind->cluster)) &&
		       ends(bind->team, sizeof(bind->team)) && ends(bind->env, sizeof(bind->env));
	case KEEPER_TOUCH:
	case KEEPER_RELEASE:
	case KEEPER_LOST: return MSG_IS(head, keeper_note) && is_key(&n->key, false);
	case KEEPER_CLOSE: return MSG_IS(head, keeper_close) && is_key(&close->key, true);
	case KEEPER_DRAIN:
		return MSG_IS(head, keeper_drain) && ends(drain->name, sizeof(drain->name));
	case KEEPER_AUDIT:
		return MSG_IS(head, keeper_audit) && ends(audit->text, sizeof(audit->text));
	case KEEPER_SHIPPED:
		return MSG_IS(head, keeper_shipped) && ends(shipped->name, sizeof(shipped->name));
	default: return apply_auth_accepts(head);
	}
}

static uint64_t
age(const struct session *s, uint64_t now_ms)
{
	return now_ms > s->seen_ms ? now_ms - s->seen_ms : 0; /* the wall clock may step back */
}

bool
apply_is_over(const struct session *s, uint64_t now_ms, uint64_t idle_ms)
{
	return age(s, now_ms) > (s->state == SESSION_BOUND ? idle_ms : SESSION_MARK_MS);
}

static struct session_key
to_key(const struct keeper_key *key)
{
	struct session_key k = {.user = {key->user, key->user_len}};

	memcpy(k.id, key->id, sizeof(k.id));
	return k;
}

static void
stand(struct op *op, const struct session *s)
{
	op->state = s->state;
	op->driver_id = s->driver_id;
	op->created_ms = s->created_ms;
}

/* An unreadable row is written over: it tells nobody anything. */
static void
bind_session(struct apply *a, struct op *op)
{
	const struct keeper_bind *m = &op->m.bind;
	const struct session_key key = to_key(&m->key);
	struct session s;
	int err = sessions_write_get(a->db, &key, &s);

	if (err == 0 && (s.state == SESSION_BOUND || !apply_is_over(&s, a->now_ms, a->idle_ms))) {
		stand(op, &s);
		return;
	}
	if (err != 0 && err != E_NOT_FOUND && err != E_SYNTAX) {
		op->result = err;
		return;
	}
	if (registry_driver(a->counts->registry, m->driver_id) == NULL) {
		op->result = E_NOT_FOUND;
		return;
	}
	s = (struct session){
		.state = SESSION_BOUND,
		.driver_id = m->driver_id,
		.created_ms = a->now_ms,
		.seen_ms = a->now_ms,
		.cluster = str_from(m->cluster),
		.team = str_from(m->team),
		.env = str_from(m->env),
	};
	sessions_put(a->db, &key, &s);
	counts_add(a->counts, &s, 1);
	stand(op, &s);
}

static void
mark(struct apply *a, const struct session_key *key, struct session *s, enum session_state state)
{
	if (s->state == SESSION_BOUND)
		counts_add(a->counts, s, -1);
	s->state = state;
	s->seen_ms = a->now_ms;
	sessions_put(a->db, key, s);
}

static void
take_away(struct apply *a, const struct session_key *key, const struct session *s)
{
	if (s->state == SESSION_BOUND)
		counts_add(a->counts, s, -1);
	sessions_del(a->db, key);
}

static bool
is_meant(const struct keeper_note *m, const struct session *s)
{
	return (m->driver_id == 0 || m->driver_id == s->driver_id) &&
	       (m->created_ms == 0 || m->created_ms == s->created_ms);
}

/* TOUCH, RELEASE, LOST, EXPIRE. A mark is moved by time alone. */
static void
note(struct apply *a, struct op *op)
{
	const struct keeper_note *m = &op->m.note;
	const struct session_key key = to_key(&m->key);
	struct session s;

	if (sessions_write_get(a->db, &key, &s) != 0)
		return;
	if (m->head.type == OP_EXPIRE) {
		if (apply_is_over(&s, a->now_ms, a->idle_ms))
			take_away(a, &key, &s);
		return;
	}
	if (s.state != SESSION_BOUND || !is_meant(m, &s))
		return;
	if (m->head.type == KEEPER_LOST) {
		mark(a, &key, &s, SESSION_LOST);
	} else if (m->head.type == KEEPER_RELEASE) {
		take_away(a, &key, &s);
	} else if (s.seen_ms < a->now_ms) {
		s.seen_ms = a->now_ms;
		sessions_put(a->db, &key, &s);
	}
}

static void
tell_workers(struct apply *a, const struct session_key *key, const struct session *s)
{
	struct keeper_closed message = {
		.head = {.type = KEEPER_CLOSED, .size = sizeof(message)},
		.key = {.user_len = (uint16_t)key->user.n},
		.driver_id = s->driver_id,
	};

	memcpy(message.key.id, key->id, sizeof(key->id));
	memcpy(message.key.user, key->user.p, key->user.n);
	buf_add(a->closed, &message, sizeof(message));
}

static void
close_one(struct apply *a, struct op *op, const struct session_key *key, struct session *s)
{
	op->count++;
	tell_workers(a, key, s); /* again if asked again; before the write, while the row stands */
	if (s->state != SESSION_CLOSED)
		mark(a, key, s, SESSION_CLOSED);
}

struct found {
	const uint8_t *id;
	const struct str *after; /* users up to this one are done */
	bool any;
	char user[SESSION_USER_MAX];
	size_t user_len;
};

static int
find_next(void *arg, const struct session_key *key, const struct session *s)
{
	struct found *f = arg;

	(void)s;
	if (memcmp(key->id, f->id, sizeof(key->id)) != 0)
		return 1;
	if (str_eq(key->user, *f->after))
		return 0;
	f->any = true;
	f->user_len = key->user.n;
	memcpy(f->user, key->user.p, key->user.n);
	return 1;
}

/* Row by row, each with a scan of its own: what a scan hands out ends with the next write. */
static void
close_all_users(struct apply *a, struct op *op)
{
	struct session_key key = to_key(&op->m.close.key);
	struct found f = {.id = key.id, .after = &key.user};
	char done[SESSION_USER_MAX];
	struct session s;

	for (;;) {
		f.any = false;
		op->result = sessions_write_scan(a->db, &key, find_next, &f);
		if (op->result != 0 || !f.any)
			return;
		memcpy(done, f.user, f.user_len);
		key.user = (struct str){done, f.user_len};
		op->result = sessions_write_get(a->db, &key, &s);
		if (op->result != 0)
			return;
		close_one(a, op, &key, &s);
	}
}

static void
close_sessions(struct apply *a, struct op *op)
{
	const struct session_key key = to_key(&op->m.close.key);
	struct session s;

	op->count = 0;
	if (key.user.n == 0) {
		close_all_users(a, op);
	} else {
		op->result = sessions_write_get(a->db, &key, &s);
		if (op->result == 0)
			close_one(a, op, &key, &s);
	}
	if (op->result == 0 && op->count == 0)
		op->result = E_NOT_FOUND;
}

static void
drain(struct apply *a, struct op *op)
{
	const struct keeper_drain *m = &op->m.drain;

	op->result = registry_set_drain(a->db, str_from(m->name), m->drain != 0, &op->count);
	if (op->result == 0)
		a->registry_changed = true;
}

void
apply_op(struct apply *a, struct op *op)
{
	op->result = 0;
	arena_reset(a->arena);
	switch (op->m.head.type) {
	case KEEPER_BIND: bind_session(a, op); return;
	case KEEPER_TOUCH:
	case KEEPER_RELEASE:
	case KEEPER_LOST:
	case OP_EXPIRE: note(a, op); return;
	case KEEPER_CLOSE: close_sessions(a, op); return;
	case KEEPER_DRAIN: drain(a, op); return;
	default: apply_auth_op(a, op);
	}
}
