/*
 * lib/msg: whole messages or none, a sender that never waits, and a peer that dies.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/msg.h"
#include "lib/sock.h"

struct ping {
	struct msg_head head;
	uint64_t number;
};

static struct loop *loop;
static struct msg_channel ch;
static struct loop_timer end;
static int fds[2], more[2];
static int got_count, gone_count, close_at, other_events;
static uint64_t sum;
static uint32_t last_id;

static void
setup(void)
{
	loop = loop_new();
	cr_assert_eq(sock_pair(fds), 0);
}

static void
teardown(void)
{
	msg_close(&ch);
	loop_timer_stop(&end);
	sock_close(&fds[0]);
	sock_close(&fds[1]);
	loop_free(&loop);
}

TestSuite(msg, .init = setup, .fini = teardown, .timeout = 20);

static int
ping(int fd, uint64_t number)
{
	struct ping p = {{7, sizeof(p), (uint32_t)number + 1000}, number};

	return msg_send(fd, &p.head);
}

static void
on_got(void *arg, const struct msg_head *head)
{
	const struct ping *p = (const struct ping *)(const void *)head;

	cr_expect_eq(arg, &sum);
	cr_assert(head->type == 7 && MSG_IS(head, ping));
	got_count++;
	sum += p->number;
	last_id = head->id;
	if (got_count == close_at)
		msg_close(&ch);
}

static void
on_gone(void *arg)
{
	cr_expect_eq(arg, &sum);
	gone_count++;
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
run_for(uint64_t ms)
{
	loop_timer_start(loop, &end, ms, 0, stop, NULL);
	loop_run(loop);
}

Test(msg, arrives_whole_and_in_order)
{
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	for (uint64_t i = 1; i <= 10; i++)
		cr_assert_eq(ping(fds[0], i), 0);
	run_for(20);
	cr_expect_eq(got_count, 10);
	cr_expect_eq(sum, 55);
	cr_expect_eq(last_id, 1010);
	cr_expect_eq(gone_count, 0);
}

Test(msg, the_largest_fits)
{
	union {
		struct msg_head head;
		char bytes[MSG_MAX];
	} out = {.head = {1, MSG_MAX, 5}}, in;

	out.bytes[MSG_MAX - 1] = 'z';
	cr_assert_eq(msg_send(fds[0], &out.head), 0);
	cr_assert_eq(msg_recv(fds[1], &in, sizeof(in)), 0);
	cr_expect_arr_eq(in.bytes, out.bytes, MSG_MAX);
	cr_expect_eq(msg_recv(fds[1], &in, sizeof(in)), E_AGAIN);
}

Test(msg, a_full_queue_is_told_at_once)
{
	uint64_t sent = 0;
	int err;

	while ((err = ping(fds[0], sent)) == 0)
		sent++;
	cr_expect_eq(err, E_AGAIN);
	cr_expect_gt(sent, 5);
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	for (int i = 0; i < 100 && got_count < (int)sent; i++)
		run_for(30);
	cr_expect_eq(got_count, (int)sent, "nothing is lost");
	cr_expect_eq(ping(fds[0], 0), 0);
}

Test(msg, refuses_wrong_sizes)
{
	static const struct {
		size_t sent;
		struct msg_head head;
	} rows[] = {
		{4, {7, 8, 0}}, {8, {7, 9, 0}}, {16, {7, 8, 0}}, {8, {0, 8, 0}}, {33, {7, 33, 0}},
	};
	struct {
		struct msg_head head;
		char rest[40];
	} out = {0}, in;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		out.head = rows[i].head;
		cr_assert_eq(write(fds[0], &out, rows[i].sent), (ssize_t)rows[i].sent);
		cr_expect_eq(msg_recv(fds[1], &in, 32), E_SYNTAX, "row %zu", i);
	}
}

Test(msg, a_channel_survives_malformed_ones)
{
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	cr_assert_eq(write(fds[0], "abc", 3), 3);
	cr_assert_eq(ping(fds[0], 9), 0);
	run_for(20);
	cr_expect_eq(got_count, 1);
	cr_expect_eq(sum, 9);
}

Test(msg, asserts_its_own_sizes, .signal = SIGABRT)
{
	struct msg_head head = {1, MSG_MAX + 1, 0};

	(void)!msg_send(fds[0], &head);
}

Test(msg, asserts_a_type, .signal = SIGABRT)
{
	struct msg_head head = {0, sizeof(head), 0};

	(void)!msg_send(fds[0], &head);
}

Test(msg, the_end_is_told_once_after_the_last_message)
{
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	cr_assert_eq(ping(fds[0], 3), 0);
	sock_close(&fds[0]);
	run_for(20);
	cr_expect_eq(got_count, 1);
	cr_expect_eq(gone_count, 1);
}

/* A peer that closes with unread messages resets us; what it had sent before still counts. */
Test(msg, a_reset_does_not_swallow_messages)
{
	cr_assert_eq(ping(fds[1], 1), 0);
	cr_assert_eq(ping(fds[0], 4), 0);
	sock_close(&fds[0]);
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	run_for(20);
	cr_expect_eq(sum, 4);
	cr_expect_eq(gone_count, 1);
	cr_expect_eq(ping(fds[1], 2), E_CLOSED);
}

