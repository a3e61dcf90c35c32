/*
 * The tail: bytes, their place in the file, and how many of them the sync under way covers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "keeper/audit_folder.h"
#include "keeper/audit_sync.h"
#include "keeper/audit_tail.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/panic.h"

#define TAIL_MAGIC 0x41546169u
#define BYTES_MAX  ((size_t)24 << 20)
#define BYTES_LONG ((size_t)16 << 20) /* a batch more still fits */

struct audit_tail {
	unsigned magic;
	struct metrics_keeper *metrics;
	void (*synced)(void *arg);
	void *arg;
	struct audit_sync *sync;
	struct buf bytes;
	int fd;
	uint64_t at;	/* their place in the file */
	size_t syncing; /* of them, from the first */
	bool broken;
};

static void
fail(struct audit_tail *t, int errnum)
{
	metrics_add(&t->metrics->number[METRICS_KEEPER_audit_failures], 1);
	if (!t->broken)
		log_error(NULL, "audit: the file cannot be synchronised: %s", strerror(errnum));
	t->broken = true;
}

static void
on_done(void *arg, int errnum, uint64_t us)
{
	struct audit_tail *t = arg;

	CHECK_MAGIC(t, TAIL_MAGIC);
	metrics_observe(&t->metrics->audit_sync, us);
	if (errnum != 0) {
		fail(t, errnum);
	} else {
		if (t->broken)
			log_info(NULL, "audit: the file can be synchronised again");
		t->broken = false;
		buf_drop(&t->bytes, t->syncing);
		t->at += t->syncing;
	}
	t->syncing = 0;
	t->synced(t->arg);
}

struct audit_tail *
audit_tail_new(struct loop *loop, struct metrics_keeper *metrics, void (*synced)(void *arg),
	       void *arg)
{
	struct audit_tail *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->magic = TAIL_MAGIC;
	t->metrics = metrics;
	t->synced = synced;
	t->arg = arg;
	t->fd = -1;
	buf_init(&t->bytes, BYTES_MAX);
	t->sync = audit_sync_new(loop, on_done, t);
	if (t->sync == NULL)
		audit_tail_free(&t);
	return t;
}

void
audit_tail_free(struct audit_tail **ret)
{
	struct audit_tail *t = *ret;

	if (t == NULL)
		return;
	CHECK_MAGIC(t, TAIL_MAGIC);
	*ret = NULL;
	audit_sync_free(&t->sync);
	buf_free(&t->bytes);
	t->magic = 0;
	free(t);
}

/* Without memory for them: here and now. */
static void
sync_at_once(struct audit_tail *t)
{
	audit_sync_wait(t->sync);
	buf_clear(&t->bytes);
	if (fdatasync(t->fd) != 0)
		fail(t, errno);
}

void
audit_tail_add(struct audit_tail *t, int fd, const uint8_t *p, size_t n, uint64_t at)
{
	CHECK_MAGIC(t, TAIL_MAGIC);
	ASSERT(t->bytes.len == 0 || (fd == t->fd && at == t->at + t->bytes.len));
	if (t->bytes.len == 0)
		t->at = at;
	t->fd = fd;
	buf_add(&t->bytes, p, n);
	if (buf_failed(&t->bytes))
		sync_at_once(t);
}

void
audit_tail_sync(struct audit_tail *t)
{
	CHECK_MAGIC(t, TAIL_MAGIC);
	if ((t->bytes.len == 0 && !t->broken) || audit_sync_running(t->sync))
		return;
	if (t->broken && audit_folder_write(t->fd, t->bytes.p, t->bytes.len, t->at) != 0) {
		fail(t, errno);
		t->synced(t->arg); /* who plans the next try */
		return;
	}
	t->syncing = t->bytes.len;
	audit_sync_start(t->sync, t->fd);
}

void
audit_tail_finish(struct audit_tail *t)
{
	CHECK_MAGIC(t, TAIL_MAGIC);
	audit_sync_wait(t->sync);
	if (t->broken)
		return;
	audit_tail_sync(t);
	audit_sync_wait(t->sync);
}

void
audit_tail_close(struct audit_tail *t)
{
	audit_tail_finish(t);
	if (t->broken)
		log_error(NULL,
			  "audit: the last %zu bytes of a file that was taken away may not be "
			  "on the disk",
			  t->bytes.len);
	t->broken = false;
	t->fd = -1;
	buf_clear(&t->bytes);
}

size_t
audit_tail_bytes(const struct audit_tail *t)
{
	CHECK_MAGIC(t, TAIL_MAGIC);
	return t->bytes.len;
}

bool
audit_tail_is_broken(const struct audit_tail *t)
{
	CHECK_MAGIC(t, TAIL_MAGIC);
	return t->broken;
}

bool
audit_tail_is_long(const struct audit_tail *t)
{
	CHECK_MAGIC(t, TAIL_MAGIC);
	return t->bytes.len > BYTES_LONG;
}
