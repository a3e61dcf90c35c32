/*
 * The rig itself; see keeper_rig.h.
 */
#include <sched.h>
#include "t/unit/keeper_rig.h"

struct keeper_rig rig;

/* Ids 1, 2 and 3 at the first start. */
static struct conf_driver drivers_a[] = {{{"one", 3}, {"h1:1", 4}, 1},
					 {{"two", 3}, {"h2:1", 4}, 1}};
static struct conf_driver drivers_b[] = {{{"one", 3}, {"h3:1", 4}, 1}};

/* 99 when something leaked; only where the leak checker is linked in. */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void
pair(int *ret_ours, int *ret_its)
{
	int fds[2] = {-1, -1};

	cr_assert_eq(sock_pair(fds), 0);
	*ret_ours = fds[0];
	*ret_its = fds[1];
}

void
rig_make(void)
{
	scratch_make();
	cr_assert_eq(segment_create(scratch_path("segment"), &rig.segment), 0);
	rig.clusters[0] = (struct conf_cluster){.name = STR("a"),
						.team = STR("t"),
						.env = STR("prod"),
						.drivers = drivers_a,
						.drivers_count = 2};
	rig.clusters[1] = (struct conf_cluster){.name = STR("b"),
						.team = STR("t"),
						.env = STR("dev"),
						.drivers = drivers_b,
						.drivers_count = 1};
	rig.conf = (struct conf){.state_dir = str_from(scratch),
				 .clusters = rig.clusters,
				 .clusters_count = 2,
				 .session_idle_timeout_ms = 3600 * 1000};
	for (int i = 0; i < 2; i++)
		pair(&rig.workers[i], &rig.keeper_workers[i]);
	pair(&rig.controller, &rig.keeper_ctl);
}

int
rig_end(void)
{
	int status = scratch_wait(rig.pid);

	rig.pid = 0;
	sock_close(&rig.leash);
	sock_close(&rig.keeper_leash);
	return status;
}

void
rig_drop(void)
{
	if (rig.pid != 0) {
		kill(rig.pid, SIGKILL);
		rig_end();
	}
	segment_detach(&rig.segment);
	scratch_drop();
}

static void
run_child(pid_t parent)
{
	const struct keeper_setup setup = {
		.seat = {.kind = PROC_KEEPER,
			 .generation = 3,
			 .row = 4,
			 .leash_fd = rig.keeper_leash,
			 .parent = parent},
		.segment = rig.segment,
		.conf = &rig.conf,
		.worker_fds = rig.keeper_workers,
		.worker_fds_count = 2,
		.controller_fd = rig.keeper_ctl,
	};
	int status;

	close(rig.leash); /* else we would hold ourselves by the leash */
	status = keeper_run(&setup);
	if (__lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check() != 0)
		status = 99;
	_exit(status);
}

void
rig_fork(void)
{
	pid_t parent = getpid();

	pair(&rig.leash, &rig.keeper_leash);
	rig.pid = fork();
	if (rig.pid == 0)
		run_child(parent);
}

const struct msg_head *
rig_recv(int fd, void *buf)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	cr_assert_eq(poll(&p, 1, ANSWER_MS), 1, "no answer");
	cr_assert_eq(msg_recv(fd, buf, MSG_MAX), 0);
	return buf;
}

void
rig_start(void)
{
	_Alignas(16) char buf[MSG_MAX];

	rig_fork();
	cr_assert_eq(rig_recv(rig.leash, buf)->type, LEASH_READY);
}

void
rig_say(enum leash_type type)
{
	struct leash_plain m = {.head = {.type = (uint16_t)type, .size = sizeof(m)}};

	cr_assert_eq(msg_send(rig.leash, &m.head), 0);
}

void
rig_stop(void)
{
	rig_say(LEASH_DRAIN);
	cr_assert_eq(rig_end(), 0);
}

void
rig_kill(void)
{
	kill(rig.pid, SIGKILL);
	cr_assert_eq(rig_end(), 128 + SIGKILL);
}

struct keeper_key
rig_key(unsigned n, const char *user)
{
	struct keeper_key key = {.user_len = (uint16_t)strlen(user)};

	memcpy(key.id, &n, sizeof(n));
	memcpy(key.user, user, key.user_len);
	return key;
}

