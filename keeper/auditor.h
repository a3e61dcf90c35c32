/*
 * The auditor: brings audit records out of the shared memory into the audit file, as a part of the
 * keeper.
 *
 * Looks every 50 ms at most, takes a bounded number of records a turn, and has them on the disk
 * about 100 ms after they were made; the sync runs beside the loop (audit_sync.h). While records
 * cannot be written, the ledger says so, nothing is taken, and a try is made each second. What was
 * lost meanwhile is told in the file, exactly.
 */
#pragma once
#include "conf/types.h"
#include "keeper/talk.h"
#include "lib/loop.h"
#include "shm/segment.h"

struct auditor;

struct auditor_setup {
	struct loop *loop;
	struct segment *segment;
	const struct conf *conf;
	unsigned generation; /* of the configuration, for the record of the start */
};

/* NULL: no memory, no thread, or no key; logged. Whatever else is wrong is tried again. */
struct auditor *auditor_new(const struct auditor_setup *);
void auditor_free(struct auditor **); /* all marks stay for a successor */

void auditor_act(struct auditor *, int answer_fd, const struct keeper_audit *);
void auditor_reopen(struct auditor *); /* seals the file and begins another */
/* Takes what there is, as far as it can in two seconds, and waits for the disk. */
void auditor_finish(struct auditor *);
