/*
 * All metrics, one row each: the page is made in this order, the manual (sparkgw-metrics(7)), the
 * rules and the dashboards are checked against it (t/tools/manuals).
 *
 * Labels have configured names as values, or words of our own: whatever clients send, the page has
 * a bound (metrics.h). source: a function of scrape.h; what: which of the numbers it knows.
 */
#pragma once
#include "controller/metrics_gateway.h"
#include "controller/metrics_users.h"

#define METRICS_TABLE(X) METRICS_USERS(X) METRICS_GATEWAY(X)
