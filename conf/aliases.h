/*
 * What must be true of routing.team_aliases and routing.env_aliases: each word means one thing.
 */
#pragma once
#include "conf/loading.h"

void aliases_check(struct loading *);
