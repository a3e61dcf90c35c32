/* Facts, open slots, and a worker's desk: each RPC is recorded once and counted once, however its
 * worker ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "lib/clock.h"
#include "proto/grpc.h"
#include "shm/desk.h"
#include "shm/segment.h"
#include "t/unit/scratch.h"

#define ROW 3

static int allocate_errno; /* what posix_fallocate() says, instead of doing it */

int
posix_fallocate(int fd, off_t at, off_t n)
{
	if (allocate_errno != 0)
		return allocate_errno;
	return syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno;
}

static struct segment *segment;
static struct desk desk;

static void
make(void)
{
	scratch_make();
	cr_assert_eq(segment_create(scratch_path("segment"), &segment), 0);
}

static void
drop(void)
{
	segment_detach(&segment);
	scratch_drop();
}

TestSuite(desk, .init = make, .fini = drop, .timeout = 120);

/* ---- facts ---- */

Test(desk, facts_are_read_as_they_were_written)
{
	static uint8_t bytes[AUDIT_RECORD_MAX];
	struct audit_facts f = {.p = bytes, .size = sizeof(bytes)};
	struct str rest, text;
	enum audit_field field;
	uint64_t number;

	audit_text(&f, AUDIT_user, STR("alice"));
	audit_number(&f, AUDIT_bytes_in, UINT64_MAX);
	audit_number(&f, AUDIT_bytes_out, 0);
	audit_text(&f, AUDIT_team, STR_NONE);
	audit_text(&f, AUDIT_sql_sha256, STR("\0\1\2"));
	audit_number(&f, AUDIT_refused, 1);
	rest = (struct str){(char *)bytes, f.n};
	cr_assert(audit_next(&rest, &field, &number, &text) == 0 && field == AUDIT_user);
	cr_expect(str_eq(text, STR("alice")));
	cr_assert(audit_next(&rest, &field, &number, &text) == 0 && field == AUDIT_bytes_in);
	cr_expect_eq(number, UINT64_MAX);
	cr_assert(audit_next(&rest, &field, &number, &text) == 0 && field == AUDIT_sql_sha256);
	cr_expect_eq(text.n, 3u);
	cr_assert(audit_next(&rest, &field, &number, &text) == 0 && field == AUDIT_refused);
	cr_expect_eq(audit_next(&rest, &field, &number, &text), E_AGAIN);
	for (size_t n = 0; n < f.n; n++) { /* cut anywhere: an end or an error, never beyond */
		int err;

		rest = (struct str){(char *)bytes, n};
		while ((err = audit_next(&rest, &field, &number, &text)) == 0)
			cr_assert(text.n == 0 || text.p + text.n <= (char *)bytes + n);
	}
	rest = STR(
		"\x7e\x05\xfe\x03xyz\x05"); /* tags of a later version, then nothing behind a tag */
	cr_expect_eq(audit_next(&rest, &field, &number, &text), E_SYNTAX);
}

Test(desk, what_is_too_long_is_cut_between_characters)
{
	static uint8_t bytes[AUDIT_RECORD_MAX];
	static char words[20000];
	struct audit_facts f = {.p = bytes, .size = sizeof(bytes)};
	struct str rest, text;
	enum audit_field field;
	uint64_t number;

	for (size_t i = 0; i < sizeof(words); i += 2)
		memcpy(words + i, "\xc3\xa9", 2); /* two bytes each */
	for (unsigned i = 1; i < AUDIT_FIELDS_END; i++) {
		cr_assert_not_null(audit_fields[i].member, "no gap at %u", i);
		if (audit_fields[i].kind >= AUDIT_TEXT)
			audit_text(&f, i, (struct str){words, sizeof(words)});
		else
			audit_number(&f, i, UINT64_MAX);
	}
	cr_expect_leq(f.n, AUDIT_RECORD_MAX - 1024, "all at their longest: %zu", f.n);
	rest = (struct str){(char *)bytes, f.n};
	while (audit_next(&rest, &field, &number, &text) == 0)
		cr_expect(text.n <= audit_fields[field].bytes &&
				  (text.n % 2 == 0 || field == AUDIT_sql_sha256),
			  "%s %zu", audit_fields[field].member, text.n);
	f = (struct audit_facts){.p = bytes, .size = 20};
	audit_text(&f, AUDIT_user, (struct str){words, 256});
	audit_text(&f, AUDIT_team, STR("t"));
	audit_number(&f, AUDIT_rpc, 5);
	cr_expect_leq(f.n, 20u);
	rest = (struct str){(char *)bytes, f.n};
	cr_assert(audit_next(&rest, &field, &number, &text) == 0 && text.n == 16);
	cr_expect_eq(audit_next(&rest, &field, &number, &text), E_AGAIN);
}

