/*
 * The shared segment: a file in the run directory that every process maps. One layout, one version.
 *
 * The supervisor creates it before the first fork and does not write to it afterwards. Each part
 * has one writer (named over its struct in the part's header: procs.h, health.h, counters.h).
 * Indexes, never pointers. Survives the death of every process (tmpfs), so that the next start can
 * look at what was left.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>
#include "lib/err.h"
#include "shm/limits.h"

struct procs_row;
struct health_row;
struct counters_slot;

struct segment; /* the mapping */

/* Makes (replacing an old one atomically) or maps an existing file. E_IO, E_FULL, E_NOT_FOUND,
 * E_VERSION, E_SYNTAX (not a segment). */
int segment_create(const char *path, struct segment **ret) MUST_CHECK;
int segment_attach(const char *path, struct segment **ret) MUST_CHECK; /* read and write */
/* For exec'ed children: takes fd over and closes it on detach; on failure it stays yours. */
int segment_attach_fd(int fd, struct segment **ret) MUST_CHECK;
int segment_fd(const struct segment *); /* close-on-exec; what daemon/ hands to exec is another */
void segment_detach(struct segment **); /* unmaps, keeps the file */

struct procs_row *segment_procs(struct segment *);   /* SEGMENT_PROCS of them */
struct health_row *segment_health(struct segment *); /* SEGMENT_DRIVERS of them, by driver slot */
struct counters_slot *segment_counters(struct segment *); /* SEGMENT_COUNTERS of them */

/* Moves whenever the registry in LMDB has changed. Writer: keeper. Readers: all, once per loop turn
 * or timer. */
_Atomic uint64_t *segment_registry_generation(struct segment *);
/* Move whenever something was committed to that table that others must see: load the number before
 * the rows, and read again when it is another. Writer: keeper. Readers: workers, controller. */
enum segment_what { SEGMENT_TOKENS, SEGMENT_KEYS, SEGMENT_SETTINGS, SEGMENT_WHATS };
_Atomic uint64_t *segment_generation(struct segment *, enum segment_what);
/* Live bindings per driver slot. Writer: keeper. Readers: workers (placement), controller. */
_Atomic uint32_t *segment_driver_sessions(struct segment *);
/* 1 while the keeper can commit (not disk-full, not broken). Writer: keeper. */
_Atomic uint32_t *segment_keeper_ok(struct segment *);
