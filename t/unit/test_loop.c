/*
 * lib/loop: the order of a turn, timers that count from now, watchers that cost no system call,
 * signals.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "lib/clock.h"
#include "lib/loop.h"
#include "lib/sock.h"

static struct loop *loop;
static char trace[256];
static int epoll_calls;

/* Stands before the C library's: libev's calls are counted. */
int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
	epoll_calls++;
	return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static void
setup(void)
{
	loop = loop_new();
	trace[0] = '\0';
}

static void
teardown(void)
{
	loop_free(&loop);
	cr_expect_null(loop);
}

TestSuite(loop, .init = setup, .fini = teardown, .timeout = 20);

static void
note(const char *word)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof(trace) - n, "%s ", word);
}

static void
say(void *arg)
{
	note(arg);
}

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static struct loop_timer end_timer;

static void
run_for(uint64_t ms)
{
	loop_timer_start(loop, &end_timer, ms, 0, stop, NULL);
	loop_run(loop);
}

Test(loop, free_takes_null)
{
	struct loop *none = NULL;

	loop_free(&none);
}

static struct loop_later a, b, c, d;

static void
later_from_callback(void *arg)
{
	(void)arg;
	loop_later(loop, LOOP_FREE, &a, say, (void *)(uintptr_t) "free");
	loop_later(loop, LOOP_FLUSH, &b, say, (void *)(uintptr_t) "flush1");
	loop_later(loop, LOOP_FLUSH, &c, say, (void *)(uintptr_t) "flush2");
	loop_later(loop, LOOP_FLUSH, &b, say, (void *)(uintptr_t) "twice");
	note("callback");
}

Test(loop, flushes_then_frees_after_the_callback)
{
	struct loop_timer t = {0};

	loop_timer_start(loop, &t, 1, 0, later_from_callback, NULL);
	run_for(20);
	cr_expect_str_eq(trace, "callback flush1 flush2 free ");
}

static void
flush_that_queues(void *arg)
{
	(void)arg;
	note("flush1");
	loop_later(loop, LOOP_FREE, &b, say, (void *)(uintptr_t) "free");
	loop_later(loop, LOOP_FLUSH, &c, say, (void *)(uintptr_t) "flush2");
}

static void
free_that_queues(void *arg)
{
	(void)arg;
	note("free1");
	loop_later(loop, LOOP_FLUSH, &a, flush_that_queues, NULL);
}

Test(loop, runs_what_flushes_and_frees_queue_before_it_waits)
{
	uint64_t before = clock_ms();

	loop_later(loop, LOOP_FREE, &d, free_that_queues, NULL);
	loop_later(loop, LOOP_FLUSH, &c, stop, NULL);
	loop_run(loop);
	cr_expect_str_eq(trace, "free1 flush1 flush2 free ");
	cr_expect_lt(clock_ms() - before, 1000);
}

static void
stop_and_queue(void *arg)
{
	(void)arg;
	loop_stop(loop);
	later_from_callback(NULL);
}

Test(loop, the_last_turn_ends_like_any_other)
{
	struct loop_timer t = {0};

	loop_timer_start(loop, &t, 1, 0, stop_and_queue, NULL);
	loop_run(loop);
	cr_expect_str_eq(trace, "callback flush1 flush2 free ");
}

static int flushes;
static int frees_at;

static void
flush_again(void *arg)
{
	flushes++;
	loop_later(loop, LOOP_FLUSH, arg, flush_again, arg);
}

static void
stop_flushing(void *arg)
{
	loop_later_cancel(loop, arg);
	note("cancelled");
}

static void
count_free(void *arg)
{
	(void)arg;
	frees_at = flushes;
}

Test(loop, a_flush_without_end_starves_nobody)
{
	struct loop_timer t = {0};

	frees_at = -1;
	loop_later(loop, LOOP_FLUSH, &a, flush_again, &a);
	loop_later(loop, LOOP_FREE, &b, count_free, NULL);
	loop_timer_start(loop, &t, 50, 0, stop_flushing, &a);
	run_for(150);
	cr_expect_str_eq(trace, "cancelled ");
	cr_expect_gt(flushes, 32, "several turns, 16 in each");
	cr_expect_eq(frees_at, flushes, "frees come after the last flush");
}

static void
cancel_others(void *arg)
{
	(void)arg;
	note("first");
	loop_later_cancel(loop, &b);
	loop_later_cancel(loop, &d);
	loop_later_cancel(loop, &d);
}

