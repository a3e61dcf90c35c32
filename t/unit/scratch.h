/*
 * For tests that need files: a folder of their own, gone with the test. One per test process,
 * whatever the number of its sources (which is why it is weak: any of them may bring it).
 */
#pragma once
#include <criterion/criterion.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((weak)) char scratch[PATH_MAX];

static inline void
scratch_make(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(scratch, sizeof(scratch), "%s/sparkgw-test.XXXXXX", base != NULL ? base : "/tmp");
	cr_assert_not_null(mkdtemp(scratch));
}

static inline int
scratch_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline void
scratch_drop(void)
{
	nftw(scratch, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* "<folder>/name"; a few at a time. */
static inline const char *
scratch_path(const char *name)
{
	static char paths[4][PATH_MAX + 64];
	static unsigned turn;
	char *p = paths[turn++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", scratch, name);
	return p;
}

/* The exit status of a child, or 128 + signal. */
static inline int
scratch_wait(pid_t pid)
{
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
