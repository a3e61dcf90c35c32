/*
 * The routes about tokens that the gateway itself gives out. For the control socket alone: whoever
 * may use it may be anybody.
 *
 * A new token is in the answer to its creation and nowhere else: not in the store, not in the log;
 * its copies here are cleansed.
 */
#pragma once
#include "controller/admin.h"
#include "controller/office.h"

void token_routes_create(struct office *, struct admin_request *);
void token_routes_list(struct office *, struct admin_request *);
void token_routes_revoke(struct office *, struct admin_request *);
void token_routes_rotate(struct office *, struct admin_request *);
void token_routes_keys(struct office *, struct admin_request *);
