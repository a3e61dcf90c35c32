/*
 * Open slots: handed out from a private list, so that taking one never searches; whose they are
 * stands in the slots themselves.
 */
#include "lib/panic.h"
#include "proto/grpc.h"
#include "shm/limits.h"
#include "shm/open.h"

#define STATE_MASK 3u
#define LIFE_SHIFT 4
#define COUNT_MASK 0xffffffffull

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_acquire);
}

static uint64_t
word_of(uint64_t life, unsigned bits)
{
	return life << LIFE_SHIFT | bits;
}

/* ---- what a dead process left ---- */

static bool
is_counted(const struct open_slot *s, const _Atomic uint64_t *requests)
{
	uint32_t pair = atomic_load(&s->pair), code = atomic_load(&s->code);
	uint64_t at = load(&s->counted_at);

	if (requests == NULL) /* killed within its last lines, it has probably been counted */
		return code != OPEN_NO_CODE;
	return at != OPEN_NEVER && pair < SEGMENT_PAIRS && code < GRPC_CODES &&
	       load(&requests[pair * GRPC_CODES + code]) >= at;
}

/* Two may come to this at once; both see the same, and one of them writes it. */
static bool
orphan(struct open_slot *s, uint64_t life, uint64_t head, uint64_t lost,
       const _Atomic uint64_t *requests)
{
	uint64_t word = load(&s->word), next;
	unsigned flags = 0;

	if ((word & STATE_MASK) != OPEN_STATE_OPEN || word >> LIFE_SHIFT > life)
		return false;
	if (load(&s->position) < head || load(&s->lost_at) <= lost)
		flags |= OPEN_RECORDED;
	if (is_counted(s, requests))
		flags |= OPEN_COUNTED;
	next = word_of(word >> LIFE_SHIFT, OPEN_STATE_ORPHAN | flags);
	if (flags == (OPEN_RECORDED | OPEN_COUNTED))
		next = word_of(word >> LIFE_SHIFT, OPEN_STATE_FREE);
	return atomic_compare_exchange_strong(&s->word, &word, next) &&
	       flags != (OPEN_RECORDED | OPEN_COUNTED);
}

static unsigned
leave_unslotted(struct open_row *row, uint64_t life)
{
	uint64_t word = load(&row->unslotted), count = word & COUNT_MASK;

	if (count == 0 || word >> 32 > (life & COUNT_MASK) ||
	    !atomic_compare_exchange_strong(&row->unslotted, &word, word & ~COUNT_MASK))
		return 0;
	atomic_fetch_add(&row->unslotted_left, count);
	return (unsigned)count;
}

unsigned
open_orphan(struct open_row *row, uint64_t life, const struct ring *ring,
	    const _Atomic uint64_t *requests)
{
	uint64_t head = load(&ring->head), lost = load(&ring->lost);
	unsigned n = leave_unslotted(row, life), count = open_count(row);

	for (unsigned i = 0; i < count; i++)
		n += orphan(&row->slots[i], life, head, lost, requests);
	if (n > 0)
		atomic_fetch_add(&row->orphans, 1);
	return n;
}

/* ---- a worker ---- */

static bool
is_free(const struct open_slot *s)
{
	return (load(&s->word) & STATE_MASK) == OPEN_STATE_FREE;
}

void
open_enter(struct open_desk *d, struct open_row *row, const struct ring *ring,
	   const _Atomic uint64_t *requests, unsigned worker)
{
	uint64_t life = load(&row->life);

	open_orphan(row, life, ring, requests);
	*d = (struct open_desk){.row = row, .life = life + 1};
	atomic_store(&row->worker, worker);
	atomic_store(&row->unslotted, d->life << 32);
	atomic_store(&row->life, d->life);
	d->count = open_count(row);
	for (unsigned i = d->count; i-- > 0;) {
		if (is_free(&row->slots[i]))
			d->free[d->free_count++] = (uint16_t)i;
		else
			d->left[d->left_count++] = (uint16_t)i;
	}
}

/* What the keeper has meanwhile written down for a dead predecessor is free. */
static void
reclaim(struct open_desk *d)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < d->left_count; i++) {
		if (is_free(&d->row->slots[d->left[i]]))
			d->free[d->free_count++] = d->left[i];
		else
			d->left[kept++] = d->left[i];
	}
	d->left_count = kept;
}

static void
add_unslotted(struct open_desk *d, uint64_t by)
{
	atomic_store_explicit(&d->row->unslotted, load(&d->row->unslotted) + by,
			      memory_order_release);
}

bool
open_is_full(struct open_desk *d)
{
	if (d->free_count == 0 && d->left_count > 0)
		reclaim(d);
	return d->free_count == 0;
}

void
open_grow(struct open_desk *d)
{
	unsigned count = d->count + OPEN_FIRST;

	ASSERT(count <= OPEN_SLOTS);
	atomic_store_explicit(&d->row->grown, count - OPEN_FIRST, memory_order_release);
	while (count > d->count)
		d->free[d->free_count++] = (uint16_t)--count;
	d->count += OPEN_FIRST;
}

unsigned
open_take(struct open_desk *d)
{
	struct open_slot *s;
	unsigned i;

	if (open_is_full(d)) {
		add_unslotted(d, 1);
		return OPEN_NONE;
	}
	i = d->free[--d->free_count];
	s = &d->row->slots[i];
	atomic_store_explicit(&s->position, OPEN_NEVER, memory_order_relaxed);
	atomic_store_explicit(&s->lost_at, OPEN_NEVER, memory_order_relaxed);
	atomic_store_explicit(&s->counted_at, OPEN_NEVER, memory_order_relaxed);
	atomic_store_explicit(&s->pair, OPEN_NO_PAIR, memory_order_relaxed);
	atomic_store_explicit(&s->code, OPEN_NO_CODE, memory_order_relaxed);
	atomic_store_explicit(&s->used, 0, memory_order_relaxed);
	atomic_store_explicit(&s->word, word_of(d->life, OPEN_STATE_OPEN), memory_order_release);
	return i;
}

struct open_slot *
open_slot(struct open_desk *d, unsigned index)
{
	ASSERT(index < d->count || index == OPEN_NONE);
	return index == OPEN_NONE ? NULL : &d->row->slots[index];
}

void
open_free(struct open_desk *d, unsigned index)
{
	struct open_slot *s = open_slot(d, index);

	if (s == NULL) {
		add_unslotted(d, (uint64_t)-1);
		return;
	}
	atomic_store_explicit(&s->word, word_of(d->life, OPEN_STATE_FREE), memory_order_release);
	ASSERT(d->free_count < d->count);
	d->free[d->free_count++] = (uint16_t)index;
}
