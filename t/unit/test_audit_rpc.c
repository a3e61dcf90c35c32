/* A worker's records and numbers of RPCs that are played here: what each kind of end says, and that
 * the books balance. */
#include "proto/grpc.h"
#include "shm/desk.h"
#include "shm/labels.h"
#include "t/unit/scratch.h"
#include "workers/audit.h"
#include "workers/context.h"
#include "workers/rpc.h"

#define ROW 4

static struct segment *segment;
static struct worker worker;
static struct worker_setup setup;
static struct conf conf;
static struct client client;
static struct identity alice;
static struct arena *arena;

static void
make(void)
{
	scratch_make();
	cr_assert_eq(segment_create(scratch_path("segment"), &segment), 0);
	cr_assert_eq(labels_add(segment_labels(segment), STR("eng"), STR("prod")), 1u);
	arena = arena_new(4096, 1 << 20);
	conf.audit = (struct conf_audit){.enabled = true, .sql_bytes = 2048};
	setup = (struct worker_setup){.segment = segment, .conf = &conf};
	setup.seat.row = ROW;
	worker = (struct worker){.setup = &setup, .conf = &conf};
	worker.audit = audit_new(&worker);
	cr_assert_not_null(worker.audit);
	client = (struct client){.id = 7};
	str_copy(client.peer_text, sizeof(client.peer_text), STR("192.0.2.1:50000"));
	alice = (struct identity){.verified = true, .user = STR("alice"), .provider = STR("idp")};
}

static void
drop(void)
{
	audit_free(&worker.audit);
	arena_free(&arena);
	segment_detach(&segment);
	scratch_drop();
}

TestSuite(audit_rpc, .init = make, .fini = drop, .timeout = 60);

static struct rpc *
begin(enum method_id method)
{
	static struct rpc room;
	struct rpc *r = &room;

	*r = (struct rpc){.worker = &worker, .conn = &client, .arena = arena, .id = 3};
	audit_begin(r);
	audit_started(r);
	r->method = methods_get(method);
	audit_trace(r, STR_NONE);
	return r;
}

static void
go(struct rpc *r, enum rpc_state to)
{
	static const struct binder_found found = {
		.cluster = "eng-prod", .team = "eng", .env = "prod"};

	while (r->state < to) {
		if (r->state == RPC_WHO)
			r->who = &alice;
		if (r->state == RPC_ROUTE)
			audit_bound(r, &found);
		audit_enter(r, r->state + 1);
		r->state++;
	}
}

static struct str
text_of(struct str facts, enum audit_field wanted, uint64_t *ret_number)
{
	struct str text, found = STR_NONE;
	enum audit_field field;
	uint64_t number;

	*ret_number = 0;
	while (audit_next(&facts, &field, &number, &text) == 0)
		if (field == wanted) {
			found = text;
			*ret_number = number;
		}
	return found;
}

/* The next record; it must be the last. */
static struct str
record(void)
{
	static uint8_t bytes[RING_RECORD_MAX];
	static uint64_t at;
	struct ring *ring = segment_ring(segment, ROW);
	uint32_t kind;
	size_t n, none;

	cr_assert_eq(ring_next(ring, &at, bytes, sizeof(bytes), &kind, &n), 0);
	cr_assert_eq(kind, (uint32_t)AUDIT_RPC);
	static uint8_t rest[RING_RECORD_MAX];
	cr_assert_eq(ring_next(ring, &at, rest, sizeof(rest), &kind, &none), E_AGAIN);
	return (struct str){(char *)bytes, n};
}

static void
expect(struct str facts, enum audit_field field, const char *text, uint64_t number)
{
	uint64_t n;
	struct str got = text_of(facts, field, &n);

	if (text != NULL)
		cr_expect(str_eq(got, str_from(text)), "%s: %.*s", audit_fields[field].member,
			  STR_ARG(got));
	else
		cr_expect_eq(n, number, "%s: %lu", audit_fields[field].member, (unsigned long)n);
}

