/*
 * The page of metrics: its form, what is in it of the living and of the dead, and its bound.
 */
#include <criterion/criterion.h>
#include <zlib.h>
#include "controller/exposition.h"
#include "controller/metrics.h"
#include "scratch.h"
#include "shm/counters.h"
#include "shm/labels.h"
#include "shm/metrics.h"
#include "shm/procs.h"
#include "shm/ring.h"

#define NOBODY 0x7ffffffeu /* above the kernel's limit: never a process */

static struct view view;
static struct conf conf = {.limit_connections = 1000};
static struct buf page;

static void
make_gateway(void)
{
	scratch_make();
	cr_assert_eq(segment_create(scratch_path("segment"), &view.segment), 0);
	view.state_dir = scratch;
	buf_init(&page, METRICS_PAGE_MAX);
}

static void
drop_gateway(void)
{
	view_close(&view);
	segment_detach(&view.segment);
	buf_free(&page);
	scratch_drop();
}

TestSuite(metrics, .init = make_gateway, .fini = drop_gateway, .timeout = 60);

static const char *
scrape(const char *without)
{
	const struct scrape_from from = {.conf = &conf, .view = &view, .rollout = 40};

	buf_clear(&page);
	cr_assert_eq(metrics_page(&from, str_from(without), &page), 0);
	return buf_cstr(&page);
}

static bool
has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *at = strstr(text, line); at != NULL; at = strstr(at + 1, line))
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return true;
	return false;
}

static void
expect_lines(const char *const *lines)
{
	const char *text = scrape(NULL);

	for (; *lines != NULL; lines++)
		cr_expect(has_line(text, *lines), "%s", *lines);
}

Test(exposition, writes_numbers_exactly)
{
	static const struct {
		uint64_t value;
		unsigned digits;
		const char *text;
	} cases[] = {
		{0, 0, "0"},
		{0, 6, "0"},
		{1, 6, "0.000001"},
		{250, 3, "0.25"},
		{2500, 3, "2.5"},
		{300000000, 6, "300"},
		{1000, 0, "1000"},
		{10, 1, "1"},
		{UINT64_MAX, 0, "18446744073709551615"},
		{UINT64_MAX, 6, "18446744073709.551615"},
		{UINT64_MAX, 19, "1.8446744073709551615"},
	};
	char text[24];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		exposition_decimal(cases[i].value, cases[i].digits, text, sizeof(text));
		cr_expect_str_eq(text, cases[i].text, "%s", text);
	}
}

Test(exposition, escapes_labels)
{
	static const struct {
		struct str value;
		const char *line;
	} cases[] = {
		{{"plain", 5}, "n{k=\"plain\"} 7\n"},
		{{"a\"b\\c\nd", 7}, "n{k=\"a\\\"b\\\\c\\nd\"} 7\n"},
		{{"J\303\274", 3}, "n{k=\"J\303\274\"} 7\n"},
		{{"a\377\0b", 4}, "n{k=\"a??b\"} 7\n"},
		{{"", 0}, "n{k=\"\"} 7\n"},
	};
	struct exposition x;
	struct buf out;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		buf_init(&out, 4096);
		exposition_open(&x, &out);
		exposition_family(&x, "n", "counter", "words");
		buf_clear(&out);
		exposition_label(&x, "k", cases[i].value);
		exposition_value(&x, 7, 0);
		cr_expect_str_eq(buf_cstr(&out), cases[i].line);
		buf_free(&out);
	}
}

Test(exposition, cuts_labels_that_are_too_long)
{
	static char many[EXPOSITION_LABELS * 2];
	struct exposition x;
	struct buf out;

	memset(many, '"', sizeof(many));
	buf_init(&out, 65536);
	exposition_open(&x, &out);
	exposition_family(&x, "n", "counter", "words");
	for (unsigned i = 0; i < 3; i++)
		exposition_label(&x, "k", (struct str){many, sizeof(many)});
	buf_clear(&out);
	exposition_value(&x, 7, 0);
	cr_expect(!buf_failed(&out) && buf_str(&out).n < EXPOSITION_LABELS + 16);
	cr_expect(str_ends(buf_str(&out), STR("\"} 7\n")));
	buf_free(&out);
}

