/*
 * Identities: one block each, the struct first, then the arrays, then the bytes.
 */
#include <stdlib.h>
#include "lib/panic.h"
#include "policy/identity.h"

struct room {
	char *bytes;
	struct str *strs;
};

static struct str
keep(struct room *room, struct str s)
{
	struct str kept = {room->bytes, s.n};

	if (s.p == NULL)
		return STR_NONE;
	memcpy(room->bytes, s.p, s.n);
	room->bytes += s.n;
	return kept;
}

static const struct str *
keep_all(struct room *room, const struct str *list, unsigned count)
{
	struct str *kept = room->strs;

	for (unsigned i = 0; i < count; i++)
		kept[i] = keep(room, list[i]);
	room->strs += count;
	return kept;
}

static size_t
bytes_of(const struct identity *w)
{
	size_t n = w->user.n + w->name.n + w->team.n + w->provider.n + w->token_id.n;

	for (unsigned i = 0; i < w->groups_count; i++)
		n += w->groups[i].n;
	for (unsigned i = 0; i < w->envs_count; i++)
		n += w->envs[i].n;
	return n;
}

struct identity *
identity_new(const struct identity *from)
{
	size_t strs = (size_t)from->groups_count + from->envs_count;
	struct identity *w = malloc(sizeof(*w) + strs * sizeof(struct str) + bytes_of(from));
	struct room room;

	if (w == NULL)
		return NULL;
	room.strs = (struct str *)(w + 1);
	room.bytes = (char *)(room.strs + strs);
	*w = *from;
	w->refs = 1;
	w->groups = keep_all(&room, from->groups, from->groups_count);
	w->envs = keep_all(&room, from->envs, from->envs_count);
	w->user = keep(&room, from->user);
	w->name = keep(&room, from->name);
	w->team = keep(&room, from->team);
	w->provider = keep(&room, from->provider);
	w->token_id = keep(&room, from->token_id);
	return w;
}

struct identity *
identity_ref(struct identity *w)
{
	ASSERT(w->refs > 0);
	w->refs++;
	return w;
}

void
identity_unref(struct identity **pw)
{
	struct identity *w = *pw;

	*pw = NULL;
	if (w == NULL)
		return;
	ASSERT(w->refs > 0);
	if (--w->refs == 0)
		free(w);
}
