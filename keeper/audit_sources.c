/*
 * Sources. Old segments are found by name, claimed by the row of their supervisor, and removed when
 * empty.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper/audit_sources.h"
#include "lib/log.h"
#include "lib/panic.h"

#define SOURCES_MAGIC	0x41537273u
#define SUPERVISORS_ROW 0

struct audit_sources {
	unsigned magic;
	const char *run_dir;
	struct segment *own;
	struct audit_source *list[AUDIT_SOURCES]; /* the last is our own */
	bool said[LEFTOVER_FILES];		  /* that it cannot be read */
};

struct audit_sources *
audit_sources_new(struct segment *own, const char *run_dir)
{
	struct audit_sources *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SOURCES_MAGIC;
	s->run_dir = run_dir;
	s->own = own;
	s->list[LEFTOVER_FILES] = audit_source_new(own, own);
	if (s->list[LEFTOVER_FILES] == NULL)
		audit_sources_free(&s);
	return s;
}

void
audit_sources_free(struct audit_sources **ret)
{
	struct audit_sources *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SOURCES_MAGIC);
	*ret = NULL;
	for (unsigned n = 0; n < AUDIT_SOURCES; n++)
		audit_source_free(&s->list[n]);
	s->magic = 0;
	free(s);
}

struct audit_source *
audit_sources_get(struct audit_sources *s, unsigned n)
{
	CHECK_MAGIC(s, SOURCES_MAGIC);
	return n < AUDIT_SOURCES ? s->list[n] : NULL;
}

/* ---- old ones ---- */

static bool
is_dead(struct segment *segment)
{
	for (unsigned row = 0; row < segment_rows(segment); row++)
		if (segment_row_lives(segment, row))
			return false;
	return true;
}

static int
take_up(struct audit_sources *s, unsigned n, const char *path)
{
	struct segment *segment = NULL;
	int err = segment_attach_old(path, &segment);

	if (err != 0)
		return err;
	if (!is_dead(segment) || segment_enter_row(segment, SUPERVISORS_ROW) != 0) {
		segment_detach(&segment);
		return E_AGAIN;
	}
	s->list[n] = audit_source_new(segment, s->own);
	if (s->list[n] == NULL) {
		segment_detach(&segment);
		return E_NOMEM;
	}
	log_info(NULL, "audit: %s of an earlier life is written out", path);
	audit_source_find_dead(s->list[n]);
	return 0;
}

/* A new program may have put ours by while it starts. Closing it here would drop our row's lock. */
static bool
is_foreign(const struct audit_sources *s, const char *path)
{
	struct stat own, st;

	return stat(path, &st) == 0 && fstat(segment_fd(s->own), &own) == 0 &&
	       (st.st_ino != own.st_ino || st.st_dev != own.st_dev);
}

void
audit_sources_find_old(struct audit_sources *s)
{
	char path[LEFTOVER_PATH];

	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < LEFTOVER_FILES; n++) {
		int err;

		if (s->list[n] != NULL)
			continue;
		leftover_path(s->run_dir, n, path);
		if (!is_foreign(s, path))
			continue;
		err = take_up(s, n, path);
		if (err == 0 || err == E_AGAIN || s->said[n])
			continue;
		log_error(NULL, "audit: %s cannot be read: %s", path, err_text(err));
		s->said[n] = true;
	}
}

void
audit_sources_remove_empty(struct audit_sources *s)
{
	char path[LEFTOVER_PATH];

	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < LEFTOVER_FILES; n++) {
		if (s->list[n] == NULL || !leftover_is_empty(audit_source_segment(s->list[n])))
			continue;
		leftover_path(s->run_dir, n, path);
		if (unlink(path) != 0)
			log_warn(NULL, "audit: %s cannot be removed: %s", path, strerror(errno));
		audit_source_free(&s->list[n]);
	}
}

/* ---- all of them ---- */

void
audit_sources_find_dead(struct audit_sources *s)
{
	CHECK_MAGIC(s, SOURCES_MAGIC);
	audit_source_find_dead(s->list[LEFTOVER_FILES]); /* in the others everybody is */
}

uint64_t
audit_sources_last_seq(struct audit_sources *s)
{
	uint64_t last = 0;

	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < AUDIT_SOURCES; n++) {
		uint64_t seq = 0;

		if (s->list[n] != NULL)
			seq = atomic_load(
				&segment_ledger(audit_source_segment(s->list[n]))->last_seq);
		last = seq > last ? seq : last;
	}
	return last;
}

bool
audit_sources_have_any(struct audit_sources *s)
{
	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < AUDIT_SOURCES; n++)
		if (s->list[n] != NULL &&
		    (audit_source_is_fresh(s->list[n]) || audit_source_has_any(s->list[n])))
			return true;
	return false;
}

void
audit_sources_take(struct audit_sources *s, struct audit_batch *batch, struct audit_redact *redact,
		   unsigned *budget, struct audit_tally *tally)
{
	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < AUDIT_SOURCES; n++)
		if (s->list[n] != NULL)
			audit_source_take(s->list[n], batch, redact, budget, tally);
}

void
audit_sources_note(struct audit_sources *s, const struct ledger *batch)
{
	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < AUDIT_SOURCES; n++)
		if (s->list[n] != NULL)
			audit_source_note(s->list[n], batch);
}

void
audit_sources_settle(struct audit_sources *s)
{
	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < AUDIT_SOURCES; n++)
		if (s->list[n] != NULL)
			audit_source_settle(s->list[n]);
	audit_sources_remove_empty(s);
}

void
audit_sources_untake(struct audit_sources *s)
{
	CHECK_MAGIC(s, SOURCES_MAGIC);
	for (unsigned n = 0; n < AUDIT_SOURCES; n++)
		if (s->list[n] != NULL)
			audit_source_untake(s->list[n]);
}
