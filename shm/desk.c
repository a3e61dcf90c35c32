/*
 * The desk: what an RPC's end does to counter, ring and slot, in an order in which a death at any
 * instruction can be told from any other by what stands there.
 *
 *	1  the slot says how far counter and ring will be
 *	2  the counter moves; the ring's head (or its count of lost records) moves
 *	3  the slot is free
 */
#include "lib/panic.h"
#include "shm/desk.h"

int
desk_enter(struct desk *d, struct segment *s, unsigned row, unsigned worker)
{
	int err = segment_reserve(s, row, SEGMENT_METRICS | SEGMENT_AUDIT);

	if (err != 0)
		return err;
	d->ring = segment_ring(s, row);
	d->metrics = segment_metrics(s, row);
	d->ledger = segment_ledger(s);
	d->segment = s;
	d->row = row;
	d->worker = worker;
	d->stays = false;
	open_enter(&d->open, segment_open(s, row), d->ring, &d->metrics->requests[0][0], worker);
	return 0;
}

static void
grow(struct desk *d)
{
	unsigned count = d->open.count + OPEN_FIRST;

	if (d->stays || count > OPEN_SLOTS)
		return;
	d->stays = segment_reserve_slots(d->segment, d->row, count) != 0;
	if (!d->stays)
		open_grow(&d->open);
}

unsigned
desk_begin(struct desk *d)
{
	struct audit_facts facts;
	unsigned slot;

	if (open_is_full(&d->open))
		grow(d);
	slot = open_take(&d->open);
	facts = desk_know(d, slot);
	audit_number(&facts, AUDIT_worker, d->worker);
	desk_known(d, slot, &facts);
	return slot;
}

struct audit_facts
desk_know(struct desk *d, unsigned slot)
{
	struct open_slot *s = open_slot(&d->open, slot);

	if (s == NULL)
		return (struct audit_facts){0};
	return (struct audit_facts){
		.p = s->facts,
		.n = atomic_load_explicit(&s->used, memory_order_relaxed),
		.size = OPEN_FACTS,
	};
}

void
desk_known(struct desk *d, unsigned slot, const struct audit_facts *facts)
{
	struct open_slot *s = open_slot(&d->open, slot);

	if (s != NULL)
		atomic_store_explicit(&s->used, (uint32_t)facts->n, memory_order_release);
}

void
desk_place(struct desk *d, unsigned slot, unsigned pair)
{
	struct open_slot *s = open_slot(&d->open, slot);

	ASSERT(pair < SEGMENT_PAIRS);
	if (s != NULL)
		atomic_store_explicit(&s->pair, pair, memory_order_release);
}

struct audit_facts *
desk_build(struct desk *d)
{
	d->sheet = (struct audit_facts){.p = d->bytes, .size = sizeof(d->bytes)};
	audit_number(&d->sheet, AUDIT_worker, d->worker);
	return &d->sheet;
}

static void
mark(struct open_slot *s, _Atomic uint64_t *at, uint64_t value, _Atomic uint64_t *counter,
     unsigned pair, unsigned code)
{
	if (s == NULL)
		return;
	atomic_store_explicit(&s->pair, pair, memory_order_relaxed);
	atomic_store_explicit(&s->code, code, memory_order_relaxed);
	atomic_store_explicit(&s->counted_at,
			      atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_release);
	atomic_store_explicit(at, value, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
}

void
desk_end(struct desk *d, unsigned slot, unsigned pair, unsigned code)
{
	struct open_slot *s = open_slot(&d->open, slot);
	_Atomic uint64_t *counter = &d->metrics->requests[pair][code];
	uint8_t *room = ring_room(d->ring, d->sheet.n);
	uint64_t head = atomic_load_explicit(&d->ring->head, memory_order_relaxed);
	uint64_t lost = atomic_load_explicit(&d->ring->lost, memory_order_relaxed) + 1;

	ASSERT(pair < SEGMENT_PAIRS && code < GRPC_CODES && d->sheet.n > 0);
	if (room != NULL) {
		mark(s, s != NULL ? &s->position : NULL, head, counter, pair, code);
		metrics_add(counter, 1);
		memcpy(room, d->sheet.p, d->sheet.n);
		ring_publish(d->ring, AUDIT_RPC, d->sheet.n);
	} else {
		mark(s, s != NULL ? &s->lost_at : NULL, lost, counter, pair, code);
		metrics_add(counter, 1);
		atomic_store_explicit(&d->ring->lost, lost, memory_order_release);
	}
	open_free(&d->open, slot);
	d->sheet.n = 0;
}

/* lost_at 0 counts as reached: killed here it is not recorded either. */
void
desk_end_unrecorded(struct desk *d, unsigned slot, unsigned pair, unsigned code)
{
	struct open_slot *s = open_slot(&d->open, slot);
	_Atomic uint64_t *counter = &d->metrics->requests[pair][code];

	ASSERT(pair < SEGMENT_PAIRS && code < GRPC_CODES);
	mark(s, s != NULL ? &s->lost_at : NULL, 0, counter, pair, code);
	metrics_add(counter, 1);
	open_free(&d->open, slot);
}

bool
desk_is_pressed(const struct desk *d)
{
	return atomic_load_explicit(&d->ledger->stalled, memory_order_relaxed) != 0 &&
	       ring_fill(d->ring) > RING_BYTES / 2;
}
