/*
 * The ring: the producer fills the bytes behind the head and moves the head over them at once; the
 * consumer copies records and moves the tail when they are safe elsewhere.
 */
#include <string.h>
#include "lib/panic.h"
#include "shm/ring.h"

#define MASK	    (RING_BYTES - 1)
#define KIND_SKIP   0 /* what is left up to the end of the bytes */
#define PADDED(n)   (((n) + 7) & ~(size_t)7)
#define BYTES_OF(n) (sizeof(struct record) + PADDED(n))

struct record {
	uint32_t length, kind;
};

static uint64_t
load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_acquire);
}

static void
store(_Atomic uint64_t *p, uint64_t value)
{
	atomic_store_explicit(p, value, memory_order_release);
}

/* ---- the producer ---- */

static size_t
skip_of(uint64_t head, size_t need)
{
	size_t to_end = RING_BYTES - (head & MASK);

	return need > to_end ? to_end : 0;
}

static void
write_record(struct ring *r, uint64_t at, uint32_t kind, size_t length)
{
	const struct record record = {.length = (uint32_t)length, .kind = kind};

	memcpy(r->bytes + (at & MASK), &record, sizeof(record));
}

uint8_t *
ring_room(struct ring *r, size_t n)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t need = BYTES_OF(n), skip = skip_of(head, need);

	ASSERT(n <= RING_RECORD_MAX);
	if (head - load(&r->tail) + skip + need > RING_BYTES)
		return NULL;
	if (skip > 0)
		write_record(r, head, KIND_SKIP, skip - sizeof(struct record));
	return r->bytes + ((head + skip) & MASK) + sizeof(struct record);
}

void
ring_publish(struct ring *r, uint32_t kind, size_t n)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t need = BYTES_OF(n), skip = skip_of(head, need);

	ASSERT(kind != KIND_SKIP);
	write_record(r, head + skip, kind, n);
	store(&r->head, head + skip + need);
}

int
ring_put(struct ring *r, uint32_t kind, const void *payload, size_t n)
{
	uint8_t *room = ring_room(r, n);

	if (room == NULL)
		return E_FULL;
	if (n > 0)
		memcpy(room, payload, n);
	ring_publish(r, kind, n);
	return 0;
}

size_t
ring_fill(const struct ring *r)
{
	uint64_t fill = load(&r->head) - load(&r->tail);

	return fill < RING_BYTES ? (size_t)fill : RING_BYTES;
}

/* ---- the consumer ---- */

/* Bytes from `at` up to the head; 0 also when the two do not belong together. */
static size_t
readable(uint64_t at, uint64_t head)
{
	return head - at <= RING_BYTES && at % sizeof(struct record) == 0 &&
			       head % sizeof(struct record) == 0
		       ? (size_t)(head - at)
		       : 0;
}

static bool
is_sane(const struct record *record, uint64_t at, size_t left)
{
	size_t to_end = RING_BYTES - (at & MASK);

	if (record->kind == KIND_SKIP) /* never longer than what did not fit behind it */
		return BYTES_OF(record->length) == to_end && to_end <= left &&
		       to_end < BYTES_OF(RING_RECORD_MAX);
	return record->length <= RING_RECORD_MAX && BYTES_OF(record->length) <= left &&
	       BYTES_OF(record->length) <= to_end;
}

int
ring_next(const struct ring *r, uint64_t *position, void *buf, size_t size, uint32_t *ret_kind,
	  size_t *ret_n)
{
	uint64_t head = load(&r->head);
	struct record record;
	size_t left;

	ASSERT(size >= RING_RECORD_MAX);
	while (*position != head) {
		left = readable(*position, head);
		if (left >= sizeof(record))
			memcpy(&record, r->bytes + (*position & MASK), sizeof(record));
		if (left < sizeof(record) || !is_sane(&record, *position, left)) {
			*position = PADDED(head);
			return E_SYNTAX;
		}
		if (record.kind != KIND_SKIP) {
			memcpy(buf, r->bytes + (*position & MASK) + sizeof(record), record.length);
			*position += BYTES_OF(record.length);
			*ret_kind = record.kind;
			*ret_n = record.length;
			return 0;
		}
		*position += BYTES_OF(record.length);
	}
	return E_AGAIN;
}

void
ring_settle(struct ring *r)
{
	store(&r->lost_told, load(&r->lost_taken));
	store(&r->tail, load(&r->taken));
}

void
ring_untake(struct ring *r)
{
	store(&r->taken, load(&r->tail));
	store(&r->lost_taken, load(&r->lost_told));
}
