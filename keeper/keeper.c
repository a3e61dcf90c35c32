/*
 * The keeper's process: opens the store, makes the registry equal to the configuration, counts what
 * is bound, then serves the channels until it is drained. A commit blocks this process and nobody
 * else.
 *
 * Enter: messages of workers and controller (talk.h), audit records in the segment. Leave: answers,
 * the store, audit files, files of private keys, numbers in the segment.
 */
#include <stdlib.h>
#include "keeper/audit_shipped.h"
#include "keeper/auditor.h"
#include "keeper/expiry.h"
#include "keeper/keeper.h"
#include "keeper/keyfile.h"
#include "keeper/pairs.h"
#include "keeper/sweep.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/chain.h"

#define KEEPER_MAGIC 0x4b656570u
#define PLAYS_MAX    8 /* of the reconciliation, while the map grows */

enum status { STATUS_OK = 0, STATUS_AGAIN = 1, STATUS_USELESS = 2 };

struct channel {
	struct keeper *keeper;
	struct msg_channel msg;
	bool is_controller;
};

struct keeper {
	unsigned magic;
	const struct keeper_setup *setup;
	struct child child;
	struct db *db;
	struct counts counts;
	struct commit *commit;
	struct expiry *expiry;
	struct sweep *sweep;
	struct auditor *auditor;
	struct channel *channels;
	unsigned channels_count;
};

/* ---- the store at start ---- */

static enum status
open_store(struct keeper *k)
{
	const char *words;
	int err = db_open(k->setup->conf->state_dir.p, true, DB_READERS, &k->db, &words);

	if (err == 0)
		return STATUS_OK;
	log_error(NULL, "the store cannot be opened: %s", words);
	return err == E_VERSION || err == E_SYNTAX ? STATUS_USELESS : STATUS_AGAIN;
}

static struct registry_driver *
want_drivers(struct arena *arena, const struct conf_cluster *c)
{
	struct registry_driver *drivers = arena_array(arena, c->drivers_count, sizeof(*drivers));

	for (unsigned i = 0; drivers != NULL && i < c->drivers_count; i++) {
		drivers[i].name = c->drivers[i].name;
		drivers[i].address = c->drivers[i].address;
		drivers[i].weight = c->drivers[i].weight;
	}
	return drivers;
}

static struct registry_cluster *
want_clusters(struct arena *arena, const struct conf *conf)
{
	struct registry_cluster *wanted = arena_array(arena, conf->clusters_count, sizeof(*wanted));

	for (unsigned i = 0; wanted != NULL && i < conf->clusters_count; i++) {
		const struct conf_cluster *c = &conf->clusters[i];

		wanted[i] = (struct registry_cluster){
			.name = c->name,
			.team = c->team,
			.env = c->env,
			.region = c->region,
			.shared = c->shared,
			.teams = c->teams,
			.teams_count = c->teams_count,
			.hosts = c->hosts,
			.hosts_count = c->hosts_count,
			.drivers = want_drivers(arena, c),
			.drivers_count = c->drivers_count,
		};
	}
	return arena_failed(arena) ? NULL : wanted;
}

static int
write_registry(struct db *db, const struct registry_cluster *wanted, unsigned count)
{
	bool changed = false;
	int err = db_write_begin(db);

	if (err != 0)
		return err;
	err = registry_reconcile(db, wanted, count, &changed);
	if (err == 0 && changed)
		return db_commit(db);
	db_abort(db); /* also when nothing changed: a full disk shall not stop a start */
	return err;
}

static enum status
reconcile(struct keeper *k)
{
	const struct conf *conf = k->setup->conf;
	struct arena *arena = arena_new(4096, (size_t)64 << 20);
	struct registry_cluster *wanted = arena != NULL ? want_clusters(arena, conf) : NULL;
	int err = wanted == NULL ? E_NOMEM : E_AGAIN;

	for (int i = 0; err == E_AGAIN && i < PLAYS_MAX; i++)
		err = write_registry(k->db, wanted, conf->clusters_count);
	arena_free(&arena);
	if (err == 0)
		return STATUS_OK;
	log_error(NULL, "the clusters of the configuration cannot be entered: %s", err_text(err));
	return STATUS_AGAIN;
}

