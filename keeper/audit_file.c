/*
 * The audit file. What is known of it is trusted only as long as the name still leads to the same
 * file and that is as long as it was left.
 *
 *	begin: lock, look, (sealed? rename), (none? make, head line)
 *	the caller's lines: the batch, in memory
 *	write: pwrite at the end, unlock; the tail knows what is not on the disk yet
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper/audit_file.h"
#include "keeper/audit_folder.h"
#include "keeper/audit_line.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"

#define FILE_MAGIC 0x41466c65u

struct audit_file {
	unsigned magic;
	struct audit_file_setup with;
	struct audit_batch batch;
	struct audit_tail *tail;
	int folder, fd; /* -1: not open */
	bool locked;

	/* the file, as it was left */
	struct stat identity;
	uint64_t size;
	uint64_t last_seq;	/* that is really there, or in the newest sealed one */
	uint64_t half, missing; /* to be told in the next batch: bytes cut off, records gone */
	bool torn;		/* behind `size` may be a part of a batch */
	bool sealing;		/* its last line is the seal, and it is not renamed yet */
	char previous[CHAIN_SEAL_HEX + 1]; /* "": not known, or none */

	uint64_t written;
};

struct audit_file *
audit_file_new(const struct audit_file_setup *with)
{
	struct audit_file *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->magic = FILE_MAGIC;
	f->with = *with;
	f->folder = f->fd = -1;
	f->tail = audit_tail_new(with->loop, with->metrics, with->synced, with->arg);
	if (audit_batch_init(&f->batch, with->gateway) != 0 || f->tail == NULL)
		audit_file_free(&f);
	else
		f->batch.next_seq = atomic_load(&with->ledger->last_seq) + 1;
	return f;
}

void
audit_file_free(struct audit_file **ret)
{
	struct audit_file *f = *ret;

	if (f == NULL)
		return;
	CHECK_MAGIC(f, FILE_MAGIC);
	*ret = NULL;
	audit_tail_free(&f->tail);
	audit_batch_free(&f->batch);
	if (f->fd >= 0)
		close(f->fd);
	if (f->folder >= 0)
		close(f->folder);
	f->magic = 0;
	free(f);
}

static void
count(struct audit_file *f, enum metrics_keeper_number what, uint64_t by)
{
	metrics_add(&f->with.metrics->number[what], by);
}

uint64_t
audit_file_written(const struct audit_file *f)
{
	CHECK_MAGIC(f, FILE_MAGIC);
	return f->written;
}

uint64_t
audit_file_on_disk(const struct audit_file *f)
{
	CHECK_MAGIC(f, FILE_MAGIC);
	return f->written - audit_tail_bytes(f->tail);
}

struct audit_tail *
audit_file_tail(struct audit_file *f)
{
	CHECK_MAGIC(f, FILE_MAGIC);
	return f->tail;
}

/* ---- finding the file ---- */

static void
close_file(struct audit_file *f)
{
	audit_tail_close(f->tail);
	close(f->fd);
	f->fd = -1;
	f->size = f->batch.first_seq = 0;
	f->torn = f->sealing = false;
}

/* Numbers go on where the newest record has them, and never go back: what should be there and is
 * not shows as a gap. */
static void
go_on_behind(struct audit_file *f, uint64_t last_seq)
{
	f->last_seq = last_seq;
	f->missing = 0;
	if (last_seq + 1 < f->batch.next_seq)
		f->missing = f->batch.next_seq - last_seq - 1;
	else
		f->batch.next_seq = last_seq + 1;
}

/* An empty file follows the newest sealed one. */
static int
follow_sealed(struct audit_file *f)
{
	struct audit_ends newest;
	int err = audit_folder_newest(f->folder, &newest);

	chain_set(f->batch.chain, NULL);
	f->batch.first_seq = 0;
	if (err == E_NOT_FOUND) { /* the first of all, or all others were carried away */
		f->last_seq = f->batch.next_seq - 1;
		return 0;
	}
	if (err != 0)
		return err;
	go_on_behind(f, newest.last_seq);
	memcpy(f->previous, newest.seal, sizeof(f->previous));
	return 0;
}

