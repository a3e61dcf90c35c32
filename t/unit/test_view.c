/*
 * What the controller makes of the segment and the store: readiness, sums, pages of sessions.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "controller/page.h"
#include "lib/clock.h"
#include "shm/counters.h"
#include "shm/health.h"
#include "t/unit/view_rig.h"

TestSuite(view, .init = rig_open, .fini = rig_close, .timeout = 60);

static struct db *
open_writer(void)
{
	struct db *db;
	const char *words;

	cr_assert_eq(db_open(rig_dir, true, 0, &db, &words), 0);
	return db;
}

/* One cluster with one driver; LMDB is opened once in a process, so the writer is closed again. */
static void
make_store(unsigned sessions)
{
	struct registry_cluster cluster = {.name = STR("fe"),
					   .team = STR("red"),
					   .env = STR("prod"),
					   .region = STR(""),
					   .origin = STR("config"),
					   .drivers_count = 1};
	struct registry_driver driver = {.name = STR("a"),
					 .address = STR("127.0.0.1:15002"),
					 .weight = 1,
					 .cluster = &cluster};
	struct db *db = open_writer();
	const char *words;
	bool changed;

	cluster.drivers = &driver;
	cr_assert_eq(db_write_begin(db), 0);
	cr_assert_eq(registry_reconcile(db, &cluster, 1, &changed), 0);
	for (unsigned i = 0; i < sessions; i++) {
		const struct session session = {.state = SESSION_BOUND,
						.driver_id = 1,
						.created_ms = 1,
						.seen_ms = 2,
						.cluster = STR("fe"),
						.team = STR("red"),
						.env = STR("prod")};
		struct session_key key = {.id = {(uint8_t)(i >> 8), (uint8_t)i},
					  .user = i % 2 ? STR("odd") : STR("even")};

		sessions_put(db, &key, &session);
	}
	cr_assert_eq(db_commit(db), 0);
	db_close(&db);
	cr_assert_eq(view_open_store(&rig_view, &words), 0);
}

/* The words, joined by "; ". */
static void
expect_missing(const char *wanted)
{
	json_t *missing = view_missing(&rig_view);
	char all[256] = "";
	size_t at = 0;

	for (size_t i = 0; i < json_array_size(missing); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s", i > 0 ? "; " : "",
				       json_string_value(json_array_get(missing, i)));
	cr_expect_str_eq(all, wanted);
	json_decref(missing);
}

Test(view, says_what_is_missing)
{
	struct health health = {.driver_id = 1, .state = HEALTH_DOWN};
	struct health_row *rows = segment_health(rig_view.segment);
	struct procs_row *worker;

	expect_missing("the keeper is not ready; no worker is ready; the store cannot be read yet");
	rig_enter(1, PROC_KEEPER, 1, 0);
	expect_missing(
		"the keeper cannot commit; no worker is ready; the store cannot be read yet");
	atomic_store(segment_keeper_ok(rig_view.segment), 1);
	make_store(0);
	worker = rig_enter(2, PROC_WORKER, 1, 0);
	expect_missing("no driver is up");
	health_write(&rows[0], &health);
	expect_missing("no driver is up");
	health.state = HEALTH_UP;
	health.driver_id = 2; /* a row about somebody else */
	health_write(&rows[0], &health);
	expect_missing("no driver is up");
	health.driver_id = 1;
	health_write(&rows[0], &health);
	expect_missing("");
	procs_set_state(worker, PROC_DRAINING);
	expect_missing("no worker is ready");
}

Test(view, a_process_that_died_or_hangs_is_not_ready)
{
	struct procs_row *keeper = rig_enter(1, PROC_KEEPER, 1, 0),
			 *worker = rig_enter(2, PROC_WORKER, 1, 0);

	atomic_store(segment_keeper_ok(rig_view.segment), 1);
	expect_missing("the store cannot be read yet");
	procs_beat(keeper, clock_ms() - VIEW_BEAT_MS - 1000);
	atomic_store(&worker->pid, RIG_NOBODY);
	expect_missing("the keeper is not ready; no worker is ready; the store cannot be read yet");
}

/* The runner lives, and holds no lock of a row. */
Test(view, a_number_that_another_process_has_by_now_keeps_nobody_alive)
{
	struct counters_slot *slots = segment_counters(rig_view.segment);
	json_t *status;

	rig_enter(1, PROC_KEEPER, 1, 0);
	atomic_store(&rig_enter(2, PROC_WORKER, 1, 0)->pid, (uint32_t)getppid());
	atomic_store(&slots[2].running[0], 3);
	counters_add(&slots[2], COUNTER_rpcs_open, 3);
	cr_expect(view_is_alive(&rig_view, 1));
	cr_expect_not(view_is_alive(&rig_view, 2));
	cr_expect_eq(view_running(&rig_view, 0), 0u);
	status = view_status(&rig_view);
	cr_expect_eq(json_array_size(json_object_get(status, "processes")), 1);
	json_decref(status);
}

