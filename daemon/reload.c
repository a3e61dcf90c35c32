/*
 * SIGHUP, or the controller's request, step by step: load, bind, fork, wait until ready, swap
 * keeper and checker, commit.
 *
 * Process: supervisor. In: the configuration file, news of children. Out: a new generation, or log
 * lines and an answer that say what is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon/reload.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/counters.h"

#define HELPER_LIMIT_MS 5000u /* for the old keeper and checker to end */
#define DRAIN_SPARE_MS	5000u
#define START_LIMIT_MS	30000u /* for all new workers to be ready */
#define SWAP_LIMIT_MS	45000u
#define DRAINING_MAX	128u /* worker processes of old generations */

static void begin(struct reload *r);
static void on_limit(void *arg);

/* The one writer of the state. */
static void
enter(struct reload *r, enum reload_state state)
{
	ASSERT(state == RELOAD_IDLE || (state == RELOAD_STARTING && r->state == RELOAD_IDLE) ||
	       (state == RELOAD_SWAPPING && r->state == RELOAD_STARTING));
	r->state = state;
	if (state == RELOAD_IDLE)
		loop_timer_stop(&r->limit);
	else
		loop_timer_start(r->children->loop, &r->limit,
				 state == RELOAD_STARTING ? START_LIMIT_MS : SWAP_LIMIT_MS, 0,
				 on_limit, r);
}

static bool
is_next_worker(const struct reload *r, const struct seat *s)
{
	return s->kind == PROC_WORKER && s->world == r->next;
}

static void
answer(struct reload *r, const struct reload_asker *asker, bool failed, const char *words)
{
	struct seat *s = NULL;
	struct leash_reloaded m = {
		.head = {.type = LEASH_RELOADED, .size = sizeof(m), .id = asker->id},
		.failed = failed,
	};

	str_copy(m.words, sizeof(m.words), str_from(words));
	while ((s = children_next(r->children, s)) != NULL)
		if (s->kind == PROC_CONTROLLER && s->pid != 0 && s->pid == asker->pid)
			children_answer(s, &m);
}

static void
repeat(void *arg)
{
	struct reload *r = arg;

	if (!r->again || r->state != RELOAD_IDLE)
		return;
	r->again = false;
	r->asker = r->asker_again;
	r->asker_again = (struct reload_asker){0};
	begin(r);
}

/* In the supervisor's own slot. */
static void
count(struct reload *r, bool failed)
{
	struct counters_slot *slot = &segment_counters(r->children->segment)[0];

	counters_add(slot, failed ? COUNTER_reloads_failed : COUNTER_reloads_ok, 1);
	counters_set(slot, COUNTER_reload_bad, failed);
	counters_set(slot, COUNTER_reload_ended_ms, clock_wall_ms());
}

static void
finish(struct reload *r, bool failed, const char *words)
{
	enter(r, RELOAD_IDLE);
	count(r, failed);
	answer(r, &r->asker, failed, words);
	r->asker = (struct reload_asker){0};
	r->hooks->finished(r->arg, failed);
	if (r->again)
		loop_later(r->children->loop, LOOP_FLUSH, &r->repeat, repeat, r);
}

/* ---- back ---- */

static void
put_helper_back(struct reload *r, enum proc_kind kind)
{
	struct seat *s = children_find(r->children, kind);

	if (s != NULL && s->world == r->next)
		children_replace(s, r->current, HELPER_LIMIT_MS);
}

static void
fail(struct reload *r, const char *words)
{
	struct seat *s = NULL;

	while ((s = children_next(r->children, s)) != NULL)
		if (is_next_worker(r, s))
			children_end(s);
	put_helper_back(r, PROC_KEEPER);
	put_helper_back(r, PROC_CHECKER);
	listeners_rollback(r->listeners);
	world_unref(&r->next);
	log_error(NULL, "reload failed, generation %u stays: %s", r->current->generation, words);
	finish(r, true, words);
}

