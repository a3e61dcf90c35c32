/*
 * The turns of the auditor.
 *
 *	begin a batch -> acts, old segments, this segment -> ledger -> write -> settle the marks
 *
 * A batch that cannot be written leaves everything where it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "keeper/audit_acts.h"
#include "keeper/audit_file.h"
#include "keeper/audit_key.h"
#include "keeper/audit_sources.h"
#include "keeper/auditor.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"

#define AUDITOR_MAGIC 0x41756469u
#define TURN_RECORDS  512 /* some 3 ms */
#define MANY_RECORDS  128 /* in a turn: then the next one follows at once */
#define BUSY_MS	      20
#define IDLE_MS	      50
#define SYNC_MS	      50
#define DEAD_MS	      200
#define SECOND_MS     1000
#define FINISH_MS     2000
#define KEEP_MS	      60000
#define BOOKS_ROW     0 /* its metrics are the keeper's, for the dead */

struct auditor {
	unsigned magic;
	struct auditor_setup with;
	struct ledger *ledger;
	struct metrics_keeper *metrics;
	struct audit_redact *redact;
	struct audit_file *file; /* NULL: audit is off */
	struct audit_acts *acts;
	struct audit_sources *sources;
	uint8_t key[CHAIN_KEY];
	char gateway[256];
	bool stalled, reopen;
	bool unsealed; /* sealing failed, and that has been said */
	uint64_t stalled_ms;
	struct loop_timer turn, sync, dead, second, keep;
};

static void on_turn(void *arg);

static void
count(struct auditor *a, enum metrics_keeper_number what, uint64_t by)
{
	metrics_add(&a->metrics->number[what], by);
}

static void
set(struct auditor *a, enum metrics_keeper_number what, uint64_t value)
{
	atomic_store_explicit(&a->metrics->number[what], value, memory_order_relaxed);
}

/* ---- whether records can be written ---- */

static void
stall(struct auditor *a, int err)
{
	bool refuse = a->with.conf->audit.on_full == AUDIT_REFUSE;

	if (!a->stalled) {
		log_error(NULL,
			  "audit: records cannot be written: %s; when memory for them is "
			  "half full, %s",
			  errno != 0 ? strerror(errno) : err_text(err),
			  refuse ? "new plans are refused" : "records will be lost");
		a->stalled_ms = clock_ms();
	}
	a->stalled = true;
	atomic_store(&a->ledger->stalled, 1);
	set(a, METRICS_KEEPER_audit_stalled, 1);
}

static void
resume(struct auditor *a)
{
	if (!a->stalled)
		return;
	log_info(NULL, "audit: records can be written again");
	a->stalled = false;
	atomic_store(&a->ledger->stalled, 0);
	set(a, METRICS_KEEPER_audit_stalled, 0);
}

/* ---- a turn ---- */

/* Marks that a dead keeper left: its batch is in the file, or it is not. */
static int
settle_source(struct auditor *a, struct audit_source *s)
{
	const struct ledger *l = segment_ledger(audit_source_segment(s));
	bool written = false;
	int err = 0;

	if (a->file == NULL)
		written = true; /* audit is off */
	else if (atomic_load(&l->writing) != 0)
		err = audit_file_settle(a->file, l, &written);
	if (err == 0)
		audit_source_recover(s, written);
	return err;
}

static int
settle_all(struct auditor *a)
{
	int err = 0;

	for (unsigned n = 0; n < AUDIT_SOURCES && err == 0; n++) {
		struct audit_source *s = audit_sources_get(a->sources, n);

		if (s != NULL && audit_source_is_fresh(s))
			err = settle_source(a, s);
	}
	return err;
}

static bool
has_any(struct auditor *a)
{
	return a->stalled || audit_acts_waiting(a->acts) || audit_sources_have_any(a->sources);
}

