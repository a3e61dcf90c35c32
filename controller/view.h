/*
 * What people see of the gateway, as JSON: made from the shared segment and the store, both only
 * read.
 *
 * Times are wall-clock milliseconds in members ending in `_ms`; `now_ms` of the same answer makes
 * ages of them. The owner of an answer is the caller. The registry's snapshot is renewed when its
 * generation has moved.
 */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include "shm/health.h"
#include "shm/registry.h"
#include "shm/segment.h"

#define VIEW_BEAT_MS 5000u /* who has not beaten for that long does not count as ready */

struct view {
	struct segment *segment;
	const char *state_dir;
	struct db *db;		   /* NULL: not open yet */
	struct registry *registry; /* NULL: not loaded yet */
	unsigned generation;	   /* of the configuration */
	/* Makes current what predecessors count (shm/earlier.h). NULL: there are none. */
	void (*look_back)(void *arg);
	void *look_back_arg;
};

int view_open_store(struct view *, const char **ret_words) MUST_CHECK; /* as db_open() */
void view_close(struct view *);

/* Why the gateway is not ready: an array of words, empty when it is. */
void view_look_back(struct view *);
json_t *view_missing(struct view *);
json_t *view_status(struct view *);

/* The others need the store. E_STATE: not open yet; else what the store answered. */
int view_clusters(struct view *, json_t **ret) MUST_CHECK;
int view_drivers(struct view *, json_t **ret) MUST_CHECK;

/* For scrape.h and history.c. Of a row, whose process may have been killed; of a driver, unknown
 * while nobody has asked it, or its row is about another one; RPCs under way there; of the gateway;
 * of the configuration in force. */
bool view_is_alive(struct view *, unsigned row);
struct health view_health(struct view *, const struct registry_driver *);
uint64_t view_running(struct view *, unsigned driver_slot);
uint64_t view_started_ms(struct view *);
unsigned view_generation(struct view *);

/* For page.c: the snapshot made current; a text (bytes that are no UTF-8 are replaced); an answer
 * around rows, with now_ms. */
int view_refresh(struct view *) MUST_CHECK;
json_t *view_text(struct str s);
json_t *view_wrap(json_t *rows);
