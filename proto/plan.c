/*
 * A plan's facts: the walk over the request, and two more over what a compressed plan inflates to,
 * since whether that is a relation or a command is said behind it.
 *
 *	bytes --> walk --> kind, command, operation, SQL
 *	           '--> inflate --> walk as relation, walk as command
 *
 * Pure, but for the kit's two numbers.
 */
#include <zstd.h>
#include "lib/panic.h"
#include "proto/plan.h"
#include "proto/plan_walk.h"

#define PLAN_MAGIC  0x504c414eu
#define WINDOW_LOG  23 /* of PLAN_WINDOW */
#define ROUND	    ((size_t)16 << 10)
#define OP_RELATION 1
#define OP_COMMAND  2
#define CODEC_ZSTD  1

_Static_assert(1u << WINDOW_LOG == PLAN_WINDOW, "one limit");

struct inflated {
	ZSTD_DCtx *zstd;
	uint64_t out;
	size_t wants; /* 0: at the end of a frame */
	bool whole;
	struct plan_walk relation, command;
};

struct plan {
	unsigned magic;
	struct inflated *inflated;
	struct plan_quota *quota; /* NULL: as much as there is */
	struct plan_walk walk;	  /* first of the walks; plan_of() */
};

static struct plan *
plan_of(struct plan_walk *w)
{
	struct plan *p = (struct plan *)(void *)((char *)w - offsetof(struct plan, walk));

	CHECK_MAGIC(p, PLAN_MAGIC);
	return p;
}

/* ---- inflating ---- */

static void
stop(struct plan *p)
{
	struct inflated *z = p->inflated;

	if (z == NULL || z->zstd == NULL)
		return;
	ZSTD_freeDCtx(z->zstd);
	z->zstd = NULL;
	p->walk.kit->inflating--;
	if (p->quota != NULL)
		p->quota->inflating--;
}

/* A place among those that are being inflated. */
static bool
start(struct plan *p)
{
	if (p->walk.kit->inflating >= PLAN_AT_ONCE ||
	    (p->quota != NULL && p->quota->inflating >= PLAN_AT_ONCE / 2))
		return false;
	p->inflated->zstd = ZSTD_createDCtx();
	if (p->inflated->zstd == NULL)
		return false;
	p->walk.kit->inflating++;
	if (p->quota != NULL)
		p->quota->inflating++;
	return true;
}

static bool
spend(const struct plan *p, uint64_t bytes)
{
	uint64_t *all = &p->walk.kit->credit, *own = p->quota != NULL ? &p->quota->credit : all;

	if (bytes > *all || bytes > *own)
		return false;
	*all -= bytes;
	if (own != all)
		*own -= bytes;
	return true;
}

/* From the start, but for the room that a text of earlier data has in the arena: data is given
 * again as often as somebody likes. */
static void
walk_anew(struct plan_walk *inner, const struct plan_walk *outer, enum plan_node root)
{
	struct plan_sql room = {.text = inner->sql.text, .cap = inner->sql.cap};

	plan_walk_clear(inner);
	memset(inner, 0, sizeof(*inner));
	inner->sql = room;
	plan_walk_init(inner, outer->arena, outer->kit, root, UINT64_MAX);
}

/* Data given again: only the last counts. */
static void
data_begin(struct plan_walk *w)
{
	struct plan *p = plan_of(w);
	struct inflated *z = p->inflated;

	stop(p);
	if (z == NULL)
		z = p->inflated = arena_alloc(w->arena, sizeof(*z));
	if (z == NULL)
		return;
	walk_anew(&z->relation, w, NODE_RELATION);
	walk_anew(&z->command, w, NODE_COMMAND);
	z->out = 0;
	z->wants = 0;
	z->whole = false;
	if (start(p) &&
	    ZSTD_isError(ZSTD_DCtx_setParameter(z->zstd, ZSTD_d_windowLogMax, WINDOW_LOG)))
		stop(p);
}

/* False: it goes no further. */
static bool
inflate(struct plan_walk *w, struct inflated *z, ZSTD_inBuffer *in)
{
	uint8_t room[ROUND];
	ZSTD_outBuffer out = {room, sizeof(room), 0};

	z->wants = ZSTD_decompressStream(z->zstd, &out, in);
	if (ZSTD_isError(z->wants))
		return false;
	z->out += out.pos;
	if (z->out > PLAN_INFLATED || !spend(plan_of(w), out.pos))
		return false;
	plan_walk_feed(&z->relation, room, out.pos);
	plan_walk_feed(&z->command, room, out.pos);
	return true;
}

