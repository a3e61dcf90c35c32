/*
 * What can be asked of the controller over HTTP: one table of routes, and what each does.
 *
 * Acts (drain, close, reload) are logged with who asked, once, when their outcome is known.
 */
#pragma once
#include "controller/admin.h"
#include "controller/office.h"

#define ROUTES_RELOAD_MS 120000u /* the supervisor has its own, shorter limits */

void routes_handle(void *office, struct admin_request *);		    /* fits admin_open() */
void routes_reloaded(struct office *, const struct leash_reloaded *); /* the supervisor's answer */
void routes_replaced(struct office *);				    /* a successor is there */
void routes_close(struct office *);				    /* answers who still waits */
