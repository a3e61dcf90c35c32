/*
 * The state of the gateway for people, in the controller: process rows, counters, health rows,
 * registry in; JSON out.
 */
#include "controller/view.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "shm/counters.h"
#include "shm/earlier.h"
#include "shm/procs.h"

int
view_open_store(struct view *v, const char **ret_words)
{
	return db_open(v->state_dir, false, 0, &v->db, ret_words);
}

void
view_close(struct view *v)
{
	registry_unref(&v->registry);
	db_close(&v->db);
}

/* A snapshot that cannot be renewed is used on: what stood a moment ago is better than nothing. */
int
view_refresh(struct view *v)
{
	uint64_t generation = atomic_load(segment_registry_generation(v->segment));
	struct registry *fresh;
	const char *words = "";
	int err;

	if (v->db == NULL)
		return E_STATE;
	if (v->registry != NULL && v->registry->generation == generation)
		return 0;
	err = registry_load(v->db, generation, &fresh, &words);
	if (err != 0) {
		log_warn(NULL, "the registry cannot be read: %s: %s", err_text(err), words);
		return v->registry != NULL ? 0 : err;
	}
	registry_unref(&v->registry);
	v->registry = fresh;
	return 0;
}

void
view_look_back(struct view *v)
{
	if (v->look_back != NULL)
		v->look_back(v->look_back_arg);
}

/* Rows outlive processes that were killed, until their index is used again; by then the number may
 * be another process's, which does not hold the row's lock, or the lock a successor's, who has not
 * written his number yet. One's own lock is not to be seen. */
bool
view_is_alive(struct view *v, unsigned row)
{
	pid_t pid = (pid_t)atomic_load(&segment_procs(v->segment)[row].pid);

	return pid > 0 && (kill(pid, 0) == 0 || errno != ESRCH) &&
	       (pid == getpid() || segment_row_lives(v->segment, row));
}

static uint64_t
beat_age(const struct procs_row *row)
{
	uint64_t beat = atomic_load(&row->beat_ms), now = clock_ms();

	return now > beat ? now - beat : 0;
}

static bool
is_ready(struct view *v, unsigned i, enum proc_kind kind)
{
	const struct procs_row *row = &segment_procs(v->segment)[i];

	return atomic_load(&row->kind) == kind && atomic_load(&row->state) == PROC_READY &&
	       beat_age(row) < VIEW_BEAT_MS && view_is_alive(v, i);
}

static bool
any_ready(struct view *v, enum proc_kind kind)
{
	for (unsigned i = 0; i < SEGMENT_PROCS; i++)
		if (is_ready(v, i, kind))
			return true;
	return false;
}

/* The row of this driver; a row about another one, or about nobody yet, reads as unknown. */
struct health
view_health(struct view *v, const struct registry_driver *d)
{
	struct health health;

	if (health_read(&segment_health(v->segment)[d->slot], &health) != 0 ||
	    health.driver_id != d->id)
		health = (struct health){.driver_id = d->id, .state = HEALTH_UNKNOWN};
	return health;
}

struct tally {
	unsigned up, down, unknown, draining;
};

static void
count_driver(struct view *v, const struct registry_driver *d, struct tally *t)
{
	struct health health = view_health(v, d);

	if (health.state == HEALTH_UP)
		t->up++;
	else if (health.state == HEALTH_DOWN)
		t->down++;
	else
		t->unknown++;
	if (d->draining)
		t->draining++;
}

static struct tally
count_drivers(struct view *v)
{
	struct tally t = {0};

	if (view_refresh(v) != 0)
		return t;
	for (unsigned i = 0; i < v->registry->drivers_count; i++)
		count_driver(v, v->registry->by_id[i], &t);
	return t;
}

json_t *
view_missing(struct view *v)
{
	json_t *missing = json_array();

	if (!any_ready(v, PROC_KEEPER))
		json_array_append_new(missing, json_string("the keeper is not ready"));
	else if (atomic_load(segment_keeper_ok(v->segment)) == 0)
		json_array_append_new(missing, json_string("the keeper cannot commit"));
	if (!any_ready(v, PROC_WORKER))
		json_array_append_new(missing, json_string("no worker is ready"));
	if (view_refresh(v) != 0)
		json_array_append_new(missing, json_string("the store cannot be read yet"));
	else if (count_drivers(v).up == 0)
		json_array_append_new(missing, json_string("no driver is up"));
	return missing;
}

json_t *
view_text(struct str s)
{
	char plain[512];
	size_t n = s.n < sizeof(plain) ? s.n : sizeof(plain);

	if (s.p == NULL)
		return json_null();
	if (str_is_utf8(s))
		return json_stringn_nocheck(s.p, s.n);
	for (size_t i = 0; i < n; i++)
		plain[i] = (unsigned char)s.p[i] < 0x80 && s.p[i] != 0 ? s.p[i] : '?';
	return json_stringn_nocheck(plain, n);
}