/* That nothing was lost is worth a line, too; and it tries the disk. */
static void
add_resumed(struct auditor *a, struct audit_batch *batch)
{
	struct buf *b = audit_batch_line(batch, "gateway", clock_wall_ms());

	buf_add_str(b, STR(",\"event\":\"resumed\""));
	buf_printf(b, ",\"stalled_ms\":%llu", (unsigned long long)(clock_ms() - a->stalled_ms));
	audit_batch_end_line(batch);
}

static unsigned
fill(struct auditor *a, struct audit_batch *batch, struct audit_tally *tally)
{
	unsigned budget = TURN_RECORDS, acts = 0;

	if (batch != NULL && a->stalled)
		add_resumed(a, batch);
	if (batch != NULL)
		acts = audit_acts_take(a->acts, batch);
	audit_sources_take(a->sources, batch, a->redact, &budget, tally);
	return acts + TURN_RECORDS - budget + a->stalled;
}

static void
settle(struct auditor *a, const struct audit_tally *tally)
{
	audit_sources_settle(a->sources);
	if (a->file != NULL)
		audit_acts_settle(a->acts, audit_file_written(a->file));
	count(a, METRICS_KEEPER_audit_records, tally->records);
	count(a, METRICS_KEEPER_audit_unfinished, tally->unfinished);
	count(a, METRICS_KEEPER_audit_lost, tally->lost);
}

static void
untake(struct auditor *a)
{
	audit_sources_untake(a->sources);
	audit_acts_untake(a->acts);
}

/* *ret_taken: how much was in it. */
static int
write_batch(struct auditor *a, unsigned *ret_taken)
{
	struct audit_tally tally = {0};
	struct audit_batch *batch;
	struct ledger mark = {0};
	int err = settle_all(a);

	*ret_taken = 0;
	if (err == 0)
		err = audit_file_begin(a->file);
	if (err != 0)
		return err;
	batch = audit_file_batch(a->file);
	*ret_taken = fill(a, batch, &tally);
	if (*ret_taken == 0) {
		audit_file_abandon(a->file);
		audit_sources_remove_empty(a->sources);
		return 0;
	}
	audit_file_note(a->file, &mark);
	audit_sources_note(a->sources, &mark);
	err = audit_file_write(a->file);
	if (err == 0)
		settle(a, &tally);
	else
		untake(a);
	return err;
}

/* Audit is off: nothing is written, but dead workers' requests are counted and slots freed. */
static unsigned
pass_by(struct auditor *a)
{
	struct audit_tally tally = {0}, none = {0};
	unsigned taken;

	if (settle_all(a) != 0)
		return 0;
	taken = fill(a, NULL, &tally);
	settle(a, &none);
	if (tally.records > tally.unfinished)
		log_warn(NULL, "audit is off: %llu records from before were dropped",
			 (unsigned long long)(tally.records - tally.unfinished));
	return taken;
}

static void on_sync(void *arg);

static void
plan_sync(struct auditor *a, uint64_t ms)
{
	if (!loop_timer_active(&a->sync))
		loop_timer_start(a->with.loop, &a->sync, ms, 0, on_sync, a);
}

/* Later, when it is another keeper's turn; said once when it is the disk. */
static void
tell_of_seal(struct auditor *a, int err)
{
	bool bad = err != 0 && err != E_AGAIN;

	if (bad && !a->unsealed)
		log_warn(NULL, "audit: the file cannot be sealed yet: %s", strerror(errno));
	a->unsealed = bad;
}

static void
rotate(struct auditor *a)
{
	int err = audit_file_name_sealed(a->file);

	if (err == 0 && (a->reopen || audit_file_is_due(a->file, clock_wall_ms()))) {
		err = audit_file_rotate(a->file);
		a->reopen = err != 0 && a->reopen;
	}
	tell_of_seal(a, err);
}

