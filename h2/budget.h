/*
 * What one peer may do that costs us more than it costs him: a token bucket per connection, and
 * counts per kind of frame. nghttp2 bounds some floods but not all (window overflows, empty DATA,
 * PRIORITY, WINDOW_UPDATE, PINGs that are read ...). Pure.
 *
 * At three quarters used the connection is asked to end gracefully (a slightly broken client gets a
 * new one), at the end it is closed with ENHANCE_YOUR_CALM.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum budget_event {
	BUDGET_PEER_RESET, /* a stream reset by the peer before our response */
	BUDGET_OUR_RESET,  /* a stream that the peer made us reset */
	BUDGET_REFUSED,	   /* a stream over the limit */
	BUDGET_EMPTY_DATA, /* DATA without payload and without END_STREAM */
	BUDGET_DATA,	   /* any other DATA, HEADERS: ends a row of empty ones */
	BUDGET_PRIORITY,
	BUDGET_WINDOW_UPDATE,
	BUDGET_UNKNOWN,
	BUDGET_PING,
	BUDGET_SETTINGS,
};

enum budget_verdict { BUDGET_FINE, BUDGET_TIRED, BUDGET_SPENT, BUDGET_PINGS };

struct budget {
	uint64_t last_ms;
	uint32_t tokens; /* in thousandths */
	uint32_t empty_row, priorities, window_updates, unknown, settings, ping_strikes;
	uint64_t settings_since_ms, ping_ms;
	uint32_t data_sent; /* DATA and HEADERS frames we sent; the owner adds */
	uint32_t data_sent_at_ping;
};

void budget_init(struct budget *, uint64_t now_ms);
/* streams: opened so far on this connection. */
enum budget_verdict budget_charge(struct budget *, enum budget_event, uint32_t streams,
				  uint64_t now_ms);
