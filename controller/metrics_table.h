/*
 * All metrics, one row each: the page is made in this order, the manual (sparkgw-metrics(7)), the
 * rules and the dashboards are checked against it (t/tools/manuals).
 *
 * Labels have configured names as values, or words of our own: whatever clients send, the page has
 * a bound (metrics.h). source: a function of scrape.h; what: which of the numbers it knows.
 */
#pragma once

/* clang-format off */
/*	name					type		labels			source		what	help */
#define METRICS_TABLE(X) \
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
		"How long the last good health probe took") \
	/* who is it */ \
	X(spark_gateway_auth_verified_total,	counter,	"",	counter,	COUNTER_auth_verified, \
		"Tokens verified") \
	X(spark_gateway_auth_refused_total,	counter,	"",	counter,	COUNTER_auth_refused, \
		"RPCs without a good token") \
	X(spark_gateway_auth_slowed_total,	counter,	"",	counter,	COUNTER_auth_slowed, \
		"Tokens looked at later because bad ones came from there") \
	X(spark_gateway_provider_keys,		gauge,		"provider",	provider,	SCRAPE_KEYS, \
		"Public keys known of the provider of tokens") \
	X(spark_gateway_provider_keys_age_seconds, gauge,	"provider",	provider,	SCRAPE_KEYS_AGE, \
		"Time since the provider's keys were fetched or made") \
	X(spark_gateway_provider_fetch_failures, gauge,		"provider",	provider,	SCRAPE_FAILURES, \
		"Fetches of the provider's keys that failed since the last good one") \
	X(spark_gateway_certificate_expiry_timestamp_seconds, gauge, "listener,certificate", certificate, 0, \
		"When the listener's certificate expires") \
	/* processes and configuration */ \
	X(spark_gateway_build_info,		gauge,		"version",	build_info,	0, \
		"1, with the version of the gateway as its label") \
	X(spark_gateway_ready,			gauge,		"",	ready,		0, \
		"1 while the gateway can serve, as /readyz says") \
	X(spark_gateway_start_timestamp_seconds, gauge,		"",	start,		0, \
		"When the gateway was started") \
	X(spark_gateway_processes,		gauge,		"kind",	process,	SCRAPE_ALIVE, \
		"Processes running, by kind") \
	X(spark_gateway_beat_age_seconds,	gauge,		"kind",	process,	SCRAPE_BEAT, \
		"Time since the most silent process of the kind was last heard of") \
	X(spark_gateway_restarts_total,		counter,	"kind",	restarts,	0, \
		"Processes that died and were started again, by kind") \
	X(spark_gateway_reloads_total,		counter,	"result",	reloads,	0, \
		"Reloads of the configuration: ok, or failed and the old one stays") \
	X(spark_gateway_last_reload_ok,		gauge,		"",	last_reload,	0, \
		"0 while the last reload is one that failed") \
	X(spark_gateway_last_reload_timestamp_seconds, gauge,	"",	last_reload,	1, \
		"When the last reload ended; missing when there was none") \
	X(spark_gateway_generation,		gauge,		"",	configured,	SCRAPE_GENERATION, \
		"Number of the configuration in force; each reload makes a new one") \
	X(spark_gateway_rollout_percent,	gauge,		"",	configured,	SCRAPE_ROLLOUT, \
		"Percentage of the teams whose turn has come") \
	/* the store */ \
	X(spark_gateway_keeper_ok,		gauge,		"",	keeper_ok,	0, \
		"1 while the store can be written: new sessions need it") \
	X(spark_gateway_commit_seconds,		histogram,	"",	keeper_times,	0, \
		"Time that a commit to the store took") \
	X(spark_gateway_commits_total,		counter,	"",	keeper,	METRICS_KEEPER_commits, \
		"Commits to the store") \
	X(spark_gateway_commit_failures_total,	counter,	"",	keeper,	METRICS_KEEPER_commit_failures, \
		"Commits that the store refused") \
	/* the audit */ \
	X(spark_gateway_audit_records_total,	counter,	"",	keeper,	METRICS_KEEPER_audit_records, \
		"Audit records written") \
	X(spark_gateway_audit_written_bytes_total, counter,	"",	keeper,	METRICS_KEEPER_audit_bytes, \
		"Bytes of audit files written") \
	X(spark_gateway_audit_lost_total,	counter,	"",	keeper,	METRICS_KEEPER_audit_lost, \
		"Audit records lost, as the audit file itself says") \
	X(spark_gateway_audit_dropped_total,	counter,	"",	rings,	SCRAPE_LOST, \
		"Audit records that found no room; written into the file as lost once it can be written") \
	X(spark_gateway_audit_unfinished_total,	counter,	"",	keeper,	METRICS_KEEPER_audit_unfinished, \
		"RPCs recorded as unfinished since their worker was killed") \
	X(spark_gateway_audit_failures_total,	counter,	"",	keeper,	METRICS_KEEPER_audit_failures, \
		"Attempts to write or to sync the audit file that failed") \
	X(spark_gateway_audit_rotations_total,	counter,	"",	keeper,	METRICS_KEEPER_audit_rotations, \
		"Audit files sealed") \
	X(spark_gateway_audit_stalled,		gauge,		"",	keeper,	METRICS_KEEPER_audit_stalled, \
		"1 while audit records cannot be written") \
	X(spark_gateway_audit_ring_fill_ratio,	gauge,		"",	rings,	SCRAPE_FILL, \
		"How full the fullest worker's ring of audit records is, from 0 to 1") \
	X(spark_gateway_audit_synced_age_seconds, gauge,	"",	synced_age,	0, \
		"Time since all audit records known were on the disk; missing when there was none") \
	X(spark_gateway_audit_sync_seconds,	histogram,	"",	keeper_times,	1, \
		"Time that a sync of the audit file took")
/* clang-format on */
