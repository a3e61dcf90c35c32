/*
 * Rows of a segment, one after the other, each a bounded number of records per batch.
 */
#include <stdlib.h>
#include "keeper/audit_line.h"
#include "keeper/audit_source.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/labels.h"
#include "shm/ledger.h"
#include "shm/metrics.h"
#include "shm/open.h"
#include "shm/procs.h"
#include "shm/ring.h"

#define SOURCE_MAGIC 0x4153726fu
#define ROW_TURN     256 /* records of a ring in one batch */
#define BOOKS_ROW    0	 /* the row whose metrics are the keeper's, for the dead */
#define STATE_MASK   3u
#define LIFE_BITS    (~(uint64_t)15)

struct row {
	uint64_t dead_life;    /* it has been looked after */
	uint32_t orphans_seen; /* of open_row.orphans */
	bool scan;	       /* there may be orphans whatever that number says */
	bool taken, slots;     /* something, and slots, in the batch under way */
};

struct audit_source {
	unsigned magic;
	struct segment *segment, *own; /* own: where the dead are counted */
	bool old, took, fresh;
	unsigned rows_count, next_row;
	struct row *rows;
	uint8_t record[RING_RECORD_MAX];
};

/* What a batch is taken with. */
struct taking {
	struct audit_batch *batch;
	struct audit_redact *redact;
	unsigned *budget;
	struct audit_tally *tally;
};

struct audit_source *
audit_source_new(struct segment *segment, struct segment *own)
{
	struct audit_source *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SOURCE_MAGIC;
	s->segment = segment;
	s->own = own;
	s->old = segment != own;
	s->rows_count = segment_rows(segment);
	s->rows = calloc(s->rows_count, sizeof(*s->rows));
	if (s->rows == NULL) {
		audit_source_free(&s);
		return NULL;
	}
	s->fresh = true;
	for (unsigned i = 0; i < s->rows_count; i++)
		s->rows[i].scan = true;
	return s;
}

void
audit_source_free(struct audit_source **ret)
{
	struct audit_source *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SOURCE_MAGIC);
	*ret = NULL;
	if (s->old)
		segment_detach(&s->segment);
	free(s->rows);
	s->magic = 0;
	free(s);
}

struct segment *
audit_source_segment(struct audit_source *s)
{
	CHECK_MAGIC(s, SOURCE_MAGIC);
	return s->segment;
}

/* ---- the dead ---- */

/* Another kind of process may have been given the row. `life` was read before: a worker that is
 * still in it has entered its kind earlier than its life. */
static bool
is_dead(struct audit_source *s, unsigned i)
{
	if (!s->old) {
		switch (atomic_load(&segment_procs(s->segment)[i].kind)) {
		case PROC_SUPERVISOR:
		case PROC_CHECKER:
		case PROC_KEEPER:
		case PROC_CONTROLLER: return true;
		default: break;
		}
	}
	return !segment_row_lives(s->segment, i);
}

void
audit_source_find_dead(struct audit_source *s)
{
	CHECK_MAGIC(s, SOURCE_MAGIC);
	for (unsigned i = 0; i < s->rows_count; i++) {
		struct open_row *open = segment_open(s->segment, i);
		struct metrics_slot *m = s->old ? NULL : segment_metrics(s->segment, i);
		uint64_t life = open != NULL ? atomic_load(&open->life) : 0;

		if (life == s->rows[i].dead_life || !is_dead(s, i))
			continue;
		s->rows[i].dead_life = life;
		open_orphan(open, life, segment_ring(s->segment, i),
			    m != NULL ? &m->requests[0][0] : NULL);
	}
}

static bool
row_has_any(const struct audit_source *s, unsigned i)
{
	const struct ring *ring = segment_ring(s->segment, i);
	const struct open_row *open = segment_open(s->segment, i);

	return ring != NULL &&
	       (s->rows[i].scan || atomic_load(&ring->head) != atomic_load(&ring->tail) ||
		atomic_load(&ring->lost) != atomic_load(&ring->lost_told) ||
		atomic_load(&open->unslotted_left) != atomic_load(&open->unslotted_told) ||
		atomic_load(&open->orphans) != s->rows[i].orphans_seen);
}

bool
audit_source_has_any(const struct audit_source *s)
{
	CHECK_MAGIC(s, SOURCE_MAGIC);
	for (unsigned i = 0; i < s->rows_count; i++)
		if (row_has_any(s, i))
			return true;
	return false;
}

/* ---- taking ---- */

static bool
add_record(const struct taking *t, struct audit_values *v)
{
	uint64_t time_ms = v->number[AUDIT_time] != 0 ? v->number[AUDIT_time] : clock_wall_ms();

	if (t->batch == NULL)
		return true;
	audit_line_put(audit_batch_line(t->batch, "rpc", time_ms), v, t->redact);
	return audit_batch_end_line(t->batch);
}

