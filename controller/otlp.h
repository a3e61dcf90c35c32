/*
 * Audit records as spans of OpenTelemetry, in the JSON of OTLP 1.x; attributes by its conventions
 * for RPCs (rpc.*, client.*, enduser.id), and sparkgw.* where there is none. Pure.
 */
#pragma once
#include <jansson.h>
#include <stdint.h>
#include "lib/str.h"

/* A line of the audit file; the span is the caller's. NULL: it is none of an RPC with a trace, or is
 * not to be exported: where a client began the trace its flag decides, else `sample` percent. */
json_t *otlp_span(struct str line, uint32_t sample);
/* What is sent: spans (kept) of one gateway. To be freed; NULL: out of memory. */
char *otlp_request(json_t *spans, const char *gateway);
