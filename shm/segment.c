/*
 * The segment's file: a header, then page-aligned parts, at fixed places. Every process maps it
 * whole. Nothing here knows what the parts mean; their headers do.
 *
 *	header | process rows | health rows | counter slots | sessions per driver, per pair |
 *	labels | ledger | the keeper's metrics | earlier numbers | what is reserved |
 *	holes: metrics of row 0, 1, ... | rings | open slots
 *
 * A new file is made beside the old one and renamed over it, so that whoever still maps the old one
 * keeps a whole segment, and nobody ever opens half of one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/panic.h"
#include "shm/counters.h"
#include "shm/earlier.h"
#include "shm/health.h"
#include "shm/labels.h"
#include "shm/ledger.h"
#include "shm/metrics.h"
#include "shm/open.h"
#include "shm/procs.h"
#include "shm/segment.h"

#define FILE_MAGIC     0x77676b7261707331ull /* "1sparkgw" */
#define FILE_VERSION   6u
#define AUDIT_FORMAT   2u /* of ledger, rings and open slots, and of what is said there */
#define SEGMENT_MAGIC  0x5365676du
#define PART_ALIGN     4096u
#define ALIGNED(bytes) (((bytes) + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN)

/* Where a later version finds what this one left unwritten. Stays as it is, at its place. */
struct audit_parts {
	uint32_t format, rows;
	uint64_t ledger_at, reserved_at;
	uint64_t rings_at, ring_step, opens_at, open_step; /* of row 0; from row to row */
};

struct header {
	uint64_t magic;
	uint32_t version, header_size;
	uint64_t file_size;
	struct audit_parts audit;
	uint32_t procs_size, health_size, counters_size, sessions_size, labels_size, metrics_size;
	uint32_t keeper_size, earlier_size;
	_Alignas(64) _Atomic uint64_t registry_generation;
	_Alignas(64) _Atomic uint32_t keeper_ok;
	_Alignas(64) _Atomic uint64_t generations[SEGMENT_WHATS];
	_Alignas(64) _Atomic uint64_t spans_seq;
};

#define PROCS_AT    ALIGNED(sizeof(struct header))
#define HEALTH_AT   (PROCS_AT + ALIGNED(SEGMENT_PROCS * sizeof(struct procs_row)))
#define COUNTERS_AT (HEALTH_AT + ALIGNED(SEGMENT_DRIVERS * sizeof(struct health_row)))
#define SESSIONS_AT (COUNTERS_AT + ALIGNED(SEGMENT_COUNTERS * sizeof(struct counters_slot)))
#define PAIRS_AT    (SESSIONS_AT + ALIGNED(SEGMENT_DRIVERS * sizeof(_Atomic uint32_t)))
#define LABELS_AT   (PAIRS_AT + ALIGNED(SEGMENT_PAIRS * sizeof(_Atomic uint32_t)))
#define LEDGER_AT   (LABELS_AT + ALIGNED(sizeof(struct labels)))
#define KEEPER_AT   (LEDGER_AT + ALIGNED(sizeof(struct ledger)))
#define EARLIER_AT  (KEEPER_AT + ALIGNED(sizeof(struct metrics_keeper)))
#define RESERVED_AT (EARLIER_AT + ALIGNED(sizeof(struct earlier)))
#define HOLES_AT    (RESERVED_AT + ALIGNED(SEGMENT_PROCS * sizeof(_Atomic uint32_t)))

#define METRICS_STEP   ALIGNED(sizeof(struct metrics_slot))
#define RING_STEP      ALIGNED(sizeof(struct ring))
#define OPEN_STEP      ALIGNED(sizeof(struct open_row))
#define METRICS_AT     HOLES_AT
#define RINGS_AT       (METRICS_AT + SEGMENT_PROCS * METRICS_STEP)
#define OPENS_AT       (RINGS_AT + SEGMENT_PROCS * RING_STEP)
#define FILE_SIZE      (OPENS_AT + SEGMENT_PROCS * OPEN_STEP)
#define LOCKS_AT       ((off_t)1 << 40) /* row locks: bytes that the file does not have */
#define CONSTANT_BYTES (offsetof(struct header, earlier_size) + sizeof(uint32_t))

