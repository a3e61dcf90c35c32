/*
 * The checker's rules, played with a fake clock: a letter per probe, and what the row says after
 * it.
 */
#include <criterion/criterion.h>
#include "checker/verdict.h"

#define WALL   1700000000000u
#define DRIVER 7

struct play {
	struct verdict v;
	struct health h;
	struct verdict_rules rules;
	struct verdict_now now;
	unsigned events; /* of the last step */
};

static struct play
begin(uint32_t rise, uint32_t fall)
{
	struct play p = {.rules = {rise, fall, 5000, 30000}, .now = {1000, WALL}};

	verdict_start(&p.v, &p.h, DRIVER, p.now.wall_ms);
	return p;
}

static void
pass(struct play *p, uint64_t ms)
{
	p->now.ms += ms;
	p->now.wall_ms += ms;
}

static enum health_reason
reason_of(char c)
{
	switch (c) {
	case '+': return HEALTH_OK;
	case 'r': return HEALTH_REFUSED;
	case 't': return HEALTH_TIMEOUT;
	case 'n': return HEALTH_NOT_SERVING;
	case 'u': return HEALTH_UNRESOLVED;
	}
	cr_assert_fail("no such outcome");
	return HEALTH_OK;
}

/* One probe, then the wait until the next. Upper case: the verdict changed; '!' would be lost, see
 * events. */
static char
step(struct play *p, char outcome)
{
	struct verdict_outcome o = {reason_of(outcome), 321};

	p->events = verdict_step(&p->v, &p->h, &p->rules, &o, &p->now);
	pass(p, verdict_wait_ms(&p->v, &p->h, &p->rules));
	bool changed = p->events & VERDICT_CHANGED, lost = p->events & VERDICT_LOST;
	switch (p->h.state) {
	case HEALTH_UP: return changed ? 'U' : 'u';
	case HEALTH_DOWN: return lost ? (changed ? 'X' : 'x') : (changed ? 'D' : 'd');
	default: return '?';
	}
}

static const struct {
	const char *name;
	uint32_t rise, fall;
	const char *probes; /* + good, r refused, t timeout, n not serving, u unresolved */
	const char *want;   /* ? unknown, u up, d down; upper case: just now; x, X: just now lost */
} table[] = {
	{"one good probe is enough", 1, 3, "++", "Uu"},
	{"rise holds from the start", 3, 3, "++++", "??Uu"},
	{"a bad one breaks the rise", 2, 3, "+t++", "???U"},
	{"unknown falls too", 1, 3, "tttt", "??Dd"},
	{"one failure less than fall", 1, 3, "+tt+tt+", "Uuuuuuu"},
	{"fall", 1, 3, "+ttt", "UuuD"},
	{"fall of one", 1, 1, "+t+", "UDU"},
	{"refused is lost at once", 1, 3, "+rrr", "UuuX"},
	{"three refusals do, whatever fall says", 1, 10, "+rrr", "UuuX"},
	{"fewer do when fall is less", 1, 2, "+rr", "UuX"},
	{"refusals only count in a row", 1, 10, "+rrtrr", "Uuuuuu"},
	{"down by time-outs, then the port closes", 1, 3, "+tttrrr", "UuuDddx"},
	{"a mixed row is down, not lost", 1, 3, "+ttr", "UuuD"},
	{"lost once, said once", 1, 3, "+rrrrrr", "UuuXddd"},
	{"back, and gone again", 1, 3, "+rrr+rrr", "UuuXUuuX"},
	{"rise after down", 2, 1, "++t++", "?UDdU"},
	{"silent for 30 s", 1, 3, "+ttttttt", "UuuDdddx"},
	{"silence with a good one between starts anew", 1, 3, "+ttttt+ttttt", "UuuDddUuuDdd"},
	{"not serving is down, never lost", 1, 3, "+nnnnnnnnnnnn", "UuuDddddddddd"},
	{"an unresolvable name gets lost", 1, 3, "+uuuuuuu", "UuuDdddx"},
	{"not serving ends a silence", 1, 3, "+tttttnttttttt",
	 "UuuDddddddddd"
	 "x"},
};

Test(verdict, table)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct play p = begin(table[i].rise, table[i].fall);
		char got[32] = "";

		for (size_t k = 0; table[i].probes[k] != '\0'; k++)
			got[k] = step(&p, table[i].probes[k]);
		cr_expect_str_eq(got, table[i].want, "%s: %s, not %s", table[i].name, got,
				 table[i].want);
	}
}

Test(verdict, a_closed_port_is_lost_within_a_second)
{
	struct play p = begin(1, 3);

	step(&p, '+');
	uint64_t first = p.now.ms;
	step(&p, 'r');
	step(&p, 'r');
	uint64_t third = p.now.ms;
	cr_expect_eq(step(&p, 'r'), 'X');
	cr_expect_eq(third - first, 500);
	cr_expect_eq(p.h.lost_wall_ms, p.h.since_wall_ms);
	cr_expect_eq(p.h.failures, 3);
	cr_expect_eq(p.h.reason, HEALTH_REFUSED);
}