static json_t *
texts(const struct str *list, unsigned count)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < count; i++)
		json_array_append_new(array, view_text(list[i]));
	return array;
}

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* What a worker that drains still carries, and the time that it has for it at most. */
static void
show_drain(const struct procs_row *row, const struct counters_slot *slot, json_t *process)
{
	uint64_t until = atomic_load(&row->drain_until_ms), now = clock_ms();
	uint64_t own[COUNTERS_COUNT];

	if (atomic_load(&row->state) != PROC_DRAINING || until == 0)
		return;
	counters_get(slot, own);
	json_object_set_new(process, "drain",
			    json_pack("{s:o, s:o, s:o}", "connections",
				      number(own[COUNTER_connections_open]), "rpcs",
				      number(own[COUNTER_rpcs_open]), "left_ms",
				      number(until > now ? until - now : 0)));
}

static json_t *
show_process(const struct procs_row *row, const struct counters_slot *slot)
{
	uint32_t kind = atomic_load(&row->kind);
	json_t *process =
		json_pack("{s:s, s:i, s:i, s:i, s:s, s:I, s:i}", "kind", procs_kind_name(kind),
			  "slot", (int)atomic_load(&row->slot), "pid", (int)atomic_load(&row->pid),
			  "generation", (int)atomic_load(&row->generation), "state",
			  procs_state_name(atomic_load(&row->state)), "started_ms",
			  (json_int_t)atomic_load(&row->started_wall_ms), "restarts",
			  (int)atomic_load(&row->restarts));

	/* the supervisor watches the beats and has none */
	json_object_set_new(process, "beat_age_ms",
			    kind == PROC_SUPERVISOR ? json_null() : number(beat_age(row)));
	show_drain(row, slot, process);
	return process;
}

/* The gateway's age is the supervisor's. */
uint64_t
view_started_ms(struct view *v)
{
	const struct procs_row *rows = segment_procs(v->segment);

	for (unsigned i = 0; i < SEGMENT_PROCS; i++)
		if (atomic_load(&rows[i].kind) == PROC_SUPERVISOR && view_is_alive(v, i))
			return atomic_load(&rows[i].started_wall_ms);
	return 0;
}

/* The configuration in force: the keeper changes with it, a controller lives on for a while. */
unsigned
view_generation(struct view *v)
{
	const struct procs_row *rows = segment_procs(v->segment);

	for (unsigned i = 0; i < SEGMENT_PROCS; i++)
		if (atomic_load(&rows[i].kind) == PROC_KEEPER && view_is_alive(v, i))
			return atomic_load(&rows[i].generation);
	return v->generation;
}

static json_t *
show_counters(const uint64_t values[COUNTERS_COUNT])
{
	json_t *object = json_object();

	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		json_object_set_new(object, counters_info[i].name, number(values[i]));
	return object;
}

static void
show_processes(struct view *v, json_t *status)
{
	const struct procs_row *rows = segment_procs(v->segment);
	const struct counters_slot *slots = segment_counters(v->segment);
	json_t *processes = json_array(), *workers = json_array();
	uint64_t total[COUNTERS_COUNT] = {0}, own[COUNTERS_COUNT];

	_Static_assert(SEGMENT_PROCS == SEGMENT_COUNTERS, "a counter slot per process row");
	view_look_back(v);
	for (unsigned i = 0; i < COUNTERS_COUNT; i++)
		total[i] = atomic_load(&segment_earlier(v->segment)->counters[i]);
	for (unsigned i = 0; i < SEGMENT_PROCS; i++) {
		bool alive = view_is_alive(v, i);

		counters_sum(&slots[i], alive, total);
		if (!alive)
			continue;
		json_array_append_new(processes, show_process(&rows[i], &slots[i]));
		if (atomic_load(&rows[i].kind) != PROC_WORKER)
			continue;
		counters_get(&slots[i], own);
		json_array_append_new(workers, json_pack("{s:i, s:i, s:o}", "slot",
							 (int)atomic_load(&rows[i].slot), "pid",
							 (int)atomic_load(&rows[i].pid), "counters",
							 show_counters(own)));
	}
	json_object_set_new(status, "processes", processes);
	json_object_set_new(status, "counters", show_counters(total));
	json_object_set_new(status, "workers", workers);
}

static uint64_t
count_sessions(struct view *v)
{
	const _Atomic uint32_t *bound = segment_driver_sessions(v->segment);
	uint64_t total = 0;

	for (unsigned i = 0; i < SEGMENT_DRIVERS; i++)
		total += atomic_load_explicit(&bound[i], memory_order_relaxed);
	return total;
}