/* ---- the books of a worker ---- */

static struct {
	_Atomic uint64_t begun; /* numbers of RPCs: all below are begun, that one maybe */
} * shared;
static uint8_t *seen; /* by number: how often recorded */
#define NUMBERS_MAX 64000000u
#define LIVES	    300

static uint64_t taken_at, named, nameless, unfinished, counted_for_dead;

/* False when it says no number: its worker died before it was written down. */
static bool
note_facts(struct str facts)
{
	enum audit_field field;
	uint64_t number;
	struct str text;

	while (audit_next(&facts, &field, &number, &text) == 0) {
		if (field != AUDIT_rpc)
			continue;
		cr_assert_lt(number, NUMBERS_MAX);
		cr_assert_eq(seen[number], 0, "%llu is recorded twice", (unsigned long long)number);
		seen[number] = 1;
		named++;
		return true;
	}
	return false;
}

static void
drain(void)
{
	static uint8_t buf[RING_RECORD_MAX];
	struct ring *ring = segment_ring(segment, ROW);
	uint32_t kind;
	size_t n;

	while (ring_next(ring, &taken_at, buf, sizeof(buf), &kind, &n) == 0)
		cr_assert(note_facts((struct str){(char *)buf, n}));
	atomic_store(&ring->taken, taken_at);
	ring_settle(ring);
}

/* As the keeper does with them. */
static void
harvest(void)
{
	struct open_row *row = segment_open(segment, ROW);

	for (unsigned i = 0; i < open_count(row); i++) {
		struct open_slot *s = &row->slots[i];
		uint64_t word = atomic_load(&s->word);

		if ((word & 3) != OPEN_STATE_ORPHAN)
			continue;
		if (!(word & OPEN_RECORDED)) {
			unfinished++;
			if (!note_facts((struct str){(char *)s->facts, atomic_load(&s->used)}))
				nameless++;
		}
		counted_for_dead += !(word & OPEN_COUNTED);
		atomic_store(&s->word, word & ~15ull);
	}
}

static uint64_t
requests(void)
{
	const struct metrics_slot *m = segment_metrics(segment, ROW);
	uint64_t sum = 0;

	for (unsigned code = 0; code < GRPC_CODES; code++)
		sum += atomic_load(&m->requests[5][code]);
	return sum;
}

static void
begin(unsigned *ret_slot, uint64_t *ret_number)
{
	struct audit_facts f;

	*ret_number = atomic_load(&shared->begun);
	*ret_slot = desk_begin(&desk);
	f = desk_know(&desk, *ret_slot);
	audit_number(&f, AUDIT_rpc, *ret_number + 1);
	atomic_store(&shared->begun, *ret_number + 1);
	desk_known(&desk, *ret_slot, &f);
}

static void
end(unsigned slot, uint64_t number)
{
	struct audit_facts *f = desk_build(&desk);

	audit_number(f, AUDIT_rpc, number + 1);
	audit_text(f, AUDIT_user, (struct str){"alice bob carol dave", 5 + number % 15});
	desk_end(&desk, slot, 5, (unsigned)(number % GRPC_CODES));
}

/* Some are always under way. */
static _Noreturn void
work(void)
{
	enum { OPEN = 7 };
	unsigned slots[OPEN];
	uint64_t numbers[OPEN];

	if (segment_enter_row(segment, ROW) != 0 || desk_enter(&desk, segment, ROW, 1) != 0)
		_exit(1);
	for (unsigned i = 0; i < OPEN; i++)
		begin(&slots[i], &numbers[i]);
	for (uint64_t n = 0;; n++) {
		end(slots[n % OPEN], numbers[n % OPEN]);
		begin(&slots[n % OPEN], &numbers[n % OPEN]);
	}
}

static void
share(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	cr_assert_neq(shared, MAP_FAILED);
	seen = calloc(NUMBERS_MAX, 1);
}

/* It has been, and something was lost. */
static bool
is_full(void)
{
	return atomic_load(&segment_ring(segment, ROW)->lost) > 0;
}

static void
live_and_die(int life)
{
	uint64_t until_ns = clock_ns() + (uint64_t)random() % 1500000;
	struct open_row *row = segment_open(segment, ROW);
	uint64_t before = atomic_load(&shared->begun), old = atomic_load(&row->life);
	pid_t pid = fork();

	if (pid == 0)
		work();
	while (clock_ns() < until_ns || atomic_load(&shared->begun) < before + 10 ||
	       (life == 0 && !is_full()))
		if (life % 3 != 0) /* else its ring fills up */
			drain();
	cr_expect(segment_row_lives(segment, ROW));
	kill(pid, SIGKILL);
	scratch_wait(pid);
	cr_expect_not(segment_row_lives(segment, ROW));
	cr_expect_eq(atomic_load(&row->life), old + 1);
}

