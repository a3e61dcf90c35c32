/*
 * Rows of the table of metrics (metrics_table.h): tokens, processes, configuration, store, audit,
 * traces.
 */
#pragma once

/* clang-format off */
/*	name					type		labels			source		what	help */
#define METRICS_GATEWAY(X) \
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
		"Time that a sync of the audit file took") \
	X(spark_gateway_audit_ship_pending_files, gauge,	"",	shipping,	SCRAPE_PENDING, \
		"Sealed audit files that the store does not have yet; missing without audit.ship") \
	X(spark_gateway_audit_ship_pending_bytes, gauge,	"",	shipping,	SCRAPE_PENDING_BYTES, \
		"Bytes of these files; missing without audit.ship") \
	X(spark_gateway_audit_ship_files_total,	counter,	"",	counter,	COUNTER_ship_files, \
		"Audit files shipped") \
	X(spark_gateway_audit_ship_failures_total, counter,	"",	counter,	COUNTER_ship_failures, \
		"Attempts to ship an audit file that failed") \
	X(spark_gateway_audit_ship_last_success_timestamp_seconds, gauge, "", shipping,	SCRAPE_SUCCESS, \
		"When the last audit file was shipped; missing when there was none") \
	/* traces */ \
	X(spark_gateway_spans_sent_total,	counter,	"",	counter,	COUNTER_spans_sent, \
		"Spans that the collector took") \
	X(spark_gateway_spans_dropped_total,	counter,	"",	counter,	COUNTER_spans_dropped, \
		"Spans that no collector took in time")
/* clang-format on */
