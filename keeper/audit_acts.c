/*
 * Acts: a short list of texts, each waiting, in the batch, or waiting for the disk.
 */
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include "keeper/audit_acts.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"

#define ACTS_MAGIC 0x41416374u
#define ACTS_MAX   64

enum state { ACT_FREE, ACT_WAITING, ACT_TAKEN, ACT_WRITTEN, ACT_ANSWERED };

struct act {
	enum state state;
	int fd; /* -1: nobody */
	uint32_t id;
	uint64_t order, time_ms, written;
	const char *kind;
	char members[2 * KEEPER_AUDIT_TEXT]; /* "act":… without the braces */
};

struct audit_acts {
	unsigned magic;
	uint64_t next_order;
	struct act list[ACTS_MAX];
};

struct audit_acts *
audit_acts_new(void)
{
	struct audit_acts *a = calloc(1, sizeof(*a));

	if (a != NULL)
		a->magic = ACTS_MAGIC;
	return a;
}

void
audit_acts_free(struct audit_acts **ret)
{
	struct audit_acts *a = *ret;

	if (a == NULL)
		return;
	CHECK_MAGIC(a, ACTS_MAGIC);
	*ret = NULL;
	a->magic = 0;
	free(a);
}

/* ---- adding ---- */

/* A free one, or the one answered longest ago: those are kept to know what is asked twice. */
static struct act *
find_room(struct audit_acts *a)
{
	struct act *best = NULL;

	for (unsigned i = 0; i < ACTS_MAX; i++) {
		struct act *act = &a->list[i];

		if (act->state == ACT_FREE)
			return act;
		if (act->state == ACT_ANSWERED && (best == NULL || act->order < best->order))
			best = act;
	}
	return best;
}

static struct act *
find(struct audit_acts *a, int fd, uint32_t id)
{
	for (unsigned i = 0; i < ACTS_MAX; i++)
		if (a->list[i].state != ACT_FREE && a->list[i].fd == fd && fd >= 0 &&
		    a->list[i].id == id)
			return &a->list[i];
	return NULL;
}

static void
enter(struct audit_acts *a, struct act *act, int fd, uint32_t id, const char *kind)
{
	act->state = ACT_WAITING;
	act->fd = fd;
	act->id = id;
	act->kind = kind;
	act->order = a->next_order++;
	act->time_ms = clock_wall_ms();
}

/* Printed anew, so that it is one line and nothing but JSON. */
static int
read_members(const char *text, char *ret, size_t size)
{
	static const char *const ours[] = {"seq", "time", "gateway", "kind", "chain", "seal"};
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	char *dump = json_is_object(json) && json_object_size(json) > 0
			     ? json_dumps(json, JSON_COMPACT)
			     : NULL;
	size_t n = dump != NULL ? strlen(dump) : 0;
	int err = n > 2 && n - 2 < size ? 0 : E_SYNTAX;

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (json_object_get(json, ours[i]) != NULL)
			err = E_SYNTAX;
	if (err == 0)
		str_copy(ret, size, (struct str){dump + 1, n - 2});
	free(dump);
	json_decref(json);
	return err;
}

static void
answer(const struct act *act)
{
	const struct keeper_done done = {
		.head = {KEEPER_DONE, sizeof(done), act->id},
		.count = 1,
	};

	if (act->fd >= 0 && msg_send(act->fd, &done.head) != 0)
		log_debug(NULL, "an answer could not be sent; its asker asks again");
}

int
audit_acts_add(struct audit_acts *a, int fd, const struct keeper_audit *m)
{
	struct act *act = find(a, fd, m->head.id);
	char members[sizeof(act->members)];
	int err;

	CHECK_MAGIC(a, ACTS_MAGIC);
	if (act != NULL) {
		if (act->state == ACT_ANSWERED)
			answer(act);
		return E_EXISTS;
	}
	err = read_members(m->text, members, sizeof(members));
	if (err != 0)
		return err;
	act = find_room(a);
	if (act == NULL)
		return E_FULL;
	memcpy(act->members, members, sizeof(members));
	enter(a, act, fd, m->head.id, "act");
	return 0;
}

void
audit_acts_event(struct audit_acts *a, const char *fmt, ...)
{
	struct act *act = find_room(a);
	va_list ap;

	CHECK_MAGIC(a, ACTS_MAGIC);
	if (act == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(act->members, sizeof(act->members), fmt, ap);
	va_end(ap);
	enter(a, act, -1, 0, "gateway");
}

/* ---- writing ---- */

/* The next one in `state`, in the order they came. */
static struct act *
next(struct audit_acts *a, enum state state)
{
	struct act *best = NULL;

	for (unsigned i = 0; i < ACTS_MAX; i++)
		if (a->list[i].state == state && (best == NULL || a->list[i].order < best->order))
			best = &a->list[i];
	return best;
}

bool
audit_acts_waiting(const struct audit_acts *a)
{
	CHECK_MAGIC(a, ACTS_MAGIC);
	for (unsigned i = 0; i < ACTS_MAX; i++)
		if (a->list[i].state == ACT_WAITING)
			return true;
	return false;
}

unsigned
audit_acts_take(struct audit_acts *a, struct audit_batch *batch)
{
	struct act *act;
	unsigned n = 0;

	CHECK_MAGIC(a, ACTS_MAGIC);
	while ((act = next(a, ACT_WAITING)) != NULL) {
		struct buf *b = audit_batch_line(batch, act->kind, act->time_ms);

		buf_add_byte(b, ',');
		buf_add_str(b, str_from(act->members));
		if (!audit_batch_end_line(batch))
			break;
		act->state = ACT_TAKEN;
		n++;
	}
	return n;
}

static void
move_all(struct audit_acts *a, enum state from, enum state to, uint64_t written)
{
	CHECK_MAGIC(a, ACTS_MAGIC);
	for (unsigned i = 0; i < ACTS_MAX; i++) {
		if (a->list[i].state != from)
			continue;
		a->list[i].state = to;
		a->list[i].written = written;
	}
}

void
audit_acts_untake(struct audit_acts *a)
{
	move_all(a, ACT_TAKEN, ACT_WAITING, 0);
}

void
audit_acts_settle(struct audit_acts *a, uint64_t written)
{
	move_all(a, ACT_TAKEN, ACT_WRITTEN, written);
}

void
audit_acts_answer(struct audit_acts *a, uint64_t on_disk)
{
	struct act *act;

	CHECK_MAGIC(a, ACTS_MAGIC);
	while ((act = next(a, ACT_WRITTEN)) != NULL && act->written <= on_disk) {
		answer(act);
		act->state = act->fd >= 0 ? ACT_ANSWERED : ACT_FREE;
	}
}
