/*
 * May a running session go on to make work? Asked for every RPC that brings a new plan, because
 * memberships, teams and clusters change while sessions live. The roll-out is not asked: it is
 * about new sessions.
 *
 * Pure; allocates for the words of a refusal only.
 */
#pragma once
#include "policy/teams.h"
#include "shm/cluster.h"

/* team: under which the session is booked; cluster: of the session's driver, as it is now. What the
 * cluster is counts, not what it was when the session began. E_DENIED with *ret_words, for
 * PERMISSION_DENIED. */
int still_allowed(const struct conf *, const struct identity *, struct str team,
		  const struct registry_cluster *, struct arena *,
		  const char **ret_words) MUST_CHECK;