Test(loop, cancels_also_within_the_round)
{
	loop_later(loop, LOOP_FLUSH, &a, cancel_others, NULL);
	loop_later(loop, LOOP_FLUSH, &b, say, (void *)(uintptr_t) "b");
	loop_later(loop, LOOP_FLUSH, &c, say, (void *)(uintptr_t) "c");
	loop_later(loop, LOOP_FREE, &d, say, (void *)(uintptr_t) "d");
	run_for(5);
	cr_expect_str_eq(trace, "first c ");
	loop_later(loop, LOOP_FLUSH, &b, say, (void *)(uintptr_t) "b");
	loop_later(loop, LOOP_FLUSH, &c, say, (void *)(uintptr_t) "c");
	loop_later_cancel(loop, &c);
	loop_later(loop, LOOP_FLUSH, &d, say, (void *)(uintptr_t) "d");
	run_for(5);
	cr_expect_str_eq(trace, "first c b d ", "the queue is whole after its tail went");
}

struct owned {
	struct loop_later later;
	char payload[64];
};

Test(loop, free_runs_what_waits_to_be_freed)
{
	struct loop *other = loop_new();
	struct owned *owned = calloc(1, sizeof(*owned));

	loop_later(other, LOOP_FREE, &owned->later, free, owned); /* else a leak is reported */
	loop_later(other, LOOP_FLUSH, &a, say, (void *)(uintptr_t) "flush");
	loop_free(&other);
	cr_expect_str_eq(trace, "");
}

static uint64_t fired_ns[8];
static int fired;

static void
fire(void *arg)
{
	(void)arg;
	if (fired < 8)
		fired_ns[fired] = clock_ns();
	fired++;
}

Test(loop, timers_are_never_early)
{
	static const uint64_t after[] = {30, 1, 12, 0};
	struct loop_timer t[4] = {0};
	uint64_t start = clock_ns();

	for (int i = 0; i < 4; i++)
		loop_timer_start(loop, &t[i], after[i], 0, fire, NULL);
	cr_expect(loop_timer_active(&t[0]));
	run_for(60);
	cr_expect_eq(fired, 4);
	cr_expect(fired_ns[1] - start >= 1000000 && fired_ns[2] - start >= 12000000);
	cr_expect(fired_ns[3] - start >= 30000000 && fired_ns[3] - start < 60000000);
	cr_expect(!loop_timer_active(&t[0]), "once is once");
}

Test(loop, timers_repeat_until_stopped)
{
	struct loop_timer t = {0}, unused = {0};

	loop_timer_start(loop, &t, 5, 10, fire, NULL);
	run_for(100);
	cr_expect(fired >= 5 && fired <= 10, "%d", fired);
	cr_expect(loop_timer_active(&t));
	loop_timer_stop(&t);
	loop_timer_stop(&t);
	loop_timer_stop(&unused);
	cr_expect(!loop_timer_active(&t) && !loop_timer_active(&unused));
	fired = 0;
	run_for(30);
	cr_expect_eq(fired, 0);
}

static struct loop_timer inner;
static uint64_t inner_start;

static void
work_long(void *arg)
{
	(void)arg;
	usleep(50000);
	inner_start = clock_ns();
	loop_timer_start(loop, &inner, 20, 0, fire, NULL);
}

Test(loop, timers_count_from_now_after_long_work)
{
	struct loop_timer t = {0};

	loop_timer_start(loop, &t, 0, 0, work_long, NULL);
	run_for(120);
	cr_expect_eq(fired, 1);
	cr_expect_geq(fired_ns[0] - inner_start, 20000000);
}

Test(loop, starting_a_running_timer_restarts_it)
{
	struct loop_timer t = {0};
	uint64_t start = clock_ns();

	loop_timer_start(loop, &t, 5, 0, fire, NULL);
	loop_timer_start(loop, &t, 25, 0, fire, NULL);
	run_for(50);
	cr_expect_eq(fired, 1);
	cr_expect_geq(fired_ns[0] - start, 25000000);
}

static uint64_t first_ms, second_ms, third_ms;

static void
read_clock_next_turn(void *arg)
{
	(void)arg;
	third_ms = loop_ms(loop);
}

static void
read_clock(void *arg)
{
	first_ms = loop_ms(loop);
	usleep(10000);
	second_ms = loop_ms(loop);
	loop_timer_start(loop, arg, 1, 0, read_clock_next_turn, NULL);
}

Test(loop, the_clock_stands_still_within_a_turn)
{
	struct loop_timer t = {0}, u = {0};

	loop_timer_start(loop, &t, 1, 0, read_clock, &u);
	run_for(150);
	cr_expect_eq(first_ms, second_ms);
	cr_expect_geq(third_ms, first_ms + 10);
	cr_expect(clock_ms() - third_ms < 5000, "monotonic, the same clock as clock_ms()");
}

