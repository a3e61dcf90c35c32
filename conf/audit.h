/*
 * The blocks `audit` and `tracing` of the configuration: what is recorded of each RPC, where, and who
 * else gets it. Part of types.h.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"

enum conf_on_full { AUDIT_REFUSE, AUDIT_CONTINUE };
enum conf_sql { AUDIT_SQL_TEXT, AUDIT_SQL_HASH, AUDIT_SQL_NONE };

struct conf_ship { /* where sealed files go: a store that speaks S3 */
	struct str endpoint, bucket, prefix, region;
	struct str access_key_file, secret_key_file; /* absolute; read anew for every file */
	struct str ca;				     /* PEM, absolute, or STR_NONE */
	unsigned line;
};
struct conf_tracing { /* who takes spans: OTLP over HTTP */
	struct str endpoint, ca;
	uint32_t sample; /* percent of the traces that begin here */
	unsigned line;
};

struct conf_audit {
	bool enabled;
	enum conf_on_full on_full;
	uint64_t max_bytes, max_age_ms; /* of a file */
	uint64_t keep_ms;		/* sealed files; 0: for ever */
	struct str gateway;		/* STR_NONE: the host's name */
	enum conf_sql sql;
	uint64_t sql_bytes;
	struct str *redact; /* expressions */
	unsigned redact_count;
	bool has_ship;
	struct conf_ship ship;
	bool has_tracing;
	struct conf_tracing tracing;
};
