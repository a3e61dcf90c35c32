/* The store on disks that fail: a write that is refused, a file that broke, a disk that is full. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include "t/unit/db_rig.h"

TestSuite(db_disk, .init = scratch_make, .fini = scratch_drop, .timeout = 60);

/* The two descriptors LMDB has of its file: for data, and for the root pages. */
static int
find_fd(bool for_roots)
{
	char link[64], target[PATH_MAX];

	for (int fd = 3; fd < 256; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strstr(target, "/data.mdb") != NULL &&
		    for_roots == ((fcntl(fd, F_GETFL) & O_DSYNC) != 0))
			return fd;
	}
	cr_assert_fail("no such descriptor");
	return -1;
}

Test(db_disk, a_refused_write_costs_only_its_batch)
{
	struct db *db = open_db(true);
	int full = open("/dev/full", O_RDWR), fd = find_fd(false), saved = dup(fd);

	cr_assert_eq(put(db, "a", "1"), 0);
	cr_assert_eq(dup2(full, fd), fd);
	cr_expect_eq(put(db, "b", "2"), E_FULL);
	cr_expect_eq(put(db, "b", "2"), E_FULL);
	cr_expect_str_eq(look(db, "a"), "1");
	cr_expect_str_eq(look(db, "b"), "-");
	cr_assert_eq(dup2(saved, fd), fd);
	cr_expect_eq(put(db, "b", "2"), 0);
	cr_expect_str_eq(look(db, "b"), "2");
	close(saved);
	close(full);
	db_close(&db);
}

Test(db_disk, a_store_that_broke_is_opened_again)
{
	struct db *db = open_db(true);
	int full = open("/dev/full", O_RDWR), fd = find_fd(true);

	cr_assert_eq(put(db, "a", "1"), 0);
	cr_assert_eq(dup2(full, fd), fd);
	cr_expect_eq(put(db, "b", "2"), E_FULL);
	cr_expect_eq(put(db, "c", "3"), 0, "after reopening");
	cr_expect_str_eq(look(db, "a"), "1");
	cr_expect_str_eq(look(db, "b"), "-");
	cr_expect_str_eq(look(db, "c"), "3");
	close(full);
	db_close(&db);
}

Test(db_disk, a_full_disk_refuses_and_recovers)
{
	static char big[64 * 1024];
	const char *ballast = scratch_path("ballast");
	struct db *db;
	int fd, err = 0;

	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", scratch, "tmpfs", 0, "size=1m,mode=700") != 0)
		cr_skip_test("a small tmpfs cannot be mounted here: %s", strerror(errno));
	db = open_db(true);
	cr_assert_eq(put(db, "a", "1"), 0);
	fd = open(ballast, O_WRONLY | O_CREAT, 0600);
	while (write(fd, big, sizeof(big)) > 0)
		continue;
	for (unsigned i = 0; i < 100 && err == 0; i++) {
		char key[8];

		snprintf(key, sizeof(key), "k%u", i);
		cr_assert_eq(db_write_begin(db), 0);
		db_put(db, DB_SESSIONS, str_from(key), (struct str){big, sizeof(big)});
		err = db_commit(db);
	}
	cr_expect_eq(err, E_FULL, "%s", err_text(err));
	cr_expect_str_eq(look(db, "a"), "1");
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_expect_eq(put(db, "b", "2"), 0);
	cr_expect_str_eq(look(db, "b"), "2");
	close(fd);
	db_close(&db);
	umount(scratch);
}
