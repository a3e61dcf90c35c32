/*
 * What every child of the supervisor does: enter its row, beat, die with its parent, and obey the
 * leash.
 *
 * The leash is a SOCK_SEQPACKET pair between supervisor and child. Child to supervisor: READY.
 * Supervisor to child: GO (a worker may accept), DRAIN, REOPEN (with the new log file, which a
 * confined child could not open), RECOUNT (keeper: nobody else writes to the store any more). End of
 * file on it means that the supervisor is gone: the child exits at once.
 */
#pragma once
#include <stdbool.h>
#include <sys/types.h>
#include "lib/loop.h"
#include "lib/msg.h"
#include "shm/procs.h"

struct segment;

enum leash_type {
	LEASH_READY = 1,
	LEASH_GO,
	LEASH_DRAIN,
	LEASH_REOPEN,
	LEASH_RELOAD,
	LEASH_RELOADED,
	LEASH_RECOUNT
};

struct leash_plain { /* READY, GO, DRAIN, REOPEN, RELOAD, RECOUNT */
	struct msg_head head;
};
struct leash_reloaded { /* supervisor to controller: the answer to RELOAD */
	struct msg_head head;
	uint32_t failed;
	char words[1536]; /* NUL-terminated; the errors, a line each, when failed */
};

/* What the supervisor tells a child at fork. */
struct child_seat {
	enum proc_kind kind;
	unsigned slot, generation, restarts;
	unsigned row; /* index of its process row (and counter slot) */
	int leash_fd; /* the child's end */
	pid_t parent;
};

struct child {
	struct loop *loop;
	struct child_seat seat;
	struct segment *segment;
	struct procs_row *row;
	struct msg_channel leash; /* private */
	struct loop_timer beat;	  /* private */
	/* Each may be NULL; drain is then loop_stop(). reopen: after the log file was. reloaded:
	 * controller only. */
	void (*go)(void *arg);
	void (*drain)(void *arg);
	void (*reopen)(void *arg);
	void (*recount)(void *arg);
	void (*reloaded)(void *arg, const struct leash_reloaded *);
	void *arg;
};

/* The defaults, but what is meant for the supervisor is ignored: it speaks over the leash. Before
 * exec, which keeps what is ignored; child_enter() does it too. */
void child_reset_signals(void);
/* Names the process, sets PR_SET_PDEATHSIG, makes the loop, beats each second. SIGTERM and SIGINT
 * are ignored in children but the default action of SIGKILL; the leash speaks for the supervisor.
 * Exits if the parent is gone already. The callbacks are left as they are: set them before or
 * after. */
void child_enter(struct child *, const struct child_seat *, struct segment *);
void child_ready(struct child *);    /* tells the supervisor */
void child_draining(struct child *); /* writes the state into the row */
/* Controller: the answer comes to `reloaded`. E_AGAIN, E_STATE. */
int child_ask_reload(struct child *) MUST_CHECK;
void child_leave(struct child *); /* clears the row; before exit */
