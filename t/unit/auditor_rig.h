/*
 * For tests of the keeper with audit on, on top of keeper_rig.h: workers that do no more than put
 * records into the segment, and what is in the files of them. The test itself is a worker once it
 * has entered; others are processes of their own.
 */
#pragma once
#include "shm/desk.h"
#include "t/unit/keeper_rig.h"

#define NUMBERS_MAX 4000000u
#define PAIR	    1 /* t/prod */

struct shared {
	_Atomic int sync_errno, write_errno; /* what the disk says, instead of doing it */
	_Atomic uint64_t begun;		     /* RPCs: numbers of all below */
	_Atomic bool halt;		     /* workers end what is under way, and leave */
};
extern struct shared *shared; /* with all processes of the test */
extern struct desk desk;      /* of the test, or of a worker's process */

void rig_make_audited(void); /* rig_make(), and audit on */

/* ---- what is in the files ---- */

struct tally {
	uint64_t rpcs, unfinished, lost, acts, gateway, files;
};
extern struct tally tally; /* of the last rig_tally_all() or rig_wait_for() */
extern uint8_t *seen;	   /* of NUMBERS_MAX, or NULL: by number, how often */

void rig_tally_all(void);
/* Until a member of the tally has come to this count; false when it never does, or goes beyond. */
bool rig_wait_for(const uint64_t *what, uint64_t count);
void rig_verify_all(void); /* every file, each the successor of the one before */

/* ---- workers ---- */

void rig_enter(unsigned row);
void rig_end_all(unsigned count); /* RPCs of the test itself, from begin to end */
/* In a process of its own: `burst` RPCs, a pause, again; some are always under way. */
pid_t rig_fork_worker(unsigned row, unsigned burst, unsigned pause_us);
/* Until so many RPCs have been begun since then: a worker that has just been forked is at work. */
void rig_wait_begun(uint64_t since, uint64_t count);
uint64_t rig_requests(void); /* as the counters have them */

unsigned rig_patience(void); /* a factor for times: valgrind makes everything slower */