Test(metrics, a_new_gateway_has_nothing_but_gauges_and_zeros)
{
	expect_lines((const char *[]){
		"spark_gateway_ready 0",
		"spark_connect_active_sessions{team=\"other\",env=\"other\"} 0",
		"spark_gateway_rollout_percent 40", "spark_gateway_connections_limit 1000",
		"spark_gateway_reloads_total{result=\"failed\"} 0",
		"spark_gateway_last_reload_ok 1", "# TYPE spark_connect_latency_ms histogram",
		NULL});
	cr_expect_null(strstr(scrape(NULL), "spark_connect_requests_total{"));
	cr_expect_null(strstr(scrape(NULL), "spark_connect_latency_ms_bucket{"));
	cr_expect_null(strstr(scrape(NULL), "\nspark_gateway_last_reload_timestamp_seconds "));
}

static struct metrics_slot *
reserve(unsigned row)
{
	cr_assert_eq(segment_reserve(view.segment, row, SEGMENT_METRICS | SEGMENT_AUDIT), 0);
	return segment_metrics(view.segment, row);
}

Test(metrics, sums_over_the_living_and_the_dead)
{
	unsigned pair = labels_add(segment_labels(view.segment), STR("red"), STR("prod"));
	struct counters_slot *counters = segment_counters(view.segment);

	for (unsigned row = 1; row <= 2; row++) {
		struct metrics_slot *m = reserve(row);

		procs_enter(&segment_procs(view.segment)[row], PROC_WORKER, row, 1, 0);
		metrics_add(&m->requests[pair][GRPC_OK], 5 * row);
		metrics_add(&m->requests[0][GRPC_UNAUTHENTICATED], 1);
		metrics_add(&m->errors[0][METRICS_ERROR_authentication], 1);
		metrics_observe(&m->latency[pair][METHOD_CONFIG], 2400);
		metrics_observe(&m->latency[pair][METHOD_CONFIG], 1000000);
		metrics_observe(&m->overhead[METHOD_CONFIG], 80);
		counters_add(&counters[row], COUNTER_connections_total, 3);
		counters_add(&counters[row], COUNTER_connections_open, 1);
		atomic_store(&segment_ring(view.segment, row)->lost, row);
	}
	atomic_store(&segment_procs(view.segment)[2].pid, NOBODY);
	atomic_store(&segment_pair_sessions(view.segment)[pair], 4);
	expect_lines((const char *[]){
		"spark_connect_requests_total{team=\"red\",env=\"prod\",status=\"OK\"} 15",
		"spark_connect_requests_total{team=\"other\",env=\"other\",status="
		"\"UNAUTHENTICATED\"} "
		"2",
		"spark_connect_errors_total{team=\"other\",env=\"other\",error_type="
		"\"authentication\"} 2",
		"spark_connect_active_sessions{team=\"red\",env=\"prod\"} 4",
		"spark_connect_latency_ms_bucket{team=\"red\",env=\"prod\",method=\"Config\",le="
		"\"1\"} 0",
		"spark_connect_latency_ms_bucket{team=\"red\",env=\"prod\",method=\"Config\",le="
		"\"2.5\"} 2",
		"spark_connect_latency_ms_bucket{team=\"red\",env=\"prod\",method=\"Config\",le="
		"\"1000\"} 4",
		"spark_connect_latency_ms_bucket{team=\"red\",env=\"prod\",method=\"Config\",le="
		"\"+Inf\"} 4",
		"spark_connect_latency_ms_sum{team=\"red\",env=\"prod\",method=\"Config\"} 2004.8",
		"spark_connect_latency_seconds_bucket{team=\"red\",env=\"prod\",method=\"Config\","
		"le=\"0.0025\"} 2",
		"spark_connect_latency_seconds_sum{team=\"red\",env=\"prod\",method=\"Config\"} "
		"2.0048",
		"spark_connect_latency_seconds_count{team=\"red\",env=\"prod\",method=\"Config\"} "
		"4",
		"spark_gateway_overhead_seconds_count{method=\"Config\"} 2",
		"spark_gateway_connections_total 6", "spark_gateway_connections_open 1",
		"spark_gateway_processes{kind=\"worker\"} 1", "spark_gateway_audit_dropped_total 3",
		"spark_gateway_label_pairs 1", NULL});
}