Test(audit_rpc, good)
{
	struct metrics_slot *m = segment_metrics(segment, ROW);
	struct rpc *r = begin(METHOD_CONFIG);
	uint8_t answer[] = {0, 0, 0, 0, 1, 'x'};
	struct str facts;

	go(r, RPC_PUMP);
	audit_first(r);
	r->request_bytes = 100;
	r->answer_bytes = sizeof(answer);
	r->envelope.messages = 1;
	grpc_count(&r->audit.answers, answer, sizeof(answer));
	audit_last(r);
	go(r, RPC_DONE);
	audit_end(r, true);
	facts = record();
	expect(facts, AUDIT_user, "alice", 0);
	expect(facts, AUDIT_provider, "idp", 0);
	expect(facts, AUDIT_team, "eng", 0);
	expect(facts, AUDIT_cluster, "eng-prod", 0);
	expect(facts, AUDIT_method, "Config", 0);
	expect(facts, AUDIT_peer, "192.0.2.1:50000", 0);
	expect(facts, AUDIT_client, NULL, 7);
	expect(facts, AUDIT_rpc, NULL, 3);
	expect(facts, AUDIT_status, NULL, GRPC_OK);
	expect(facts, AUDIT_bytes_in, NULL, 100);
	expect(facts, AUDIT_messages_out, NULL, 1);
	cr_expect_eq(m->requests[1][GRPC_OK], 1u);
	uint64_t sums[3] = {0};
	for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
		sums[0] += m->latency[1][METHOD_CONFIG].count[i];
		sums[1] += m->first_response[METHOD_CONFIG].count[i];
		sums[2] += m->overhead[METHOD_CONFIG].count[i];
	}
	cr_expect(sums[0] == 1 && sums[1] == 1 && sums[2] == 1);
	for (unsigned i = 0; i < METRICS_ERRORS_COUNT; i++)
		cr_expect_eq(m->errors[1][i], 0u);
}