Test(msg, nobody_needs_to_hear_of_the_end)
{
	msg_open(&ch, loop, fds[1], on_got, NULL, &sum);
	sock_close(&fds[0]);
	run_for(20);
	cr_expect_eq(ch.fd, -1);
}

Test(msg, may_be_closed_inside_and_opened_again)
{
	close_at = 2;
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	for (uint64_t i = 1; i <= 5; i++)
		cr_assert_eq(ping(fds[0], i), 0);
	run_for(10);
	cr_expect_eq(got_count, 2);
	cr_expect_eq(gone_count, 0);
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	run_for(10);
	cr_expect_eq(got_count, 5);
	cr_expect_eq(sum, 15);
}

Test(msg, a_successor_reads_what_the_dead_left)
{
	int status;
	pid_t pid;

	for (uint64_t i = 1; i <= 3; i++)
		cr_assert_eq(ping(fds[0], i), 0);
	pid = fork();
	if (pid == 0) {
		struct ping p;

		_exit(msg_recv(fds[1], &p, sizeof(p)) == 0 && p.number == 1 ? 42 : 1);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(WEXITSTATUS(status), 42);
	msg_open(&ch, loop, fds[1], on_got, on_gone, &sum);
	run_for(10);
	cr_expect_eq(got_count, 2);
	cr_expect_eq(sum, 5);
	cr_expect_eq(gone_count, 0);
}

static void
on_other(void *arg, unsigned events)
{
	char byte;

	(void)arg;
	(void)events;
	if (read(*(int *)arg, &byte, 1) == 1 && other_events++ == 0)
		cr_expect(got_count > 0 && got_count < 150, "others had their turn in between");
}

static void
got_and_answer(void *arg, const struct msg_head *head)
{
	on_got(arg, head);
	if (got_count == 1)
		cr_assert_eq(write(more[0], "x", 1), 1);
	if (got_count < 1000)
		cr_assert_eq(ping(fds[0], 0), 0); /* never runs dry */
	else
		loop_stop(loop);
}

Test(msg, a_busy_channel_lets_others_in)
{
	struct loop_io other = {0};

	cr_assert_eq(sock_pair(more), 0);
	cr_assert_eq(ping(fds[0], 0), 0);
	msg_open(&ch, loop, fds[1], got_and_answer, on_gone, &sum);
	loop_io_start(loop, &other, more[1], LOOP_READ, on_other, &more[1]);
	run_for(10000);
	cr_expect_eq(got_count, 1000);
	cr_expect_eq(other_events, 1);
	loop_io_stop(&other);
	sock_close(&more[0]);
	sock_close(&more[1]);
}
