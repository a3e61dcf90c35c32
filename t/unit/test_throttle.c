#include <criterion/criterion.h>
#include "workers/throttle.h"

static struct sock_addr
address(const char *text)
{
	struct sock_addr a;

	cr_assert_eq(sock_addr_parse(str_from(text), &a), 0);
	return a;
}

static unsigned
fail(struct throttle *t, const char *from, unsigned times, uint64_t now_ms)
{
	struct sock_addr a = address(from);
	unsigned slowed = 0;

	for (unsigned i = 0; i < times; i++) {
		slowed += throttle_is_slow(t, &a, now_ms);
		throttle_failed(t, &a, now_ms);
	}
	return slowed;
}

TestSuite(throttle, .timeout = 20);

Test(throttle, slows_down_after_the_limit_and_forgets_with_time)
{
	struct throttle *t = throttle_new(10);

	cr_expect_eq(fail(t, "192.0.2.1:1", 10, 1000), 0);
	cr_expect_eq(fail(t, "192.0.2.1:2", 5, 1000), 5, "another port is the same address");
	cr_expect_eq(fail(t, "192.0.2.1:1", 3, 1000 + 2 * THROTTLE_REFILL_MS), 1,
		     "two were forgotten");
	cr_expect_eq(fail(t, "192.0.2.1:1", 10, 1000 + 100 * THROTTLE_REFILL_MS), 0);
	throttle_free(&t);
}

Test(throttle, addresses_do_not_harm_each_other)
{
	struct throttle *t = throttle_new(2);

	cr_expect_eq(fail(t, "192.0.2.1:1", 9, 1000), 7);
	cr_expect_eq(fail(t, "192.0.2.2:1", 2, 1000), 0);
	cr_expect_eq(fail(t, "[2001:db8:1:2::1]:1", 2, 1000), 0);
	cr_expect_eq(fail(t, "[2001:db8:1:2:ffff::9]:1", 1, 1000), 1, "the same /64");
	cr_expect_eq(fail(t, "[2001:db8:1:3::1]:1", 1, 1000), 0);
	throttle_free(&t);
}

Test(throttle, an_address_is_news_once_until_it_behaved)
{
	struct throttle *t = throttle_new(2);
	struct sock_addr a = address("192.0.2.1:1"), b = address("192.0.2.2:1");
	uint64_t now = 5000;

	fail(t, "192.0.2.1:1", 1, now);
	cr_expect_not(throttle_is_news(t, &a, now), "it is not slow yet");
	fail(t, "192.0.2.1:1", 1, now);
	fail(t, "192.0.2.2:1", 2, now);
	cr_expect(throttle_is_news(t, &a, now));
	cr_expect_not(throttle_is_news(t, &b, now), "another one is said a moment later");
	now += THROTTLE_WORDS_MS;
	cr_expect_not(throttle_is_news(t, &a, now));
	cr_expect(throttle_is_news(t, &b, now));
	for (unsigned i = 0; i < 100; i++, now += THROTTLE_REFILL_MS) { /* it just goes on */
		fail(t, "192.0.2.1:1", 1, now);
		cr_expect_not(throttle_is_news(t, &a, now), "%u", i);
	}
	for (; now < 5000 + THROTTLE_REPEAT_MS; now += THROTTLE_REFILL_MS)
		fail(t, "192.0.2.1:1", 1, now);
	now = 5000 + THROTTLE_REPEAT_MS;
	fail(t, "192.0.2.1:1", 1, now);
	cr_expect(throttle_is_news(t, &a, now), "after ten minutes it still does");
	now += 10 * THROTTLE_REFILL_MS;
	fail(t, "192.0.2.1:1", 2, now);
	cr_expect(throttle_is_news(t, &a, now), "again, after a rest");
	throttle_free(&t);
}

static unsigned
enter(struct throttle *t, const char *from, enum throttle_standing standing)
{
	struct sock_addr a = address(from);
	unsigned found = 0;

	while (found < 1000 && throttle_enter(t, &a, standing))
		found++;
	return found;
}

Test(throttle, places_are_left_for_others)
{
	struct throttle *t = throttle_new(2);
	struct sock_addr a = address("192.0.2.1:1");

	fail(t, "192.0.2.1:1", 3, 1000);
	fail(t, "192.0.2.2:1", 3, 1000);
	cr_expect_eq(enter(t, "192.0.2.1:1", THROTTLE_SUSPECT), THROTTLE_PLACES / 4);
	cr_expect_eq(enter(t, "192.0.2.1:2", THROTTLE_NEW), THROTTLE_PLACES / 2,
		     "whoever has the same address finds one");
	cr_expect_eq(enter(t, "192.0.2.2:1", THROTTLE_SUSPECT), 0);
	cr_expect_eq(enter(t, "192.0.2.2:1", THROTTLE_NEW), THROTTLE_PLACES / 4,
		     "and whoever has another one");
	cr_expect_eq(enter(t, "192.0.2.1:1", THROTTLE_PROVEN), THROTTLE_PLACES / 2);
	throttle_leave(t, &a);
	cr_expect_eq(enter(t, "192.0.2.1:1", THROTTLE_NEW), 0);
	cr_expect_eq(enter(t, "192.0.2.1:1", THROTTLE_PROVEN), 1);
	for (unsigned i = 0; i < THROTTLE_PLACES; i++)
		throttle_leave(t, &a);
	cr_expect_eq(enter(t, "192.0.2.1:1", THROTTLE_NEW), THROTTLE_PLACES / 2);
	throttle_free(&t);
}

Test(throttle, many_addresses_take_no_more_memory_and_the_loud_one_stays)
{
	struct throttle *t = throttle_new(3);
	char text[32];

	cr_expect_eq(fail(t, "192.0.2.1:1", 4, 1000), 1);
	for (unsigned i = 0; i < 100000; i++) {
		snprintf(text, sizeof text, "10.%u.%u.%u:1", i >> 16, i >> 8 & 255, i & 255);
		fail(t, text, 1, 1011 + i / 100);
		if (i % 500 == 0)
			cr_expect_eq(fail(t, "192.0.2.1:1", 1, 1011 + i / 100), 1, "at %u", i);
	}
	throttle_free(&t);
}
