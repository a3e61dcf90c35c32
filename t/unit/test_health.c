/* Health rows between processes: never torn, and what a killed writer leaves is mended. */
#include <signal.h>
#include <sys/mman.h>
#include "lib/clock.h"
#include "shm/health.h"
#include "t/unit/scratch.h"

TestSuite(health, .timeout = 60);

#define RACE_MS	    1000
#define RACE_MAX_MS 30000
#define ATTEMPTS    2000

static struct health_row *
map_rows(unsigned count)
{
	void *p = mmap(NULL, count * sizeof(struct health_row), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(p, MAP_FAILED);
	return p;
}

/* Every field tells the same number, so that a mixture of two writes shows. */
static struct health
make(uint32_t n)
{
	struct health h = {
		.driver_id = n,
		.state = n,
		.reason = n,
		.failures = n,
		.changes = n,
		.rtt_us = n,
		.since_wall_ms = n,
		.probed_wall_ms = n,
		.lost_wall_ms = n,
		.address = {.family = 2, .port = (uint16_t)n, .scope = n},
	};

	memcpy(h.address.bytes, &n, sizeof(n));
	memcpy(h.address.bytes + 12, &n, sizeof(n));
	return h;
}

static bool
is_whole(const struct health *h)
{
	struct health want = make(h->driver_id);

	return memcmp(h, &want, sizeof(want)) == 0;
}

static pid_t
start_writer(struct health_row *row)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (uint32_t n = 1;; n++) {
		struct health h = make(n);

		health_write(row, &h);
	}
}

static void
stop(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(scratch_wait(pid), 128 + SIGKILL);
}

Test(health, what_is_written_is_read)
{
	struct health_row row = {0};
	struct health want = make(77), h;

	cr_assert_eq(health_read(&row, &h), 0);
	cr_expect_eq(h.driver_id, 0u, "a fresh row is about nobody");
	health_write(&row, &want);
	cr_assert_eq(health_read(&row, &h), 0);
	cr_expect_eq(memcmp(&h, &want, sizeof(h)), 0);
	cr_expect_eq(atomic_load(&row.sequence), 2u);
}

Test(health, torn_rows_are_never_seen)
{
	struct health_row *row = map_rows(1);
	pid_t writer = start_writer(row);
	uint64_t start_ms = clock_ms(), ms = 0, reads = 0, busy = 0, torn = 0, different = 0;
	struct health h = {0};
	uint32_t last = 0;

	/* two processors are needed to race; on a busy machine that takes a while */
	for (; ms < RACE_MS || (ms < RACE_MAX_MS && different < 100); ms = clock_ms() - start_ms) {
		if (health_read(row, &h) != 0) {
			busy++;
			continue;
		}
		reads++;
		torn += h.driver_id != 0 && !is_whole(&h);
		different += h.driver_id != last;
		last = h.driver_id;
	}
	stop(writer);
	cr_expect_eq(torn, 0u, "%llu of %llu reads torn", (unsigned long long)torn,
		     (unsigned long long)reads);
	cr_expect_gt(reads, 1000u, "only %llu reads, %llu times busy", (unsigned long long)reads,
		     (unsigned long long)busy);
	cr_expect_geq(different, 100u, "the writer did not race: %llu",
		      (unsigned long long)different);
}

/* About two of three kills hit the writer in mid-row. */
static bool
leave_odd(struct health_row *row)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		pid_t writer = start_writer(row);

		usleep(300 + (unsigned)i % 97);
		stop(writer);
		if (atomic_load(&row->sequence) % 2 != 0)
			return true;
	}
	return false;
}

Test(health, a_killed_writers_row_is_mended)
{
	struct health_row *rows = map_rows(3);
	struct health good = make(5), h = make(9);

	health_write(&rows[0], &good);
	cr_assert(leave_odd(&rows[1]), "the writer was never hit in mid-row");
	cr_expect_eq(health_read(&rows[1], &h), E_AGAIN);
	cr_expect_eq(h.driver_id, 9u, "untouched on failure");
	health_repair(rows, 3);
	cr_expect_eq(atomic_load(&rows[1].sequence) % 2, 0u);
	cr_assert_eq(health_read(&rows[1], &h), 0);
	cr_expect_eq(h.driver_id, 0u, "what was half written is about nobody");
	cr_assert_eq(health_read(&rows[0], &h), 0);
	cr_expect_eq(h.driver_id, 5u, "a whole row stays");
	cr_expect_eq(atomic_load(&rows[0].sequence), 2u);
	health_write(&rows[1], &good);
	cr_assert_eq(health_read(&rows[1], &h), 0);
	cr_expect_eq(h.driver_id, 5u);
}

Test(health, a_second_writer_is_our_bug, .signal = SIGABRT)
{
	struct health_row row = {.sequence = 3};
	struct health h = make(1);

	health_write(&row, &h);
}

Test(health, names)
{
	cr_expect_str_eq(health_state_name(HEALTH_UP), "up");
	cr_expect_str_eq(health_state_name(9), "invalid");
	cr_expect_str_eq(health_reason_name(HEALTH_REFUSED), "refused");
	cr_expect_str_eq(health_reason_name(HEALTH_CLOSED), "closed");
	cr_expect_str_eq(health_reason_name(8), "invalid");
}
