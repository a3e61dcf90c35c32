/* The file of the pepper: made once whoever comes first, refused when it cannot be trusted. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "shm/pepper.h"
#include "t/unit/scratch.h"

#define RACERS 8
#define RACES  20

static char words[PATH_MAX + 256];

TestSuite(pepper, .init = scratch_make, .fini = scratch_drop, .timeout = 60);

static int
make(bool *ret_made)
{
	words[0] = '\0';
	return pepper_make(str_from(scratch), ret_made, words, sizeof(words));
}

static int
look(uint8_t ret[PEPPER_SIZE])
{
	words[0] = '\0';
	return pepper_read(str_from(scratch), ret, words, sizeof(words));
}

static void
put(const char *name, const void *p, size_t n, mode_t mode)
{
	const char *path = scratch_path(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && write(fd, p, n) == (ssize_t)n && fchmod(fd, mode) == 0);
	close(fd);
}

static unsigned
mode_of(const char *name)
{
	struct stat st;

	cr_assert_eq(stat(scratch_path(name), &st), 0);
	return st.st_mode & 07777;
}

static int
count_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)path, (void)st, (void)flag;
	return ftw->level == 1 ? 0x100 : 0;
}

/* Nothing but the pepper is in the folder: with it away, the folder can be removed. */
static void
expect_tidy(void)
{
	unlink(scratch_path("keys/pepper"));
	cr_expect_eq(nftw(scratch_path("keys"), count_one, 4, FTW_PHYS), 0);
	cr_expect_eq(rmdir(scratch_path("keys")), 0, "%s", strerror(errno));
}

Test(pepper, is_made_once)
{
	static const uint8_t zeros[PEPPER_SIZE];
	uint8_t first[PEPPER_SIZE], again[PEPPER_SIZE], other[PEPPER_SIZE];
	bool made = false;

	cr_assert_eq(look(first), E_IO);
	cr_expect_not_null(strstr(words, "keys/pepper: No such file"), "%s", words);
	umask(0);
	cr_assert_eq(make(&made), 0, "%s", words);
	cr_expect(made && mode_of("keys") == 0700 && mode_of("keys/pepper") == 0600);
	cr_assert_eq(look(first), 0, "%s", words);
	cr_assert_eq(make(&made), 0, "%s", words);
	cr_expect_not(made);
	cr_assert_eq(look(again), 0);
	cr_expect(memcmp(first, again, PEPPER_SIZE) == 0);
	cr_expect(memcmp(first, zeros, PEPPER_SIZE) != 0);
	expect_tidy();
	cr_assert_eq(make(&made), 0);
	cr_expect(made && look(other) == 0 && memcmp(first, other, PEPPER_SIZE) != 0);
}

