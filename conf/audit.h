/*
 * The block `audit` of the configuration: what is recorded of each RPC, and where. Part of types.h.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"

enum conf_on_full { AUDIT_REFUSE, AUDIT_CONTINUE };
enum conf_sql { AUDIT_SQL_TEXT, AUDIT_SQL_HASH, AUDIT_SQL_NONE };

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
};
