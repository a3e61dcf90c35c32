/*
 * The abuse budget: arithmetic only. The figures are argued in doc comments of the table below;
 * they are far above what gRPC clients do (C-core sends a WINDOW_UPDATE or PING per few DATA
 * frames).
 */
#include "h2/budget.h"

#define FULL		200000u /* 200 tokens */
#define REFILL_S	20u	/* tokens a second = thousandths a millisecond */
#define TIRED		(FULL / 4)
#define PING_GAP	10000u /* ms between PINGs while we send nothing (Spark 4.3 clients: 60 s) */
#define PING_BEARS	2u
#define SETTINGS_WINDOW 10000u
#define SETTINGS_MAX	50u

static uint32_t
price(enum budget_event event)
{
	switch (event) {
	case BUDGET_PEER_RESET:
	case BUDGET_REFUSED: return 1000;
	case BUDGET_OUR_RESET: return 2000;
	case BUDGET_EMPTY_DATA: return 10000;
	default: return 0;
	}
}

static void
refill(struct budget *b, uint64_t now_ms)
{
	uint64_t gain = (now_ms - b->last_ms) * REFILL_S;

	b->tokens = gain > FULL - b->tokens ? FULL : b->tokens + (uint32_t)gain;
	b->last_ms = now_ms;
}

static enum budget_verdict
spend(struct budget *b, uint32_t thousandths, uint64_t now_ms)
{
	refill(b, now_ms);
	if (b->tokens < thousandths) {
		b->tokens = 0;
		return BUDGET_SPENT;
	}
	b->tokens -= thousandths;
	return b->tokens < TIRED ? BUDGET_TIRED : BUDGET_FINE;
}

/* PINGs right after we sent something are flow-control probes and free (gRPC A8, keepalive.md). */
static enum budget_verdict
ping(struct budget *b, uint64_t now_ms)
{
	bool early = b->ping_ms != 0 && now_ms - b->ping_ms < PING_GAP;

	if (b->data_sent != b->data_sent_at_ping)
		b->ping_strikes = 0;
	else if (early)
		b->ping_strikes++;
	b->data_sent_at_ping = b->data_sent;
	b->ping_ms = now_ms;
	return b->ping_strikes > PING_BEARS ? BUDGET_PINGS : BUDGET_FINE;
}

static enum budget_verdict
settings(struct budget *b, uint64_t now_ms)
{
	if (now_ms - b->settings_since_ms > SETTINGS_WINDOW) {
		b->settings_since_ms = now_ms;
		b->settings = 0;
	}
	return ++b->settings > SETTINGS_MAX ? BUDGET_SPENT : BUDGET_FINE;
}

static enum budget_verdict
at_most(uint32_t *count, uint64_t limit)
{
	return ++*count > limit ? BUDGET_SPENT : BUDGET_FINE;
}

void
budget_init(struct budget *b, uint64_t now_ms)
{
	*b = (struct budget){.last_ms = now_ms, .tokens = FULL, .settings_since_ms = now_ms};
}

enum budget_verdict
budget_charge(struct budget *b, enum budget_event event, uint32_t streams, uint64_t now_ms)
{
	switch (event) {
	case BUDGET_DATA: b->empty_row = 0; return BUDGET_FINE;
	case BUDGET_EMPTY_DATA: /* two in a row happen to honest clients */
		return ++b->empty_row > 2 ? spend(b, price(event), now_ms) : BUDGET_FINE;
	case BUDGET_PRIORITY: return at_most(&b->priorities, 100 + 2ull * streams);
	case BUDGET_UNKNOWN: return at_most(&b->unknown, 100 + (uint64_t)streams);
	case BUDGET_WINDOW_UPDATE: /* 5 + 2 x (streams + 10 x frames sent), as Envoy counts */
		return at_most(&b->window_updates,
			       105 + 2 * ((uint64_t)streams + 10ull * b->data_sent));
	case BUDGET_PING: return ping(b, now_ms);
	case BUDGET_SETTINGS: return settings(b, now_ms);
	default: return spend(b, price(event), now_ms);
	}
}
