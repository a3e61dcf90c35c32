/*
 * One operation on the rows of tokens, keys and settings. All are idempotent: an asker may ask
 * again.
 *
 *	absent --TOKEN--> good --TOKEN_REVOKE--> revoked
 *	good, revoked --time--> absent
 */
#include "keeper/apply_auth.h"
#include "lib/panic.h"

#define USED_EVERY_MS 60000u
#define PERCENT_MAX   100

/* ---- what is accepted ---- */

static bool
is_text(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL && str_is_utf8(str_from(text));
}

static bool
is_id(const char *id, size_t size)
{
	return is_text(id, size) && tokens_is_id(str_from(id));
}

static bool
is_provider(const char *name, size_t size)
{
	return is_text(name, size) && name[0] != '\0';
}

static bool
is_token(const struct keeper_token *m)
{
	if ((m->type != TOKEN_PERSONAL && m->type != TOKEN_SERVICE) ||
	    m->envs_count > TOKEN_ENVS_MAX || m->expires_ms > TOKEN_TIME_MAX ||
	    !is_id(m->id, sizeof(m->id)) || !is_text(m->user, sizeof(m->user)) ||
	    !is_text(m->name, sizeof(m->name)) || !is_text(m->team, sizeof(m->team)) ||
	    !is_text(m->note, sizeof(m->note)))
		return false;
	for (unsigned i = 0; i < m->envs_count; i++)
		if (!is_text(m->envs[i], sizeof(m->envs[i])) || m->envs[i][0] == '\0')
			return false;
	return m->user[0] != '\0' && strlen(m->user) <= SESSION_USER_MAX;
}

static bool
is_key(const struct keeper_public_key *m)
{
	return is_provider(m->provider, sizeof(m->provider)) && m->index < KEYS_MAX &&
	       m->kid_len <= KEYS_KID_MAX && m->der_len > 0 && m->der_len <= KEYS_DER_MAX;
}

static bool
is_secret(const struct keeper_secret *m)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

	return m->len <= sizeof(m->bytes) && is_text(m->name, sizeof(m->name)) &&
	       m->name[0] != '\0' && m->name[0] != '.' &&
	       strspn(m->name, letters) == strlen(m->name);
}

bool
apply_auth_accepts(const struct msg_head *head)
{
	const void *m = head;
	const struct keeper_token_revoke *revoke = m;
	const struct keeper_keys *keys = m;
	const struct keeper_rollout *rollout = m;

	switch (head->type) {
	case KEEPER_TOKEN: return MSG_IS(head, keeper_token) && is_token(m);
	case KEEPER_TOKEN_REVOKE:
		return MSG_IS(head, keeper_token_revoke) && is_id(revoke->id, sizeof(revoke->id));
	case KEEPER_TOKEN_USED: return MSG_IS(head, keeper_token_used);
	case KEEPER_KEY: return MSG_IS(head, keeper_public_key) && is_key(m);
	case KEEPER_KEYS:
		return MSG_IS(head, keeper_keys) && keys->count <= KEYS_MAX &&
		       is_provider(keys->provider, sizeof(keys->provider));
	case KEEPER_ROLLOUT:
		return MSG_IS(head, keeper_rollout) && rollout->percent >= SETTINGS_UNSET &&
		       rollout->percent <= PERCENT_MAX;
	case KEEPER_SECRET: return MSG_IS(head, keeper_secret) && is_secret(m);
	default: return false;
	}
}

/* ---- tokens ---- */

static struct str
to_text(const char *text)
{
	return text[0] != '\0' ? str_from(text) : STR_NONE;
}

static int
put_new(struct apply *a, const struct keeper_token *m)
{
	struct str envs[TOKEN_ENVS_MAX];
	const struct token t = {
		.type = m->type,
		.id = str_from(m->id),
		.user = str_from(m->user),
		.name = to_text(m->name),
		.team = to_text(m->team),
		.envs = envs,
		.envs_count = m->envs_count,
		.note = to_text(m->note),
		.created_ms = a->now_ms,
		.expires_ms = m->expires_ms,
	};

	for (unsigned i = 0; i < m->envs_count; i++)
		envs[i] = str_from(m->envs[i]);
	return tokens_put(a->db, m->digest, &t);
}