static struct loop_io watch;
static int pair[2];
static unsigned last_events;

static void
on_ready(void *arg, unsigned events)
{
	char byte;

	(void)arg;
	last_events |= events;
	if (events & LOOP_READ && read(pair[0], &byte, 1) == 1)
		note("read");
	if (events & LOOP_WRITE) {
		note("write");
		loop_io_events(&watch, LOOP_READ);
	}
}

Test(loop, watches_descriptors)
{
	cr_assert_eq(sock_pair(pair), 0);
	loop_io_start(loop, &watch, pair[0], 0, on_ready, NULL);
	cr_assert_eq(write(pair[1], "x", 1), 1);
	run_for(5);
	cr_expect_str_eq(trace, "", "stopped but bound");
	loop_io_events(&watch, LOOP_READ | LOOP_WRITE);
	run_for(5);
	cr_expect_str_eq(trace, "read write ");
	cr_expect_eq(last_events, LOOP_READ | LOOP_WRITE);
	loop_io_events(&watch, 0);
	cr_assert_eq(write(pair[1], "y", 1), 1);
	run_for(5);
	cr_expect_str_eq(trace, "read write ");
	loop_io_events(&watch, LOOP_READ);
	run_for(5);
	cr_expect_str_eq(trace, "read write read ");
	loop_io_stop(&watch);
	loop_io_stop(&watch);
	close(pair[0]);
	close(pair[1]);
}

static void
toggle(void *arg)
{
	(void)arg;
	loop_io_events(&watch, LOOP_READ | LOOP_WRITE);
	loop_io_events(&watch, 0);
	loop_io_events(&watch, LOOP_READ);
	loop_io_events(&watch, LOOP_READ);
}

Test(loop, no_system_call_when_nothing_changes)
{
	struct loop_timer t = {0};
	int before;

	cr_assert_eq(sock_pair(pair), 0);
	loop_io_start(loop, &watch, pair[0], LOOP_READ, on_ready, NULL);
	run_for(2);
	before = epoll_calls;
	cr_expect_gt(before, 0, "the count works");
	loop_timer_start(loop, &t, 1, 1, toggle, NULL);
	run_for(20);
	loop_timer_stop(&t);
	cr_expect_eq(epoll_calls, before);
	cr_assert_eq(write(pair[1], "x", 1), 1);
	run_for(5);
	cr_expect_str_eq(trace, "read ");
	loop_io_stop(&watch);
	close(pair[0]);
	close(pair[1]);
}

Test(loop, stopping_an_unused_watcher_is_safe)
{
	struct loop_io unused = {0};

	loop_io_stop(&unused);
}

Test(loop, refuses_to_start_a_watcher_twice, .signal = SIGABRT)
{
	cr_assert_eq(sock_pair(pair), 0);
	loop_io_start(loop, &watch, pair[0], LOOP_READ, on_ready, NULL);
	loop_io_start(loop, &watch, pair[0], LOOP_READ, on_ready, NULL);
}

static void
on_signal(void *arg, int signo)
{
	cr_expect_eq(arg, trace);
	note(signo == SIGHUP ? "hup" : signo == SIGUSR1 ? "usr1" : "?");
}

static void
raise_both(void *arg)
{
	(void)arg;
	raise(SIGHUP);
	raise(SIGUSR1);
	note("raised");
}

Test(loop, signals_arrive_as_callbacks)
{
	struct loop_timer t = {0};

	loop_signal(loop, SIGHUP, on_signal, trace);
	loop_signal(loop, SIGUSR1, on_signal, trace);
	loop_timer_start(loop, &t, 1, 0, raise_both, NULL);
	run_for(20);
	cr_expect(strcmp(trace, "raised hup usr1 ") == 0 || strcmp(trace, "raised usr1 hup ") == 0,
		  "%s", trace);
}

Test(loop, a_later_loop_may_have_the_same_signals)
{
	loop_signal(loop, SIGHUP, on_signal, trace);
	loop_free(&loop);
	loop = loop_new();
	loop_signal(loop, SIGHUP, on_signal, trace);
	raise(SIGHUP);
	run_for(10);
	cr_expect_str_eq(trace, "hup ");
}

Test(loop, a_vanished_peer_is_no_death)
{
	loop_free(&loop);
	signal(SIGPIPE, SIG_DFL);
	loop = loop_new();
	cr_assert_eq(pipe(pair), 0);
	close(pair[0]);
	cr_expect_eq(write(pair[1], "x", 1), -1);
	close(pair[1]);
}