static bool
add_lost(const struct taking *t, const struct open_row *open, uint64_t records, const char *why)
{
	struct buf *b;

	if (t->batch == NULL)
		return true;
	b = audit_batch_line(t->batch, "lost", clock_wall_ms());
	audit_line_number(b, "worker", atomic_load(&open->worker));
	audit_line_number(b, "records", records);
	audit_line_text(b, "why", str_from(why));
	return audit_batch_end_line(t->batch);
}

/* Of bytes that make no sense nobody knows how many records they were. */
static bool
add_unreadable(const struct taking *t, const struct open_row *open, uint64_t bytes)
{
	struct buf *b;

	log_error(NULL, "audit: %llu bytes in the ring of worker %u cannot be read",
		  (unsigned long long)bytes, atomic_load(&open->worker));
	if (t->batch == NULL)
		return true;
	b = audit_batch_line(t->batch, "lost", clock_wall_ms());
	audit_line_number(b, "worker", atomic_load(&open->worker));
	audit_line_number(b, "bytes", bytes);
	audit_line_text(b, "why", STR("unreadable"));
	return audit_batch_end_line(t->batch);
}

static void
take_ring(struct audit_source *s, unsigned i, const struct taking *t)
{
	struct ring *ring = segment_ring(s->segment, i);
	uint64_t at = atomic_load(&ring->tail);
	struct audit_values v;
	uint32_t kind;
	size_t n;

	for (unsigned left = ROW_TURN; left > 0 && *t->budget > 0; left--) {
		uint64_t next = at;
		int err = ring_next(ring, &next, s->record, sizeof(s->record), &kind, &n);
		bool added = true;

		if (err == E_AGAIN)
			break;
		if (err != 0) {
			added = add_unreadable(t, segment_open(s->segment, i), next - at);
		} else if (kind == AUDIT_RPC) {
			if (!audit_line_read((struct str){(char *)s->record, n}, &v))
				log_debug(NULL, "audit: a record of row %u is damaged", i);
			added = add_record(t, &v);
			t->tally->records += added;
		}
		if (!added)
			break;
		at = next;
		--*t->budget;
	}
	if (at != atomic_load(&ring->tail)) {
		atomic_store(&ring->taken, at);
		s->rows[i].taken = true;
	}
}

/* A number that only grows, and how much of it has been told. */
static void
take_number(struct audit_source *s, unsigned i, const struct taking *t,
	    const _Atomic uint64_t *number, const _Atomic uint64_t *told, _Atomic uint64_t *taken,
	    const char *why)
{
	uint64_t now = atomic_load(number), before = atomic_load(told);

	if (now == before || *t->budget == 0 ||
	    !add_lost(t, segment_open(s->segment, i), now - before, why))
		return;
	atomic_store(taken, now);
	s->rows[i].taken = true;
	t->tally->lost += now - before;
	--*t->budget;
}

/* Which counter the request belongs into, if its worker has not said so. A number of an earlier
 * life's pairs means nothing here. */
static void
decide_counter(struct audit_source *s, struct open_slot *slot, const struct audit_values *v)
{
	if (s->old || atomic_load(&slot->pair) >= SEGMENT_PAIRS)
		atomic_store(&slot->pair, labels_find(segment_labels(s->own), v->text[AUDIT_team],
						      v->text[AUDIT_env]));
	if (atomic_load(&slot->code) == OPEN_NO_CODE)
		atomic_store(&slot->code, GRPC_UNAVAILABLE);
	atomic_store(&slot->counted_at, OPEN_NEVER);
}

static bool
take_orphan(struct audit_source *s, struct open_slot *slot, uint64_t word, const struct taking *t)
{
	size_t used = atomic_load(&slot->used);
	struct audit_values v;

	audit_line_read((struct str){(char *)slot->facts, used < OPEN_FACTS ? used : OPEN_FACTS},
			&v);
	decide_counter(s, slot, &v);
	v.number[AUDIT_unfinished] = 1;
	v.number[AUDIT_status] = atomic_load(&slot->code) % GRPC_CODES;
	if (!(word & OPEN_RECORDED)) {
		if (!add_record(t, &v))
			return false;
		t->tally->records++;
		t->tally->unfinished++;
	}
	atomic_store(&slot->word, (word & ~(uint64_t)STATE_MASK) | OPEN_STATE_TAKEN);
	return true;
}

static void
take_orphans(struct audit_source *s, unsigned i, const struct taking *t)
{
	struct open_row *open = segment_open(s->segment, i);
	uint32_t seen = atomic_load(&open->orphans);
	bool all = true;

	if (seen == s->rows[i].orphans_seen && !s->rows[i].scan)
		return;
	for (unsigned n = 0; n < open_count(open) && all; n++) {
		struct open_slot *slot = &open->slots[n];
		uint64_t word = atomic_load(&slot->word);

		if ((word & STATE_MASK) != OPEN_STATE_ORPHAN)
			continue;
		all = *t->budget > 0 && take_orphan(s, slot, word, t);
		if (all) {
			s->rows[i].taken = s->rows[i].slots = true;
			--*t->budget;
		}
	}
	if (all) {
		s->rows[i].orphans_seen = seen;
		s->rows[i].scan = false;
	}
}