static void
data_bytes(struct plan_walk *w, const uint8_t *bytes, size_t n)
{
	struct plan *p = plan_of(w);
	struct inflated *z = p->inflated;
	ZSTD_inBuffer in = {bytes, n, 0};

	while (z != NULL && z->zstd != NULL) {
		size_t before = in.pos;
		uint64_t out = z->out;

		if (!inflate(w, z, &in))
			stop(p);
		else if (in.pos == in.size && (z->wants == 0 || z->out - out < ROUND))
			return;
		else if (in.pos == before && z->out == out)
			stop(p);
	}
}

static void
data_end(struct plan_walk *w)
{
	struct plan *p = plan_of(w);

	if (p->inflated == NULL)
		return;
	p->inflated->whole =
		p->inflated->zstd != NULL && p->inflated->wants == 0 && p->inflated->out > 0;
	stop(p);
}

static const struct plan_data_ops data_ops = {data_begin, data_bytes, data_end};

/* ---- the whole ---- */

static enum plan_node
root_of(enum method_id method)
{
	switch (method) {
	case METHOD_EXECUTE_PLAN: return NODE_EXECUTE;
	case METHOD_ANALYZE_PLAN: return NODE_ANALYZE;
	case METHOD_REATTACH_EXECUTE:
	case METHOD_RELEASE_EXECUTE: return NODE_OF_OPERATION;
	default: return NODE_NONE;
	}
}

struct plan *
plan_new(struct arena *arena, struct plan_kit *kit, enum method_id method, uint64_t total)
{
	enum plan_node root = root_of(method);
	struct plan *p;

	ASSERT(kit->sql_bytes <= PLAN_SQL_MAX);
	if (root == NODE_NONE)
		return NULL;
	p = arena_alloc(arena, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->magic = PLAN_MAGIC;
	plan_walk_init(&p->walk, arena, kit, root, total);
	p->walk.data = &data_ops;
	return p;
}

void
plan_set_quota(struct plan *p, struct plan_quota *quota)
{
	CHECK_MAGIC(p, PLAN_MAGIC);
	ASSERT(p->inflated == NULL);
	p->quota = quota;
}

void
plan_feed(struct plan *p, const uint8_t *bytes, size_t n)
{
	CHECK_MAGIC(p, PLAN_MAGIC);
	plan_walk_feed(&p->walk, bytes, n);
}

/* The walk over what was inflated, if that can be believed. */
static const struct plan_walk *
inner(const struct plan *p)
{
	const struct inflated *z = p->inflated;
	uint64_t type = p->walk.op_type;
	const struct plan_walk *w;

	if (z == NULL || !z->whole || p->walk.codec != CODEC_ZSTD ||
	    (type != OP_RELATION && type != OP_COMMAND))
		return NULL;
	w = type == OP_RELATION ? &z->relation : &z->command;
	return w->broken || (w->depth == 1 && w->leaf_left == 0 && w->tag_len == 0) ? w : NULL;
}

static void
take_inner(const struct plan *p, struct plan_found *f)
{
	const struct plan_walk *w = inner(p);

	f->compressed = true;
	if (w == NULL)
		return;
	f->kind = w->broken ? "malformed" : w == &p->inflated->relation ? "relation" : "command";
	if (w == &p->inflated->command && f->command == NULL)
		f->command = w->command;
}

void
plan_found(const struct plan *p, struct plan_found *ret)
{
	const struct plan_walk *w = &p->walk;
	struct plan_found f = {.kind = w->kind, .command = w->command};

	CHECK_MAGIC(p, PLAN_MAGIC);
	if (w->operation_len > 0)
		f.operation = (struct str){w->operation, w->operation_len};
	if (f.kind != NULL && strcmp(f.kind, "compressed") == 0) {
		take_inner(p, &f);
		w = inner(p);
	}
	if (p->walk.broken)
		f.kind = "malformed";
	if (w != NULL && w->sql.whole) {
		f.has_sql = true;
		f.sql = (struct str){w->sql.text, w->sql.kept};
		f.sql_length = w->sql.length;
		memcpy(f.sha256, w->sql.sha256, sizeof(f.sha256));
	}
	*ret = f;
}

void
plan_free(struct plan **ret)
{
	struct plan *p = *ret;

	if (p == NULL)
		return;
	CHECK_MAGIC(p, PLAN_MAGIC);
	*ret = NULL;
	stop(p);
	plan_walk_clear(&p->walk);
	if (p->inflated != NULL) {
		plan_walk_clear(&p->inflated->relation);
		plan_walk_clear(&p->inflated->command);
	}
	p->magic = 0;
}
