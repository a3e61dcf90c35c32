/*
 * What the routes of the controller work with. Owned by main.c.
 */
#pragma once
#include "conf/conf.h"
#include "controller/asks.h"
#include "controller/overview.h"
#include "controller/view.h"
#include "shm/child.h"

struct admin_request;
struct certificates;
struct keysets;
struct ship;
struct spans;
struct signer;

struct office {
	const struct conf *conf;
	struct view *view;
	struct asks *asks;
	struct child *child;
	struct keysets *keysets;
	struct signer *signer;
	struct history *history;
	struct overview overview;
	const struct certificates *certificates;
	struct ship *ship;
	struct spans *spans;
	struct admin_request *reloading; /* who waits for the end of a reload; routes.c */
	bool reloaded;			 /* it is done, but for a successor of this process */
	struct loop_timer reload_timer;
};
