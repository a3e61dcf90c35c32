/*
 * The rig itself; see audit_rig.h.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include "keeper/audit_line.h"
#include "lib/clock.h"
#include "t/unit/audit_rig.h"

struct audit_rig rig;
const uint8_t rig_key[CHAIN_KEY] = {7};
char rig_text[RIG_TEXT];
size_t rig_text_n;

int
fdatasync(int fd)
{
	if (atomic_load(&rig.sync_errno) != 0) {
		errno = atomic_load(&rig.sync_errno);
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

static void
on_synced(void *arg)
{
	(void)arg;
	rig.synced_count++;
	loop_stop(rig.loop);
}

struct audit_file *
rig_open(const char *state_dir)
{
	const struct audit_file_setup with = {
		.loop = rig.loop,
		.state_dir = state_dir,
		.gateway = STR("gw \"a\""),
		.max_bytes = 20000,
		.max_age_ms = 3600 * 1000,
		.key = rig_key,
		.metrics = &rig.metrics,
		.ledger = &rig.ledger,
		.synced = on_synced,
	};
	struct audit_file *f = audit_file_new(&with);

	cr_assert_not_null(f);
	return f;
}

void
rig_make(void)
{
	scratch_make();
	rig.loop = loop_new();
	rig.file = rig_open(scratch);
}

void
rig_drop(void)
{
	audit_file_free(&rig.file);
	loop_free(&rig.loop);
	scratch_drop();
}

void
rig_add_lines(unsigned count)
{
	struct audit_batch *b = audit_file_batch(rig.file);

	for (unsigned i = 0; i < count; i++) {
		audit_line_number(audit_batch_line(b, "test", clock_wall_ms()), "n", i);
		cr_assert(audit_batch_end_line(b));
	}
}

int
rig_write_lines(unsigned count)
{
	int err = audit_file_begin(rig.file);

	if (err != 0)
		return err;
	rig_add_lines(count);
	return audit_file_write(rig.file);
}

void
rig_rotate(void)
{
	cr_assert_eq(audit_file_rotate(rig.file), 0);
	audit_tail_finish(audit_file_tail(rig.file));
	cr_assert_eq(audit_file_name_sealed(rig.file), 0);
}

const char *
rig_live(void)
{
	return scratch_path("audit/audit.log");
}

const char *
rig_sealed(unsigned n)
{
	static char path[4][PATH_MAX + 300];
	static unsigned turn;
	struct dirent **list;
	int count = scandir(scratch_path("audit"), &list, NULL, alphasort);
	char *p = path[turn++ % 4];

	*p = '\0';
	for (int i = 0; i < count; i++) {
		if (strncmp(list[i]->d_name, "audit-", 6) == 0 && n-- == 0)
			snprintf(p, sizeof(path[0]), "%s/audit/%s", scratch, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return p;
}

struct audit_verdict
rig_verify(const char *path)
{
	struct audit_verdict v;
	bool is_live = strcmp(path, rig_live()) == 0;

	cr_assert_eq(audit_verify_file(path, rig_key, is_live, &v), 0, "%s: %s", path,
		     strerror(errno));
	audit_verify_name(path, &v);
	return v;
}

/* ---- the text of a file, to be changed ---- */

void
rig_load(const char *path)
{
	int fd = open(path, O_RDONLY);

	rig_text_n = (size_t)read(fd, rig_text, sizeof(rig_text) - 1);
	rig_text[rig_text_n] = '\0';
	close(fd);
}

void
rig_save(const char *path)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	cr_assert_eq(write(fd, rig_text, rig_text_n), (ssize_t)rig_text_n);
	close(fd);
}

char *
rig_line_at(unsigned n)
{
	char *p = rig_text;

	while (--n > 0)
		p = strchr(p, '\n') + 1;
	return p;
}