Test(verdict, waits)
{
	struct play p = begin(2, 3);

	cr_expect_eq(verdict_wait_ms(&p.v, &p.h, &p.rules), 250, "unknown");
	step(&p, '+');
	cr_expect_eq(verdict_wait_ms(&p.v, &p.h, &p.rules), 250, "still unknown");
	step(&p, '+');
	cr_expect_eq(verdict_wait_ms(&p.v, &p.h, &p.rules), 5000, "up");
	step(&p, 't');
	cr_expect_eq(verdict_wait_ms(&p.v, &p.h, &p.rules), 5000, "a time-out does not hurry");
	step(&p, 'r');
	cr_expect_eq(verdict_wait_ms(&p.v, &p.h, &p.rules), 250, "a refusal does");
	step(&p, 'r');
	step(&p, 'r');
	cr_expect_eq(verdict_wait_ms(&p.v, &p.h, &p.rules), 5000, "lost: nothing left to decide");
	p.rules.interval_ms = 100;
	p.h.state = HEALTH_UNKNOWN;
	cr_expect_eq(verdict_wait_ms(&p.v, &p.h, &p.rules), 100, "never slower than the interval");
}

Test(verdict, lost_mark)
{
	struct play p = begin(1, 3);

	step(&p, '+');
	cr_expect_eq(p.h.lost_wall_ms, 0);
	step(&p, 'r');
	step(&p, 'r');
	cr_expect_eq(p.h.lost_wall_ms, 0, "only suspected");
	step(&p, 'r');
	uint64_t mark = p.h.lost_wall_ms;
	cr_expect_gt(mark, WALL);
	uint64_t last = p.now.wall_ms;
	step(&p, 'r');
	cr_expect_eq(p.h.lost_wall_ms, last, "what was bound meanwhile is lost too");
	step(&p, '+');
	step(&p, '+');
	cr_expect_eq(p.h.lost_wall_ms, last, "stays for ever");
	step(&p, 't');
	step(&p, 't');
	step(&p, 't');
	cr_expect_eq(p.h.state, HEALTH_DOWN);
	cr_expect_eq(p.h.lost_wall_ms, last, "down is not lost");
}

Test(verdict, lost_after_counts_from_the_first_failure)
{
	struct play p = begin(1, 3);
	struct verdict_outcome o = {HEALTH_TIMEOUT, 0};

	step(&p, '+');
	for (int i = 0; i < 3; i++)
		(void)verdict_step(&p.v, &p.h, &p.rules, &o, &p.now);
	pass(&p, 29999);
	cr_expect_eq(verdict_step(&p.v, &p.h, &p.rules, &o, &p.now), 0);
	pass(&p, 1);
	cr_expect_eq(verdict_step(&p.v, &p.h, &p.rules, &o, &p.now), VERDICT_LOST);
	cr_expect_eq(p.h.lost_wall_ms, p.now.wall_ms);
}

Test(verdict, the_wall_clock_decides_nothing)
{
	struct play p = begin(1, 3);

	for (const char *c = "+ttt"; *c != '\0'; c++)
		step(&p, *c);
	p.now.wall_ms += 86400000;
	cr_expect_eq(step(&p, 't'), 'd', "a day forward is no silence");
	for (const char *c = "+rrr"; *c != '\0'; c++)
		step(&p, *c);
	p.now.wall_ms -= 86400000;
	uint64_t now = p.now.wall_ms;
	step(&p, '+');
	cr_expect_eq(p.h.lost_wall_ms, now, "bindings made from now on count");
}

Test(verdict, stamps)
{
	struct play p = begin(1, 3);

	cr_expect_eq(p.h.driver_id, DRIVER);
	cr_expect_eq(p.h.since_wall_ms, WALL);
	uint64_t up = p.now.wall_ms;
	step(&p, '+');
	cr_expect_eq(p.h.rtt_us, 321);
	cr_expect_eq(p.h.changes, 1);
	step(&p, '+');
	cr_expect_eq(p.h.since_wall_ms, up);
	cr_expect_gt(p.h.probed_wall_ms, up);
	step(&p, 't');
	cr_expect_eq(p.h.reason, HEALTH_TIMEOUT);
	cr_expect_eq(p.h.failures, 1);
	step(&p, '+');
	cr_expect_eq(p.h.reason, HEALTH_OK);
	cr_expect_eq(p.h.failures, 0);
	cr_expect_eq(p.h.changes, 1);
}

Test(verdict, adopts_a_row)
{
	struct play p = begin(1, 3);

	for (const char *c = "+rrr"; *c != '\0'; c++)
		step(&p, *c);
	uint64_t mark = p.h.lost_wall_ms;
	verdict_adopt(&p.v, &p.h);
	cr_expect_eq(p.h.state, HEALTH_DOWN);
	cr_expect_eq(p.h.lost_wall_ms, mark);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(step(&p, 'r'), 'd', "not said again");
	cr_expect_gt(p.h.lost_wall_ms, mark);

	step(&p, '+');
	step(&p, 't');
	step(&p, 't');
	verdict_adopt(&p.v, &p.h);
	cr_expect_eq(p.h.state, HEALTH_UP);
	cr_expect_eq(step(&p, 't'), 'D', "failures go on being counted");
}