static enum status
prepare(struct keeper *k)
{
	enum status status = open_store(k);
	const char *words;

	if (status == STATUS_OK)
		status = reconcile(k);
	if (status != STATUS_OK)
		return status;
	if (!pairs_enter(segment_labels(k->setup->segment), k->setup->conf))
		log_warn(NULL,
			 "more than %d pairs of team and environment: metrics count the rest "
			 "as other",
			 SEGMENT_PAIRS - 1);
	if (counts_start(&k->counts, k->setup->segment, k->db, k->child.row, &words) == 0)
		return STATUS_OK;
	log_error(NULL, "the store cannot be read: %s", words);
	return STATUS_AGAIN;
}

/* ---- channels ---- */

static bool
is_controllers(unsigned type)
{
	switch (type) {
	case KEEPER_CLOSE:
	case KEEPER_DRAIN:
	case KEEPER_TOKEN:
	case KEEPER_TOKEN_REVOKE:
	case KEEPER_KEY:
	case KEEPER_KEYS:
	case KEEPER_ROLLOUT:
	case KEEPER_SECRET:
	case KEEPER_AUDIT:
	case KEEPER_SHIPPED: return true;
	default: return false;
	}
}

/* No row: written and answered at once, and forgotten. */
static void
write_secret(struct channel *ch, const struct keeper_secret *m)
{
	struct keeper_done done = {.head = {KEEPER_DONE, sizeof(done), m->head.id}, .count = 1};

	if (strcmp(m->name, CHAIN_KEY_NAME) == 0) /* the keeper's own */
		done.result = E_DENIED;
	else
		done.result = keyfile_write(ch->keeper->setup->conf->state_dir.p, m->name, m->bytes,
					    m->len);
	explicit_bzero((void *)(uintptr_t)m->bytes, sizeof(m->bytes)); /* the channel's buffer */
	if (done.result != 0)
		log_error(NULL, "%s/keys/%s cannot be written: %s",
			  ch->keeper->setup->conf->state_dir.p, m->name, err_text(done.result));
	if (msg_send(ch->msg.fd, &done.head) != 0)
		log_debug(NULL, "an answer could not be sent; its asker asks again");
}

static void
write_shipped(struct channel *ch, const struct keeper_shipped *m)
{
	struct keeper_done done = {.head = {KEEPER_DONE, sizeof(done), m->head.id}, .count = 1};

	done.result = audit_shipped_add(ch->keeper->setup->conf->state_dir.p, m->name);
	if (msg_send(ch->msg.fd, &done.head) != 0)
		log_debug(NULL, "an answer could not be sent; its asker asks again");
}

static void
got(void *arg, const struct msg_head *head)
{
	struct channel *ch = arg;

	CHECK_MAGIC(ch->keeper, KEEPER_MAGIC);
	if (!apply_accepts(head) || is_controllers(head->type) != ch->is_controller) {
		log_warn(NULL, "dropped a message of type %u, %u bytes", head->type, head->size);
		return;
	}
	if (head->type == KEEPER_SECRET)
		write_secret(ch, (const void *)head);
	else if (head->type == KEEPER_AUDIT)
		auditor_act(ch->keeper->auditor, ch->msg.fd, (const void *)head);
	else if (head->type == KEEPER_SHIPPED)
		write_shipped(ch, (const void *)head);
	else
		commit_add(ch->keeper->commit, ch->msg.fd, head);
}