/* Exit status: 1 made it, 2 found it; what was read goes into `out`. */
static pid_t
race(int gate, int out)
{
	pid_t pid = fork();

	cr_assert(pid >= 0);
	if (pid == 0) {
		uint8_t bytes[PEPPER_SIZE];
		bool made;
		char go;

		(void)!read(gate, &go, 1);
		if (make(&made) != 0 || look(bytes) != 0 ||
		    write(out, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
			_exit(77);
		_exit(made ? 1 : 2);
	}
	return pid;
}

static void
race_once(void)
{
	uint8_t first[PEPPER_SIZE], bytes[PEPPER_SIZE];
	int gate[2], out[2], makers = 0;
	pid_t pids[RACERS];

	cr_assert(pipe2(gate, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	for (unsigned i = 0; i < RACERS; i++)
		pids[i] = race(gate[0], out[1]);
	cr_assert_eq(write(gate[1], "go!!!!!!", RACERS), RACERS);
	for (unsigned i = 0; i < RACERS; i++) {
		int status = scratch_wait(pids[i]);

		cr_expect(status == 1 || status == 2, "%d", status);
		makers += status == 1;
	}
	cr_expect_eq(makers, 1);
	for (unsigned i = 0; i < RACERS; i++) {
		cr_assert_eq(read(out[0], bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
		if (i == 0)
			memcpy(first, bytes, sizeof(first));
		cr_expect(memcmp(first, bytes, sizeof(first)) == 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		close(gate[i]);
		close(out[i]);
	}
	expect_tidy();
}

Test(pepper, many_at_once_agree)
{
	for (unsigned i = 0; i < RACES; i++)
		race_once();
}

static const struct {
	size_t size;
	mode_t mode;
	int rc;
	const char *words;
} files[] = {
	{32, 0600, 0, ""},
	{32, 0400, 0, ""},
	{32, 0660, 0, ""}, /* a volume that a group mounts */
	{32, 0604, E_DENIED, "keys/pepper: open to others (mode 0604); do chmod o= on it"},
	{32, 0602, E_DENIED, "keys/pepper: open to others (mode 0602)"},
	{31, 0600, E_SYNTAX, "keys/pepper: has 31 bytes, not 32"},
	{33, 0600, E_SYNTAX, "keys/pepper: has 33 bytes, not 32"},
	{0, 0600, E_SYNTAX, "keys/pepper: has 0 bytes, not 32"},
};

Test(pepper, what_is_there_is_looked_at)
{
	const uint8_t bytes[40] = "0123456789012345678901234567890123";
	bool made;

	cr_assert_eq(make(&made), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		uint8_t got[PEPPER_SIZE] = "untouched";

		put("keys/pepper", bytes, files[i].size, files[i].mode);
		made = true;
		cr_expect_eq(make(&made), 0, "%s", words);
		cr_expect_not(made);
		cr_expect_eq(look(got), files[i].rc, "%zu: %s", i, words);
		cr_expect_not_null(strstr(words, files[i].words), "%zu: %s", i, words);
		cr_expect(memcmp(got, files[i].rc == 0 ? "01234567" : "untouche", 8) == 0);
	}
}

Test(pepper, what_is_no_file)
{
	uint8_t got[PEPPER_SIZE];
	bool made;

	cr_assert_eq(mkdir(scratch_path("keys"), 0700), 0);
	cr_assert_eq(mkfifo(scratch_path("keys/pepper"), 0600), 0);
	cr_expect_eq(make(&made), 0);
	cr_expect_eq(look(got), E_DENIED);
	cr_expect_not_null(strstr(words, "not a regular file"), "%s", words);
	unlink(scratch_path("keys/pepper"));
	/* a link to nowhere is neither followed nor replaced */
	cr_assert_eq(symlink("../elsewhere", scratch_path("keys/pepper")), 0);
	cr_expect_eq(make(&made), 0);
	cr_expect_not(made);
	cr_expect_eq(look(got), E_IO);
	cr_expect_neq(access(scratch_path("elsewhere"), F_OK), 0);
	/* one to a file is: secrets may be mounted that way */
	put("elsewhere", "01234567890123456789012345678901", 32, 0400);
	cr_expect_eq(look(got), 0, "%s", words);
}

Test(pepper, folder)
{
	bool made = false;

	put("keys", "", 0, 0600);
	cr_expect_eq(make(&made), E_DENIED);
	cr_expect_not_null(strstr(words, "keys: not a folder"), "%s", words);
	unlink(scratch_path("keys"));
	cr_assert_eq(mkdir(scratch_path("keys"), 0700), 0);
	cr_assert_eq(chmod(scratch_path("keys"), 0755), 0);
	cr_expect_eq(make(&made), E_DENIED);
	cr_expect_not_null(strstr(words, "keys: open to others (mode 0755); do chmod o= on it"),
			   "%s", words);
	cr_expect_not(made);
	cr_expect_neq(access(scratch_path("keys/pepper"), F_OK), 0);
	cr_expect_eq(pepper_make(STR("/nowhere"), &made, words, sizeof(words)), E_IO);
	cr_expect_not_null(strstr(words, "cannot make /nowhere/keys: No such file"), "%s", words);
}
