/*
 * Sessions whose first Config call asked for a team or env that they may not have. PySpark only warns of a
 * Config pair that was refused and goes on without it; its plans would then run wherever it has not
 * asked for. So the refusal is remembered, and repeated until another Config call asks for something
 * better.
 *
 * One per worker: a fixed table by hash of the session's key, in which a newcomer takes the place of
 * whoever stands there.
 */
#pragma once
#include "policy/wish.h"
#include "shm/sessions.h"

struct misgivings;

struct misgivings *misgivings_new(void); /* aborts when out of memory */
void misgivings_free(struct misgivings **);

/* wish: its config_team and config_env are what was refused. */
void misgivings_put(struct misgivings *, const struct session_key *, const struct router_wish *,
		    const struct router_refusal *);
/* That is asked anew: forgets a refusal of no more than what this wish names. */
void misgivings_drop(struct misgivings *, const struct session_key *, const struct router_wish *);
/* True: *ret is what was refused; its words are valid until the next put. */
bool misgivings_find(const struct misgivings *, const struct session_key *,
		     struct router_refusal *ret);