static void
open_channels(struct keeper *k)
{
	const struct keeper_setup *s = k->setup;

	for (unsigned i = 0; i < k->channels_count; i++) {
		struct channel *ch = &k->channels[i];
		int fd;

		ch->is_controller = i == s->worker_fds_count;
		ch->keeper = k;
		fd = ch->is_controller ? s->controller_fd : s->worker_fds[i];
		msg_open(&ch->msg, k->child.loop, fd, got, NULL, ch);
	}
}

static int
make_parts(struct keeper *k)
{
	const struct keeper_setup *s = k->setup;
	const struct commit_setup with = {
		.loop = k->child.loop,
		.segment = s->segment,
		.db = k->db,
		.counts = &k->counts,
		.worker_fds = s->worker_fds,
		.worker_fds_count = s->worker_fds_count,
		.idle_ms = s->conf->session_idle_timeout_ms,
	};

	k->channels_count = s->worker_fds_count + (s->controller_fd >= 0);
	k->channels = calloc(k->channels_count + 1, sizeof(*k->channels));
	k->commit = commit_new(&with);
	if (k->commit != NULL)
		k->expiry = expiry_new(k->child.loop, k->db, k->commit, with.idle_ms);
	if (k->expiry != NULL)
		k->sweep = sweep_new(k->child.loop, k->db, k->commit);
	return k->channels == NULL || k->sweep == NULL ? E_NOMEM : 0;
}

/* A predecessor may have died between a commit and telling of it. */
static void
move_generations(struct keeper *k)
{
	for (int i = 0; i < SEGMENT_WHATS; i++)
		atomic_fetch_add(segment_generation(k->setup->segment, i), 1);
}

static void
serve(struct keeper *k)
{
	open_channels(k);
	move_generations(k);
	atomic_store(segment_keeper_ok(k->setup->segment), 1);
	child_ready(&k->child);
	loop_run(k->child.loop); /* until the leash says DRAIN */
	commit_now(k->commit);
	auditor_finish(k->auditor);
	for (unsigned i = 0; i < k->channels_count; i++)
		msg_close(&k->channels[i].msg);
}

static void
leave(struct keeper *k)
{
	auditor_free(&k->auditor);
	sweep_free(&k->sweep);
	expiry_free(&k->expiry);
	commit_free(&k->commit);
	free(k->channels);
	counts_stop(&k->counts);
	db_close(&k->db);
	child_leave(&k->child);
}

static int
start_auditor(struct keeper *k)
{
	const struct auditor_setup with = {
		.loop = k->child.loop,
		.segment = k->setup->segment,
		.conf = k->setup->conf,
		.generation = k->setup->seat.generation,
	};

	k->auditor = auditor_new(&with);
	return k->auditor != NULL ? 0 : E_IO;
}

/* SIGUSR1 */
static void
on_reopen(void *arg)
{
	struct keeper *k = arg;

	CHECK_MAGIC(k, KEEPER_MAGIC);
	auditor_reopen(k->auditor);
}

/* A second keeper, of the program before this one, has ended. */
static void
on_recount(void *arg)
{
	struct keeper *k = arg;

	CHECK_MAGIC(k, KEEPER_MAGIC);
	commit_now(k->commit);
	if (counts_recount(&k->counts, k->db, k->child.row) != 0)
		log_warn(NULL, "the sessions could not be counted anew");
}

int
keeper_run(const struct keeper_setup *setup)
{
	struct keeper keeper = {.magic = KEEPER_MAGIC, .setup = setup}, *k = &keeper;
	enum status status;

	child_enter(&k->child, &setup->seat, setup->segment);
	k->child.reopen = on_reopen;
	k->child.recount = on_recount;
	k->child.arg = k;
	status = prepare(k);
	if (status == STATUS_OK && make_parts(k) != 0) {
		log_error(NULL, "out of memory");
		status = STATUS_AGAIN;
	}
	if (status == STATUS_OK && start_auditor(k) != 0)
		status = STATUS_AGAIN;
	if (status == STATUS_OK)
		serve(k);
	leave(k);
	return (int)status;
}
