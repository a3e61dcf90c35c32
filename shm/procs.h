/*
 * Process rows: who runs, since when, and whether it still beats.
 *
 * Writer of a row: the process itself, between procs_enter() and its death; the supervisor chooses
 * the row's index before it forks and writes nothing. A row is valid while its pid is non-zero; the
 * next process to be given the index overwrites it.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum proc_kind {
	PROC_NONE,
	PROC_SUPERVISOR,
	PROC_WORKER,
	PROC_CHECKER,
	PROC_KEEPER,
	PROC_CONTROLLER
};
enum proc_state { PROC_STARTING, PROC_READY, PROC_DRAINING };

struct procs_row {
	_Atomic uint32_t pid;
	_Atomic uint32_t kind;
	_Atomic uint32_t slot;	     /* worker number; 0 for the others */
	_Atomic uint32_t generation; /* of the configuration */
	_Atomic uint32_t state;
	_Atomic uint32_t restarts; /* of this kind and slot before this process, as told at fork */
	_Atomic uint64_t started_wall_ms;
	_Atomic uint64_t beat_ms;	 /* monotonic clock */
	_Atomic uint64_t drain_until_ms; /* likewise; 0: it does not drain, or knows no limit */
};

const char *procs_kind_name(unsigned kind);   /* "worker" */
const char *procs_state_name(unsigned state); /* "ready" */

/* Not of a process that was killed, or hangs and will be: for sums over living processes that must
 * cost no system call. A row may outlive its process for as long as nobody is given its index. */
bool procs_is_beating(const struct procs_row *, uint64_t now_ms);

/* Also beats. */
void procs_enter(struct procs_row *, enum proc_kind, unsigned slot, unsigned generation,
		 unsigned restarts);
void procs_set_state(struct procs_row *, enum proc_state);
void procs_beat(struct procs_row *, uint64_t now_ms);
void procs_drain(struct procs_row *, uint64_t until_ms); /* it ends then at the latest */
void procs_leave(struct procs_row *); /* at a clean exit */