/* After the dead worker comes now the keeper first, now the next worker. */
Test(desk, whatever_the_moment_a_worker_is_killed_each_rpc_is_recorded_and_counted_once)
{
	const struct ring *ring;
	struct open_row *row;
	uint64_t lost;

	share();
	srandom(2);
	cr_assert_eq(segment_reserve(segment, ROW, SEGMENT_AUDIT | SEGMENT_METRICS), 0);
	ring = segment_ring(segment, ROW);
	row = segment_open(segment, ROW);
	for (int life = 0; life < LIVES; life++) {
		live_and_die(life);
		drain();
		if (life % 2 == 0 || life == LIVES - 1)
			open_orphan(row, atomic_load(&row->life), ring,
				    &segment_metrics(segment, ROW)->requests[0][0]);
		harvest();
		cr_assert_lt(atomic_load(&shared->begun), NUMBERS_MAX - 1000000);
	}
	lost = atomic_load(&ring->lost);
	cr_expect_gt(unfinished, 1000u);
	cr_expect_gt(lost, 0u, "the ring was never full");
	cr_expect_leq(nameless, (unsigned)LIVES, "of what a worker is just beginning there is one");
	cr_expect_eq(requests() + counted_for_dead, named + nameless + lost);
	cr_expect_leq(named + lost, atomic_load(&shared->begun));
	cr_expect_geq(named + lost + nameless, atomic_load(&shared->begun), "some are missing");
	free(seen);
}

static void
work_a_little(unsigned *slots, unsigned count)
{
	cr_assert_eq(desk_enter(&desk, segment, ROW, 1), 0);
	for (unsigned i = 0; i < count; i++) {
		slots[i] = desk_begin(&desk);
		cr_assert_eq(slots[i] == OPEN_NONE, i >= OPEN_SLOTS, "%u", i);
	}
}

