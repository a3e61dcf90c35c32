/*
 * The rules of rise and fall. Enter: a row and how a probe ended; leaves: the row as it should be
 * published.
 */
#include <string.h>
#include "checker/verdict.h"

void
verdict_start(struct verdict *v, struct health *h, uint32_t driver_id, uint64_t wall_ms)
{
	memset(v, 0, sizeof(*v));
	memset(h, 0, sizeof(*h));
	h->driver_id = driver_id;
	h->state = HEALTH_UNKNOWN;
	h->since_wall_ms = wall_ms;
}

void
verdict_adopt(struct verdict *v, const struct health *h)
{
	memset(v, 0, sizeof(*v));
	v->lost = h->state == HEALTH_DOWN && h->lost_wall_ms != 0 &&
		  h->lost_wall_ms >= h->since_wall_ms;
}

static uint32_t
refused_enough(const struct verdict_rules *r)
{
	return r->fall < VERDICT_REFUSED_ENOUGH ? r->fall : VERDICT_REFUSED_ENOUGH;
}

static unsigned
change(struct health *h, enum health_state state, const struct verdict_now *now)
{
	h->state = state;
	h->since_wall_ms = now->wall_ms;
	h->changes++;
	return VERDICT_CHANGED;
}

static unsigned
good(struct verdict *v, struct health *h, const struct verdict_rules *r, uint32_t rtt_us,
     const struct verdict_now *now)
{
	*v = (struct verdict){.good = v->good + 1};
	h->failures = 0;
	h->reason = HEALTH_OK;
	h->rtt_us = rtt_us;
	/* a wall clock that was set back must not make bindings of the future lost */
	if (h->lost_wall_ms > now->wall_ms)
		h->lost_wall_ms = now->wall_ms;
	if (h->state == HEALTH_UP || v->good < r->rise)
		return 0;
	return change(h, HEALTH_UP, now);
}

/* Counts how long nobody answers at all. */
static void
note_reach(struct verdict *v, enum health_reason reason, uint64_t now_ms)
{
	v->refused = reason == HEALTH_REFUSED ? v->refused + 1 : 0;
	if (reason == HEALTH_NOT_SERVING) {
		v->unreachable = v->lost = false;
	} else if (!v->unreachable) {
		v->unreachable = true;
		v->unreachable_since_ms = now_ms;
	}
}

static unsigned
bad(struct verdict *v, struct health *h, const struct verdict_rules *r, enum health_reason reason,
    const struct verdict_now *now)
{
	unsigned events = 0;

	v->good = 0;
	h->failures++;
	h->reason = reason;
	note_reach(v, reason, now->ms);
	bool gone = v->refused >= refused_enough(r);
	if (h->state != HEALTH_DOWN && (h->failures >= r->fall || gone))
		events |= change(h, HEALTH_DOWN, now);
	if (h->state != HEALTH_DOWN)
		return 0;
	if (!v->lost &&
	    (gone || (v->unreachable && now->ms - v->unreachable_since_ms >= r->lost_after_ms))) {
		v->lost = true;
		events |= VERDICT_LOST;
	}
	if (v->lost)
		h->lost_wall_ms = now->wall_ms;
	return events;
}

unsigned
verdict_step(struct verdict *v, struct health *h, const struct verdict_rules *r,
	     const struct verdict_outcome *o, const struct verdict_now *now)
{
	h->probed_wall_ms = now->wall_ms;
	if (o->reason == HEALTH_OK)
		return good(v, h, r, o->rtt_us, now);
	return bad(v, h, r, o->reason, now);
}

uint64_t
verdict_wait_ms(const struct verdict *v, const struct health *h, const struct verdict_rules *r)
{
	bool quick = h->state == HEALTH_UNKNOWN || (v->refused > 0 && !v->lost);

	return quick && r->interval_ms > VERDICT_QUICK_MS ? VERDICT_QUICK_MS : r->interval_ms;
}