json_t *
view_status(struct view *v)
{
	struct tally t = count_drivers(v);
	json_t *missing = view_missing(v);
	json_t *status = json_pack(
		"{s:s, s:I, s:I, s:i, s:b, s:o, s:I, s:I, s:{s:i, s:i, s:i, s:i}}", "version",
		SPARKGW_VERSION, "now_ms", (json_int_t)clock_wall_ms(), "started_ms",
		(json_int_t)view_started_ms(v), "generation", (int)view_generation(v), "ready",
		json_array_size(missing) == 0, "missing", missing, "sessions",
		(json_int_t)count_sessions(v), "registry_generation",
		(json_int_t)atomic_load(segment_registry_generation(v->segment)), "drivers", "up",
		(int)t.up, "down", (int)t.down, "unknown", (int)t.unknown, "draining",
		(int)t.draining);

	show_processes(v, status);
	return status;
}

static json_t *
show_cluster(struct view *v, const struct registry_cluster *c)
{
	const _Atomic uint32_t *bound = segment_driver_sessions(v->segment);
	struct tally t = {0};
	uint64_t sessions = 0;

	for (unsigned i = 0; i < c->drivers_count; i++) {
		count_driver(v, &c->drivers[i], &t);
		sessions += atomic_load(&bound[c->drivers[i].slot]);
	}
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:i, s:i, s:i, s:I}", "name",
			 view_text(c->name), "team", view_text(c->team), "env", view_text(c->env),
			 "region", view_text(c->region), "shared", c->shared, "teams",
			 texts(c->teams, c->teams_count), "hosts", texts(c->hosts, c->hosts_count),
			 "origin", view_text(c->origin), "drivers", (int)c->drivers_count, "up",
			 (int)t.up, "draining", (int)t.draining, "sessions", (json_int_t)sessions);
}

/* Of a worker that was killed the slot still says what ran: only living ones count. */
uint64_t
view_running(struct view *v, unsigned driver_slot)
{
	const struct counters_slot *slots = segment_counters(v->segment);
	uint64_t running = 0;

	for (unsigned i = 0; i < SEGMENT_PROCS; i++) {
		uint32_t here =
			atomic_load_explicit(&slots[i].running[driver_slot], memory_order_relaxed);

		if (here > 0 && view_is_alive(v, i))
			running += here;
	}
	return running;
}

static json_t *
show_address(const struct sock_addr *address)
{
	char buf[SOCK_ADDR_TEXT];

	if (address->family == 0)
		return json_null();
	return json_string(sock_addr_text(address, buf, sizeof(buf)));
}

static json_t *
show_driver(struct view *v, const struct registry_driver *d)
{
	struct health h = view_health(v, d);
	json_t *driver = json_pack(
		"{s:o, s:o, s:o, s:o, s:s, s:s, s:i, s:i, s:s}", "cluster",
		view_text(d->cluster->name), "name", view_text(d->name), "address",
		view_text(d->address), "resolved", show_address(&h.address), "state",
		health_state_name(h.state), "reason", health_reason_name(h.reason), "id",
		(int)d->id, "weight", (int)d->weight, "wanted", d->draining ? "drain" : "active");

	json_object_set_new(driver, "since_ms", number(h.since_wall_ms));
	json_object_set_new(driver, "probed_ms", number(h.probed_wall_ms));
	json_object_set_new(driver, "rtt_us", number(h.rtt_us));
	json_object_set_new(driver, "failures", number(h.failures));
	json_object_set_new(driver, "changes", number(h.changes));
	json_object_set_new(driver, "sessions",
			    number(atomic_load(&segment_driver_sessions(v->segment)[d->slot])));
	json_object_set_new(driver, "running", number(view_running(v, d->slot)));
	return driver;
}

json_t *
view_wrap(json_t *rows)
{
	return json_pack("{s:I, s:o}", "now_ms", (json_int_t)clock_wall_ms(), "rows", rows);
}

int
view_clusters(struct view *v, json_t **ret)
{
	int err = view_refresh(v);
	json_t *rows;

	if (err != 0)
		return err;
	rows = json_array();
	for (unsigned i = 0; i < v->registry->clusters_count; i++)
		json_array_append_new(rows, show_cluster(v, &v->registry->clusters[i]));
	*ret = view_wrap(rows);
	return 0;
}

int
view_drivers(struct view *v, json_t **ret)
{
	int err = view_refresh(v);
	json_t *rows;

	if (err != 0)
		return err;
	rows = json_array();
	for (unsigned i = 0; i < v->registry->clusters_count; i++) {
		const struct registry_cluster *c = &v->registry->clusters[i];

		for (unsigned j = 0; j < c->drivers_count; j++)
			json_array_append_new(rows, show_driver(v, &c->drivers[j]));
	}
	*ret = view_wrap(rows);
	return 0;
}
