/*
 * The worker's side of the keeper's channel, with the test in the keeper's place: what a look-up
 * hands out, uses that are noted, revocations that end what runs. The rest of a worker is stubs.
 */
#include "lib/clock.h"
#include "t/unit/scratch.h"
#include "workers/binder.h"
#include "workers/client.h"
#include "workers/context.h"
#include "workers/errand.h"
#include "workers/rpc.h"

#define RPCS   6
#define TOKENS 6000 /* more than a worker remembers */

static struct {
	struct worker worker;
	struct worker_setup setup;
	int keeper; /* our end */
	struct client clients[2];
	struct rpc rpcs[RPCS];
	struct identity people[RPCS];
	char forgotten[TOKEN_ID_MAX];
	char refused[RPCS][64];
} w;

/* ---- what is not under test ---- */

struct h2_stream *
rpc_new(struct client *c)
{
	(void)c;
	return NULL;
}

void
authn_forget(struct authn *a, struct str token_id)
{
	(void)a;
	str_copy(w.forgotten, sizeof w.forgotten, token_id);
}

struct rpc *
rpc_of_client(struct h2_stream *s)
{
	return (struct rpc *)(void *)((char *)s - offsetof(struct rpc, client));
}

enum rpc_step
rpc_refuse(struct rpc *r, enum grpc_code code, const char *words)
{
	struct h2_stream **at = &r->conn->h2.streams;

	snprintf(w.refused[r - w.rpcs], sizeof(w.refused[0]), "%d %s", (int)code, words);
	while (*at != &r->client) /* as if it were closed at once: the walk must bear it */
		at = &(*at)->next;
	*at = r->client.next;
	r->client.next = NULL;
	r->state = RPC_DONE;
	return STEP_END;
}

enum rpc_step
rpc_refuse_with(struct rpc *r, const struct status *status)
{
	return rpc_refuse(r, status->code, "closed");
}

enum rpc_step
rpc_unavailable(struct rpc *r, const char *words, uint32_t retry_ms)
{
	(void)retry_ms;
	return rpc_refuse(r, GRPC_UNAVAILABLE, words);
}

void
worker_maybe_leave(struct worker *worker)
{
	(void)worker;
}

void
errand_release(struct worker *worker, const struct session_key *key, uint32_t driver_id)
{
	(void)worker;
	(void)key;
	(void)driver_id;
}

int
h2_open_server(struct h2 *h2, struct loop *loop, int fd, SSL_CTX *tls,
	       const struct h2_limits *limits, const struct h2_ops *ops)
{
	(void)h2;
	(void)loop;
	(void)fd;
	(void)tls;
	(void)limits;
	(void)ops;
	return E_NOMEM;
}

void
h2_close(struct h2 *h2, int why)
{
	(void)h2;
	(void)why;
}

void
h2_go_away(struct h2 *h2)
{
	(void)h2;
}

/* ---- a worker ---- */

static void
start(void)
{
	const char *words;
	int fds[2];

	scratch_make();
	cr_assert_eq(sock_pair(fds), 0);
	w.keeper = fds[0];
	w.setup.keeper_fd = fds[1];
	w.worker.setup = &w.setup;
	w.worker.loop = loop_new();
	cr_assert_eq(db_open(scratch, true, DB_READERS, &w.worker.db, &words), 0);
	w.worker.binder = binder_new(&w.worker);
}

static void
stop(void)
{
	binder_free(&w.worker.binder);
	db_close(&w.worker.db);
	loop_free(&w.worker.loop);
	scratch_drop();
}

TestSuite(binder, .init = start, .fini = stop, .timeout = 20);

static void
on_time(void *arg)
{
	(void)arg;
	loop_stop(w.worker.loop);
}

static void
run_for(uint64_t ms)
{
	struct loop_timer timer = {0};

	loop_timer_start(w.worker.loop, &timer, ms, 0, on_time, NULL);
	loop_run(w.worker.loop);
	loop_timer_stop(&timer);
}

static struct session_key
session_key(unsigned n)
{
	struct session_key key = {.user = STR("alice")};

	memcpy(key.id, &n, sizeof(n));
	return key;
}

static void
put_session(unsigned n, const struct session *s)
{
	struct session_key key = session_key(n);

	cr_assert_eq(db_write_begin(w.worker.db), 0);
	sessions_put(w.worker.db, &key, s);
	cr_assert_eq(db_commit(w.worker.db), 0);
}