/* One log line per error; all of them, a line each, are the answer. */
static void
fail_with_errors(struct reload *r, const char *otherwise)
{
	char line[1024];
	struct buf all;
	unsigned count = 0;

	buf_init(&all, 64 * 1024);
	for (struct conf_error *e = r->next ? r->next->errors : NULL; e != NULL; e = e->next) {
		conf_error_text(r->next->conf, e, line, sizeof(line));
		buf_add_str(&all, str_from(line));
		line[strcspn(line, "\n")] = '\0';
		log_error(NULL, "%s", line);
		count++;
	}
	world_unref(&r->next);
	listeners_rollback(r->listeners);
	if (count > 0)
		log_error(NULL, "reload failed, generation %u stays (errors: %u)",
			  r->current->generation, count);
	else
		log_error(NULL, "reload failed, generation %u stays: %s", r->current->generation,
			  otherwise);
	finish(r, true, count > 0 ? buf_cstr(&all) : otherwise);
	buf_free(&all);
}

/* ---- forward ---- */

static int
try_log(struct world *w)
{
	const char *path = w->conf->log_file.p;
	int fd;

	if (strcmp(path, "stderr") == 0)
		return E_OK;
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
	if (fd < 0) {
		conf_error_add(w->conf, &w->errors, 0, "log.file", "cannot open %s: %s", path,
			       strerror(errno));
		return E_IO;
	}
	close(fd);
	return E_OK;
}

static int
start_workers(struct reload *r)
{
	struct seat *s;

	for (unsigned i = 0; i < r->next->conf->workers; i++)
		if (children_take(r->children, PROC_WORKER, i, r->next, &s) != E_OK)
			return E_FULL;
	for (s = children_next(r->children, NULL); s != NULL; s = children_next(r->children, s))
		if (is_next_worker(r, s))
			children_start(s);
	return E_OK;
}

static void
begin(struct reload *r)
{
	int err;

	enter(r, RELOAD_STARTING);
	r->began_ms = clock_ms();
	r->hooks->began(r->arg);
	err = world_load(r->current->conf->path.p, r->current, r->generation + 1, &r->next);
	if (err == E_OK)
		err = try_log(r->next);
	if (err == E_OK)
		err = listeners_prepare(r->listeners, r->next, false);
	if (err != E_OK) {
		fail_with_errors(r, err_text(err));
		return;
	}
	r->generation = r->next->generation;
	if (start_workers(r) != E_OK)
		fail(r, "no room for another generation of workers (old ones still drain)");
}

static void
swap_helpers(struct reload *r)
{
	struct seat *keeper = children_find(r->children, PROC_KEEPER);
	struct seat *checker = children_find(r->children, PROC_CHECKER);

	ASSERT(keeper != NULL && checker != NULL);
	enter(r, RELOAD_SWAPPING);
	children_replace(keeper, r->next, HELPER_LIMIT_MS);
	children_replace(checker, r->next, HELPER_LIMIT_MS);
}

static struct seat *
oldest_draining(struct reload *r, unsigned *ret_count)
{
	struct seat *oldest = NULL;

	*ret_count = 0;
	for (struct seat *s = children_next(r->children, NULL); s != NULL;
	     s = children_next(r->children, s)) {
		if (s->kind != PROC_WORKER || s->state != SEAT_DRAINING || s->ended)
			continue;
		++*ret_count;
		if (oldest == NULL || s->generation < oldest->generation)
			oldest = s;
	}
	return oldest;
}

static void
end_oldest(struct reload *r)
{
	unsigned count, generation;
	struct seat *oldest;

	while ((oldest = oldest_draining(r, &count)) != NULL && count > DRAINING_MAX) {
		generation = oldest->generation;
		log_warn(NULL, "more than %u workers drain: generation %u is ended", DRAINING_MAX,
			 generation);
		for (struct seat *s = children_next(r->children, NULL); s != NULL;
		     s = children_next(r->children, s))
			if (s->kind == PROC_WORKER && s->generation == generation)
				children_end(s);
	}
}

