/*
 * The children: who sits where, and what is done when one dies, hangs or asks. Supervisor only.
 *
 * A seat outlives its processes: row in the segment, channels, configuration. A dead child is
 * ordinary: one line in the log and a successor on the same channels, at once the first time, after
 * a growing delay while it keeps dying young. Seats never move, and none is freed, so that a
 * callback may end any of them.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "daemon/listeners.h"
#include "daemon/world.h"
#include "shm/child.h"
#include "shm/procs.h"
#include "shm/segment.h"

struct children;

/*
 *	EMPTY --children_take--> WAITING --fork--> STARTING --LEASH_READY--> READY
 *	  ^                      |  ^                 |                        |
 *	  |   last, or ended     |  |                 +----children_drain------+
 *	  '----------------------'  |                 |    children_replace    |
 *	                            |                 v                        v
 *	                            '-----dies----- any of them            DRAINING
 */
enum seat_state { SEAT_EMPTY, SEAT_WAITING, SEAT_STARTING, SEAT_READY, SEAT_DRAINING };

struct seat {
	struct children *children;
	enum seat_state state;
	enum proc_kind kind;
	unsigned row, slot;
	unsigned restarts;   /* unwanted deaths so far */
	unsigned quick;	     /* of these, in a row and young */
	unsigned generation; /* of the process that runs, or ran last */
	struct world *world; /* what the next process gets */
	bool last;	     /* nobody follows the process */
	bool aborted;	     /* it hung and has been sent SIGABRT */
	bool ended;	     /* it has been sent SIGKILL by children_end() */
	pid_t pid;	     /* 0: none */
	int leash_fd;
	int keeper_fds[2], checker_fds[2]; /* workers: the worker's end, the other end */
	uint64_t forked_ms;
	uint64_t beat_ms; /* the last one seen; a child that leaves clears its row */
	uint64_t kill_ms; /* SIGKILL then; 0: never */
	struct msg_channel leash;
	struct loop_timer restart;
};

struct children_hooks {
	void (*ready)(void *arg, struct seat *);
	/* before a successor is planned; may end the seat */
	void (*gone)(void *arg, struct seat *);
	void (*left)(void *arg);			      /* a seat became empty */
	void (*asked)(void *arg, struct seat *, uint32_t id); /* LEASH_RELOAD */
	void (*stranger)(void *arg, pid_t, int status);	      /* died, and never sat here */
};

struct children {
	struct loop *loop;
	struct segment *segment;
	const struct listeners *listeners;
	const char *controller_path;
	uint8_t *pepper;  /* as spawn.h */
	bool probe_first; /* of the checker, as checker.h */
	const struct children_hooks *hooks;
	void *arg;
	int controller_fds[2]; /* the controller's end, the keeper's */
	struct loop_timer watch;
	uint64_t watched_ms, awake_ms;
	struct seat seats[SEGMENT_PROCS]; /* by row; row 0 is the supervisor's */
};

/* The other members are set by the caller before. E_IO. */
int children_open(struct children *) MUST_CHECK;
void children_close(struct children *); /* after all are gone */

/* A seat with its channels, no process yet. E_FULL (rows), E_IO (descriptors). */
int children_take(struct children *, enum proc_kind, unsigned slot, struct world *,
		  struct seat **ret) MUST_CHECK;
void children_start(struct seat *); /* forks; a failure is tried again like after a death */
void children_go(struct seat *);    /* a READY worker may accept */
void children_answer(struct seat *, const struct leash_reloaded *);

/* Ask it to finish; SIGKILL after the time. drain: the seat becomes empty then; replace: a process
 * with that world follows. */
void children_drain(struct seat *, uint64_t limit_ms);
void children_drain_kind(struct children *, enum proc_kind, uint64_t limit_ms);
void children_replace(struct seat *, struct world *, uint64_t limit_ms);
void children_end(struct seat *); /* SIGKILL; the seat becomes empty */

void children_reap(struct children *);	   /* on SIGCHLD */
void children_reopen(struct children *);   /* log files; after log_reopen() */
void children_recount(struct children *);  /* the keeper: nobody else writes any more */
void children_kill_all(struct children *); /* SIGKILL, and waits; no hook is called */

const char *children_reason(int status, char *buf, size_t size); /* "killed by SIGABRT"; buf */

/* Walks the seats that are not empty: NULL is the start and the end. */
struct seat *children_next(struct children *, struct seat *);
struct seat *children_find(struct children *, enum proc_kind); /* the first of a kind, or NULL */
bool children_none(struct children *, enum proc_kind);
unsigned children_count(struct children *, enum proc_kind);
