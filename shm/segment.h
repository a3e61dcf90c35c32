/*
 * The shared segment: a file in the run directory that every process maps. One layout, one version.
 *
 * The supervisor creates it before the first fork and writes only its own rows afterwards. Each part
 * has one writer (named over its struct in the part's header: procs.h, health.h, counters.h,
 * labels.h, metrics.h, ring.h, open.h, ledger.h, earlier.h). Indexes, never pointers. Survives the death of
 * every process (tmpfs), so that the next start writes out the audit records that were left in it.
 *
 * The file is 4.8 GiB long and nearly all hole: memory is taken by the small parts (4 MiB) and,
 * when a process asks for them, by its row's ring, open slots and metrics (2.1 MiB per worker, and
 * 0.5 MiB for each 1024 RPCs more that it has open at once).
 * Nobody may touch those of a row that were not reserved; the accessors answer NULL for them.
 */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"
#include "shm/limits.h"

struct procs_row;
struct earlier;
struct labels;
struct ledger;
struct metrics_keeper;
struct metrics_slot;
struct open_row;
struct ring;
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
/* What an earlier life of the gateway left, also of another version as long as the keeper can read
 * its audit parts: only ledger, rings, open slots and row locks may then be asked for. */
int segment_attach_old(const char *path, struct segment **ret) MUST_CHECK;

struct procs_row *segment_procs(struct segment *);   /* SEGMENT_PROCS of them */
struct health_row *segment_health(struct segment *); /* SEGMENT_DRIVERS of them, by driver slot */
struct counters_slot *segment_counters(struct segment *); /* SEGMENT_COUNTERS of them */
struct labels *segment_labels(struct segment *);
struct ledger *segment_ledger(struct segment *);
struct metrics_keeper *segment_metrics_keeper(struct segment *);
struct earlier *segment_earlier(struct segment *);

/* Parts of a row that take memory only when asked for. The process in the row asks once, at its
 * start; what its predecessor had stays as it is. E_FULL (tmpfs), E_IO. */
#define SEGMENT_METRICS (1u << 0)
#define SEGMENT_AUDIT	(1u << 1) /* ring and the first open slots */
int segment_reserve(struct segment *, unsigned row, unsigned parts) MUST_CHECK;
/* The row's open slots, so many of them; OPEN_FIRST come with SEGMENT_AUDIT. A system call. */
int segment_reserve_slots(struct segment *, unsigned row, unsigned count) MUST_CHECK;
struct metrics_slot *segment_metrics(struct segment *, unsigned row); /* NULL: not reserved */
struct ring *segment_ring(struct segment *, unsigned row);
struct open_row *segment_open(struct segment *, unsigned row);

/* Who lives in a row holds a lock of the file that the kernel drops with the process, however it
 * dies. E_EXISTS: another process has it; E_IO. Any other descriptor of the file that the process
 * closes drops it, too. */
int segment_enter_row(struct segment *, unsigned row) MUST_CHECK;
bool segment_row_lives(struct segment *, unsigned row); /* in another process; a system call */
unsigned segment_rows(const struct segment *);		/* SEGMENT_PROCS; of an old one its own */

/* Moves whenever the registry in LMDB has changed. Writer: keeper. Readers: all, once per loop turn
 * or timer. */
_Atomic uint64_t *segment_registry_generation(struct segment *);
/* Move whenever something was committed to that table that others must see: load the number before
 * the rows, and read again when it is another. Writer: keeper. Readers: workers, controller. */
enum segment_what { SEGMENT_TOKENS, SEGMENT_KEYS, SEGMENT_SETTINGS, SEGMENT_WHATS };
_Atomic uint64_t *segment_generation(struct segment *, enum segment_what);
/* Live bindings per driver slot. Writer: keeper. Readers: workers (placement), controller. */
_Atomic uint32_t *segment_driver_sessions(struct segment *);
/* Live bindings per pair of labels.h. Writer: keeper. Readers: controller. */
_Atomic uint32_t *segment_pair_sessions(struct segment *);
/* 1 while the keeper can commit (not disk-full, not broken). Writer: keeper. */
_Atomic uint32_t *segment_keeper_ok(struct segment *);
/* The last audit record that was looked at for a span. Writer: whichever controller looks; at a
 * reload there are two, so by compare-and-swap. */
_Atomic uint64_t *segment_spans_seq(struct segment *);
