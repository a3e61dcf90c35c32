/*
 * Ships sealed audit files: the oldest one that the store does not have, then the next.
 *
 *	IDLE --a file waits--> SENDING --> TELLING (the keeper writes it down) --> IDLE
 *	any failure --> IDLE, and again after a growing delay
 *
 * A file counts as shipped when the keeper has written that down: before, it is sent again, under
 * the same name and with the same content. One line of log for each change from good to bad and
 * back.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include "conf/types.h"
#include "controller/asks.h"
#include "lib/loop.h"

struct counters_slot;
struct ship;

struct ship_numbers {
	uint64_t pending, pending_bytes;
	uint64_t success_ms; /* wall clock; of the last file, also of an earlier life; 0: never */
};

/* NULL: out of memory. Without audit.ship it does nothing. Files and failures are counted. */
struct ship *ship_new(const struct conf *, struct loop *, struct asks *, struct counters_slot *);
void ship_start(struct ship *);
void ship_stop(struct ship *); /* a successor is there, or the end */
void ship_free(struct ship **); /* after asks_close() */
json_t *ship_show(const struct ship *); /* null without audit.ship */
bool ship_numbers(const struct ship *, struct ship_numbers *ret); /* false: likewise */