/* What somebody else wrote into it, a predecessor for example. */
static int
learn(struct audit_file *f)
{
	struct audit_ends ends;
	int err = audit_folder_ends(f->fd, &ends);

	if (err == 0 && ends.half > 0 && ftruncate(f->fd, (off_t)ends.size) != 0)
		err = audit_folder_err();
	if (err == 0 && ends.sealed && fdatasync(f->fd) != 0)
		err = audit_folder_err();
	audit_tail_finish(f->tail);
	if (err == 0 && audit_tail_is_broken(f->tail))
		err = E_IO;
	if (err != 0)
		return err;
	f->half += ends.half;
	f->torn = false;
	f->size = ends.size;
	if (ends.last_seq == 0 || ends.first_seq == 0)
		return follow_sealed(f);
	go_on_behind(f, ends.last_seq);
	chain_set(f->batch.chain, ends.chain);
	f->batch.first_seq = ends.first_seq;
	f->batch.first_ms = f->batch.last_ms = 0;
	if (clock_parse(str_from(ends.first_time), &f->batch.first_ms) != 0 ||
	    clock_parse(str_from(ends.last_time), &f->batch.last_ms) != 0)
		log_debug(NULL, "audit: the times in the file cannot be read");
	f->sealing = ends.sealed;
	memcpy(f->previous, ends.seal, sizeof(f->previous));
	return 0;
}