/* An id or a digest that is taken is never given to another, whatever its row has come to. */
static void
create_token(struct apply *a, struct op *op)
{
	const struct keeper_token *m = &op->m.token;
	uint8_t digest[TOKEN_DIGEST];
	struct token other;

	op->result = tokens_write_find(a->db, str_from(m->id), digest);
	if (op->result == 0 && memcmp(digest, m->digest, sizeof(digest)) != 0)
		op->result = E_EXISTS;
	if (op->result != E_NOT_FOUND)
		return;
	op->result = tokens_write_get(a->db, m->digest, a->arena, &other);
	if (op->result == 0 || op->result == E_SYNTAX)
		op->result = E_EXISTS;
	if (op->result != E_NOT_FOUND)
		return;
	op->result = put_new(a, m);
	if (op->result == 0)
		a->changed[SEGMENT_TOKENS] = true;
}

static void
tell_workers(struct apply *a, const struct keeper_token_revoke *m, const uint8_t *digest)
{
	struct keeper_revoked message = {.head = {.type = KEEPER_REVOKED, .size = sizeof(message)}};

	memcpy(message.digest, digest, sizeof(message.digest));
	memcpy(message.id, m->id, sizeof(message.id));
	buf_add(a->revoked, &message, sizeof(message));
}

/* Everybody is told again if asked again: the keeper may have died before it told them. */
static void
revoke_token(struct apply *a, struct op *op)
{
	const struct keeper_token_revoke *m = &op->m.revoke;
	uint8_t digest[TOKEN_DIGEST];
	struct token t;

	op->result = tokens_write_find(a->db, str_from(m->id), digest);
	if (op->result == 0)
		op->result = tokens_write_get(a->db, digest, a->arena, &t);
	if (op->result == 0 && t.revoked_ms == 0) {
		t.revoked_ms = a->now_ms;
		op->result = tokens_put(a->db, digest, &t);
	}
	if (op->result != 0)
		return;
	a->changed[SEGMENT_TOKENS] = true;
	tell_workers(a, m, digest);
}

/* All workers say it; to the minute is enough. The wall clock may step back. */
static void
note_use(struct apply *a, const struct keeper_token_used *m)
{
	struct token t;

	if (tokens_write_get(a->db, m->digest, a->arena, &t) != 0 || t.revoked_ms != 0 ||
	    (a->now_ms >= t.used_ms && a->now_ms - t.used_ms < USED_EVERY_MS))
		return;
	t.used_ms = a->now_ms;
	if (tokens_put(a->db, m->digest, &t) != 0)
		return; /* cannot be: it was read from there */
}

bool
apply_auth_is_over(const struct token *t, uint64_t now_ms)
{
	uint64_t end_ms = t->expires_ms;

	if (t->type == TOKEN_PERSONAL && t->revoked_ms != 0 &&
	    (end_ms == 0 || t->revoked_ms < end_ms))
		end_ms = t->revoked_ms;
	return end_ms != 0 && now_ms > end_ms && now_ms - end_ms > APPLY_AUTH_KEEP_MS;
}

static void
sweep(struct apply *a, const struct keeper_token_used *m)
{
	struct token t;

	if (tokens_write_get(a->db, m->digest, a->arena, &t) == 0 &&
	    apply_auth_is_over(&t, a->now_ms))
		tokens_del(a->db, m->digest, t.id);
}

/* ---- keys and settings ---- */

static void
put_key(struct apply *a, const struct keeper_public_key *m)
{
	const struct key key = {
		.kid = {(const char *)m->kid, m->kid_len},
		.algs = m->algs,
		.der = {(const char *)m->der, m->der_len},
	};

	keys_put(a->db, str_from(m->provider), m->set, m->index, &key);
}

static void
complete(struct apply *a, struct op *op)
{
	const struct keeper_keys *m = &op->m.keys;
	struct keys keys = {.set = m->set, .fetched_ms = m->fetched_ms, .count = m->count};
	bool changed = false;

	memcpy(keys.source, m->source, sizeof(keys.source));
	op->result = keys_complete(a->db, str_from(m->provider), &keys, &changed);
	if (changed)
		a->changed[SEGMENT_KEYS] = true;
}

void
apply_auth_op(struct apply *a, struct op *op)
{
	op->count = 1;
	switch (op->m.head.type) {
	case KEEPER_TOKEN: create_token(a, op); return;
	case KEEPER_TOKEN_REVOKE: revoke_token(a, op); return;
	case KEEPER_TOKEN_USED: note_use(a, &op->m.used); return;
	case OP_SWEEP: sweep(a, &op->m.used); return;
	case KEEPER_KEY: put_key(a, &op->m.key); return;
	case KEEPER_KEYS: complete(a, op); return;
	case KEEPER_ROLLOUT:
		settings_put_rollout(a->db, op->m.rollout.percent);
		a->changed[SEGMENT_SETTINGS] = true;
		return;
	default: ASSERT(!"an operation that was accepted");
	}
}