/* Whoever changes a row changes FILE_VERSION and these numbers. */
_Static_assert(sizeof(struct procs_row) == 48, "layout of the process rows");
_Static_assert(sizeof(struct health_row) == 80, "layout of the health rows");
_Static_assert(sizeof(struct counters_slot) == 4672, "layout of the counter slots");
_Static_assert(sizeof(struct labels) == 32776, "layout of the labels");
_Static_assert(sizeof(struct metrics_slot) == 579440, "layout of the metrics");
_Static_assert(sizeof(struct metrics_keeper) == 384, "layout of the keeper's metrics");
_Static_assert(sizeof(struct earlier) == 16 + 8 * COUNTERS_COUNT + 384 + 579440,
	       "layout of the earlier numbers");
_Static_assert(offsetof(struct header, audit) == 24, "layout of the header");
_Static_assert(offsetof(struct header, registry_generation) == 128, "layout of the header");
_Static_assert(offsetof(struct header, keeper_ok) == 192, "layout of the header");
_Static_assert(offsetof(struct header, generations) == 256, "layout of the header");
_Static_assert(offsetof(struct header, spans_seq) == 320, "layout of the header");
_Static_assert(sizeof(struct header) == 384, "layout of the header");
/* And who changes one of these, or a tag of audit.h, changes AUDIT_FORMAT. */
_Static_assert(sizeof(struct audit_parts) == 56, "layout of the audit parts");
_Static_assert(sizeof(struct ledger) == 64, "layout of the ledger");
_Static_assert(sizeof(struct ring) == 4096 + RING_BYTES && offsetof(struct ring, tail) == 64 &&
		       offsetof(struct ring, bytes) == 4096,
	       "layout of the rings");
_Static_assert(sizeof(struct open_slot) == OPEN_BYTES, "layout of the open slots");
_Static_assert(sizeof(struct open_row) == 128 + OPEN_SLOTS * OPEN_BYTES,
	       "layout of the open slots");
_Static_assert(FILE_SIZE >> 20 < 5120, "the mapping stays below 5 GiB");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
	       "atomics between processes must be lock-free");

struct segment {
	unsigned magic;
	int fd;
	uint8_t *base;
	size_t size;
	struct audit_parts audit; /* checked; whoever maps the file could change the header's */
	bool old;
};

static struct header
wanted_header(void)
{
	return (struct header){
		.magic = FILE_MAGIC,
		.version = FILE_VERSION,
		.header_size = sizeof(struct header),
		.audit = {.format = AUDIT_FORMAT,
			  .rows = SEGMENT_PROCS,
			  .ledger_at = LEDGER_AT,
			  .reserved_at = RESERVED_AT,
			  .rings_at = RINGS_AT,
			  .ring_step = RING_STEP,
			  .opens_at = OPENS_AT,
			  .open_step = OPEN_STEP},
		.procs_size = sizeof(struct procs_row),
		.health_size = sizeof(struct health_row),
		.counters_size = sizeof(struct counters_slot),
		.sessions_size = sizeof(_Atomic uint32_t),
		.labels_size = sizeof(struct labels),
		.metrics_size = sizeof(struct metrics_slot),
		.keeper_size = sizeof(struct metrics_keeper),
		.earlier_size = sizeof(struct earlier),
		.file_size = FILE_SIZE,
	};
}

static struct header *
header(const struct segment *s)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return (struct header *)(void *)s->base;
}

/* Takes over the descriptor only on success. */
static int
map(int fd, size_t size, const struct audit_parts *audit, struct segment **ret)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return E_NOMEM;
	s->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s->base == MAP_FAILED) {
		free(s);
		return E_IO;
	}
	s->magic = SEGMENT_MAGIC;
	s->fd = fd;
	s->size = size;
	s->audit = *audit;
	*ret = s;
	return 0;
}

static int
read_header(int fd, struct header *ret, size_t *ret_size)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return E_IO;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size < sizeof(*ret))
		return E_SYNTAX;
	if (pread(fd, ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret))
		return E_IO;
	if (ret->magic != FILE_MAGIC)
		return E_SYNTAX;
	*ret_size = (size_t)st.st_size;
	return 0;
}

static int
check(int fd)
{
	const struct header want = wanted_header();
	struct header h;
	size_t size;
	int err = read_header(fd, &h, &size);

	if (err != 0)
		return err;
	if (memcmp(&h, &want, CONSTANT_BYTES) != 0)
		return E_VERSION;
	return size == FILE_SIZE ? 0 : E_SYNTAX;
}

