/*
 * The segment's file: a header, then page-aligned parts, at fixed places. Every process maps it
 * whole. Nothing here knows what the parts mean; their headers do.
 *
 *	header | process rows | health rows | counter slots | sessions per driver
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
#include "shm/health.h"
#include "shm/procs.h"
#include "shm/segment.h"

#define FILE_MAGIC     0x77676b7261707331ull /* "1sparkgw" */
#define FILE_VERSION   3u
#define SEGMENT_MAGIC  0x5365676du
#define PART_ALIGN     4096u
#define ALIGNED(bytes) (((bytes) + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN)

struct header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_size, procs_size, health_size, counters_size, sessions_size;
	uint64_t file_size;
	_Alignas(64) _Atomic uint64_t registry_generation;
	_Alignas(64) _Atomic uint32_t keeper_ok;
	_Alignas(64) _Atomic uint64_t generations[SEGMENT_WHATS];
};

#define PROCS_AT    ALIGNED(sizeof(struct header))
#define HEALTH_AT   (PROCS_AT + ALIGNED(SEGMENT_PROCS * sizeof(struct procs_row)))
#define COUNTERS_AT (HEALTH_AT + ALIGNED(SEGMENT_DRIVERS * sizeof(struct health_row)))
#define SESSIONS_AT (COUNTERS_AT + ALIGNED(SEGMENT_COUNTERS * sizeof(struct counters_slot)))
#define FILE_SIZE   (SESSIONS_AT + ALIGNED(SEGMENT_DRIVERS * sizeof(_Atomic uint32_t)))

/* Whoever changes a row changes FILE_VERSION and these numbers. */
_Static_assert(sizeof(struct procs_row) == 40, "layout of the process rows");
_Static_assert(sizeof(struct health_row) == 80, "layout of the health rows");
_Static_assert(sizeof(struct counters_slot) == 4480, "layout of the counter slots");
_Static_assert(offsetof(struct header, registry_generation) == 64, "layout of the header");
_Static_assert(offsetof(struct header, keeper_ok) == 128, "layout of the header");
_Static_assert(offsetof(struct header, generations) == 192, "layout of the header");
_Static_assert(sizeof(struct header) == 256, "layout of the header");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
	       "atomics between processes must be lock-free");

struct segment {
	unsigned magic;
	int fd;
	uint8_t *base;
};

static struct header
wanted_header(void)
{
	return (struct header){
		.magic = FILE_MAGIC,
		.version = FILE_VERSION,
		.header_size = sizeof(struct header),
		.procs_size = sizeof(struct procs_row),
		.health_size = sizeof(struct health_row),
		.counters_size = sizeof(struct counters_slot),
		.sessions_size = sizeof(_Atomic uint32_t),
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
map(int fd, struct segment **ret)
{
	struct segment *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return E_NOMEM;
	s->base = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (s->base == MAP_FAILED) {
		free(s);
		return E_IO;
	}
	s->magic = SEGMENT_MAGIC;
	s->fd = fd;
	*ret = s;
	return 0;
}

static int
check(int fd)
{
	const struct header want = wanted_header();
	struct header h;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return E_IO;
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size < sizeof(h))
		return E_SYNTAX;
	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return E_IO;
	if (h.magic != FILE_MAGIC)
		return E_SYNTAX;
	if (memcmp(&h, &want, offsetof(struct header, registry_generation)) != 0)
		return E_VERSION;
	return (size_t)st.st_size == FILE_SIZE ? 0 : E_SYNTAX;
}

/* posix_fallocate, not ftruncate: a full tmpfs is an error now, not a SIGBUS in some process later.
 */
static int
fill(int fd)
{
	const struct header h = wanted_header();

	errno = posix_fallocate(fd, 0, FILE_SIZE);
	if (errno != 0)
		return errno == ENOSPC ? E_FULL : E_IO;
	return pwrite(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) ? 0 : E_IO;
}

int
segment_create(const char *path, struct segment **ret)
{
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
		err = map(fd, ret);
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
	int err = check(fd);

	return err != 0 ? err : map(fd, ret);
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
	munmap(s->base, FILE_SIZE);
	close(s->fd);
	s->magic = 0;
	free(s);
}

struct procs_row *
segment_procs(struct segment *s)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return (struct procs_row *)(void *)(s->base + PROCS_AT);
}

struct health_row *
segment_health(struct segment *s)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return (struct health_row *)(void *)(s->base + HEALTH_AT);
}

struct counters_slot *
segment_counters(struct segment *s)
{
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return (struct counters_slot *)(void *)(s->base + COUNTERS_AT);
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
	CHECK_MAGIC(s, SEGMENT_MAGIC);
	return (_Atomic uint32_t *)(void *)(s->base + SESSIONS_AT);
}

_Atomic uint32_t *
segment_keeper_ok(struct segment *s)
{
	return &header(s)->keeper_ok;
}