static int
open_file(struct audit_file *f, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return E_DENIED;
	f->fd = openat(f->folder, CHAIN_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (f->fd < 0 || fstat(f->fd, &f->identity) != 0)
		return audit_folder_err();
	return learn(f);
}

/* Where the name leads now; usually to what is open, as long as it was left. */
static int
look(struct audit_file *f)
{
	struct stat st;

	if (fstatat(f->folder, CHAIN_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			return audit_folder_err();
		if (f->fd >= 0)
			close_file(f);
		return 0;
	}
	if (f->fd >= 0 && (st.st_ino != f->identity.st_ino || st.st_dev != f->identity.st_dev))
		close_file(f);
	if (f->fd < 0)
		return open_file(f, &st);
	if (f->torn) {
		if (ftruncate(f->fd, (off_t)f->size) != 0)
			return audit_folder_err();
		f->torn = false;
		return 0;
	}
	return (uint64_t)st.st_size == f->size ? 0 : learn(f);
}

static int
make_file(struct audit_file *f)
{
	int err = follow_sealed(f);

	if (err != 0)
		return err;
	f->fd = openat(f->folder, CHAIN_FILE, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		       0640);
	if (f->fd < 0 || fchmod(f->fd, 0640) != 0 || fstat(f->fd, &f->identity) != 0 ||
	    fsync(f->folder) != 0)
		return audit_folder_err();
	f->size = 0;
	return 0;
}

/* ---- the seal ---- */

/* The seal is on the disk: the file gets the name under which it stays. */
static int
rename_sealed(struct audit_file *f)
{
	char name[CHAIN_NAME_MAX], stamp[AUDIT_STAMP];

	if (audit_tail_bytes(f->tail) > 0) {
		audit_tail_sync(f->tail);
		return E_AGAIN;
	}
	chain_file_name(str_from(clock_stamp(f->batch.first_ms, stamp, sizeof(stamp))),
			f->batch.first_seq, name);
	if (renameat(f->folder, CHAIN_FILE, f->folder, name) != 0 || fsync(f->folder) != 0)
		return audit_folder_err();
	count(f, METRICS_KEEPER_audit_rotations, 1);
	log_info(NULL, "audit: sealed %s", name);
	close_file(f);
	return 0;
}

/* ---- a batch ---- */

static void
unlock(struct audit_file *f)
{
	if (f->locked)
		flock(f->folder, LOCK_UN);
	f->locked = false;
}

static int
lock(struct audit_file *f)
{
	int err;

	ASSERT(!f->locked);
	if (audit_tail_is_broken(f->tail))
		return E_IO;
	if (f->folder < 0) {
		err = audit_folder_open(f->with.state_dir, &f->folder);
		if (err != 0)
			return err;
	}
	if (flock(f->folder, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK ? E_AGAIN : E_IO;
	f->locked = true;
	return 0;
}

static void
close_folder(struct audit_file *f)
{
	int saved = errno;

	if (f->folder >= 0)
		close(f->folder);
	f->folder = -1;
	errno = saved;
}

static void
add_note(struct audit_file *f, const char *event, const char *name, uint64_t value)
{
	struct buf *b = audit_batch_line(&f->batch, "gateway", clock_wall_ms());

	audit_line_text(b, "event", str_from(event));
	audit_line_number(b, name, value);
	audit_batch_end_line(&f->batch);
}

/* What a file begins with, and what was found wrong with it. */
static void
add_first_lines(struct audit_file *f)
{
	if (f->size == 0) {
		struct buf *b = audit_batch_line(&f->batch, "file", clock_wall_ms());

		audit_line_text(b, "version", STR(SPARKGW_VERSION));
		audit_line_text(b, "previous", str_from(f->previous));
		audit_batch_end_line(&f->batch);
	}
	if (f->half > 0)
		add_note(f, "repaired", "bytes", f->half);
	if (f->missing > 0)
		add_note(f, "missing", "records", f->missing);
}

/* The folder is ours, and what is in it is known: no file, or one that is not sealed. */
static int
enter(struct audit_file *f)
{
	int err = lock(f);

	if (err == 0)
		err = look(f);
	if (err == 0 && f->sealing)
		err = rename_sealed(f);
	return err;
}

static void
leave(struct audit_file *f, int err)
{
	unlock(f);
	if (err != 0 && err != E_AGAIN && f->fd < 0)
		close_folder(f); /* it may have been taken away */
}

int
audit_file_begin(struct audit_file *f)
{
	int err;

	CHECK_MAGIC(f, FILE_MAGIC);
	err = enter(f);
	if (err == 0 && f->fd < 0)
		err = make_file(f);
	audit_batch_begin(&f->batch);
	if (err == 0)
		add_first_lines(f);
	else
		leave(f, err);
	return err;
}

struct audit_batch *
audit_file_batch(struct audit_file *f)
{
	ASSERT(f->locked);
	return &f->batch;
}

static uint64_t
tag_of(const struct audit_file *f, uint64_t first, uint64_t end, uint64_t offset)
{
	const uint64_t numbers[] = {first, end, offset};
	char tail[CHAIN_SEAL_TAIL];
	uint64_t tag;

	chain_seal(f->with.key, (const char *)numbers, sizeof(numbers), tail);
	memcpy(&tag, tail + CHAIN_SEAL_TAIL / 2, sizeof(tag)); /* eight of its digits */
	return tag;
}

void
audit_file_note(const struct audit_file *f, struct ledger *ret)
{
	uint64_t first = f->batch.before.next_seq, end = f->batch.next_seq;

	CHECK_MAGIC(f, FILE_MAGIC);
	atomic_store(&ret->first_seq, first);
	atomic_store(&ret->end_seq, end);
	atomic_store(&ret->offset, f->size);
	atomic_store(&ret->tag, tag_of(f, first, end, f->size));
}

void
audit_file_abandon(struct audit_file *f)
{
	CHECK_MAGIC(f, FILE_MAGIC);
	audit_batch_undo(&f->batch);
	unlock(f);
}

/* The batch's bytes, at the end of the file or not at all. */
static int
append(struct audit_file *f)
{
	int err = audit_folder_write(f->fd, f->batch.bytes.p, f->batch.bytes.len, f->size),
	    saved = errno;

	if (err != 0) {
		count(f, METRICS_KEEPER_audit_failures, 1);
		f->torn = ftruncate(f->fd, (off_t)f->size) != 0;
		errno = saved;
		return err;
	}
	audit_tail_add(f->tail, f->fd, f->batch.bytes.p, f->batch.bytes.len, f->size);
	f->size += f->batch.bytes.len;
	f->written += f->batch.bytes.len;
	count(f, METRICS_KEEPER_audit_bytes, f->batch.bytes.len);
	return 0;
}

int
audit_file_write(struct audit_file *f)
{
	int err = 0;

	CHECK_MAGIC(f, FILE_MAGIC);
	if (f->batch.lines > 0)
		err = append(f);
	if (err != 0) {
		audit_batch_undo(&f->batch);
	} else if (f->batch.lines > 0) {
		f->half = f->missing = 0;
		f->last_seq = f->batch.next_seq - 1;
		atomic_store(&f->with.ledger->last_seq, f->last_seq);
	}
	unlock(f);
	return err;
}

/* ---- rotation ---- */

bool
audit_file_is_due(const struct audit_file *f, uint64_t wall_ms)
{
	CHECK_MAGIC(f, FILE_MAGIC);
	if (f->fd < 0 || f->sealing || f->batch.first_seq == 0 ||
	    f->batch.next_seq - f->batch.first_seq < 2)
		return false;
	return f->size >= f->with.max_bytes ||
	       (wall_ms > f->batch.first_ms && wall_ms - f->batch.first_ms >= f->with.max_age_ms);
}

unsigned
audit_file_expire(struct audit_file *f, uint64_t before_ms)
{
	CHECK_MAGIC(f, FILE_MAGIC);
	return f->folder >= 0 ? audit_folder_remove(f->folder, before_ms, f->with.shipped) : 0;
}

static bool
has_record(const struct audit_file *f)
{
	return f->fd >= 0 && f->size > 0 && f->batch.next_seq - f->batch.first_seq >= 2;
}

static int
seal(struct audit_file *f)
{
	char hex[CHAIN_SEAL_HEX + 1];
	int err;

	audit_batch_seal(&f->batch, f->with.key, hex);
	err = append(f);
	if (err != 0)
		return err;
	f->sealing = true;
	memcpy(f->previous, hex, sizeof(hex));
	return 0;
}

int
audit_file_rotate(struct audit_file *f)
{
	int err;

	CHECK_MAGIC(f, FILE_MAGIC);
	err = enter(f);
	if (err == 0 && has_record(f)) /* what is only begun can wait */
		err = seal(f);
	leave(f, err);
	audit_tail_sync(f->tail);
	return err;
}

int
audit_file_name_sealed(struct audit_file *f)
{
	int err;

	CHECK_MAGIC(f, FILE_MAGIC);
	if (!f->sealing)
		return 0;
	if (f->locked) /* a sync that ended in the midst of a batch */
		return E_AGAIN;
	err = enter(f);
	leave(f, err);
	return err;
}

/* ---- after the death of a keeper ---- */

/* The line there must be the batch's first, and the rest of the file no more than a batch. Another
 * keeper may have added to the file since. */
static bool
begins_at(struct audit_file *f, uint64_t offset, uint64_t seq)
{
	char start[64];
	struct str line = {start, 0}, rest;
	uint64_t there;
	ssize_t n;

	if (offset > f->size || f->size - offset > AUDIT_BATCH_MAX)
		return false;
	n = pread(f->fd, start, sizeof(start), (off_t)offset);
	if (n < (ssize_t)sizeof(start) || memcmp(start, "{\"seq\":", 7) != 0)
		return false;
	line = (struct str){start + 7, sizeof(start) - 7};
	return str_u64(str_cut(line, ',', &rest), UINT64_MAX - 1, &there) == 0 && there == seq;
}

static int
cut_off(struct audit_file *f, uint64_t offset, uint64_t first_seq)
{
	uint64_t bytes = f->size - offset;

	if (!begins_at(f, offset, first_seq)) {
		log_error(NULL, "audit: the batch of a killed keeper is not where it should be; "
				"its records may be there twice");
		return 0;
	}
	log_warn(NULL,
		 "audit: %llu bytes of a batch that a killed keeper did not finish are "
		 "written again",
		 (unsigned long long)bytes);
	if (ftruncate(f->fd, (off_t)offset) != 0)
		return audit_folder_err();
	f->half += bytes;
	f->batch.next_seq = first_seq;
	return learn(f);
}

int
audit_file_settle(struct audit_file *f, const struct ledger *l, bool *ret_written)
{
	uint64_t first = atomic_load(&l->first_seq), end = atomic_load(&l->end_seq);
	uint64_t offset = atomic_load(&l->offset);
	int err;

	CHECK_MAGIC(f, FILE_MAGIC);
	if (atomic_load(&l->tag) != tag_of(f, first, end, offset)) {
		log_error(NULL,
			  "audit: the ledger was not written by the keeper: it is not believed");
		*ret_written = false;
		return 0;
	}
	err = lock(f);
	if (err == 0)
		err = look(f);
	if (err == 0 && f->fd < 0)
		err = follow_sealed(f);
	if (err == 0)
		*ret_written = f->last_seq + 1 >= end;
	if (err == 0 && f->last_seq + 1 < end && f->last_seq >= first && f->fd >= 0)
		err = cut_off(f, offset, first);
	unlock(f);
	return err;
}
