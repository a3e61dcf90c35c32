/*
 * What is asked for? From a wish to the team and environment of the session (pick->choice), or to a
 * contradiction; whether they are open to the identity is not asked here. Private to policy/.
 */
#pragma once
#include "policy/pick.h"

int ask_team_and_env(struct pick *) MUST_CHECK; /* E_DENIED; env may stay empty */
