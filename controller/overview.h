/*
 * The state of the gateway at a glance, for the status page and for whoever can read JSON: counts
 * and names of what is configured, of nobody who uses it, so that the admin address may show it.
 *
 * Made at most twice a second however many ask: adding up the metrics of all processes touches
 * megabytes in a large gateway.
 */
#pragma once
#include <jansson.h>
#include "controller/history.h"
#include "controller/view.h"

#define OVERVIEW_FRESH_MS 500u

struct overview {
	struct view *view;
	const struct history *history;
	bool audited; /* audit.enabled */
	/* Either may be NULL. Appends {"name", "type", "keys", "fetched_ms", "failures", …} of each
	 * provider. */
	void (*providers)(void *arg, json_t *list);
	void (*certificates)(void *arg, json_t *list); /* as certificates_show() */
	void *arg;
	json_t *last;
	uint64_t made_ms; /* of it; clock_ms() */
};

/* A new reference. */
json_t *overview_show(struct overview *);
json_t *overview_audit(const struct overview *); /* that part alone */
void overview_close(struct overview *);
