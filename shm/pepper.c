/*
 * The file of the pepper. A new one is written under a name of its own, synchronised, and then
 * linked to the right name, which fails when somebody else was faster: nobody ever reads half of
 * one, and none is replaced.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shm/pepper.h"

#define FOLDER	  "keys"
#define FILE_NAME "pepper"

struct words {
	char *p;
	size_t size;
};

static int say(const struct words *, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int
say(const struct words *w, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w->p, w->size, fmt, ap);
	va_end(ap);
	return err;
}

/* Only what is open to others is refused: a volume may be mounted with rights for its group. */
static int
check_mode(const struct stat *st, const char *path, const struct words *w)
{
	if ((st->st_mode & S_IRWXO) == 0)
		return 0;
	return say(w, E_DENIED, "%s: open to others (mode %04o); do chmod o= on it", path,
		   (unsigned)st->st_mode & 07777);
}

static int
path_of(struct str state_dir, const char *name, char path[PATH_MAX], const struct words *w)
{
	int n = snprintf(path, PATH_MAX, "%.*s/" FOLDER "%s", STR_ARG(state_dir), name);

	return n > 0 && n < PATH_MAX ? 0 : say(w, E_IO, "state_dir: the path is too long");
}

/* ---- making ---- */

static int
sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd >= 0 && fsync(fd) == 0 ? 0 : -1;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int
make_folder(struct str state_dir, const char *path, const struct words *w)
{
	char parent[PATH_MAX];
	struct stat st;

	if (mkdir(path, 0700) == 0) {
		snprintf(parent, sizeof(parent), "%.*s", STR_ARG(state_dir));
		if (sync_folder(parent) != 0)
			return say(w, E_IO, "%s: %s", parent, strerror(errno));
	} else if (errno != EEXIST) {
		return say(w, E_IO, "cannot make %s: %s", path, strerror(errno));
	}
	if (stat(path, &st) != 0)
		return say(w, E_IO, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return say(w, E_DENIED, "%s: not a folder", path);
	return check_mode(&st, path, w);
}

/* -1 with errno. */
static int
write_new(int fd)
{
	uint8_t bytes[PEPPER_SIZE];
	ssize_t n = getrandom(bytes, sizeof(bytes), 0);

	if (n == (ssize_t)sizeof(bytes))
		n = write(fd, bytes, sizeof(bytes));
	explicit_bzero(bytes, sizeof(bytes));
	if (n != (ssize_t)sizeof(bytes)) {
		errno = n < 0 ? errno : ENOSPC;
		return -1;
	}
	return fchmod(fd, 0600) == 0 && fsync(fd) == 0 ? 0 : -1;
}

static int
make_file(struct str state_dir, const char *folder, const char *path, bool *ret_made,
	  const struct words *w)
{
	char own[PATH_MAX];
	int fd, saved, rc = path_of(state_dir, "/" FILE_NAME ".XXXXXX", own, w);

	if (rc != 0)
		return rc;
	fd = mkostemp(own, O_CLOEXEC);
	if (fd < 0)
		return say(w, E_IO, "cannot make a file in %s: %s", folder, strerror(errno));
	rc = write_new(fd);
	if (rc == 0) {
		rc = link(own, path);
		*ret_made = rc == 0;
		if (rc != 0 && errno == EEXIST)
			rc = 0;
	}
	saved = errno;
	close(fd);
	unlink(own);
	errno = saved;
	if (rc == 0)
		rc = sync_folder(folder);
	return rc == 0 ? 0 : say(w, E_IO, "cannot make %s: %s", path, strerror(errno));
}

int
pepper_make(struct str state_dir, bool *ret_made, char *words, size_t words_size)
{
	const struct words w = {words, words_size};
	char folder[PATH_MAX], path[PATH_MAX];
	bool made = false;
	int rc = path_of(state_dir, "", folder, &w);

	if (rc == 0)
		rc = path_of(state_dir, "/" FILE_NAME, path, &w);
	if (rc == 0)
		rc = make_folder(state_dir, folder, &w);
	if (rc == 0 && access(path, F_OK) != 0) {
		if (errno != ENOENT)
			rc = say(&w, E_IO, "%s: %s", path, strerror(errno));
		else
			rc = make_file(state_dir, folder, path, &made, &w);
	}
	if (rc == 0)
		*ret_made = made;
	return rc;
}

/* ---- reading ---- */

static int
check_file(int fd, const char *path, const struct words *w)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return say(w, E_IO, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return say(w, E_DENIED, "%s: not a regular file", path);
	if (st.st_size != (off_t)PEPPER_SIZE)
		return say(
			w, E_SYNTAX,
			"%s: has %lld bytes, not %zu; put back the one that was saved (without it "
			"no personal access token is known any more)",
			path, (long long)st.st_size, PEPPER_SIZE);
	return check_mode(&st, path, w);
}

static int
read_file(int fd, uint8_t ret[PEPPER_SIZE], const char *path, const struct words *w)
{
	uint8_t bytes[PEPPER_SIZE];
	size_t at = 0;
	ssize_t n = 1;

	while (at < PEPPER_SIZE && n > 0) {
		n = read(fd, bytes + at, PEPPER_SIZE - at);
		if (n > 0)
			at += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (at == PEPPER_SIZE)
		memcpy(ret, bytes, PEPPER_SIZE);
	explicit_bzero(bytes, sizeof(bytes));
	if (at == PEPPER_SIZE)
		return 0;
	return say(w, E_IO, "%s: %s", path, n < 0 ? strerror(errno) : "became shorter");
}

int
pepper_read(struct str state_dir, uint8_t ret[PEPPER_SIZE], char *words, size_t words_size)
{
	const struct words w = {words, words_size};
	char path[PATH_MAX];
	int rc = path_of(state_dir, "/" FILE_NAME, path, &w);
	int fd;

	if (rc != 0)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return say(&w, E_IO, "%s: %s", path, strerror(errno));
	rc = check_file(fd, path, &w);
	if (rc == 0)
		rc = read_file(fd, ret, path, &w);
	close(fd);
	return rc;
}
