/*
 * A real keeper in a process of its own, and the test in the place of supervisor, two workers and
 * controller. Clusters a (drivers one and two) and b (one): ids 1, 2 and 3 at the first start.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include "keeper/keeper.h"
#include "keeper/talk.h"
#include "lib/clock.h"
#include "lib/sock.h"
#include "shm/registry.h"
#include "t/unit/scratch.h"

#define ANSWER_MS 10000

struct keeper_rig {
	struct segment *segment;
	struct conf conf;
	struct conf_cluster clusters[2];
	int leash, workers[2], controller;		 /* our ends */
	int keeper_leash, keeper_workers[2], keeper_ctl; /* its ends, which outlive it */
	pid_t pid;
};
extern struct keeper_rig rig;

void rig_make(void); /* the test may change rig.conf then */
void rig_drop(void);

void rig_start(void); /* and waits until it is ready */
void rig_fork(void);  /* does not wait */
void rig_stop(void);  /* drains it; it must end well, and leak nothing */
void rig_kill(void);
int rig_end(void); /* waits for its end: its exit status, or 128 + signal */

/* ---- messages ---- */

void rig_say(enum leash_type);
/* The next message, into buf of MSG_MAX; fails the test after ANSWER_MS. */
const struct msg_head *rig_recv(int fd, void *buf);
struct keeper_done rig_ask(const struct msg_head *); /* by the controller */

struct keeper_key rig_key(unsigned n, const char *user);
struct keeper_bind rig_bind_message(unsigned n, const char *user, uint32_t driver);
struct keeper_bound rig_bind(int worker, unsigned n, const char *user, uint32_t driver);
/* TOUCH, RELEASE, LOST. */
void rig_note(enum keeper_type, unsigned n, const char *user, uint32_t driver, uint64_t created_ms);
void rig_settle(void); /* whatever worker 0 said before is committed after it */
struct keeper_done rig_close(unsigned n, const char *user);
struct keeper_done rig_drain(const char *name, bool on);

/* ---- what it keeps ---- */

struct db *rig_db(bool writer);
/* The row on the disk; E_NOT_FOUND. Strings are cleared. */
int rig_look(unsigned n, const char *user, struct session *ret);
/* Sessions of a driver as the segment tells; the slots of a fresh store are the ids less one. */
unsigned rig_count(unsigned slot);
size_t rig_commits(void);

/* ---- a disk that fills ---- */

bool rig_wait_for_ok(uint32_t want); /* whether the keeper says so within 5 s */
void rig_small_disk(void);	     /* skips the test where none can be mounted */
/* A descriptor whose file is all the room there was: cut it to have room again. */
int rig_fill_disk(void);