Test(metrics, says_what_the_supervisor_and_the_keeper_count)
{
	struct counters_slot *own = segment_counters(view.segment);
	struct metrics_keeper *keeper = segment_metrics_keeper(view.segment);

	procs_enter(segment_procs(view.segment), PROC_SUPERVISOR, 0, 1, 0);
	counters_add(own, COUNTER_reloads_ok, 7);
	counters_add(own, COUNTER_restarts_keeper, 2);
	counters_set(own, COUNTER_reload_bad, 1);
	counters_set(own, COUNTER_reload_ended_ms, 1764444000250);
	atomic_store(segment_keeper_ok(view.segment), 1);
	metrics_add(&keeper->number[METRICS_KEEPER_audit_lost], 9);
	metrics_observe(&keeper->commit, 3000);
	expect_lines((const char *[]){
		"spark_gateway_reloads_total{result=\"ok\"} 7", "spark_gateway_last_reload_ok 0",
		"spark_gateway_last_reload_timestamp_seconds 1764444000.25",
		"spark_gateway_restarts_total{kind=\"keeper\"} 2",
		"spark_gateway_restarts_total{kind=\"worker\"} 0", "spark_gateway_keeper_ok 1",
		"spark_gateway_audit_lost_total 9",
		"spark_gateway_commit_seconds_bucket{le=\"0.005\"} 1",
		"spark_gateway_commit_seconds_sum 0.003", NULL});
}

Test(metrics, leaves_out_what_is_not_wanted)
{
	static const struct {
		const char *without;
		bool ms, ready;
	} cases[] = {
		{NULL, true, true},
		{"", true, true},
		{"spark_connect_latency_ms", false, true},
		{"spark_gateway_ready,spark_connect_latency_ms", false, false},
		{"spark_connect_latency", true, true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *text = scrape(cases[i].without);

		cr_expect_eq(strstr(text, "HELP spark_connect_latency_ms ") != NULL, cases[i].ms);
		cr_expect_eq(strstr(text, "HELP spark_gateway_ready ") != NULL, cases[i].ready);
	}
}

/* As many series as there can be. */
static void
count_everything(void)
{
	struct metrics_slot *m = reserve(1);
	char team[24];

	for (unsigned i = 0; i < SEGMENT_PAIRS; i++) {
		snprintf(team, sizeof(team), "search-ranking-%u", i);
		labels_add(segment_labels(view.segment), str_from(team), STR("production"));
	}
	for (size_t i = 0; i < sizeof(*m) / sizeof(uint64_t); i++)
		metrics_add((_Atomic uint64_t *)(void *)m + i, 1000 + i * i % 9973);
}

/* Of this process alone: others do not count. */
static uint64_t
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static size_t
inflate_all(struct str small)
{
	static uint8_t out[65536];
	z_stream z = {.next_in = (Bytef *)(uintptr_t)small.p, .avail_in = (uInt)small.n};
	int rc = Z_OK;

	cr_assert_eq(inflateInit2(&z, 15 + 16), Z_OK);
	while (rc == Z_OK) {
		z.next_out = out;
		z.avail_out = sizeof(out);
		rc = inflate(&z, Z_NO_FLUSH);
	}
	cr_expect_eq(rc, Z_STREAM_END);
	inflateEnd(&z);
	return z.total_out;
}

Test(metrics, the_largest_page_has_a_bound)
{
	uint64_t begin, made, packed;
	struct buf small;

	count_everything();
	begin = cpu_us();
	scrape(NULL);
	made = cpu_us();
	buf_init(&small, METRICS_PAGE_MAX);
	cr_assert_eq(metrics_gzip(buf_str(&page), &small), 0);
	packed = cpu_us();
	printf("%zu bytes in %llu us, %zu compressed in %llu us\n", page.len,
	       (unsigned long long)(made - begin), small.len, (unsigned long long)(packed - made));
	cr_expect_lt(page.len, METRICS_PAGE_MAX / 2);
	cr_expect_lt(small.len, 2u << 20);
	cr_expect_eq(inflate_all(buf_str(&small)), page.len);
	buf_free(&small);
}
