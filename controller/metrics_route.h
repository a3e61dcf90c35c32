/*
 * GET /metrics, on the admin address and on the control socket. ?without=NAME[,NAME] leaves metrics
 * out; compressed for whoever accepts gzip.
 */
#pragma once
#include "controller/admin.h"
#include "controller/office.h"

void metrics_route_show(struct office *, struct admin_request *);
