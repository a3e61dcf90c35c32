/*
 * The audit file: lines are numbered, chained and appended, batch by batch; full or old files are
 * sealed and renamed (shm/chain.h).
 *
 * A batch is in the file as a whole or not at all, as far as anybody lives to see it; what a killed
 * keeper left of one is found by the ledger and audit_file_settle(). While a batch is made the
 * folder is locked, so that the keepers of two gateways may use it in turn (a binary upgrade); each
 * goes on where the file ends.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "keeper/audit_batch.h"
#include "keeper/audit_tail.h"
#include "lib/loop.h"
#include "shm/chain.h"
#include "shm/ledger.h"
#include "shm/metrics.h"

struct audit_file;

struct audit_file_setup {
	struct loop *loop;
	const char *state_dir;
	struct str gateway; /* the name in each line */
	uint64_t max_bytes, max_age_ms;
	bool shipped; /* files stay until the store has them */
	const uint8_t *key; /* CHAIN_KEY bytes; stays the caller's */
	struct metrics_keeper *metrics;
	struct ledger *ledger; /* of the segment; last_seq is kept here */
	void (*synced)(void *arg); /* after each sync, however it ended */
	void *arg;
};

struct audit_file *audit_file_new(const struct audit_file_setup *); /* NULL: out of memory */
void audit_file_free(struct audit_file **); /* what is not synchronised stays so */

/* One batch: begin, then lines, then write or abandon. E_AGAIN: another keeper's turn, or a seal is
 * being synchronised; E_FULL, E_IO with errno, E_DENIED (not a file). */
int audit_file_begin(struct audit_file *) MUST_CHECK;
struct audit_batch *audit_file_batch(struct audit_file *); /* between the two */
/* What the ledger says of the batch, without `writing`. */
void audit_file_note(const struct audit_file *, struct ledger *ret);
/* E_FULL, E_IO; the batch is gone either way */
int audit_file_write(struct audit_file *) MUST_CHECK;
void audit_file_abandon(struct audit_file *);

/* Of a batch that a dead keeper was writing: is it in the file? If a part is, that is cut off.
 * Not in a batch. */
int audit_file_settle(struct audit_file *, const struct ledger *, bool *ret_written) MUST_CHECK;

struct audit_tail *audit_file_tail(struct audit_file *); /* what is not on the disk yet */
/* Bytes written, and of these on the disk, since ever. */
uint64_t audit_file_written(const struct audit_file *);
uint64_t audit_file_on_disk(const struct audit_file *);

/* Removes files that were sealed before that moment; the newest one stays. How many. */
unsigned audit_file_expire(struct audit_file *, uint64_t before_ms);
bool audit_file_is_due(const struct audit_file *, uint64_t wall_ms); /* by size or age */
/* Seals it, if it has any record; no new one is begun before there is a line for it. Not in a batch.
 * As audit_file_write() and begin. */
int audit_file_rotate(struct audit_file *) MUST_CHECK;
/* To be called after each sync: once the seal is on the disk the file gets the name under which it
 * stays. 0, too, when no file waits for that. As begin. */
int audit_file_name_sealed(struct audit_file *) MUST_CHECK;
