/*
 * The overview and the history: numbers of all processes by team, what an observer may not see, and
 * events over the lives of several controllers.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "controller/overview.h"
#include "lib/clock.h"
#include "shm/counters.h"
#include "shm/labels.h"
#include "shm/metrics.h"
#include "t/unit/view_rig.h"

static struct history *history;

static void
drop_gateway(void)
{
	history_free(&history);
	rig_close();
}

TestSuite(overview, .init = rig_open, .fini = drop_gateway, .timeout = 60);

/* A process that lives in rows 1 and 2, too. */
static pid_t
start_other(void)
{
	int fds[2];
	char c;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		bool entered = segment_enter_row(rig_view.segment, 1) == 0 &&
			       segment_enter_row(rig_view.segment, 2) == 0;

		_exit(entered && write(fds[1], "x", 1) == 1 ? pause() : 1);
	}
	close(fds[1]);
	cr_assert_eq(read(fds[0], &c, 1), 1);
	close(fds[0]);
	return pid;
}

static void
end_other(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* The same process under another number. */
static void
replace(struct procs_row *row, unsigned generation, unsigned restarts, pid_t pid)
{
	procs_enter(row, atomic_load(&row->kind), 0, generation, restarts);
	atomic_store(&row->pid, (uint32_t)pid);
}

static json_int_t
number(const json_t *json, const char *key)
{
	return json_integer_value(json_object_get(json, key));
}

static void
count(unsigned row, unsigned pair, unsigned ok, unsigned refused)
{
	struct metrics_slot *m;

	cr_assert_eq(segment_reserve(rig_view.segment, row, SEGMENT_METRICS), 0);
	m = segment_metrics(rig_view.segment, row);
	metrics_add(&m->requests[pair][0], ok);
	metrics_add(&m->requests[pair][GRPC_UNAVAILABLE], refused);
	metrics_add(&m->errors[pair][METRICS_ERROR_no_driver], refused);
	metrics_observe(&m->latency[pair][METHOD_CONFIG], 700);
	metrics_observe(&m->latency[pair][METHOD_EXECUTE_PLAN], 400000000);
}

Test(overview, adds_up_all_processes_by_team)
{
	unsigned pair = labels_add(segment_labels(rig_view.segment), STR("red"), STR("prod"));
	struct overview o = {.view = &rig_view, .audited = true};
	json_t *json, *team, *latency;

	cr_assert_neq(pair, 0);
	count(3, pair, 10, 2);
	count(9, pair, 5, 1); /* nobody lives there any more */
	count(9, 0, 1, 0);
	atomic_store(&segment_pair_sessions(rig_view.segment)[pair], 4);
	json = overview_show(&o);
	cr_assert_eq(json_array_size(json_object_get(json, "teams")), 2);
	team = json_array_get(json_object_get(json, "teams"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(team, "team")), "red");
	cr_expect_eq(number(team, "sessions"), 4);
	cr_expect_eq(number(team, "requests"), 18);
	cr_expect_eq(number(team, "failed"), 3);
	cr_expect_eq(number(json_object_get(team, "errors"), "no_driver"), 3);
	cr_expect_eq(json_object_size(json_object_get(team, "errors")), 1);
	latency = json_object_get(team, "latency");
	cr_expect_eq(json_array_size(latency), METRICS_BUCKETS);
	cr_expect_eq(json_integer_value(json_array_get(latency, 0)), 2);
	cr_expect_eq(json_integer_value(json_array_get(latency, METRICS_BUCKETS - 1)), 2);
	team = json_array_get(json_object_get(json, "teams"), 1);
	cr_expect_str_eq(json_string_value(json_object_get(team, "team")), "other");
	cr_expect_eq(number(team, "requests"), 1);
	cr_expect(json_is_null(json_object_get(json, "clusters")), "no store yet");
	cr_expect(json_is_true(json_object_get(json_object_get(json, "audit"), "enabled")));
	json_decref(json);
	overview_close(&o);
}

static void
list_provider(void *arg, json_t *list)
{
	json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:i, s:s}", "name", "okta", "issuer",
					      "https://inside.example", "error", "key=hidden",
					      "keys", 2, "type", "oidc"));
}