/* When to look again. */
static uint64_t
work(struct auditor *a)
{
	unsigned taken = 0;
	int err = 0;

	if (a->file == NULL)
		return has_any(a) && pass_by(a) >= MANY_RECORDS ? 0 : IDLE_MS;
	if (audit_tail_is_long(audit_file_tail(a->file)))
		return BUSY_MS; /* the disk is slow */
	if (!has_any(a)) {
		if (audit_tail_bytes(audit_file_tail(a->file)) == 0)
			set(a, METRICS_KEEPER_audit_synced_ms, clock_wall_ms());
		return IDLE_MS;
	}
	errno = 0;
	err = write_batch(a, &taken);
	if (err == E_AGAIN)
		return BUSY_MS;
	if (err != 0) {
		stall(a, err);
		return SECOND_MS;
	}
	resume(a);
	plan_sync(a, SYNC_MS);
	if (!a->unsealed) /* else once a second */
		rotate(a);
	return taken >= MANY_RECORDS ? 0 : taken > 0 ? BUSY_MS : IDLE_MS;
}

static void
on_turn(void *arg)
{
	struct auditor *a = arg;

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	loop_timer_start(a->with.loop, &a->turn, work(a), 0, on_turn, a);
}

/* ---- the disk ---- */

static void
on_sync(void *arg)
{
	struct auditor *a = arg;

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	audit_tail_sync(audit_file_tail(a->file));
}

static void
on_synced(void *arg)
{
	struct auditor *a = arg;
	struct audit_tail *tail = audit_file_tail(a->file);

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	audit_acts_answer(a->acts, audit_file_on_disk(a->file));
	if (audit_tail_is_broken(tail)) {
		errno = EIO;
		stall(a, E_IO);
		plan_sync(a, SECOND_MS);
		return;
	}
	if (audit_tail_bytes(tail) > 0)
		plan_sync(a, SYNC_MS);
	else if (!a->unsealed) /* else once a second */
		tell_of_seal(a, audit_file_name_sealed(a->file));
}

static void
on_dead(void *arg)
{
	struct auditor *a = arg;

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	audit_sources_find_dead(a->sources);
}

static void
on_second(void *arg)
{
	struct auditor *a = arg;

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	audit_sources_find_old(a->sources);
	if (a->file != NULL && !a->stalled)
		rotate(a);
}

static void
on_keep(void *arg)
{
	struct auditor *a = arg;
	uint64_t keep_ms = a->with.conf->audit.keep_ms, now_ms = clock_wall_ms();
	unsigned count;

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	count = audit_file_expire(a->file, now_ms > keep_ms ? now_ms - keep_ms : 0);
	if (count > 0)
		log_info(NULL, "audit: removed %u files by audit.keep", count);
}

/* ---- birth and death ---- */

static void
name_gateway(struct auditor *a)
{
	struct str name = a->with.conf->audit.gateway;

	if (name.n > 0)
		str_copy(a->gateway, sizeof(a->gateway), name);
	else if (gethostname(a->gateway, sizeof(a->gateway) - 1) != 0)
		str_copy(a->gateway, sizeof(a->gateway), STR("unnamed"));
}

static int
open_file(struct auditor *a)
{
	const struct conf_audit *conf = &a->with.conf->audit;
	const struct audit_file_setup with = {
		.loop = a->with.loop,
		.state_dir = a->with.conf->state_dir.p,
		.gateway = str_from(a->gateway),
		.max_bytes = conf->max_bytes,
		.max_age_ms = conf->max_age_ms,
		.shipped = conf->has_ship,
		.key = a->key,
		.metrics = a->metrics,
		.ledger = a->ledger,
		.synced = on_synced,
		.arg = a,
	};

	if (!conf->enabled)
		return 0;
	if (audit_key_read(a->with.conf->state_dir.p, a->key) != 0)
		return E_DENIED;
	a->redact = audit_redact_new(conf->redact, conf->redact_count);
	if (a->redact != NULL)
		a->file = audit_file_new(&with);
	return a->file != NULL ? 0 : E_NOMEM;
}

/* Numbers go on where an earlier life had them, even if the end of the file was cut off since. */
static void
learn_from_old(struct auditor *a)
{
	audit_sources_find_old(a->sources);
	atomic_store(&a->ledger->last_seq, audit_sources_last_seq(a->sources));
}

