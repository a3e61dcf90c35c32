/* Questions of the controller, with the test in the keeper's place. */
#include <poll.h>
#include <jansson.h>
#include "controller/asks.h"
#include "controller/record.h"
#include "lib/sock.h"
#include "t/unit/scratch.h"

static struct {
	struct loop *loop;
	struct asks asks;
	int keeper; /* our end */
	int calls, err, result;
} t;

static void
start(void)
{
	int fds[2];

	cr_assert_eq(sock_pair(fds), 0);
	t.loop = loop_new();
	t.keeper = fds[0];
	asks_init(&t.asks, t.loop, fds[1]);
}

static void
stop(void)
{
	asks_close(&t.asks);
	loop_free(&t.loop);
}

TestSuite(asks, .init = start, .fini = stop, .timeout = 20);

static void
on_done(void *arg, int err, const struct keeper_done *answer)
{
	cr_expect_eq(arg, &t);
	t.calls++;
	t.err = err;
	t.result = answer != NULL ? answer->result : 99;
	loop_stop(t.loop);
}

static void
on_time(void *arg)
{
	(void)arg;
	loop_stop(t.loop);
}

static uint32_t
expect_question(unsigned type, size_t size)
{
	_Alignas(16) char buf[MSG_MAX];
	const struct msg_head *head = (const void *)buf;

	cr_assert_eq(msg_recv(t.keeper, buf, sizeof(buf)), 0, "type %u", type);
	cr_expect(head->type == type && head->size == size, "type %u", type);
	return head->id;
}

static void
answer(uint32_t id, int result)
{
	const struct keeper_done m = {.head = {KEEPER_DONE, sizeof(m), id}, .result = result};

	cr_assert_eq(msg_send(t.keeper, &m.head), 0);
}

Test(asks, whatever_the_keeper_answers_can_be_asked)
{
	static const struct {
		uint16_t type;
		size_t size;
	} cases[] = {
		{KEEPER_CLOSE, sizeof(struct keeper_close)},
		{KEEPER_DRAIN, sizeof(struct keeper_drain)},
		{KEEPER_TOKEN, sizeof(struct keeper_token)},
		{KEEPER_TOKEN_REVOKE, sizeof(struct keeper_token_revoke)},
		{KEEPER_KEY, sizeof(struct keeper_public_key)},
		{KEEPER_KEYS, sizeof(struct keeper_keys)},
		{KEEPER_ROLLOUT, sizeof(struct keeper_rollout)},
		{KEEPER_SECRET, sizeof(struct keeper_secret)},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_Alignas(16) char message[MSG_MAX] = {0};
		struct msg_head *head = (void *)message;

		head->type = cases[i].type;
		cr_assert_leq(cases[i].size, sizeof(message));
		cr_assert_eq(asks_send(&t.asks, message, cases[i].size, on_done, &t), 0);
		answer(expect_question(cases[i].type, cases[i].size), E_STATE);
		loop_run(t.loop);
		cr_expect(t.calls == (int)i + 1 && t.err == 0 && t.result == E_STATE);
	}
}

Test(asks, what_is_not_answered_is_asked_again_and_answers_to_others_are_passed_over)
{
	const struct keeper_rollout m = {.head = {.type = KEEPER_ROLLOUT}, .percent = 5};
	struct pollfd p = {.fd = t.keeper, .events = POLLIN};
	struct loop_timer timer = {0};
	uint32_t id;

	cr_assert_eq(asks_send(&t.asks, &m, sizeof(m), on_done, &t), 0);
	id = expect_question(KEEPER_ROLLOUT, sizeof(m));
	answer(id + 1, 0);
	loop_timer_start(t.loop, &timer, KEEPER_RESEND_MS + 200, 0, on_time, NULL);
	loop_run(t.loop);
	cr_expect_eq(t.calls, 0);
	cr_assert_eq(poll(&p, 1, 0), 1, "asked again");
	cr_expect_eq(expect_question(KEEPER_ROLLOUT, sizeof(m)), id);
	answer(id, 0);
	loop_run(t.loop);
	cr_expect(t.calls == 1 && t.err == 0 && t.result == 0);
}

Test(asks, what_is_open_at_the_end_is_told)
{
	const struct keeper_rollout m = {.head = {.type = KEEPER_ROLLOUT}, .percent = 5};

	cr_assert_eq(asks_send(&t.asks, &m, sizeof(m), on_done, &t), 0);
	asks_close(&t.asks);
	cr_expect(t.calls == 1 && t.err == E_CLOSED && t.result == 99);
	cr_expect_eq(asks_send(&t.asks, &m, sizeof(m), on_done, &t), E_CLOSED);
}

/* What comes of it, as the keeper gets it. */
static json_t *
record(const char *what, const char *by, const char *why)
{
	_Alignas(16) char buf[MSG_MAX];
	const struct keeper_audit *m = (const void *)buf;
	json_t *json;

	record_act(&t.asks, what, by, why);
	cr_assert_eq(msg_recv(t.keeper, buf, sizeof(buf)), 0);
	cr_assert(m->head.type == KEEPER_AUDIT && MSG_IS(&m->head, keeper_audit));
	cr_assert_not_null(memchr(m->text, '\0', sizeof(m->text)));
	json = json_loads(m->text, 0, NULL);
	cr_assert_not_null(json, "%s", m->text);
	return json;
}

Test(asks, acts_are_recorded_whatever_is_in_their_names)
{
	static char wild[2000], accents[2000];
	json_t *json = record("driver drain a/b", "uid=0 pid=17", NULL);

	cr_expect_str_eq(json_string_value(json_object_get(json, "act")), "driver drain a/b");
	cr_expect_str_eq(json_string_value(json_object_get(json, "by")), "uid=0 pid=17");
	cr_expect(json_is_true(json_object_get(json, "done")));
	cr_expect_null(json_object_get(json, "why"));
	json_decref(json);
	json = record("reload", "uid=0", "line 1\nline 2");
	cr_expect(json_is_false(json_object_get(json, "done")));
	cr_expect_str_eq(json_string_value(json_object_get(json, "why")), "line 1\nline 2");
	json_decref(json);
	memset(wild, '\x01', sizeof(wild) - 1); /* each becomes six bytes */
	json_decref(record(wild, wild, wild));
	for (size_t i = 0; i + 2 < sizeof(accents); i += 2)
		memcpy(accents + i, "\xc3\xa9", 2);
	json_decref(record(accents, "x", accents));
	json = record("cut \xff here", "x", NULL);
	cr_expect_str_eq(json_string_value(json_object_get(json, "act")), "cut ");
	json_decref(json);
}
