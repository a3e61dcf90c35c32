/*
 * Rows of the table of metrics (metrics_table.h): RPCs, connections and drivers.
 */
#pragma once

/* clang-format off */
/*	name					type		labels			source		what	help */
#define METRICS_USERS(X) \
	/* what users get */ \
	X(spark_connect_requests_total,		counter,	"team,env,status",	requests,	0, \
		"RPCs ended, by their gRPC status") \
	X(spark_connect_latency_ms,		histogram,	"team,env,method",	latency,	3, \
		"Time from an RPC's headers to the end of its stream, in milliseconds") \
	X(spark_connect_latency_seconds,	histogram,	"team,env,method",	latency,	6, \
		"Time from an RPC's headers to the end of its stream") \
	X(spark_connect_active_sessions,	gauge,		"team,env",		sessions,	0, \
		"Spark sessions bound to a driver") \
	X(spark_connect_errors_total,		counter,	"team,env,error_type",	errors,		0, \
		"RPCs that ended badly, by what went wrong") \
	/* the gateway's share */ \
	X(spark_gateway_overhead_seconds,	histogram,	"method",		overhead,	0, \
		"Time that the gateway itself took of an RPC") \
	X(spark_gateway_first_response_seconds,	histogram,	"method",		first_response,	0, \
		"Time from an RPC's headers to the first byte of the driver's answer") \
	X(spark_gateway_rpcs_open,		gauge,		"",	counter,	COUNTER_rpcs_open, \
		"RPCs under way") \
	X(spark_gateway_rpcs_total,		counter,	"",	counter,	COUNTER_rpcs_total, \
		"RPCs begun") \
	X(spark_gateway_rpcs_failed_total,	counter,	"",	counter,	COUNTER_rpcs_failed, \
		"RPCs that ended with a status other than OK") \
	X(spark_gateway_rpcs_refused_total,	counter,	"",	counter,	COUNTER_rpcs_refused, \
		"RPCs that the gateway answered itself with an error") \
	X(spark_gateway_label_pairs,		gauge,		"",	label_pairs,	0, \
		"Pairs of team and environment with numbers of their own; there is room for 255") \
	/* connections */ \
	X(spark_gateway_connections_open,	gauge,		"",	counter,	COUNTER_connections_open, \
		"Client connections open") \
	X(spark_gateway_connections_limit,	gauge,		"",	configured,	SCRAPE_CONNECTIONS, \
		"Client connections allowed at once (limits.connections)") \
	X(spark_gateway_connections_total,	counter,	"",	counter,	COUNTER_connections_total, \
		"Client connections accepted") \
	X(spark_gateway_handshakes_failed_total, counter,	"",	counter,	COUNTER_handshakes_failed, \
		"TLS handshakes that failed") \
	X(spark_gateway_abuse_closed_total,	counter,	"",	counter,	COUNTER_abuse_closed, \
		"Client connections ended because they abused HTTP/2") \
	X(spark_gateway_driver_connections_open, gauge,		"",	counter,	COUNTER_driver_connections, \
		"Connections to drivers open") \
	X(spark_gateway_received_bytes_total,	counter,	"",	counter,	COUNTER_bytes_from_clients, \
		"Request bodies' bytes from clients") \
	X(spark_gateway_sent_bytes_total,	counter,	"",	counter,	COUNTER_bytes_to_clients, \
		"Response bodies' bytes to clients") \
	/* drivers */ \
	X(spark_gateway_upstream_health,	gauge,		"cluster_id,driver",	driver,	SCRAPE_UP, \
		"1 while the driver is up, 0 while it is down or was not asked yet") \
	X(spark_gateway_driver_draining,	gauge,		"cluster_id,driver",	driver,	SCRAPE_DRAINING, \
		"1 while an administrator keeps new sessions from the driver") \
	X(spark_gateway_driver_sessions,	gauge,		"cluster_id,driver",	driver,	SCRAPE_SESSIONS, \
		"Sessions bound to the driver") \
	X(spark_gateway_driver_running,		gauge,		"cluster_id,driver",	driver,	SCRAPE_RUNNING, \
		"RPCs under way at the driver") \
	X(spark_gateway_driver_weight,		gauge,		"cluster_id,driver",	driver,	SCRAPE_WEIGHT, \
		"Configured weight of the driver") \
	X(spark_gateway_driver_probe_seconds,	gauge,		"cluster_id,driver",	driver,	SCRAPE_PROBE, \
		"How long the last good health probe took")
/* clang-format on */