struct keeper_bind
rig_bind_message(unsigned n, const char *user, uint32_t driver)
{
	struct keeper_bind m = {
		.head = {KEEPER_BIND, sizeof(m), n}, .key = rig_key(n, user), .driver_id = driver};

	memcpy(m.cluster, "a", 2);
	memcpy(m.team, "t", 2);
	memcpy(m.env, "prod", 5);
	return m;
}

struct keeper_bound
rig_bind(int worker, unsigned n, const char *user, uint32_t driver)
{
	struct keeper_bind m = rig_bind_message(n, user, driver);
	_Alignas(16) char buf[MSG_MAX];
	const struct msg_head *head;

	cr_assert_eq(msg_send(rig.workers[worker], &m.head), 0);
	do {
		head = rig_recv(rig.workers[worker], buf);
	} while (head->type != KEEPER_BOUND);
	cr_assert(MSG_IS(head, keeper_bound) && head->id == n);
	return *(const struct keeper_bound *)(const void *)head;
}

void
rig_note(enum keeper_type type, unsigned n, const char *user, uint32_t driver, uint64_t created_ms)
{
	struct keeper_note m = {.head = {.type = (uint16_t)type, .size = sizeof(m)},
				.key = rig_key(n, user),
				.driver_id = driver,
				.created_ms = created_ms};

	cr_assert_eq(msg_send(rig.workers[0], &m.head), 0);
}

void
rig_settle(void)
{
	cr_assert_eq(rig_bind(0, 999999, "settle", 3).result, 0);
}

struct keeper_done
rig_ask(const struct msg_head *m)
{
	_Alignas(16) char buf[MSG_MAX];
	const struct msg_head *head;

	cr_assert_eq(msg_send(rig.controller, m), 0);
	head = rig_recv(rig.controller, buf);
	cr_assert(head->type == KEEPER_DONE && MSG_IS(head, keeper_done) && head->id == m->id);
	return *(const struct keeper_done *)(const void *)head;
}

struct keeper_done
rig_close(unsigned n, const char *user)
{
	struct keeper_close m = {.head = {KEEPER_CLOSE, sizeof(m), 77}, .key = rig_key(n, user)};

	return rig_ask(&m.head);
}

struct keeper_done
rig_drain(const char *name, bool on)
{
	struct keeper_drain m = {.head = {KEEPER_DRAIN, sizeof(m), 78}, .drain = on};

	str_copy(m.name, sizeof(m.name), str_from(name));
	return rig_ask(&m.head);
}

struct db *
rig_db(bool writer)
{
	struct db *db = NULL;
	const char *words;

	cr_assert_eq(db_open(scratch, writer, 0, &db, &words), 0, "%s", words);
	return db;
}

int
rig_look(unsigned n, const char *user, struct session *ret)
{
	struct keeper_key k = rig_key(n, user);
	struct session_key key = {.user = str_from(user)};
	struct db *db = rig_db(false);
	int err;

	memcpy(key.id, k.id, sizeof(key.id));
	cr_assert_eq(db_read_begin(db), 0);
	err = sessions_get(db, &key, ret);
	ret->cluster = ret->team = ret->env = STR_NONE;
	db_read_end(db);
	db_close(&db);
	return err;
}

unsigned
rig_count(unsigned slot)
{
	return atomic_load(&segment_driver_sessions(rig.segment)[slot]);
}

size_t
rig_commits(void)
{
	MDB_envinfo info;
	MDB_env *env;

	cr_assert_eq(mdb_env_create(&env), 0);
	cr_assert_eq(mdb_env_open(env, scratch, MDB_RDONLY, 0), 0);
	cr_assert_eq(mdb_env_info(env, &info), 0);
	mdb_env_close(env);
	return info.me_last_txnid;
}

/* ---- a disk that fills ---- */

bool
rig_wait_for_ok(uint32_t want)
{
	for (int i = 0; i < 500; i++) {
		if (atomic_load(segment_keeper_ok(rig.segment)) == want)
			return true;
		usleep(10 * 1000);
	}
	return false;
}

void
rig_small_disk(void)
{
	if (unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", scratch, "tmpfs", 0, "size=1m,mode=700") != 0)
		cr_skip_test("a small tmpfs cannot be mounted here: %s", strerror(errno));
}

int
rig_fill_disk(void)
{
	static char big[64 * 1024];
	int fd = open(scratch_path("ballast"), O_WRONLY | O_CREAT, 0600);

	while (write(fd, big, sizeof(big)) > 0 || write(fd, big, 512) > 0)
		continue;
	return fd;
}
