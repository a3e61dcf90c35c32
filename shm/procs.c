/*
 * Process rows: one struct of atomics, written by its process, looked at by everybody.
 */
#include <unistd.h>
#include "lib/clock.h"
#include "lib/panic.h"
#include "shm/procs.h"

#define SILENT_MS 15000u /* the supervisor has killed long before */

const char *
procs_kind_name(unsigned kind)
{
	static const char *const names[] = {"none",    "supervisor", "worker",
					    "checker", "keeper",     "controller"};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

const char *
procs_state_name(unsigned state)
{
	static const char *const names[] = {"starting", "ready", "draining"};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "unknown";
}

bool
procs_is_beating(const struct procs_row *row, uint64_t now_ms)
{
	return atomic_load_explicit(&row->pid, memory_order_relaxed) != 0 &&
	       atomic_load_explicit(&row->beat_ms, memory_order_relaxed) + SILENT_MS >= now_ms;
}

/* The pid goes first and comes last: nobody takes a mixture of two processes for one. */
void
procs_enter(struct procs_row *row, enum proc_kind kind, unsigned slot, unsigned generation,
	    unsigned restarts)
{
	ASSERT(kind != PROC_NONE);
	atomic_store(&row->pid, 0);
	atomic_store(&row->kind, kind);
	atomic_store(&row->slot, slot);
	atomic_store(&row->generation, generation);
	atomic_store(&row->state, PROC_STARTING);
	atomic_store(&row->restarts, restarts);
	atomic_store(&row->drain_until_ms, 0);
	atomic_store(&row->started_wall_ms, clock_wall_ms());
	procs_beat(row, clock_ms());
	atomic_store(&row->pid, (uint32_t)getpid());
}

void
procs_set_state(struct procs_row *row, enum proc_state state)
{
	ASSERT(atomic_load(&row->pid) == (uint32_t)getpid());
	atomic_store(&row->state, state);
}

void
procs_beat(struct procs_row *row, uint64_t now_ms)
{
	atomic_store_explicit(&row->beat_ms, now_ms, memory_order_relaxed);
}

void
procs_drain(struct procs_row *row, uint64_t until_ms)
{
	ASSERT(atomic_load(&row->pid) == (uint32_t)getpid());
	atomic_store(&row->drain_until_ms, until_ms);
}

void
procs_leave(struct procs_row *row)
{
	ASSERT(atomic_load(&row->pid) == (uint32_t)getpid());
	atomic_store(&row->pid, 0);
}
