/*
 * The list is written anew beside the old one, and renamed over it: a power cut leaves one of the
 * two. With the one that lacks a name that file is shipped once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include "keeper/audit_folder.h"
#include "keeper/audit_shipped.h"
#include "shm/shipped.h"

#define TEMPORARY "." SHIPPED_FILE ".new"

static bool
is_there(int folder, const char *name)
{
	return faccessat(folder, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
add_line(struct buf *text, const char *name)
{
	buf_add_str(text, str_from(name));
	buf_add_byte(text, '\n');
}

static int
write_text(int folder, const struct buf *text)
{
	int fd, err;

	if (unlinkat(folder, TEMPORARY, 0) != 0 && errno != ENOENT)
		return audit_folder_err();
	fd = openat(folder, TEMPORARY, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd < 0)
		return audit_folder_err();
	err = audit_folder_write(fd, text->p, text->len, 0);
	if (err == 0 && fsync(fd) != 0)
		err = audit_folder_err();
	close(fd);
	if (err == 0 &&
	    (renameat(folder, TEMPORARY, folder, SHIPPED_FILE) != 0 || fsync(folder) != 0))
		err = audit_folder_err();
	return err;
}

static int
add(int folder, const char *name)
{
	struct shipped old = {.count = 0};
	struct buf text;
	int err = is_there(folder, name) ? shipped_read(folder, &old) : E_NOT_FOUND;

	if (err != 0)
		return err;
	buf_init(&text, SHIPPED_MAX);
	for (size_t i = 0; i < old.count; i++)
		if (strcmp(old.names[i], name) != 0 && shipped_is_name(old.names[i]) &&
		    is_there(folder, old.names[i]))
			add_line(&text, old.names[i]);
	add_line(&text, name);
	if (!shipped_has(&old, name))
		err = buf_failed(&text) ? E_NOMEM : write_text(folder, &text);
	shipped_free(&old);
	buf_free(&text);
	return err;
}

int
audit_shipped_add(const char *state_dir, const char *name)
{
	int folder = -1, err;

	if (!shipped_is_name(name))
		return E_DENIED;
	err = audit_folder_open(state_dir, &folder);
	if (err == 0) {
		err = add(folder, name);
		close(folder);
	}
	return err;
}
