/*
 * What can be asked of the controller over HTTP: one table of routes, and what each does.
 *
 * Acts (drain, close, reload) are logged with who asked, once, when their outcome is known.
 */
#pragma once
#include "controller/admin.h"
#include "controller/asks.h"
#include "controller/view.h"
#include "shm/child.h"

#define ROUTES_RELOAD_MS 120000u /* the supervisor has its own, shorter limits */

struct routes {
	struct view *view;
	struct asks *asks;
	struct child *child;
	struct admin_request *reloading; /* private: who waits for the answer to LEASH_RELOAD */
	struct loop_timer reload_timer;	 /* private */
};

void routes_handle(void *routes, struct admin_request *);	      /* fits admin_open() */
void routes_reloaded(struct routes *, const struct leash_reloaded *); /* the supervisor's answer */
void routes_close(struct routes *);				      /* answers who still waits */
