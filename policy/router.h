/*
 * Which driver? Pure decisions over the registry's snapshot and the checker's rows; one file of
 * rules (DESIGN: Which cluster).
 *
 * The first of these that speaks decides, and two that contradict each other are an error: the host
 * the client asked for, in TLS or in :authority; the team and env headers; the pairs of the
 * session's first Config call; the user's only team, and the only env of the credentials or
 * routing.default_env. All of them only choose among what the identity may use (teams.h) and
 * what the roll-out admits (rollout.h).
 *
 * Refusals are made of words that say what would have been accepted: of what the identity may use,
 * not of everything there is.
 */
#pragma once
#include "lib/arena.h"
#include "policy/wish.h"

/* key: hash of user and session id, for ties. E_DENIED: *ret_refusal says why; its code UNAVAILABLE
 * means "no driver now". */
int router_pick(const struct router_view *, const struct router_wish *, uint64_t key,
		struct arena *, struct router_choice *ret,
		struct router_refusal *ret_refusal) MUST_CHECK;

/* Reads `spark.connect.grpc.header.NAME` pairs out of a ConfigRequest (whole message without
 * prefix) into wish->config_*. */
void router_config_pairs(const struct conf *, struct str message, struct router_wish *);