static bool
is_inside(uint64_t at, uint64_t step, uint64_t count, size_t size)
{
	return at % PART_ALIGN == 0 && step > 0 && at <= size && count <= (size - at) / step;
}

static int
check_old(int fd, struct audit_parts *ret, size_t *ret_size)
{
	const struct audit_parts *a = ret;
	struct header h;
	int err = read_header(fd, &h, ret_size);

	if (err != 0)
		return err;
	*ret = h.audit;
	if (a->format != AUDIT_FORMAT)
		return E_VERSION;
	if (a->ring_step < sizeof(struct ring) || a->ring_step % PART_ALIGN != 0 ||
	    a->open_step < sizeof(struct open_row) || a->open_step % PART_ALIGN != 0 ||
	    !is_inside(a->ledger_at, sizeof(struct ledger), 1, *ret_size) ||
	    !is_inside(a->reserved_at, sizeof(uint32_t), a->rows, *ret_size) ||
	    !is_inside(a->rings_at, a->ring_step, a->rows, *ret_size) ||
	    !is_inside(a->opens_at, a->open_step, a->rows, *ret_size))
		return E_SYNTAX;
	return 0;
}

/* posix_fallocate: a full tmpfs is an error now, not a SIGBUS in some process later. */
static int
allocate(int fd, size_t at, size_t size)
{
	do {
		errno = posix_fallocate(fd, (off_t)at, (off_t)size);
	} while (errno == EINTR); /* stopped and continued, or looked at by a debugger */
	if (errno != 0)
		return errno == ENOSPC ? E_FULL : E_IO;
	return 0;
}

static int
fill(int fd)
{
	const struct header h = wanted_header();
	int err = allocate(fd, 0, HOLES_AT);

	if (err != 0)
		return err;
	if (ftruncate(fd, (off_t)FILE_SIZE) != 0)
		return E_IO;
	return pwrite(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) ? 0 : E_IO;
}

int
segment_create(const char *path, struct segment **ret)
{
	const struct header h = wanted_header();
	char temp[PATH_MAX];
	int fd, err, n;

	n = snprintf(temp, sizeof(temp), "%s.XXXXXX", path);
	if (n < 0 || (size_t)n >= sizeof(temp))
		return E_LIMIT;
	fd = mkostemp(temp, O_CLOEXEC); /* mode 0600 */
	if (fd < 0)
		return E_IO;
	err = fill(fd);
	if (err == 0)
		err = map(fd, FILE_SIZE, &h.audit, ret);
	if (err == 0 && rename(temp, path) == 0)
		return 0;
	if (err == 0) {
		err = E_IO;
		segment_detach(ret);
	} else {
		close(fd);
	}
	unlink(temp);
	return err;
}

int
segment_attach(const char *path, struct segment **ret)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	int err;

	if (fd < 0)
		return errno == ENOENT ? E_NOT_FOUND : E_IO;
	err = segment_attach_fd(fd, ret);
	if (err != 0)
		close(fd);
	return err;
}

int
segment_attach_fd(int fd, struct segment **ret)
{
	const struct header h = wanted_header();
	int err = check(fd);

	return err != 0 ? err : map(fd, FILE_SIZE, &h.audit, ret);
}

int
segment_attach_old(const char *path, struct segment **ret)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct audit_parts audit;
	size_t size;
	int err;

	if (fd < 0)
		return errno == ENOENT ? E_NOT_FOUND : E_IO;
	err = check_old(fd, &audit, &size);
	if (err == 0)
		err = map(fd, size, &audit, ret);
	if (err == 0)
		(*ret)->old = true;
	else
		close(fd);
	return err;
}

int
segment_fd(const struct segment *s)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return s->fd;
}

void
segment_detach(struct segment **ret)
{
	struct segment *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	*ret = NULL;
	munmap(s->base, s->size);
	close(s->fd);
	s->magic = 0;
	free(s);
}

/* ---- the parts ---- */

static void *
part(const struct segment *s, size_t at)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	ASSERT(!s->old);
	return s->base + at;
}

struct procs_row *
segment_procs(struct segment *s)
{
	return part(s, PROCS_AT);
}

struct health_row *
segment_health(struct segment *s)
{
	return part(s, HEALTH_AT);
}

