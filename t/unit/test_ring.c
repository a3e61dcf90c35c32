/* The ring between two processes: order, the end of its bytes, fullness, nonsense, and producers
 * that die. */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <criterion/criterion.h>
#include "lib/clock.h"
#include "shm/ring.h"

static struct ring *ring;
static uint8_t got[RING_RECORD_MAX];
static uint64_t at;

static void
make(void)
{
	ring = mmap(NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(ring, MAP_FAILED);
}

TestSuite(ring, .init = make, .timeout = 90);

/* Of a record that tells its number: 8 bytes of it, then as many of its lowest byte as it likes. */
static size_t
fill(uint8_t *p, uint64_t number)
{
	size_t n = 8 + (number * 7919) % 700;

	memcpy(p, &number, 8);
	memset(p + 8, (int)(number & 0xff), n - 8);
	return n;
}

static bool
is_whole(uint64_t number, size_t n)
{
	uint8_t wanted[1024];

	return n == fill(wanted, number) && memcmp(wanted, got, n) == 0;
}

static int
next(size_t *ret_n)
{
	uint32_t kind;

	return ring_next(ring, &at, got, sizeof(got), &kind, ret_n);
}

/* All that can be read now must be what follows `number`; how many. */
static uint64_t
read_all(uint64_t number)
{
	uint64_t first = number;
	size_t n;
	int err;

	while ((err = next(&n)) == 0) {
		cr_assert(is_whole(number, n), "record %llu", (unsigned long long)number);
		number++;
	}
	cr_assert_eq(err, E_AGAIN);
	atomic_store(&ring->taken, at);
	ring_settle(ring);
	return number - first;
}

Test(ring, records_come_as_they_went)
{
	uint32_t kind;
	size_t n;

	cr_expect_eq(ring_next(ring, &at, got, sizeof(got), &kind, &n), E_AGAIN);
	cr_assert_eq(ring_put(ring, 7, "hello", 5), 0);
	cr_assert_eq(ring_put(ring, 8, NULL, 0), 0);
	cr_expect_eq(ring_fill(ring), 24u);
	cr_assert_eq(ring_next(ring, &at, got, sizeof(got), &kind, &n), 0);
	cr_expect(kind == 7 && n == 5 && memcmp(got, "hello", 5) == 0);
	cr_assert_eq(ring_next(ring, &at, got, sizeof(got), &kind, &n), 0);
	cr_expect(kind == 8 && n == 0);
	cr_expect_eq(next(&n), E_AGAIN);
	cr_expect_eq(ring_fill(ring), 24u, "not settled yet");
	atomic_store(&ring->taken, at);
	ring_untake(ring);
	cr_expect(atomic_load(&ring->taken) == 0 && ring_fill(ring) == 24);
	atomic_store(&ring->taken, at);
	ring_settle(ring);
	ring_settle(ring);
	cr_expect_eq(ring_fill(ring), 0u);
}

Test(ring, it_goes_round_and_round)
{
	uint8_t bytes[1024];
	uint64_t put = 0, have = 0;

	while (put < 200000) { /* 70 times round */
		size_t n = fill(bytes, put);

		if (ring_put(ring, 1, bytes, n) == 0)
			put++;
		else
			have += read_all(have);
	}
	have += read_all(have);
	cr_expect_eq(have, put);
	cr_expect_gt(atomic_load(&ring->head), 50 * RING_BYTES);
}

Test(ring, of_every_length_up_to_the_longest)
{
	static uint8_t bytes[RING_RECORD_MAX];
	size_t n;

	for (size_t length = 0; length <= sizeof(bytes); length += length < 64 ? 1 : 509) {
		memset(bytes, (int)length, sizeof(bytes));
		cr_assert_eq(ring_put(ring, 1, bytes, length), 0);
		cr_assert_eq(next(&n), 0);
		cr_assert_eq(n, length);
		cr_assert_eq(memcmp(got, bytes, n), 0);
		atomic_store(&ring->taken, at);
		ring_settle(ring);
	}
}

Test(ring, a_full_one_takes_nothing_and_loses_nothing)
{
	uint8_t bytes[1024];
	uint64_t put = 0;

	for (;; put++) {
		size_t n = fill(bytes, put);

		if (ring_put(ring, 1, bytes, n) != 0)
			break;
	}
	cr_expect_gt(ring_fill(ring), RING_BYTES - 2048);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(ring_put(ring, 1, bytes, sizeof(bytes)), E_FULL);
	cr_expect_eq(read_all(0), put);
	cr_expect_eq(ring_put(ring, 1, bytes, sizeof(bytes)), 0);
}

/* A worker that was taken over may write anything; the keeper must live. */
Test(ring, nonsense_is_skipped_up_to_the_head)
{
	static const struct {
		uint32_t length, kind;
	} heads[] = {{0xffffffff, 1}, {0xfffffff8, 0}, {RING_RECORD_MAX + 1, 1},
		     {4096, 1},	      {8, 0},	       {100, 0}};
	size_t n;

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		uint64_t head = atomic_load(&ring->head);

		memcpy(ring->bytes + head % RING_BYTES, &heads[i], 8);
		atomic_store(&ring->head, head + 104);
		cr_expect_eq(next(&n), E_SYNTAX, "case %zu", i);
		cr_expect_eq(at, head + 104);
	}
	atomic_store(&ring->head, at + 3 * RING_BYTES);
	cr_expect_eq(next(&n), E_SYNTAX, "a head that is too far");
	atomic_store(&ring->head, at - 64);
	cr_expect_eq(next(&n), E_SYNTAX, "a head that went back");
	atomic_store(&ring->head, at + 13);
	cr_expect_eq(next(&n), E_SYNTAX, "a head between");
	cr_expect_eq(at % 8, 0u);
}

static _Noreturn void
produce(uint64_t number)
{
	uint8_t bytes[1024];

	for (;; number++) {
		size_t n = fill(bytes, number);

		while (ring_put(ring, 1, bytes, n) != 0)
			continue;
	}
}

Test(ring, whatever_the_moment_a_producer_is_killed_what_it_published_is_whole)
{
	uint64_t have = 0;

	srandom(1);
	for (int life = 0; life < 300; life++) {
		uint64_t until_ns = clock_ns() + (uint64_t)random() % 1500000, start = have;
		pid_t pid = fork();

		if (pid == 0)
			produce(have);
		while (clock_ns() < until_ns || have == start)
			have += read_all(have);
		kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		have += read_all(have);
	}
	cr_expect_gt(have, 10000u);
}