Test(audit_rpc, ends)
{
	static const struct {
		enum rpc_state in; /* where it is refused; RPC_DONE: the driver's status */
		unsigned code;
		enum status_detail detail;
		int blame; /* -1: as the status says */
		bool whole;
		enum metrics_error error;
		unsigned counted;
	} rows[] = {
		{RPC_HEADERS, GRPC_INVALID_ARGUMENT, STATUS_PLAIN, -1, true,
		 METRICS_ERROR_invalid_request, GRPC_INVALID_ARGUMENT},
		{RPC_WHO, GRPC_UNAUTHENTICATED, STATUS_PLAIN, -1, true,
		 METRICS_ERROR_authentication, GRPC_UNAUTHENTICATED},
		{RPC_WHO, GRPC_UNAVAILABLE, STATUS_RETRY, -1, true, METRICS_ERROR_authentication,
		 GRPC_UNAVAILABLE},
		{RPC_WHO, GRPC_UNAVAILABLE, STATUS_RETRY, METRICS_ERROR_audit, true,
		 METRICS_ERROR_audit, GRPC_UNAVAILABLE},
		{RPC_ROUTE, GRPC_UNAVAILABLE, STATUS_RETRY, -1, true, METRICS_ERROR_keeper_away,
		 GRPC_UNAVAILABLE},
		{RPC_ROUTE, GRPC_PERMISSION_DENIED, STATUS_PLAIN, -1, true,
		 METRICS_ERROR_authorization, GRPC_PERMISSION_DENIED},
		{RPC_ROUTE, GRPC_INTERNAL, STATUS_SESSION_NOT_FOUND, -1, true,
		 METRICS_ERROR_session_unknown, GRPC_INTERNAL},
		{RPC_PUMP, GRPC_INTERNAL, STATUS_SESSION_CLOSED, -1, true,
		 METRICS_ERROR_session_closed, GRPC_INTERNAL},
		{RPC_PUMP, GRPC_UNAVAILABLE, STATUS_PLAIN, -1, true, METRICS_ERROR_driver_broke,
		 GRPC_UNAVAILABLE},
		{RPC_PUMP, GRPC_DEADLINE_EXCEEDED, STATUS_PLAIN, -1, true, METRICS_ERROR_deadline,
		 GRPC_DEADLINE_EXCEEDED},
		{RPC_DONE, GRPC_NOT_FOUND, STATUS_PLAIN, METRICS_ERROR_driver_error, true,
		 METRICS_ERROR_driver_error, GRPC_NOT_FOUND},
		{RPC_DONE, GRPC_CANCELLED, STATUS_PLAIN, -1, false, METRICS_ERROR_cancelled,
		 GRPC_CANCELLED},
		{RPC_DONE, GRPC_OK, STATUS_PLAIN, -1, false, METRICS_ERROR_cancelled,
		 GRPC_CANCELLED},
	};
	struct metrics_slot *m = segment_metrics(segment, ROW);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rpc *r = begin(METHOD_EXECUTE_PLAN);
		struct status status = {.code = rows[i].code, .detail = rows[i].detail};
		unsigned pair = rows[i].in > RPC_ROUTE ? 1 : 0;
		uint64_t errors = m->errors[pair][rows[i].error];
		uint64_t requests = m->requests[pair][rows[i].counted];

		go(r, rows[i].in);
		if (rows[i].blame >= 0)
			rpc_blame(r, (enum metrics_error)rows[i].blame);
		if (rows[i].in != RPC_DONE)
			audit_refused(r, &status, STR("why"));
		if (r->state != RPC_DONE)
			audit_enter(r, RPC_DONE);
		r->state = RPC_DONE;
		r->status = rows[i].code;
		audit_end(r, rows[i].whole);
		cr_expect_eq(m->errors[pair][rows[i].error], errors + 1, "row %zu", i);
		cr_expect_eq(m->requests[pair][rows[i].counted], requests + 1, "row %zu", i);
		struct str facts = record();
		expect(facts, AUDIT_status, NULL, rows[i].counted);
		expect(facts, AUDIT_refused, NULL, rows[i].in != RPC_DONE);
		expect(facts, AUDIT_words, rows[i].in != RPC_DONE ? "why" : "", 0);
	}
}

Test(audit_rpc, not_recorded_but_counted)
{
	struct metrics_slot *m = segment_metrics(segment, ROW);
	uint64_t at = 0;
	uint8_t bytes[64];
	uint32_t kind;
	size_t n;

	conf.audit.enabled = false;
	for (unsigned i = 0; i < 3000; i++) {
		struct rpc *r = begin(METHOD_CONFIG);

		go(r, RPC_DONE);
		audit_end(r, true);
		arena_reset(arena);
	}
	cr_expect_eq(m->requests[1][GRPC_OK], 3000u);
	cr_expect_eq(ring_next(segment_ring(segment, ROW), &at, bytes, RING_RECORD_MAX, &kind, &n),
		     E_AGAIN);
}

Test(audit_rpc, full)
{
	struct rpc *r = begin(METHOD_EXECUTE_PLAN);

	cr_expect_not(audit_is_full(r));
	while (ring_fill(segment_ring(segment, ROW)) < RING_BYTES - RING_BYTES / 4) {
		struct rpc *other = begin(METHOD_CONFIG);

		go(other, RPC_DONE);
		audit_end(other, true);
		arena_reset(arena);
	}
	r = begin(METHOD_ANALYZE_PLAN);
	cr_expect_not(audit_is_full(r), "records are written");
	atomic_store(&segment_ledger(segment)->stalled, 1);
	cr_expect(audit_is_full(r));
	r->method = methods_get(METHOD_RELEASE_EXECUTE);
	cr_expect_not(audit_is_full(r), "what ends work goes on");
	r->method = methods_get(METHOD_EXECUTE_PLAN);
	conf.audit.on_full = AUDIT_CONTINUE;
	cr_expect_not(audit_is_full(r));
}
