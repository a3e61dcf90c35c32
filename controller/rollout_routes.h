/*
 * The routes about the roll-out: which share of the teams may begin sessions (policy/rollout.h).
 */
#pragma once
#include "controller/admin.h"
#include "controller/office.h"

void rollout_routes_show(struct office *, struct admin_request *);
void rollout_routes_set(struct office *, struct admin_request *);

/* What was set live, or ROLLOUT_CONFIGURED. E_STATE: no store yet; else what it answered. */
int rollout_routes_live(const struct view *, int *ret) MUST_CHECK;
