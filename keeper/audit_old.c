/*
 * Old segments: found by name, claimed by the row of their supervisor, removed when empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper/audit_old.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/leftover.h"

#define OLD_MAGIC	0x414f6c64u
#define SUPERVISORS_ROW 0

struct audit_old {
	unsigned magic;
	const char *run_dir;
	const struct segment *own;
	struct audit_source *sources[LEFTOVER_FILES];
	bool said[LEFTOVER_FILES]; /* that it cannot be read */
};

struct audit_old *
audit_old_new(const char *run_dir, const struct segment *own)
{
	struct audit_old *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->magic = OLD_MAGIC;
	o->run_dir = run_dir;
	o->own = own;
	return o;
}

void
audit_old_free(struct audit_old **ret)
{
	struct audit_old *o = *ret;

	if (o == NULL)
		return;
	CHECK_MAGIC(o, OLD_MAGIC);
	*ret = NULL;
	for (unsigned n = 0; n < LEFTOVER_FILES; n++)
		audit_source_free(&o->sources[n]);
	o->magic = 0;
	free(o);
}

static bool
is_dead(struct segment *s)
{
	for (unsigned row = 0; row < segment_rows(s); row++)
		if (segment_row_lives(s, row))
			return false;
	return true;
}

static int
take_up(struct audit_old *o, unsigned n, const char *path)
{
	struct segment *s = NULL;
	int err = segment_attach_old(path, &s);

	if (err != 0)
		return err;
	if (!is_dead(s) || segment_enter_row(s, SUPERVISORS_ROW) != 0) {
		segment_detach(&s);
		return E_AGAIN;
	}
	o->sources[n] = audit_source_new(s, true);
	if (o->sources[n] == NULL) {
		segment_detach(&s);
		return E_NOMEM;
	}
	log_info(NULL, "audit: %s of an earlier life is written out", path);
	audit_source_find_dead(o->sources[n]);
	return 0;
}

/* A new program may have put ours by while it starts. Closing it here would drop our row's lock. */
static bool
is_foreign(const struct audit_old *o, const char *path)
{
	struct stat own, st;

	return stat(path, &st) == 0 && fstat(segment_fd(o->own), &own) == 0 &&
	       (st.st_ino != own.st_ino || st.st_dev != own.st_dev);
}

void
audit_old_find(struct audit_old *o)
{
	char path[LEFTOVER_PATH];

	CHECK_MAGIC(o, OLD_MAGIC);
	for (unsigned n = 0; n < LEFTOVER_FILES; n++) {
		int err;

		if (o->sources[n] != NULL)
			continue;
		leftover_path(o->run_dir, n, path);
		if (!is_foreign(o, path))
			continue;
		err = take_up(o, n, path);
		if (err == 0 || err == E_AGAIN || o->said[n])
			continue;
		log_error(NULL, "audit: %s cannot be read: %s", path, err_text(err));
		o->said[n] = true;
	}
}

struct audit_source *
audit_old_get(struct audit_old *o, unsigned n)
{
	CHECK_MAGIC(o, OLD_MAGIC);
	return n < LEFTOVER_FILES ? o->sources[n] : NULL;
}

void
audit_old_remove_empty(struct audit_old *o)
{
	char path[LEFTOVER_PATH];

	CHECK_MAGIC(o, OLD_MAGIC);
	for (unsigned n = 0; n < LEFTOVER_FILES; n++) {
		if (o->sources[n] == NULL ||
		    !leftover_is_empty(audit_source_segment(o->sources[n])))
			continue;
		leftover_path(o->run_dir, n, path);
		if (unlink(path) != 0)
			log_warn(NULL, "audit: %s cannot be removed: %s", path, strerror(errno));
		audit_source_free(&o->sources[n]);
	}
}
