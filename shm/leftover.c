/*
 * What is left in a segment, and where such segments are put.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shm/leftover.h"
#include "shm/open.h"
#include "shm/ring.h"

#define SUPERVISORS_ROW 0
#define STATE_MASK	3u

static bool
is_same(const _Atomic uint64_t *a, const _Atomic uint64_t *b)
{
	return atomic_load(a) == atomic_load(b);
}

static bool
row_is_empty(struct segment *s, unsigned row)
{
	const struct ring *ring = segment_ring(s, row);
	const struct open_row *open = segment_open(s, row);

	if (ring == NULL)
		return true;
	if (!is_same(&ring->head, &ring->tail) || !is_same(&ring->lost, &ring->lost_told) ||
	    !is_same(&open->unslotted_left, &open->unslotted_told) ||
	    (atomic_load(&open->unslotted) & UINT32_MAX) != 0)
		return false;
	for (unsigned i = 0; i < open_count(open); i++)
		if ((atomic_load(&open->slots[i].word) & STATE_MASK) != OPEN_STATE_FREE)
			return false;
	return true;
}

bool
leftover_is_empty(struct segment *s)
{
	for (unsigned row = 0; row < segment_rows(s); row++)
		if (!row_is_empty(s, row))
			return false;
	return true;
}

static int
rename_to_free(const char *path)
{
	char to[LEFTOVER_PATH];

	for (unsigned n = 0; n < LEFTOVER_FILES; n++) {
		int len = snprintf(to, sizeof(to), "%s.old.%u", path, n);

		if (len < 0 || (size_t)len >= sizeof(to))
			return E_LIMIT;
		if (link(path, to) == 0)
			return unlink(path) == 0 ? 0 : E_IO;
		if (errno != EEXIST)
			return E_IO;
	}
	return E_FULL;
}

static int
set_aside(const char *path, const char **ret_words)
{
	char to[LEFTOVER_PATH];
	int len = snprintf(to, sizeof(to), "%s.unreadable", path);

	*ret_words = "the segment of another version was put aside as segment.unreadable; audit "
		     "records that may be in it are not written";
	if (len < 0 || (size_t)len >= sizeof(to))
		return E_LIMIT;
	return rename(path, to) == 0 ? 0 : E_IO;
}

int
leftover_put_by(const char *path, const char **ret_words)
{
	struct segment *old = NULL;
	bool lives, keep;
	int err = segment_attach_old(path, &old);

	*ret_words = NULL;
	if (err == E_NOT_FOUND)
		return 0;
	if (err == E_VERSION || err == E_SYNTAX)
		return set_aside(path, ret_words);
	if (err != 0)
		return err;
	lives = segment_row_lives(old, SUPERVISORS_ROW);
	keep = lives || !leftover_is_empty(old);
	segment_detach(&old);
	if (!keep)
		return 0;
	if (!lives) /* else it is a predecessor, who writes out its own */
		*ret_words =
			"the segment of an earlier life still holds audit records; they come first";
	return rename_to_free(path);
}

void
leftover_take_back(const char *path, const struct segment *own)
{
	struct stat want, st;
	char from[LEFTOVER_PATH];

	if (fstat(segment_fd(own), &want) != 0)
		return;
	for (unsigned n = 0; n < LEFTOVER_FILES; n++) {
		snprintf(from, sizeof(from), "%s.old.%u", path, n);
		if (stat(from, &st) == 0 && st.st_ino == want.st_ino && st.st_dev == want.st_dev) {
			(void)rename(from, path);
			return;
		}
	}
}

void
leftover_path(const char *run_dir, unsigned n, char ret[LEFTOVER_PATH])
{
	snprintf(ret, LEFTOVER_PATH, "%s/segment.old.%u", run_dir, n);
}