static void
take_row(struct audit_source *s, unsigned i, const struct taking *t)
{
	struct ring *ring = segment_ring(s->segment, i);
	struct open_row *open = segment_open(s->segment, i);

	if (ring == NULL)
		return;
	take_ring(s, i, t);
	take_orphans(s, i, t);
	take_number(s, i, t, &ring->lost, &ring->lost_told, &ring->lost_taken, "ring full");
	take_number(s, i, t, &open->unslotted_left, &open->unslotted_told, &open->unslotted_taken,
		    "killed beyond the open slots");
	s->took |= s->rows[i].taken;
}

void
audit_source_take(struct audit_source *s, struct audit_batch *batch, struct audit_redact *redact,
		  unsigned *budget, struct audit_tally *tally)
{
	const struct taking t = {batch, redact, budget, tally};

	CHECK_MAGIC(s, SOURCE_MAGIC);
	for (unsigned n = 0; n<s->rows_count && * budget> 0; n++) {
		take_row(s, s->next_row, &t);
		s->next_row = (s->next_row + 1) % s->rows_count;
	}
}

/* ---- what becomes of it ---- */

void
audit_source_note(struct audit_source *s, const struct ledger *batch)
{
	struct ledger *l = segment_ledger(s->segment);

	if (!s->took)
		return;
	atomic_store(&l->first_seq, atomic_load(&batch->first_seq));
	atomic_store(&l->end_seq, atomic_load(&batch->end_seq));
	atomic_store(&l->offset, atomic_load(&batch->offset));
	atomic_store(&l->tag, atomic_load(&batch->tag));
	atomic_store(&l->writing, 1);
}

/* Counted once, though the keeper may be killed between any two of these lines: the slot says
 * beforehand how far the counter will be. A slot of an earlier life could outlive the counter, so
 * it says nothing there. */
static void
count_dead(struct audit_source *s, struct open_slot *slot)
{
	struct metrics_slot *m = segment_metrics(s->own, BOOKS_ROW);
	uint32_t pair = atomic_load(&slot->pair) % SEGMENT_PAIRS;
	_Atomic uint64_t *counter;

	if (m == NULL)
		return;
	counter = &m->requests[pair][atomic_load(&slot->code) % GRPC_CODES];
	if (s->old || atomic_load(&slot->counted_at) == OPEN_NEVER)
		atomic_store(&slot->counted_at, atomic_load(counter) + 1);
	if (atomic_load(counter) < atomic_load(&slot->counted_at)) {
		metrics_add(&m->errors[pair][METRICS_ERROR_worker_died], 1);
		atomic_store(counter, atomic_load(&slot->counted_at));
	}
}

static void
finish_slot(struct audit_source *s, struct open_slot *slot, bool written)
{
	uint64_t word = atomic_load(&slot->word);

	if ((word & STATE_MASK) != OPEN_STATE_TAKEN)
		return;
	if (!written) {
		atomic_store(&slot->word, (word & ~(uint64_t)STATE_MASK) | OPEN_STATE_ORPHAN);
		return;
	}
	if (!(word & OPEN_COUNTED))
		count_dead(s, slot);
	atomic_store(&slot->word, (word & LIFE_BITS) | OPEN_STATE_FREE);
}

static void
finish_row(struct audit_source *s, unsigned i, bool written, bool slots)
{
	struct ring *ring = segment_ring(s->segment, i);
	struct open_row *open = segment_open(s->segment, i);

	if (ring == NULL)
		return;
	for (unsigned n = 0; slots && n < open_count(open); n++)
		finish_slot(s, &open->slots[n], written);
	if (written) {
		ring_settle(ring);
		atomic_store(&open->unslotted_told, atomic_load(&open->unslotted_taken));
	} else {
		ring_untake(ring);
		atomic_store(&open->unslotted_taken, atomic_load(&open->unslotted_told));
	}
	s->rows[i].scan |= slots && !written;
	s->rows[i].taken = s->rows[i].slots = false;
}

static void
finish(struct audit_source *s, bool written, bool all)
{
	CHECK_MAGIC(s, SOURCE_MAGIC);
	for (unsigned i = 0; i < s->rows_count; i++)
		if (all || s->rows[i].taken)
			finish_row(s, i, written, all || s->rows[i].slots);
	atomic_store(&segment_ledger(s->segment)->writing, 0);
	s->took = false;
}

void
audit_source_settle(struct audit_source *s)
{
	finish(s, true, false);
}

void
audit_source_untake(struct audit_source *s)
{
	finish(s, false, false);
}

bool
audit_source_is_fresh(const struct audit_source *s)
{
	CHECK_MAGIC(s, SOURCE_MAGIC);
	return s->fresh;
}

void
audit_source_recover(struct audit_source *s, bool written)
{
	finish(s, written, true);
	s->fresh = false;
}