static uint64_t
memory_of_segment(void)
{
	struct stat st;

	cr_assert_eq(fstat(segment_fd(segment), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

Test(desk, slots_take_memory_when_they_are_needed)
{
	static unsigned slots[3 * OPEN_FIRST];
	struct open_row *row;
	uint64_t before, more;

	work_a_little(slots, OPEN_FIRST);
	row = segment_open(segment, ROW);
	before = memory_of_segment();
	cr_expect_eq(open_count(row), (unsigned)OPEN_FIRST);
	for (unsigned i = OPEN_FIRST; i < 3 * OPEN_FIRST; i++)
		cr_assert_lt(slots[i] = desk_begin(&desk), 3u * OPEN_FIRST);
	cr_expect_eq(open_count(row), 3u * OPEN_FIRST);
	more = memory_of_segment() - before;
	cr_expect(more + 4096 >= 2u * OPEN_FIRST * OPEN_BYTES &&
			  more <= 2u * OPEN_FIRST * OPEN_BYTES + 4096,
		  "%llu", (unsigned long long)more);
	cr_expect_eq(atomic_load(&row->unslotted) & 0xffffffff, 0u);
	for (unsigned turn = 0; turn < 3; turn++) {
		for (unsigned i = 0; i < 3 * OPEN_FIRST; i++)
			desk_end_unrecorded(&desk, slots[i], 1, 0);
		for (unsigned i = 0; i < 3 * OPEN_FIRST; i++)
			cr_assert_neq(slots[i] = desk_begin(&desk), (unsigned)OPEN_NONE);
	}
	cr_expect_eq(open_count(row), 3u * OPEN_FIRST, "those that are free again are used");
	cr_assert_eq(desk_enter(&desk, segment, ROW, 1), 0); /* a successor */
	cr_expect_eq(desk.open.left_count, 3u * OPEN_FIRST);
	cr_assert_lt(desk_begin(&desk), 4u * OPEN_FIRST);
}

Test(desk, without_memory_for_more_slots_rpcs_are_a_number)
{
	static unsigned slots[OPEN_FIRST];

	work_a_little(slots, OPEN_FIRST);
	allocate_errno = ENOSPC;
	cr_expect_eq(desk_begin(&desk), (unsigned)OPEN_NONE);
	cr_expect_eq(desk_begin(&desk), (unsigned)OPEN_NONE);
	cr_expect_eq(atomic_load(&segment_open(segment, ROW)->unslotted) & 0xffffffff, 2u);
	cr_expect_eq(open_count(segment_open(segment, ROW)), (unsigned)OPEN_FIRST);
}

Test(desk, beyond_its_slots_rpcs_are_a_number)
{
	static unsigned slots[OPEN_SLOTS + 10];
	struct open_row *row;

	work_a_little(slots, OPEN_SLOTS + 10);
	row = segment_open(segment, ROW);
	cr_expect_eq(atomic_load(&row->unslotted) & 0xffffffff, 10u);
	for (unsigned i = OPEN_SLOTS; i < OPEN_SLOTS + 10; i++) {
		desk_build(&desk);
		desk_end(&desk, slots[i], 0, 0);
	}
	cr_expect_eq(atomic_load(&row->unslotted) & 0xffffffff, 0u);
	cr_expect_eq(desk_begin(&desk), (unsigned)OPEN_NONE);
	desk_end_unrecorded(&desk, slots[0], 1, 0);
	cr_expect_neq(desk_begin(&desk), (unsigned)OPEN_NONE);
	cr_expect_eq(atomic_load(&segment_metrics(segment, ROW)->requests[1][0]), 1u);
	cr_assert_eq(desk_enter(&desk, segment, ROW, 1),
		     0); /* a successor, before anybody looked */
	cr_expect_eq(atomic_load(&row->unslotted_left), 1u);
	cr_expect_eq(desk_begin(&desk), (unsigned)OPEN_NONE, "all are held for the dead");
	for (unsigned i = 0; i < OPEN_SLOTS; i += 2) {
		cr_assert_eq(atomic_load(&row->slots[i].word) & 15, OPEN_STATE_ORPHAN);
		atomic_store(&row->slots[i].word, 0);
	}
	for (unsigned i = 0; i < OPEN_SLOTS / 2; i++)
		cr_expect_neq(desk_begin(&desk), (unsigned)OPEN_NONE);
	cr_expect_eq(desk_begin(&desk), (unsigned)OPEN_NONE);
}

Test(desk, it_is_pressed_when_nothing_can_be_written_and_half_is_full)
{
	static uint8_t bytes[RING_RECORD_MAX];

	cr_assert_eq(desk_enter(&desk, segment, ROW, 1), 0);
	while (ring_fill(desk.ring) <= RING_BYTES / 2)
		cr_assert_eq(ring_put(desk.ring, 1, bytes, sizeof(bytes)), 0);
	cr_expect_not(desk_is_pressed(&desk), "the keeper is only slow");
	atomic_store(&segment_ledger(segment)->stalled, 1);
	cr_expect(desk_is_pressed(&desk));
	atomic_store(&desk.ring->tail, RING_BYTES / 2);
	cr_expect_not(desk_is_pressed(&desk));
}

/* What a small unary RPC costs its worker; the limit is wide, for sanitizers and busy machines. */
Test(desk, it_is_cheap)
{
	enum { TIMES = 200000 };
	uint64_t start_ns, ns;

	cr_assert_eq(desk_enter(&desk, segment, ROW, 1), 0);
	start_ns = clock_ns();
	for (unsigned i = 0; i < TIMES; i++) {
		unsigned slot = desk_begin(&desk);
		struct audit_facts know = desk_know(&desk, slot), *f;

		audit_text(&know, AUDIT_user, STR("alice.liddell"));
		audit_text(&know, AUDIT_session, STR("5e2a1c9e-6a0f-4c3e-9a55-0d7b8f1f2c3d"));
		audit_text(&know, AUDIT_peer, STR("10.12.13.14:51234"));
		desk_known(&desk, slot, &know);
		know = desk_know(&desk, slot);
		audit_text(&know, AUDIT_cluster, STR("feature-engineering-prod"));
		audit_text(&know, AUDIT_driver, STR("10.0.0.5:15002"));
		desk_known(&desk, slot, &know);
		f = desk_build(&desk);
		memcpy(f->p + f->n, know.p, know.n); /* as good as writing them again */
		f->n += know.n;
		for (enum audit_field n = AUDIT_bytes_in; n <= AUDIT_us_total; n++)
			audit_number(f, n, 1000 + i);
		desk_end(&desk, slot, 5, 0);
		atomic_store(&desk.ring->tail, atomic_load(&desk.ring->head));
	}
	ns = (clock_ns() - start_ns) / TIMES;
	cr_log_info("an RPC's records cost its worker %llu ns", (unsigned long long)ns);
	cr_expect_leq(ns, 20000u, "%llu ns", (unsigned long long)ns);
}