static void
retire_workers(struct reload *r, const struct world *old)
{
	struct seat *s = NULL;

	while ((s = children_next(r->children, s)) != NULL) {
		if (s->kind != PROC_WORKER)
			continue;
		if (s->world == r->current)
			children_go(s);
		else if (s->world == old && !s->last)
			children_drain(s, old->conf->drain_timeout_ms + DRAIN_SPARE_MS);
	}
}

static void
commit(struct reload *r)
{
	struct world *old = r->current;
	const struct conf *conf = r->next->conf;
	char words[96];

	listeners_commit(r->listeners, r->next);
	r->current = r->next;
	r->next = NULL;
	r->current->live = true;
	retire_workers(r, old);
	end_oldest(r);
	world_unref(&old);
	if (log_open(conf->log_file.p, conf->log_level, conf->log_format) != E_OK)
		log_warn(NULL, "cannot open the log %s: %s; going on with the old one",
			 conf->log_file.p, strerror(errno));
	world_warn(r->current);
	snprintf(words, sizeof(words), "generation %u, %u workers", r->current->generation,
		 conf->workers);
	log_info(NULL, "reloaded in %llu ms: %s", (unsigned long long)(clock_ms() - r->began_ms),
		 words);
	finish(r, false, words);
}

/* ---- news ---- */

void
reload_request(struct reload *r, const struct reload_asker *asker)
{
	if (r->state == RELOAD_IDLE) {
		r->asker = asker ? *asker : (struct reload_asker){0};
		begin(r);
		return;
	}
	r->again = true;
	if (asker != NULL)
		r->asker_again = *asker;
}

static bool
workers_ready(struct reload *r)
{
	for (struct seat *s = children_next(r->children, NULL); s != NULL;
	     s = children_next(r->children, s))
		if (is_next_worker(r, s) && s->state != SEAT_READY)
			return false;
	return true;
}

static bool
helper_ready(struct reload *r, enum proc_kind kind)
{
	const struct seat *s = children_find(r->children, kind);

	return s != NULL && s->state == SEAT_READY && s->generation == r->next->generation;
}

void
reload_ready(struct reload *r, const struct seat *s)
{
	if (r->state == RELOAD_STARTING && is_next_worker(r, s) && workers_ready(r))
		swap_helpers(r);
	else if (r->state == RELOAD_SWAPPING && helper_ready(r, PROC_KEEPER) &&
		 helper_ready(r, PROC_CHECKER))
		commit(r);
}

void
reload_gone(struct reload *r, const struct seat *s)
{
	char words[96];

	if (r->state == RELOAD_IDLE || s->generation != r->next->generation)
		return;
	snprintf(words, sizeof(words), "a new %s could not be started (see the log)",
		 procs_kind_name(s->kind));
	fail(r, words);
}

static void
on_limit(void *arg)
{
	fail(arg, "the new processes were not ready in time");
}

void
reload_abort(struct reload *r, const char *why)
{
	if (r->again)
		answer(r, &r->asker_again, true, why);
	r->again = false;
	if (r->state != RELOAD_IDLE)
		fail(r, why);
}

/* ---- the controller afterwards ---- */

void
reload_renew_controller(struct reload *r)
{
	struct seat *s = NULL;

	while ((s = children_next(r->children, s)) != NULL) {
		if (s->kind != PROC_CONTROLLER || s->last)
			continue;
		if (s->world == r->current)
			return;
		if (s->state != SEAT_READY) /* outdated before it could serve */
			children_end(s);
	}
	if (children_take(r->children, PROC_CONTROLLER, 0, r->current, &s) == E_OK)
		children_start(s);
	else
		log_error(NULL, "no room for a new controller: the old one stays");
}

void
reload_retire_controllers(struct reload *r, const struct seat *successor)
{
	struct seat *s = NULL;

	while ((s = children_next(r->children, s)) != NULL)
		if (s->kind == PROC_CONTROLLER && s->world != successor->world && !s->last)
			children_drain(s, HELPER_LIMIT_MS);
}
