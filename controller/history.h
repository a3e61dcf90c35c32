/*
 * What happened lately, for the status page: starts, reloads, restarts of processes, changes of
 * drivers and of readiness. A small ring of what this process and those before it saw by looking
 * at the segment once a second.
 *
 * Nothing depends on it: what comes and goes within a second is not seen, nor what happens while no
 * controller runs (but that something is another one than before). It is kept in the run
 * directory, since each reload brings a new controller: written by the one that answers at the
 * control socket. The log says all of it, and why.
 */
#pragma once
#include <jansson.h>
#include "controller/view.h"
#include "lib/loop.h"

#define HISTORY_EVENTS	32u
#define HISTORY_LOOK_MS 1000u

struct history;

/* Goes on from the file, if there is a good one: E_NOMEM. folder: must live as long. */
int history_new(struct view *, const char *folder, struct history **ret) MUST_CHECK;
void history_free(struct history **);

/* Looks at once, then every second. */
void history_start(struct history *, struct loop *);
void history_stop(struct history *);
/* One look. Writes the file when there was something to see. */
void history_look(struct history *);

/* {"since_ms", "events": [{"at_ms", "what", "words"}]}, the latest first. */
json_t *history_show(const struct history *);