static void
start(struct auditor *a)
{
	if (a->file != NULL)
		audit_acts_event(a->acts,
				 "\"event\":\"started\",\"version\":\"" SPARKGW_VERSION
				 "\",\"generation\":%u",
				 a->with.generation);
	loop_timer_start(a->with.loop, &a->turn, 0, 0, on_turn, a);
	loop_timer_start(a->with.loop, &a->dead, DEAD_MS, DEAD_MS, on_dead, a);
	loop_timer_start(a->with.loop, &a->second, SECOND_MS, SECOND_MS, on_second, a);
	if (a->file != NULL && a->with.conf->audit.keep_ms > 0)
		loop_timer_start(a->with.loop, &a->keep, KEEP_MS, KEEP_MS, on_keep, a);
}

struct auditor *
auditor_new(const struct auditor_setup *with)
{
	struct auditor *a = calloc(1, sizeof(*a));
	int err;

	if (a == NULL)
		return NULL;
	a->magic = AUDITOR_MAGIC;
	a->with = *with;
	a->ledger = segment_ledger(with->segment);
	a->metrics = segment_metrics_keeper(with->segment);
	name_gateway(a);
	a->acts = audit_acts_new();
	a->sources = audit_sources_new(with->segment, with->conf->run_dir.p);
	err = a->acts == NULL || a->sources == NULL ? E_NOMEM : 0;
	if (err == 0)
		err = segment_reserve(with->segment, BOOKS_ROW, SEGMENT_METRICS);
	if (err == 0) {
		learn_from_old(a);
		err = open_file(a);
	}
	if (err != 0) {
		log_error(NULL, "audit: cannot begin: %s", err_text(err));
		auditor_free(&a);
		return NULL;
	}
	start(a);
	return a;
}

void
auditor_free(struct auditor **ret)
{
	struct auditor *a = *ret;

	if (a == NULL)
		return;
	CHECK_MAGIC(a, AUDITOR_MAGIC);
	*ret = NULL;
	loop_timer_stop(&a->turn);
	loop_timer_stop(&a->sync);
	loop_timer_stop(&a->dead);
	loop_timer_stop(&a->second);
	loop_timer_stop(&a->keep);
	audit_file_free(&a->file);
	audit_redact_free(&a->redact);
	audit_sources_free(&a->sources);
	audit_acts_free(&a->acts);
	explicit_bzero(a->key, sizeof(a->key));
	a->magic = 0;
	free(a);
}

static void
refuse(int fd, uint32_t id, int err)
{
	const struct keeper_done done = {.head = {KEEPER_DONE, sizeof(done), id}, .result = err};

	if (msg_send(fd, &done.head) != 0)
		log_debug(NULL, "an answer could not be sent; its asker asks again");
}

void
auditor_act(struct auditor *a, int answer_fd, const struct keeper_audit *m)
{
	int err;

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	err = a->file != NULL ? audit_acts_add(a->acts, answer_fd, m) : E_STATE;
	if (err == 0)
		loop_timer_start(a->with.loop, &a->turn, 0, 0, on_turn, a);
	else if (err != E_EXISTS)
		refuse(answer_fd, m->head.id, err);
}

void
auditor_reopen(struct auditor *a)
{
	CHECK_MAGIC(a, AUDITOR_MAGIC);
	if (a->file == NULL)
		return;
	a->reopen = true;
	if (!a->stalled)
		rotate(a);
}

void
auditor_finish(struct auditor *a)
{
	uint64_t until_ms = clock_ms() + FINISH_MS;

	CHECK_MAGIC(a, AUDITOR_MAGIC);
	audit_sources_find_dead(a->sources);
	while (has_any(a) && clock_ms() < until_ms && work(a) < SECOND_MS) {
		if (a->file != NULL) /* a seal may wait for it */
			audit_tail_finish(audit_file_tail(a->file));
	}
	if (a->file == NULL)
		return;
	do {
		audit_tail_finish(audit_file_tail(a->file));
	} while (audit_file_name_sealed(a->file) == E_AGAIN && clock_ms() < until_ms);
	audit_acts_answer(a->acts, audit_file_on_disk(a->file));
}
