/*
 * Sequence-locked rows: the writer makes the sequence odd, stores the words, makes it even; a
 * reader that saw the same even number before and after has a whole row. The words are atomics, so
 * that a torn read is a number to be thrown away and not undefined behaviour.
 */
#include <string.h>
#include "lib/panic.h"
#include "shm/health.h"

#define WORDS	  (sizeof(struct health) / sizeof(uint64_t))
#define TRIES_MAX 128

_Static_assert(sizeof(struct health) % sizeof(uint64_t) == 0, "a row is whole words");

const char *
health_state_name(unsigned state)
{
	static const char *const names[] = {"unknown", "up", "down"};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "invalid";
}

const char *
health_reason_name(unsigned reason)
{
	static const char *const names[] = {"ok",  "refused",  "timeout",     "unresolved",
					    "tls", "protocol", "not serving", "closed"};

	return reason < sizeof(names) / sizeof(names[0]) ? names[reason] : "invalid";
}

static void
store(struct health_row *row, const struct health *h)
{
	uint64_t words[WORDS];

	memcpy(words, h, sizeof(words));
	for (size_t i = 0; i < WORDS; i++)
		atomic_store_explicit(&row->words[i], words[i], memory_order_relaxed);
}

void
health_write(struct health_row *row, const struct health *h)
{
	uint32_t sequence = atomic_load_explicit(&row->sequence, memory_order_relaxed);

	ASSERT(sequence % 2 == 0);
	atomic_store_explicit(&row->sequence, sequence + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	store(row, h);
	atomic_store_explicit(&row->sequence, sequence + 2, memory_order_release);
}

int
health_read(const struct health_row *row, struct health *ret)
{
	uint64_t words[WORDS];

	for (int i = 0; i < TRIES_MAX; i++) {
		uint32_t before = atomic_load_explicit(&row->sequence, memory_order_acquire);

		if (before % 2 != 0)
			continue;
		for (size_t w = 0; w < WORDS; w++)
			words[w] = atomic_load_explicit(&row->words[w], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(&row->sequence, memory_order_relaxed) == before) {
			memcpy(ret, words, sizeof(*ret));
			return 0;
		}
	}
	return E_AGAIN;
}

/* What stands in a half-written row is nobody's: it is emptied before it may be read again. */
void
health_repair(struct health_row *rows, unsigned count)
{
	const struct health nobody = {.driver_id = 0};

	for (unsigned i = 0; i < count; i++) {
		uint32_t sequence = atomic_load(&rows[i].sequence);

		if (sequence % 2 == 0)
			continue;
		store(&rows[i], &nobody);
		atomic_store_explicit(&rows[i].sequence, sequence + 1, memory_order_release);
	}
}
