/*
 * The abuse budget is arithmetic: events and times in, verdicts out.
 */
#include <criterion/criterion.h>
#include "h2/budget.h"

#define START 5000000u

/* How many such events, `gap` ms apart, until the verdict; 0: not within `most`. */
static unsigned
until(enum budget_verdict wanted, enum budget_event event, uint32_t streams, uint32_t data_sent,
      uint64_t gap, unsigned most)
{
	struct budget b;
	uint64_t now = START;

	budget_init(&b, now);
	b.data_sent = b.data_sent_at_ping = data_sent;
	for (unsigned i = 1; i <= most; i++) {
		if (budget_charge(&b, event, streams, now) == wanted)
			return i;
		now += gap;
	}
	return 0;
}

struct row {
	enum budget_event event;
	uint32_t streams, data_sent;
	uint64_t gap;
	unsigned tired, spent; /* the event at which it says so; 0: never */
};

static const struct row table[] = {
	{BUDGET_PEER_RESET, 0, 0, 0, 151, 201},
	{BUDGET_PEER_RESET, 0, 0, 200, 0, 0}, /* 5 a second for ever */
	{BUDGET_PEER_RESET, 0, 0, 50, 0, 0},  /* 20 a second: what flows back */
	{BUDGET_PEER_RESET, 0, 0, 10, 188, 250},
	{BUDGET_OUR_RESET, 0, 0, 0, 76, 101},
	{BUDGET_OUR_RESET, 0, 0, 100, 0, 0},
	{BUDGET_REFUSED, 0, 0, 0, 151, 201},
	{BUDGET_EMPTY_DATA, 0, 0, 0, 18, 23},
	{BUDGET_DATA, 0, 0, 0, 0, 0},
	{BUDGET_PRIORITY, 0, 0, 1000, 0, 101},
	{BUDGET_PRIORITY, 50, 0, 1000, 0, 201},
	{BUDGET_UNKNOWN, 0, 0, 1000, 0, 101},
	{BUDGET_UNKNOWN, 50, 0, 1000, 0, 151},
	{BUDGET_WINDOW_UPDATE, 0, 0, 1000, 0, 106},
	{BUDGET_WINDOW_UPDATE, 10, 0, 1000, 0, 126},
	{BUDGET_WINDOW_UPDATE, 0, 10, 1000, 0, 306},
	{BUDGET_SETTINGS, 0, 0, 0, 0, 51},
	{BUDGET_SETTINGS, 0, 0, 300, 0, 0}, /* 34 in 10 s */
};

Test(budget, table)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct row *r = &table[i];
		unsigned tired =
			until(BUDGET_TIRED, r->event, r->streams, r->data_sent, r->gap, 2000);
		unsigned spent =
			until(BUDGET_SPENT, r->event, r->streams, r->data_sent, r->gap, 2000);

		cr_expect(tired == r->tired && spent == r->spent, "row %zu: %u, %u", i, tired,
			  spent);
	}
}

Test(budget, pings)
{
	cr_expect_eq(until(BUDGET_PINGS, BUDGET_PING, 1, 0, 0, 100), 4);
	cr_expect_eq(until(BUDGET_PINGS, BUDGET_PING, 1, 0, 1000, 100), 4);
	cr_expect_eq(until(BUDGET_PINGS, BUDGET_PING, 1, 0, 10000, 1000), 0);
	cr_expect_eq(until(BUDGET_PINGS, BUDGET_PING, 1, 0, 60000, 1000), 0, "Spark 4.3 clients");
}

/* Probes of the bandwidth come as often as we send, and count nothing. */
Test(budget, pings_between_data)
{
	struct budget b;

	budget_init(&b, START);
	for (unsigned i = 0; i < 1000; i++) {
		b.data_sent++;
		cr_assert_eq(budget_charge(&b, BUDGET_PING, 1, START + i), BUDGET_FINE, "%u", i);
	}
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(budget_charge(&b, BUDGET_PING, 1, START + 1001), BUDGET_FINE);
	b.data_sent++; /* wipes the strikes out */
	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(budget_charge(&b, BUDGET_PING, 1, START + 1001), BUDGET_FINE);
	cr_expect_eq(budget_charge(&b, BUDGET_PING, 1, START + 1001), BUDGET_PINGS);
}

Test(budget, a_row_of_empty_frames_is_broken_by_others)
{
	struct budget b;

	budget_init(&b, START);
	for (unsigned i = 0; i < 1000; i++) {
		cr_assert_eq(budget_charge(&b, BUDGET_EMPTY_DATA, 1, START), BUDGET_FINE);
		cr_assert_eq(budget_charge(&b, BUDGET_EMPTY_DATA, 1, START), BUDGET_FINE);
		cr_assert_eq(budget_charge(&b, BUDGET_DATA, 1, START), BUDGET_FINE);
	}
}

Test(budget, fills_again_to_the_brim_and_not_beyond)
{
	struct budget b;

	budget_init(&b, START);
	for (unsigned i = 0; i < 150; i++)
		(void)budget_charge(&b, BUDGET_PEER_RESET, 1, START);
	cr_expect_eq(b.tokens, 50000);
	(void)budget_charge(&b, BUDGET_PEER_RESET, 1, START + 1000);
	cr_expect_eq(b.tokens, 69000);
	(void)budget_charge(&b, BUDGET_PEER_RESET, 1, START + 1000000000);
	cr_expect_eq(b.tokens, 199000);
}

/* Spent is spent: it stays so while nothing flows back. */
Test(budget, stays_spent)
{
	struct budget b;

	budget_init(&b, START);
	for (unsigned i = 0; i < 100; i++)
		(void)budget_charge(&b, BUDGET_OUR_RESET, 1, START);
	for (unsigned i = 0; i < 10; i++)
		cr_expect_eq(budget_charge(&b, BUDGET_OUR_RESET, 1, START), BUDGET_SPENT);
}
