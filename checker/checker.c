/*
 * The checker process. Enter: the registry (store), suspicions of workers, what drivers answer;
 * leave: rows of the health table.
 *
 *	open the store -> READY -> each second: has the registry moved? -> a watch per driver
 *
 * A checker that follows another one (reload, crash) goes on from the rows it finds.
 */
#include <stdlib.h>
#include "checker/checker.h"
#include "checker/talk.h"
#include "checker/watch.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/health.h"
#include "shm/registry.h"

#define CHECKER_MAGIC 0x43686b72u
#define POLL_MS	      1000 /* the registry's generation */
#define OPEN_MS	      200  /* while there is no store */
#define KNOWN_MS      20   /* how often to look whether all drivers are known */
#define KNOWN_LIMIT   5000 /* READY then, whatever is known */

struct checker {
	unsigned magic;
	const struct checker_setup *setup;
	struct child child;
	struct db *db;
	struct registry *registry;
	uint64_t generation; /* of the registry; valid when registry is there */
	struct resolve *resolve;
	struct watch_house house;
	struct watch *watches[SEGMENT_DRIVERS]; /* by slot */
	struct msg_channel *channels;
	struct loop_timer timer, known;
	uint64_t known_limit_ms;
	bool complained;
};

/* ---- the registry ---- */

static struct watch_cluster
cluster_of(const struct checker *c, const struct registry_driver *d)
{
	const struct conf *conf = c->setup->conf;
	const struct conf_cluster *cl = conf_cluster(conf, d->cluster->name);

	if (cl == NULL)
		return (struct watch_cluster){0};
	return (struct watch_cluster){
		.tls = c->setup->driver_tls != NULL ? c->setup->driver_tls[cl - conf->clusters]
						    : NULL,
		.server_name = cl->tls.server_name,
		.token = cl->token,
	};
}

static void
clear_row(struct checker *c, unsigned slot)
{
	health_write(&segment_health(c->setup->segment)[slot], &(struct health){0});
}

/* Rows that are about nobody in the registry any more; a driver that stays keeps its own. */
static void
clear_others(struct checker *c, struct registry_driver *const wanted[SEGMENT_DRIVERS])
{
	struct health_row *rows = segment_health(c->setup->segment);
	struct health h;

	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++) {
		if (c->watches[i] != NULL &&
		    (wanted[i] == NULL || !watch_is(c->watches[i], wanted[i])))
			watch_free(&c->watches[i]);
		if (health_read(&rows[i], &h) != 0 ||
		    (h.driver_id != 0 && (wanted[i] == NULL || wanted[i]->id != h.driver_id)))
			clear_row(c, i);
	}
}

static void
sync_watches(struct checker *c)
{
	struct registry_driver *wanted[SEGMENT_DRIVERS] = {NULL};
	struct health_row *rows = segment_health(c->setup->segment);

	for (unsigned i = 0; i < c->registry->drivers_count; i++) {
		struct registry_driver *d = c->registry->by_id[i];

		ASSERT(d->slot < SEGMENT_DRIVERS);
		wanted[d->slot] = d;
	}
	clear_others(c, wanted);
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++) {
		if (wanted[i] == NULL || c->watches[i] != NULL)
			continue;
		struct watch_cluster cl = cluster_of(c, wanted[i]);
		c->watches[i] = watch_new(&c->house, wanted[i], &cl, &rows[i]);
	}
	watch_house_run(&c->house);
}

static void
poll_registry(void *arg)
{
	struct checker *c = arg;
	struct registry *fresh;
	const char *words = "";

	CHECK_MAGIC(c, CHECKER_MAGIC);
	uint64_t generation = atomic_load_explicit(segment_registry_generation(c->setup->segment),
						   memory_order_acquire);
	if (c->registry != NULL && generation == c->generation)
		return;
	int rc = registry_load(c->db, generation, &fresh, &words);
	if (rc != 0) {
		if (!c->complained)
			log_error(NULL, "registry cannot be read: %s: %s", err_text(rc), words);
		c->complained = true;
		return;
	}
	c->complained = false;
	registry_unref(&c->registry);
	c->registry = fresh;
	c->generation = generation;
	sync_watches(c);
}

static void
on_resolved(void *arg, const struct resolve_name *name)
{
	struct checker *c = arg;

	CHECK_MAGIC(c, CHECKER_MAGIC);
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		if (c->watches[i] != NULL)
			watch_resolved(c->watches[i], name);
}

/* ---- what workers say ---- */

