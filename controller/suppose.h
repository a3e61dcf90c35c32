/*
 * Who somebody would be to the gateway, as far as that can be told without a token of his: for
 * `explain`.
 *
 * The first of these that speaks counts: groups that the asker states; a `static` provider that
 * lists the user; a provider whose `subjects` match him; a token that the gateway gave him.
 */
#pragma once
#include <jansson.h>
#include "conf/conf.h"
#include "controller/view.h"
#include "lib/arena.h"
#include "policy/identity.h"

/* groups: "a,b", or STR_NONE. Fills the identity (its texts are the configuration's, the caller's
 * or in the arena) and adds sentences to `lines`. E_NOMEM. */
int suppose_identity(const struct conf *, const struct view *, struct str user, struct str groups,
		     struct arena *, struct identity *ret, json_t *lines) MUST_CHECK;
