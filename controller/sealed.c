/*
 * Sealed audit files: a look into the folder, and into a file's two ends.
 */
#include "controller/sealed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "shm/shipped.h"

#define END_BYTES  ((size_t)4096) /* longer than the first line, and than a seal */
#define HOUR_CHARS 13		  /* of 2026-11-22T10:11:12.345Z */
#define DATE_CHARS 10

static int
open_folder(const char *state_dir, int *ret_fd)
{
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/" CHAIN_FOLDER, state_dir);

	if (n < 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return E_IO;
	}
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd >= 0 ? 0 : E_IO;
}

static void
count_file(int folder, const char *name, uint64_t seq, uint64_t *first_seq, struct sealed *ret)
{
	struct stat st;

	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
		return;
	ret->count++;
	ret->bytes += (uint64_t)st.st_size;
	if (ret->first[0] != '\0' && seq >= *first_seq)
		return;
	*first_seq = seq;
	str_copy(ret->first, sizeof(ret->first), str_from(name));
}

static int
look(int folder, const struct shipped *shipped, struct sealed *ret)
{
	int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	uint64_t seq, first_seq = 0;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return E_IO;
	}
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		if (chain_file_seq(e->d_name, &seq) == 0 && shipped_is_name(e->d_name) &&
		    !shipped_has(shipped, e->d_name))
			count_file(folder, e->d_name, seq, &first_seq, ret);
	closedir(dir);
	return 0;
}

/* The list is written anew for each file. */
static uint64_t
listed_ms(int folder)
{
	struct stat st;

	if (fstatat(folder, SHIPPED_FILE, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return 0;
	return (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
}

int
sealed_look(const char *state_dir, struct sealed *ret)
{
	struct shipped shipped;
	int folder, err = open_folder(state_dir, &folder);

	*ret = (struct sealed){.count = 0};
	if (err != 0)
		return errno == ENOENT ? 0 : err;
	err = shipped_read(folder, &shipped);
	if (err == 0) {
		ret->listed_ms = listed_ms(folder);
		err = look(folder, &shipped, ret);
		shipped_free(&shipped);
	}
	close(folder);
	return err;
}

int
sealed_open(const char *state_dir, const char *name, int *ret_fd)
{
	int folder, err = open_folder(state_dir, &folder);

	if (err != 0)
		return err;
	*ret_fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	err = *ret_fd >= 0 ? 0 : E_IO;
	close(folder);
	return err;
}

/* ---- the object's name ---- */

static int
read_end(int fd, bool last, char buf[END_BYTES], struct str *ret)
{
	off_t size = lseek(fd, 0, SEEK_END);
	off_t at = last && size > (off_t)END_BYTES ? size - (off_t)END_BYTES : 0;
	ssize_t n = size < 0 ? -1 : pread(fd, buf, END_BYTES, at);

	*ret = (struct str){buf, n > 0 ? (size_t)n : 0};
	return n < 0 ? E_IO : n == 0 ? E_SYNTAX : 0;
}

/* Nothing in it may be taken for a folder or need to be escaped. */
static void
make_plain(struct str name, char *ret, size_t size)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._";

	str_copy(ret, size, name);
	for (char *p = ret; *p != '\0'; p++)
		if (strchr(plain, *p) == NULL)
			*p = '-';
}

static int
read_first(int fd, char stamp[HOUR_CHARS + 1], char gateway[256])
{
	char buf[END_BYTES];
	struct chain_line line;
	struct str text, rest;
	int err = read_end(fd, false, buf, &text);

	if (err == 0)
		err = chain_parse(str_cut(text, '\n', &rest), &line);
	if (err != 0)
		return err;
	if (line.is_seal || line.time.n < HOUR_CHARS)
		return E_SYNTAX;
	str_copy(stamp, HOUR_CHARS + 1, line.time);
	make_plain(chain_member(line.text, "gateway"), gateway, 256);
	return 0;
}

static int
read_last(int fd, uint64_t *ret_first_seq, uint64_t *ret_last_seq)
{
	char buf[END_BYTES];
	struct chain_line line;
	struct str text;
	int err = read_end(fd, true, buf, &text);
	const char *before;

	if (err != 0)
		return err;
	if (text.p[text.n - 1] != '\n')
		return E_SYNTAX;
	before = text.n > 1 ? memrchr(text.p, '\n', text.n - 1) : NULL;
	if (before != NULL)
		text = (struct str){before + 1, text.n - (size_t)(before + 1 - text.p)};
	err = chain_parse(text, &line);
	if (err != 0 || !line.is_seal)
		return E_SYNTAX;
	*ret_first_seq = line.first_seq;
	*ret_last_seq = line.seq;
	return 0;
}

/* "audit-20261122T101112Z-000000000001.log" */
static int
name_damaged(const char *name, struct str prefix, char ret[SEALED_OBJECT])
{
	const char *stamp = name + strlen("audit-");
	uint64_t seq;
	int n;

	if (!shipped_is_name(name) || chain_file_seq(name, &seq) != 0 || strlen(stamp) < HOUR_CHARS)
		return E_SYNTAX;
	for (unsigned i = 0; i < 11; i++)
		if (i != 8 && (stamp[i] < '0' || stamp[i] > '9'))
			return E_SYNTAX;
	n = snprintf(ret, SEALED_OBJECT,
		     "%.*s/date=%.4s-%.2s-%.2s/hour=%.2s/damaged-%llu.ndjson.gz", STR_ARG(prefix),
		     stamp, stamp + 4, stamp + 6, stamp + 9, (unsigned long long)seq);
	return n > 0 && n < SEALED_OBJECT ? 0 : E_SYNTAX;
}

int
sealed_object(int fd, const char *name, struct str prefix, char ret[SEALED_OBJECT])
{
	char stamp[HOUR_CHARS + 1], gateway[256];
	uint64_t first_seq, last_seq;
	int n, err = read_first(fd, stamp, gateway);

	if (err == 0)
		err = read_last(fd, &first_seq, &last_seq);
	if (err == E_SYNTAX)
		return name_damaged(name, prefix, ret);
	if (err != 0)
		return err;
	n = snprintf(ret, SEALED_OBJECT, "%.*s/date=%.*s/hour=%s/%s-%llu-%llu.ndjson.gz",
		     STR_ARG(prefix), DATE_CHARS, stamp, stamp + DATE_CHARS + 1,
		     gateway[0] != '\0' ? gateway : "unnamed", (unsigned long long)first_seq,
		     (unsigned long long)last_seq);
	return n > 0 && n < SEALED_OBJECT ? 0 : E_SYNTAX;
}
