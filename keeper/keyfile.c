/*
 * Writes a private key beside the old one and renames it over it. A power cut at any point leaves
 * the old file or the new one, and maybe a temporary one, which the next write replaces.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper/keyfile.h"
#include "lib/panic.h"

#define FOLDER "keys"

static int
to_err(void)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT: return E_FULL;
	case ELOOP:
	case ENOTDIR: return E_DENIED;
	default: return E_IO;
	}
}

/* A folder that is wider open than it should be is closed. */
static int
check_folder(int fd)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return to_err();
	if (st.st_uid != geteuid())
		return E_DENIED;
	if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700) != 0)
		return to_err();
	return 0;
}

static int
enter_folder(int parent, int *ret_fd)
{
	int fd, err;

	if (mkdirat(parent, FOLDER, 0700) == 0) {
		if (fsync(parent) != 0)
			return to_err();
	} else if (errno != EEXIST) {
		return to_err();
	}
	fd = openat(parent, FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return to_err();
	err = check_folder(fd);
	if (err != 0)
		close(fd);
	else
		*ret_fd = fd;
	return err;
}

static int
open_folder(const char *state_dir, int *ret_fd)
{
	int parent = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (parent < 0)
		return to_err();
	err = enter_folder(parent, ret_fd);
	close(parent);
	return err;
}

static int
write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, p, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return to_err();
		p += done;
		n -= (size_t)done;
	}
	return fsync(fd) == 0 ? 0 : to_err();
}

static int
write_temp(int folder, const char *temp, const void *bytes, size_t n)
{
	int fd, err;

	unlinkat(folder, temp, 0); /* of a keeper that was killed */
	fd = openat(folder, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return to_err();
	err = fchmod(fd, 0600) == 0 ? write_all(fd, bytes, n) : to_err();
	close(fd);
	return err;
}

static int
replace(int folder, const char *name, const void *bytes, size_t n)
{
	char temp[NAME_MAX + 1];
	int len = snprintf(temp, sizeof(temp), ".%s.new", name);
	int err;

	ASSERT(len > 0 && (size_t)len < sizeof(temp));
	err = write_temp(folder, temp, bytes, n);
	if (err == 0 && renameat(folder, temp, folder, name) != 0)
		err = to_err();
	if (err != 0)
		unlinkat(folder, temp, 0);
	return err;
}

static int
drop(int folder, const char *name)
{
	return unlinkat(folder, name, 0) == 0 || errno == ENOENT ? 0 : to_err();
}

int
keyfile_write(const char *state_dir, const char *name, const void *bytes, size_t n)
{
	int folder = -1, err = open_folder(state_dir, &folder);

	if (err != 0)
		return err;
	err = n > 0 ? replace(folder, name, bytes, n) : drop(folder, name);
	if (err == 0 && fsync(folder) != 0)
		err = to_err();
	close(folder);
	return err;
}