static void
on_message(void *arg, const struct msg_head *head)
{
	struct checker *c = arg;
	const struct registry_driver *d;

	CHECK_MAGIC(c, CHECKER_MAGIC);
	if (head->type != CHECKER_SUSPECT || !MSG_IS(head, checker_suspect))
		return;
	const struct checker_suspect *m = (const struct checker_suspect *)(const void *)head;
	d = c->registry != NULL ? registry_driver(c->registry, m->driver_id) : NULL;
	if (d == NULL || c->watches[d->slot] == NULL)
		return; /* somebody's snapshot is older or newer than ours */
	watch_suspect(c->watches[d->slot]);
}

static int
open_channels(struct checker *c)
{
	const struct checker_setup *s = c->setup;

	if (s->worker_fds_count == 0)
		return 0;
	c->channels = calloc(s->worker_fds_count, sizeof(*c->channels));
	if (c->channels == NULL)
		return E_NOMEM;
	for (unsigned i = 0; i < s->worker_fds_count; i++)
		msg_open(&c->channels[i], c->child.loop, s->worker_fds[i], on_message, NULL, c);
	return 0;
}

/* ---- the beginning ---- */

static bool
all_known(const struct checker *c)
{
	const struct health_row *rows = segment_health(c->setup->segment);
	struct health h;

	for (unsigned i = 0; c->registry != NULL && i < c->registry->drivers_count; i++) {
		const struct registry_driver *d = c->registry->by_id[i];

		if (health_read(&rows[d->slot], &h) != 0 || h.driver_id != d->id ||
		    h.state == HEALTH_UNKNOWN)
			return false;
	}
	return c->registry != NULL;
}

static void
wait_until_known(void *arg)
{
	struct checker *c = arg;

	CHECK_MAGIC(c, CHECKER_MAGIC);
	if (!all_known(c) && loop_ms(c->child.loop) < c->known_limit_ms) {
		loop_timer_start(c->child.loop, &c->known, KNOWN_MS, 0, wait_until_known, c);
		return;
	}
	child_ready(&c->child);
}

static void
begin(struct checker *c)
{
	ASSERT(open_channels(c) == 0);
	health_repair(segment_health(c->setup->segment), SEGMENT_DRIVERS);
	loop_timer_start(c->child.loop, &c->timer, 0, POLL_MS, poll_registry, c);
}

static void
open_store(void *arg)
{
	struct checker *c = arg;
	const char *words = "";
	char dir[4096];

	CHECK_MAGIC(c, CHECKER_MAGIC);
	str_copy(dir, sizeof(dir), c->setup->conf->state_dir);
	int rc = db_open(dir, false, 0, &c->db, &words);
	if (rc != 0) { /* the keeper may not have made it yet */
		if (rc != E_NOT_FOUND && !c->complained)
			log_error(NULL, "store cannot be opened: %s: %s", err_text(rc), words);
		c->complained = rc != E_NOT_FOUND;
		loop_timer_start(c->child.loop, &c->timer, OPEN_MS, 0, open_store, c);
		return;
	}
	c->complained = false;
	begin(c);
	c->known_limit_ms = loop_ms(c->child.loop) + (c->setup->probe_first ? KNOWN_LIMIT : 0);
	wait_until_known(c);
}

static void
close_all(struct checker *c)
{
	loop_timer_stop(&c->timer);
	loop_timer_stop(&c->known);
	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		watch_free(&c->watches[i]);
	for (unsigned i = 0; c->channels != NULL && i < c->setup->worker_fds_count; i++)
		msg_close(&c->channels[i]);
	free(c->channels);
	resolve_free(&c->resolve);
	registry_unref(&c->registry);
	db_close(&c->db);
}

int
checker_run(const struct checker_setup *setup)
{
	struct checker *c = calloc(1, sizeof(*c));

	ASSERT(c != NULL);
	*c = (struct checker){.magic = CHECKER_MAGIC, .setup = setup, .child = {.arg = c}};
	child_enter(&c->child, &setup->seat, setup->segment);
	c->resolve = resolve_new(c->child.loop, on_resolved, c);
	if (c->resolve == NULL)
		fatal("checker: no thread for looking up names: raise the limit on processes");
	watch_house_init(&c->house, c->child.loop, c->resolve, setup->conf);
	loop_timer_start(c->child.loop, &c->timer, 0, 0, open_store, c);
	loop_run(c->child.loop);
	close_all(c);
	child_leave(&c->child);
	free(c);
	return 0;
}
