/*
 * The audit folder. An audit file is read from its two ends only, whatever its size.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "keeper/audit_folder.h"
#include "shm/shipped.h"

#define HEAD_BYTES ((size_t)16 * 1024)
#define TAIL_BYTES ((size_t)512 * 1024) /* longer than two of the longest lines */

int
audit_folder_err(void)
{
	return errno == ENOSPC || errno == EDQUOT ? E_FULL : E_IO;
}

int
audit_folder_write(int fd, const uint8_t *p, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t done = pwrite(fd, p, n, (off_t)at);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return audit_folder_err();
		p += done;
		n -= (size_t)done;
		at += (uint64_t)done;
	}
	return 0;
}

int
audit_folder_open(const char *state_dir, int *ret_fd)
{
	int parent = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd, err = 0;

	if (parent < 0)
		return audit_folder_err();
	if (mkdirat(parent, CHAIN_FOLDER, 0750) == 0)
		err = fsync(parent) == 0 ? 0 : audit_folder_err();
	else if (errno != EEXIST)
		err = audit_folder_err();
	fd = openat(parent, CHAIN_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (err == 0 && fd < 0)
		err = audit_folder_err();
	close(parent);
	if (err == 0)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return err;
}

/* ---- the ends of a file ---- */

static void
copy(char *to, size_t size, struct str from)
{
	str_copy(to, size, from);
}

static struct str
last_line(struct str text)
{
	const char *at = text.n > 1 ? memrchr(text.p, '\n', text.n - 1) : NULL;

	if (at == NULL)
		return text;
	return (struct str){at + 1, text.n - (size_t)(at + 1 - text.p)};
}

/* A whole line that is none of ours is passed by: whoever verifies the file will tell. */
static void
look_at_tail(struct str text, struct audit_ends *ret)
{
	struct chain_line line;

	for (; text.n > 0; text.n -= last_line(text).n) {
		if (chain_parse(last_line(text), &line) != 0)
			continue;
		if (line.is_seal && !ret->sealed) {
			ret->sealed = true;
			copy(ret->seal, sizeof(ret->seal), line.value);
			continue;
		}
		ret->last_seq = line.seq;
		copy(ret->last_time, sizeof(ret->last_time), line.time);
		copy(ret->chain, sizeof(ret->chain), line.value);
		return;
	}
}

static void
look_at_head(struct str text, struct audit_ends *ret)
{
	struct chain_line line;
	struct str rest;

	if (chain_parse(str_cut(text, '\n', &rest), &line) != 0 || line.is_seal)
		return;
	ret->first_seq = line.seq;
	copy(ret->first_time, sizeof(ret->first_time), line.time);
}

static ssize_t
read_at(int fd, char *buf, size_t n, off_t at)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = pread(fd, buf + have, n - have, at + (off_t)have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

int
audit_folder_ends(int fd, struct audit_ends *ret)
{
	char *buf = malloc(TAIL_BYTES);
	struct stat st;
	size_t from;
	ssize_t n;
	int err = E_IO;

	*ret = (struct audit_ends){.size = 0};
	if (buf == NULL)
		return E_NOMEM;
	if (fstat(fd, &st) != 0)
		goto out;
	from = (size_t)st.st_size > TAIL_BYTES ? (size_t)st.st_size - TAIL_BYTES : 0;
	n = read_at(fd, buf, TAIL_BYTES, (off_t)from);
	if (n < 0)
		goto out;
	while (n > 0 && buf[n - 1] != '\n') {
		n--;
		ret->half++;
	}
	ret->size = n > 0 ? from + (size_t)n : 0;
	if (n == 0)
		ret->half = (uint64_t)st.st_size;
	look_at_tail((struct str){buf, (size_t)n}, ret);
	n = read_at(fd, buf, HEAD_BYTES, 0);
	if (n < 0)
		goto out;
	look_at_head((struct str){buf, (size_t)n}, ret);
	err = 0;
out:
	free(buf);
	return err;
}

/* ---- sealed files ---- */

static DIR *
open_list(int folder)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

	if (dir == NULL && fd >= 0)
		close(fd);
	return dir;
}

static int
find_newest(int folder, char name[NAME_MAX + 1])
{
	DIR *dir = open_list(folder);
	uint64_t seq, best = 0;

	if (dir == NULL)
		return E_IO;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (chain_file_seq(e->d_name, &seq) == 0 && seq > best) {
			best = seq;
			str_copy(name, NAME_MAX + 1, str_from(e->d_name));
		}
	closedir(dir);
	return best > 0 ? 0 : E_NOT_FOUND;
}

int
audit_folder_newest(int folder, struct audit_ends *ret)
{
	char name[NAME_MAX + 1];
	int fd, err = find_newest(folder, name);

	if (err != 0)
		return err;
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return E_IO;
	err = audit_folder_ends(fd, ret);
	close(fd);
	return err;
}

static bool
is_older(int folder, const char *name, uint64_t before_ms)
{
	struct stat st;

	return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_mtim.tv_sec * 1000 < before_ms;
}

unsigned
audit_folder_remove(int folder, uint64_t before_ms, bool shipped)
{
	char newest[NAME_MAX + 1];
	struct shipped list = {.count = 0};
	unsigned count = 0;
	uint64_t seq;
	DIR *dir;

	if (find_newest(folder, newest) != 0 || (shipped && shipped_read(folder, &list) != 0))
		return 0;
	dir = open_list(folder);
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		if (chain_file_seq(e->d_name, &seq) == 0 && strcmp(e->d_name, newest) != 0 &&
		    (!shipped || shipped_has(&list, e->d_name)) &&
		    is_older(folder, e->d_name, before_ms))
			count += unlinkat(folder, e->d_name, 0) == 0;
	if (dir != NULL)
		closedir(dir);
	shipped_free(&list);
	return count;
}
