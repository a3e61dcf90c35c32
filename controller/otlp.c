/*
 * One audit record, one span.
 */
#include "controller/otlp.h"

#include <stdio.h>
#include <string.h>
#include "lib/clock.h"
#include "proto/methods.h"

#define SERVER	     2 /* SpanKind */
#define STATUS_ERROR 2
#define NS_PER_MS    1000000ull
#define TRACE_HEX    32
#define SPAN_HEX     16

static const struct {
	const char *member, *name;
} texts[] =
	{
		{"method", "rpc.method"},	{"user", "enduser.id"},
		{"session", "spark.session"},	{"operation", "spark.operation"},
		{"team", "sparkgw.team"},	{"env", "sparkgw.env"},
		{"cluster", "sparkgw.cluster"}, {"driver", "sparkgw.driver"},
		{"run_id", "sparkgw.run_id"},	{"peer", "client.address"},
		{"words", "sparkgw.words"},
},
  plan_texts[] = {
	  {"kind", "spark.plan.kind"},
	  {"command", "spark.plan.command"},
};
static const struct {
	const char *member, *name;
} numbers[] = {
	{"code", "rpc.grpc.status_code"},
	{"bytes_in", "sparkgw.bytes_in"},
	{"bytes_out", "sparkgw.bytes_out"},
};
#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

static void
add(json_t *list, const char *name, const char *kind, json_t *value)
{
	json_array_append_new(list, json_pack("{s:s, s:{s:o}}", "key", name, "value", kind, value));
}

static void
add_text(json_t *list, const char *name, const char *text)
{
	if (text != NULL)
		add(list, name, "stringValue", json_string(text));
}

/* 64-bit integers are strings there. */
static void
add_number(json_t *list, const char *name, const json_t *number)
{
	char text[24];

	if (!json_is_integer(number))
		return;
	snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(number));
	add(list, name, "intValue", json_string(text));
}

static const char *
get(const json_t *row, const char *member)
{
	return json_string_value(json_object_get(row, member));
}

static json_t *
make_attributes(const json_t *row)
{
	json_t *list = json_array(), *plan = json_object_get(row, "plan");

	add_text(list, "rpc.system", "grpc");
	add_text(list, "rpc.service", METHODS_SERVICE);
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		add_text(list, texts[i].name, get(row, texts[i].member));
	for (size_t i = 0; i < COUNT_OF(plan_texts); i++)
		add_text(list, plan_texts[i].name, get(plan, plan_texts[i].member));
	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		add_number(list, numbers[i].name, json_object_get(row, numbers[i].member));
	if (json_is_true(json_object_get(row, "refused")))
		add(list, "sparkgw.refused", "boolValue", json_true());
	return list;
}

/* Which of grpc's codes are the server's fault, by the conventions: the others are left unset. */
static bool
is_error(json_int_t code)
{
	switch (code) {
	case 2:	 /* UNKNOWN */
	case 4:	 /* DEADLINE_EXCEEDED */
	case 12: /* UNIMPLEMENTED */
	case 13: /* INTERNAL */
	case 14: /* UNAVAILABLE */
	case 15: /* DATA_LOSS */ return true;
	default: return false;
	}
}

static void
set_time(json_t *span, const char *name, uint64_t ns)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)ns);
	json_object_set_new(span, name, json_string(text));
}

static void
set_times(json_t *span, const json_t *row)
{
	double total_ms = json_number_value(json_object_get(json_object_get(row, "ms"), "total"));
	uint64_t begun_ms = 0, ended_ms = 0, took_ns;
	const char *begun = get(row, "begun"), *ended = get(row, "time");

	if (total_ms < 0 || total_ms > 1e12)
		total_ms = 0;
	took_ns = (uint64_t)(total_ms * 1e6);
	if (ended == NULL || clock_parse(str_from(ended), &ended_ms) != 0)
		ended_ms = 0;
	if (begun == NULL || clock_parse(str_from(begun), &begun_ms) != 0)
		begun_ms = ended_ms > (uint64_t)total_ms ? ended_ms - (uint64_t)total_ms : 0;
	if (took_ns == 0 && ended_ms > begun_ms)
		took_ns = (ended_ms - begun_ms) * NS_PER_MS;
	set_time(span, "startTimeUnixNano", begun_ms * NS_PER_MS);
	set_time(span, "endTimeUnixNano", begun_ms * NS_PER_MS + took_ns);
}

static bool
is_hex(const char *text, size_t n)
{
	return text != NULL && strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

/* The same for every gateway that a trace passes. */
static bool
is_wanted(const json_t *row, uint32_t sample)
{
	const char *trace = get(row, "trace");
	unsigned long long low = 0;

	if (get(row, "parent") != NULL)
		return json_is_true(json_object_get(row, "sampled"));
	return sscanf(trace + TRACE_HEX / 2 + 2, "%14llx", &low) == 1 &&
	       low < ((1ull << 56) / 100) * sample;
}

static json_t *
make_span(const json_t *row)
{
	const char *method = get(row, "method"), *parent = get(row, "parent");
	json_int_t code = json_integer_value(json_object_get(row, "code"));
	json_t *span;

	span = json_pack("{s:s, s:s, s:i, s:o}", "traceId", get(row, "trace"), "spanId",
			 get(row, "span"), "kind", SERVER, "attributes", make_attributes(row));
	if (span == NULL)
		return NULL;
	json_object_set_new(span, "name",
			    json_sprintf(METHODS_SERVICE "/%s", method != NULL ? method : "?"));
	if (is_hex(parent, SPAN_HEX))
		json_object_set_new(span, "parentSpanId", json_string(parent));
	set_times(span, row);
	if (is_error(code))
		json_object_set_new(span, "status", json_pack("{s:i}", "code", STATUS_ERROR));
	return span;
}

json_t *
otlp_span(struct str line, uint32_t sample)
{
	json_t *row = memmem(line.p, line.n, "\"trace\":", 8) != NULL
			      ? json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, NULL)
			      : NULL;
	json_t *span = NULL;

	if (is_hex(get(row, "trace"), TRACE_HEX) && is_hex(get(row, "span"), SPAN_HEX) &&
	    is_wanted(row, sample))
		span = make_span(row);
	json_decref(row);
	return span;
}

char *
otlp_request(json_t *spans, const char *gateway)
{
	json_t *attributes = json_array(), *request;
	char *text;

	add_text(attributes, "service.name", "sparkgw");
	add_text(attributes, "service.version", SPARKGW_VERSION);
	add_text(attributes, "service.instance.id", gateway);
	request = json_pack("{s:[{s:{s:o}, s:[{s:{s:s, s:s}, s:O}]}]}", "resourceSpans", "resource",
			    "attributes", attributes, "scopeSpans", "scope", "name", "sparkgw",
			    "version", SPARKGW_VERSION, "spans", spans);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	return text;
}