struct counters_slot *
segment_counters(struct segment *s)
{
	return part(s, COUNTERS_AT);
}

struct labels *
segment_labels(struct segment *s)
{
	return part(s, LABELS_AT);
}

struct metrics_keeper *
segment_metrics_keeper(struct segment *s)
{
	return part(s, KEEPER_AT);
}

struct earlier *
segment_earlier(struct segment *s)
{
	return part(s, EARLIER_AT);
}

_Atomic uint64_t *
segment_registry_generation(struct segment *s)
{
	return &header(s)->registry_generation;
}

_Atomic uint64_t *
segment_generation(struct segment *s, enum segment_what what)
{
	ASSERT(what < SEGMENT_WHATS);
	return &header(s)->generations[what];
}

_Atomic uint32_t *
segment_driver_sessions(struct segment *s)
{
	return part(s, SESSIONS_AT);
}

_Atomic uint32_t *
segment_pair_sessions(struct segment *s)
{
	return part(s, PAIRS_AT);
}

_Atomic uint32_t *
segment_keeper_ok(struct segment *s)
{
	return &header(s)->keeper_ok;
}

_Atomic uint64_t *
segment_spans_seq(struct segment *s)
{
	return &header(s)->spans_seq;
}

/* ---- rows that take memory when asked for ---- */

static _Atomic uint32_t *
reserved(struct segment *s, unsigned row)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	ASSERT(row < s->audit.rows);
	return (_Atomic uint32_t *)(void *)(s->base + s->audit.reserved_at) + row;
}

int
segment_reserve_slots(struct segment *s, unsigned row, unsigned count)
{
	ASSERT(!s->old && row < s->audit.rows && count <= OPEN_SLOTS);
	return allocate(s->fd, OPENS_AT + row * OPEN_STEP,
			offsetof(struct open_row, slots) + count * sizeof(struct open_slot));
}

int
segment_reserve(struct segment *s, unsigned row, unsigned parts)
{
	_Atomic uint32_t *have = reserved(s, row);
	int err = 0;

	ASSERT(!s->old);
	if (parts & SEGMENT_METRICS)
		err = allocate(s->fd, METRICS_AT + row * METRICS_STEP, METRICS_STEP);
	if (err == 0 && parts & SEGMENT_AUDIT)
		err = allocate(s->fd, RINGS_AT + row * RING_STEP, RING_STEP);
	if (err == 0 && parts & SEGMENT_AUDIT)
		err = segment_reserve_slots(s, row, OPEN_FIRST);
	if (err == 0)
		atomic_fetch_or(have, parts);
	return err;
}

static void *
row_part(struct segment *s, unsigned row, unsigned which, uint64_t at, uint64_t step)
{
	if (!(atomic_load_explicit(reserved(s, row), memory_order_acquire) & which))
		return NULL;
	return s->base + at + row * step;
}

struct metrics_slot *
segment_metrics(struct segment *s, unsigned row)
{
	ASSERT(!s->old);
	return row_part(s, row, SEGMENT_METRICS, METRICS_AT, METRICS_STEP);
}

struct ring *
segment_ring(struct segment *s, unsigned row)
{
	return row_part(s, row, SEGMENT_AUDIT, s->audit.rings_at, s->audit.ring_step);
}

struct open_row *
segment_open(struct segment *s, unsigned row)
{
	return row_part(s, row, SEGMENT_AUDIT, s->audit.opens_at, s->audit.open_step);
}

struct ledger *
segment_ledger(struct segment *s)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return (struct ledger *)(void *)(s->base + s->audit.ledger_at);
}

unsigned
segment_rows(const struct segment *s)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return s->audit.rows;
}

/* ---- who lives in a row ---- */

static struct flock
lock_of(unsigned row)
{
	return (struct flock){
		.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = LOCKS_AT + row, .l_len = 1};
}

int
segment_enter_row(struct segment *s, unsigned row)
{
	struct flock lock = lock_of(row);

	CHECK_MAGIC(s, SEGMENT_MAGIC);
	if (fcntl(s->fd, F_SETLK, &lock) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? E_EXISTS : E_IO;
}

/* When it cannot be known, it lives: nothing of a living process may be taken for left over. */
bool
segment_row_lives(struct segment *s, unsigned row)
{
	struct flock lock = lock_of(row);

	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return fcntl(s->fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
