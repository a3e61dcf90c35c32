/*
 * GET /metrics, on the admin address and on the control socket. ?without=NAME[,NAME] leaves metrics
 * out; compressed for whoever accepts gzip.
 */
#pragma once
#include "controller/admin.h"
#include "controller/desk.h"

void metrics_route_show(struct desk *, struct admin_request *);