/* ---- look-ups ---- */

Test(binder, what_is_found_says_where_it_belongs)
{
	static char longest[SESSION_NAME_MAX];
	const struct session s = {SESSION_BOUND,  7,	     1000,	 2000,
				  STR("fe-prod"), STR("fe"), STR("prod")};
	const struct session empty = {SESSION_BOUND, 7, 1000, 2000, STR(""), STR(""), STR("")};
	struct session_key key = session_key(1);
	struct binder_found found;

	memset(&found, 'x', sizeof(found));
	cr_expect_eq(binder_find(w.worker.binder, &key, &found), E_NOT_FOUND);
	cr_expect_eq(found.team[0], 'x', "untouched");
	put_session(1, &s);
	cr_assert_eq(binder_find(w.worker.binder, &key, &found), 0);
	cr_expect(found.state == SESSION_BOUND && found.driver_id == 7 &&
		  found.created_ms == 1000 && found.seen_ms == 2000);
	cr_expect_str_eq(found.cluster, "fe-prod");
	cr_expect_str_eq(found.team, "fe");
	cr_expect_str_eq(found.env, "prod");
	put_session(1, &empty);
	cr_assert_eq(binder_find(w.worker.binder, &key, &found), 0);
	cr_expect(found.cluster[0] == '\0' && found.team[0] == '\0' && found.env[0] == '\0');
	memset(longest, 'n', sizeof(longest) - 1);
	put_session(2, &(struct session){.state = SESSION_BOUND, .team = str_from(longest)});
	key = session_key(2);
	cr_assert_eq(binder_find(w.worker.binder, &key, &found), 0);
	cr_expect_str_eq(found.team, longest);
}

Test(binder, an_old_mark_is_as_good_as_none)
{
	uint64_t now = clock_wall_ms();
	const uint64_t ages[] = {SESSION_MARK_MS + 5000, SESSION_MARK_MS - 60000};
	struct session_key key = session_key(1);
	struct binder_found found;

	for (int i = 0; i < 2; i++) {
		put_session(1, &(struct session){.state = SESSION_LOST, .seen_ms = now - ages[i]});
		cr_expect_eq(binder_find(w.worker.binder, &key, &found), i == 0 ? E_NOT_FOUND : 0);
	}
	put_session(1, &(struct session){.state = SESSION_BOUND, .seen_ms = now - ages[0]});
	cr_expect_eq(binder_find(w.worker.binder, &key, &found), 0);
}

static struct {
	int calls, err;
	struct binder_found found;
} answer;

static void
on_answer(struct binder_ask *a, int err, const struct binder_found *found)
{
	(void)a;
	answer.calls++;
	answer.err = err;
	if (found != NULL)
		answer.found = *found;
}

/* The keeper says that what stands was made at that time. */
static void
ask_and_answer(unsigned n, int result, uint64_t created_ms)
{
	struct binder_ask ask = {.done = on_answer};
	struct session_key key = session_key(n);
	_Alignas(16) char buf[MSG_MAX];
	const struct keeper_bind *asked = (const void *)buf;
	struct keeper_bound m = {.head = {KEEPER_BOUND, sizeof(m), 0},
				 .result = result,
				 .state = SESSION_BOUND,
				 .driver_id = 9,
				 .created_ms = created_ms};

	answer.calls = 0;
	binder_bind(w.worker.binder, &ask, &key, 3, STR("mine"), STR("my team"), STR("dev"));
	cr_assert_eq(msg_recv(w.keeper, buf, sizeof(buf)), 0);
	cr_assert(asked->head.type == KEEPER_BIND && MSG_IS(&asked->head, keeper_bind));
	m.head.id = asked->head.id;
	cr_assert_eq(msg_send(w.keeper, &m.head), 0);
	run_for(20);
	cr_assert_eq(answer.calls, 1);
}