Test(view, sums_totals_of_dead_workers_but_not_what_they_had_open)
{
	struct counters_slot *slots = segment_counters(rig_view.segment);
	json_t *status, *counters;

	rig_enter(1, PROC_WORKER, 1, 0);
	atomic_store(&rig_enter(2, PROC_WORKER, 1, 0)->pid, RIG_NOBODY);
	for (unsigned i = 1; i <= 2; i++) {
		counters_add(&slots[i], COUNTER_rpcs_total, 10);
		counters_add(&slots[i], COUNTER_rpcs_open, 3);
	}
	status = view_status(&rig_view);
	counters = json_object_get(status, "counters");
	cr_expect_eq(json_integer_value(json_object_get(counters, "rpcs_total")), 20);
	cr_expect_eq(json_integer_value(json_object_get(counters, "rpcs_open")), 3);
	cr_expect_eq(json_array_size(json_object_get(status, "processes")), 1);
	cr_expect_eq(json_array_size(json_object_get(status, "workers")), 1);
	cr_expect(json_is_false(json_object_get(status, "ready")));
	json_decref(status);
}

Test(view, a_driver_shows_what_runs_on_it_in_living_workers)
{
	struct counters_slot *slots = segment_counters(rig_view.segment);
	json_t *answer, *driver;

	make_store(0);
	rig_enter(1, PROC_WORKER, 1, 0);
	atomic_store(&rig_enter(2, PROC_WORKER, 1, 0)->pid, RIG_NOBODY);
	atomic_store(&slots[1].running[0], 4);
	atomic_store(&slots[2].running[0], 8);
	atomic_store(&segment_driver_sessions(rig_view.segment)[0], 5);
	cr_assert_eq(view_drivers(&rig_view, &answer), 0);
	driver = json_array_get(json_object_get(answer, "rows"), 0);
	cr_expect_eq(json_integer_value(json_object_get(driver, "running")), 4);
	cr_expect_eq(json_integer_value(json_object_get(driver, "sessions")), 5);
	cr_expect_str_eq(json_string_value(json_object_get(driver, "cluster")), "fe");
	cr_expect_str_eq(json_string_value(json_object_get(driver, "state")), "unknown");
	cr_expect_str_eq(json_string_value(json_object_get(driver, "wanted")), "active");
	json_decref(answer);
}

struct values {
	const char *user, *limit, *after;
};

static struct str
get_value(void *arg, const char *key)
{
	const struct values *v = arg;

	return str_from(strcmp(key, "user") == 0    ? v->user
			: strcmp(key, "limit") == 0 ? v->limit
			: strcmp(key, "after") == 0 ? v->after
						    : NULL);
}

/* Follows the pages; returns the rows in all. Fails when an id does not follow the one before. */
static unsigned
walk(const char *user, const char *limit, unsigned *ret_pages)
{
	char last[64] = "", next[QUERY_CURSOR] = "";
	unsigned rows = 0;

	for (*ret_pages = 0;; ++*ret_pages) {
		struct values v = {user, limit, next[0] != '\0' ? next : NULL};
		struct query q;
		const char *words, *after;
		json_t *page, *list;

		cr_assert_eq(query_parse(get_value, &v, &q, &words), 0);
		cr_assert_eq(page_sessions(&rig_view, &q, &page), 0);
		list = json_object_get(page, "rows");
		for (size_t i = 0; i < json_array_size(list); i++) {
			const char *id =
				json_string_value(json_object_get(json_array_get(list, i), "id"));

			cr_assert_gt(strcmp(id, last), 0);
			snprintf(last, sizeof(last), "%s", id);
			rows++;
		}
		after = json_string_value(json_object_get(page, "next"));
		snprintf(next, sizeof(next), "%s", after != NULL ? after : "");
		json_decref(page);
		if (next[0] == '\0')
			break;
	}
	++*ret_pages;
	return rows;
}

Test(view, pages_show_every_session_once)
{
	static const struct {
		const char *user, *limit;
		unsigned rows, pages;
	} cases[] = {
		{NULL, NULL, 2500, 3},	{NULL, "1000", 2500, 3}, {NULL, "500", 2500, 5},
		{NULL, "999", 2500, 3}, {"odd", NULL, 1250, 2},	 {"odd", "1000", 1250, 2},
		{"nobody", NULL, 0, 1},
	};
	unsigned pages;

	make_store(2500);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cr_expect_eq(walk(cases[i].user, cases[i].limit, &pages), cases[i].rows, "case %zu",
			     i);
		cr_expect_eq(pages, cases[i].pages, "case %zu: %u pages", i, pages);
	}
}

Test(view, a_filter_that_matches_nothing_does_not_hold_the_process)
{
	unsigned pages;

	make_store(25000); /* ten thousand are looked at for each answer */
	cr_expect_eq(walk("nobody", NULL, &pages), 0);
	cr_expect_eq(pages, 3);
}

Test(view, needs_the_store)
{
	struct query q = {.limit = 1};
	json_t *json;

	cr_expect_eq(view_clusters(&rig_view, &json), E_STATE);
	cr_expect_eq(view_drivers(&rig_view, &json), E_STATE);
	cr_expect_eq(page_sessions(&rig_view, &q, &json), E_STATE);
}

Test(view, replaces_what_is_no_text)
{
	static const struct {
		struct str s;
		const char *text;
	} cases[] = {
		{{"a\377b", 3}, "a?b"},
		{{"J\303\274", 3}, "J\303\274"},
		{{"", 0}, ""},
		{{NULL, 0}, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *json = view_text(cases[i].s);

		if (cases[i].text != NULL)
			cr_expect_str_eq(json_string_value(json), cases[i].text);
		else
			cr_expect(json_is_null(json));
		json_decref(json);
	}
}