Test(overview, leaves_out_where_providers_are_and_what_they_said)
{
	struct overview o = {.view = &rig_view, .providers = list_provider};
	json_t *json = overview_show(&o), *again;
	char *text = json_dumps(json, 0);

	cr_expect_null(strstr(text, "inside.example"));
	cr_expect_null(strstr(text, "hidden"));
	cr_expect_not_null(strstr(text, "okta"));
	again = overview_show(&o);
	cr_expect_eq(json, again, "made once for all who ask at a time");
	free(text);
	json_decref(again);
	json_decref(json);
	overview_close(&o);
}

/* "what: words; ...", the latest first, must begin like this. */
static void
expect_events(const char *wanted)
{
	json_t *json = history_show(history), *event;
	char all[1024] = "";
	size_t i, at = 0;

	json_array_foreach(json_object_get(json, "events"), i, event) at +=
		(size_t)snprintf(all + at, sizeof(all) - at, "%s: %s; ",
				 json_string_value(json_object_get(event, "what")),
				 json_string_value(json_object_get(event, "words")));
	cr_expect_str_eq(all, wanted);
	json_decref(json);
}

static void
renew_history(void)
{
	history_free(&history);
	cr_assert_eq(history_new(&rig_view, rig_dir, &history), 0);
	history_look(history);
}

Test(overview, history_tells_restarts_and_reloads_over_lives_of_its_process)
{
	struct procs_row *keeper = rig_enter(1, PROC_KEEPER, 1, 0);
	struct procs_row *worker = rig_enter(2, PROC_WORKER, 1, 0);
	pid_t other = start_other();
	char words[256];

	renew_history();
	expect_events("");
	history_look(history);
	replace(worker, 1, 1, other);
	history_look(history);
	snprintf(words, sizeof(words),
		 "restart: worker 0 is a new process (pid %d, before %d), restart 1; ", other,
		 getpid());
	expect_events(words);
	renew_history();
	expect_events(words);
	replace(keeper, 2, 0, other); /* a reload: neither of the two is a restart */
	replace(worker, 2, 1, getpid());
	renew_history();
	snprintf(words, sizeof(words),
		 "reload: configuration generation 2 is in force, before 1; "
		 "restart: worker 0 is a new process (pid %d, before %d), restart 1; ",
		 other, getpid());
	expect_events(words);
	atomic_store(&worker->pid, RIG_NOBODY); /* dead, and nobody in its place yet */
	history_look(history);
	expect_events(words);
	end_other(other);
}

Test(overview, history_keeps_the_last_events_only)
{
	struct procs_row *worker = rig_enter(2, PROC_WORKER, 1, 0);
	pid_t other = start_other();
	json_t *json, *events;

	renew_history();
	for (unsigned i = 1; i <= HISTORY_EVENTS + 5; i++) {
		replace(worker, 1, i, i % 2 ? other : getpid());
		history_look(history);
	}
	renew_history();
	json = history_show(history);
	events = json_object_get(json, "events");
	cr_expect_eq(json_array_size(events), HISTORY_EVENTS);
	cr_expect_not_null(
		strstr(json_string_value(json_object_get(json_array_get(events, 0), "words")),
		       "restart 37"));
	json_decref(json);
	end_other(other);
}

Test(overview, history_survives_a_file_that_makes_no_sense)
{
	static const char *const texts[] = {
		"", "{", "[]", "{\"since_ms\": 1}",
		"{\"since_ms\":1,\"looked_ms\":1,\"generation\":1,\"ready\":1,\"seats\":[[-1,1,1,1]"
		","
		"[99999,1,1,1],1,[1]],\"events\":[1,{},{\"at_ms\":\"x\"}]}"};
	char path[96];

	snprintf(path, sizeof(path), "%s/history.json", rig_dir);
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		FILE *f = fopen(path, "w");

		fputs(texts[i], f);
		fclose(f);
		renew_history();
		history_look(history);
	}
}