Test(binder, the_loser_of_a_race_learns_the_names_that_stand)
{
	const struct session theirs = {SESSION_BOUND, 9,	  1000, 1000, STR("theirs"),
				       STR("a team"), STR("prod")};

	put_session(1, &theirs);
	ask_and_answer(1, 0, 1000);
	cr_expect(answer.err == 0 && answer.found.driver_id == 9);
	cr_expect_str_eq(answer.found.cluster, "theirs");
	cr_expect_str_eq(answer.found.team, "a team");
	cr_expect_str_eq(answer.found.env, "prod");
	ask_and_answer(1, 0, 1001);
	cr_expect_str_eq(answer.found.team, "my team", "that row is about another binding");
	ask_and_answer(2, 0, 1000);
	cr_expect_str_eq(answer.found.cluster, "mine", "it is gone again");
	cr_expect_str_eq(answer.found.env, "dev");
	ask_and_answer(2, E_FULL, 0);
	cr_expect_eq(answer.err, E_FULL);
}

/* ---- tokens ---- */

/* Reads what the keeper was told of uses; the last one's first bytes. */
static unsigned
count_uses(unsigned *ret_last)
{
	_Alignas(16) char buf[MSG_MAX];
	const struct keeper_token_used *m = (const void *)buf;
	unsigned count = 0;

	while (msg_recv(w.keeper, buf, sizeof(buf)) == 0) {
		cr_assert(m->head.type == KEEPER_TOKEN_USED && MSG_IS(&m->head, keeper_token_used));
		memcpy(ret_last, m->digest, sizeof(*ret_last));
		count++;
	}
	return count;
}

static void
use(unsigned n)
{
	uint8_t digest[TOKEN_DIGEST] = {0};

	memcpy(digest, &n, sizeof(n));
	binder_token_used(w.worker.binder, digest);
}

Test(binder, a_use_is_said_once_a_minute)
{
	unsigned last = 0;

	for (int i = 0; i < 100; i++)
		use(7);
	cr_expect_eq(count_uses(&last), 1u);
	cr_expect_eq(last, 7u);
	use(8);
	use(7);
	cr_expect_eq(count_uses(&last), 1u);
	cr_expect_eq(last, 8u);
}

Test(binder, more_tokens_than_it_remembers_make_no_flood)
{
	unsigned said = 0, last;

	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < TOKENS; i++) {
			use(i);
			if (i % 64 == 0) /* the queue does not take them all */
				said += count_uses(&last);
		}
	said += count_uses(&last);
	cr_expect_leq(said, 4096u);
	cr_expect_geq(said, 3000u);
}

static void
run_rpc(unsigned i, struct client *c, enum rpc_state state, struct str token_id)
{
	struct rpc *r = &w.rpcs[i];

	r->state = state;
	r->conn = c;
	w.people[i] = (struct identity){.refs = 1, .token_id = token_id};
	r->who = &w.people[i];
	r->client.next = c->h2.streams;
	c->h2.streams = &r->client;
}

Test(binder, a_revoked_token_ends_what_runs_with_it)
{
	struct keeper_revoked m = {.head = {KEEPER_REVOKED, sizeof(m), 0}, .id = "bad"};
	struct keeper_revoked odd = {.head = {KEEPER_REVOKED, sizeof(odd) - 4, 0}, .id = "good"};
	const char *want = "16 this token was revoked";

	w.worker.clients = &w.clients[0];
	w.clients[0].next = &w.clients[1];
	run_rpc(0, &w.clients[0], RPC_PUMP, STR("bad"));
	run_rpc(1, &w.clients[0], RPC_PUMP, STR("good"));
	run_rpc(2, &w.clients[0], RPC_HEADERS, STR_NONE); /* nobody yet */
	run_rpc(3, &w.clients[0], RPC_ROUTE, STR("bad"));
	run_rpc(4, &w.clients[1], RPC_DONE, STR("bad"));
	run_rpc(5, &w.clients[1], RPC_OPEN, STR("bad"));
	cr_assert_eq(msg_send(w.keeper, &odd.head), 0);
	cr_assert_eq(msg_send(w.keeper, &m.head), 0);
	run_for(20);
	cr_expect_str_eq(w.refused[0], want);
	cr_expect_str_eq(w.refused[1], "");
	cr_expect_str_eq(w.refused[2], "");
	cr_expect_str_eq(w.refused[3], want);
	cr_expect_str_eq(w.refused[4], "", "it is over");
	cr_expect_str_eq(w.refused[5], want);
	cr_expect_str_eq(w.forgotten, "bad");
	w.worker.clients = NULL;
}
