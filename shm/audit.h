/*
 * What is known of an RPC, for its audit record: a table of fields, and how they are written down.
 *
 * A record is a row of facts, each a tag and a number or a text, in any order. Workers make them
 * (desk.h); the keeper makes a line of JSON of a record, in the order of the table. Tags are for
 * ever: a segment may outlive an upgrade. Pure.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "lib/str.h"

/*	tag	name		member			kind	bytes	help */
/* clang-format off */
#define AUDIT_FIELDS(X) \
	X(1,	time,		"time",			TIME,	0,	"when the RPC ended, for the client") \
	X(40,	begun,		"begun",		TIME,	0,	"when its headers had come") \
	X(2,	worker,		"worker",		NUMBER,	0,	"the worker process's number") \
	X(3,	client,		"client",		NUMBER,	0,	"the connection's number in that worker") \
	X(4,	rpc,		"rpc",			NUMBER,	0,	"the RPC's number on that connection") \
	X(5,	user,		"user",			TEXT,	256,	"who, as verified; absent: nobody was") \
	X(6,	provider,	"provider",		TEXT,	64,	"who verified that") \
	X(7,	team,		"team",			TEXT,	64,	"the team it was routed for") \
	X(8,	env,		"env",			TEXT,	64,	"the environment") \
	X(9,	cluster,	"cluster",		TEXT,	64,	"the cluster") \
	X(10,	driver,		"driver",		TEXT,	192,	"the driver that ran it") \
	X(11,	session,	"session",		TEXT,	36,	"the session id") \
	X(12,	operation,	"operation",		TEXT,	64,	"the operation id, as the client gave it") \
	X(13,	method,		"method",		TEXT,	64,	"the RPC's name") \
	X(14,	run_id,		"run_id",		TEXT,	256,	"the run this belongs to, as the client says") \
	X(15,	trace,		"trace",		TEXT,	32,	"trace id of the traceparent") \
	X(16,	span,		"span",			TEXT,	16,	"the gateway's own span in that trace") \
	X(17,	parent,		"parent",		TEXT,	16,	"the client's span") \
	X(18,	sampled,	"sampled",		FLAG,	0,	"the trace is recorded elsewhere, too") \
	X(19,	peer,		"peer",			TEXT,	64,	"the client's address and port") \
	X(20,	status,		"status",		STATUS,	0,	"grpc status at the end of the stream") \
	X(21,	refused,	"refused",		FLAG,	0,	"the gateway answered itself") \
	X(22,	words,		"words",		TEXT,	512,	"what it said then") \
	X(23,	unfinished,	"unfinished",		FLAG,	0,	"its worker was killed; what is missing is not known") \
	X(24,	bytes_in,	"bytes_in",		NUMBER,	0,	"bytes of request messages") \
	X(25,	bytes_out,	"bytes_out",		NUMBER,	0,	"bytes of response messages") \
	X(26,	messages_in,	"messages_in",		NUMBER,	0,	"request messages") \
	X(27,	messages_out,	"messages_out",		NUMBER,	0,	"response messages") \
	X(28,	us_who,		"ms.who",		US,	0,	"finding out who it is") \
	X(29,	us_envelope,	"ms.envelope",		US,	0,	"waiting for the first message") \
	X(30,	us_route,	"ms.route",		US,	0,	"finding a driver, and binding") \
	X(31,	us_open,	"ms.open",		US,	0,	"opening a stream to it") \
	X(32,	us_first,	"ms.first",		US,	0,	"from the start to the first byte of the response") \
	X(33,	us_total,	"ms.total",		US,	0,	"from the start to the end") \
	X(34,	plan_kind,	"plan.kind",		TEXT,	32,	"relation, command, compressed or malformed") \
	X(35,	plan_command,	"plan.command",		TEXT,	64,	"the command's type") \
	X(36,	sql,		"plan.sql",		TEXT,	16384,	"SQL text, up to audit.sql_bytes, redacted") \
	X(37,	sql_length,	"plan.sql_length",	NUMBER,	0,	"bytes of the whole text") \
	X(38,	sql_sha256,	"plan.sql_sha256",	HEX,	32,	"SHA-256 of the whole text") \
	X(39,	compressed,	"plan.compressed",	FLAG,	0,	"the plan came compressed")
/* clang-format on */

enum audit_field {
#define AUDIT_ENUM(tag, name, member, kind, bytes, help) AUDIT_##name = (tag),
	AUDIT_FIELDS(AUDIT_ENUM)
#undef AUDIT_ENUM
		AUDIT_FIELDS_END = 41 /* one more than the largest tag */
};
enum audit_kind {
	AUDIT_NUMBER = 1,
	AUDIT_FLAG,   /* a number: true unless it is 0 */
	AUDIT_US,     /* a number of microseconds; milliseconds in the line */
	AUDIT_TIME,   /* a number of milliseconds since 1970 */
	AUDIT_STATUS, /* a number of grpc; the line has its name, too, and its number as "code" */
	AUDIT_TEXT,
	AUDIT_HEX /* a text of any bytes; hexadecimal in the line */
};
struct audit_info {
	const char *member, *help;
	enum audit_kind kind;
	unsigned bytes; /* of a text at most; longer ones are cut there */
};
extern const struct audit_info audit_fields[AUDIT_FIELDS_END]; /* [0] is empty */

#define AUDIT_RPC	  1			   /* the kind of a record in the ring */
#define AUDIT_RECORD_MAX ((size_t)24 * 1024) /* of a record, all fields at their longest */

struct audit_facts { /* facts on their way into bytes of somebody's */
	uint8_t *p;
	size_t n, size;
};
/* Absent (zero, false, empty) is not written. What finds no room is cut (texts) or left out. */
void audit_number(struct audit_facts *, enum audit_field, uint64_t value);
void audit_text(struct audit_facts *, enum audit_field, struct str text);

/* The first fact of *rest, which then begins behind it. number or text is set, as its kind says.
 * E_AGAIN: no more; E_SYNTAX. Unknown tags are passed over. */
int audit_next(struct str *rest, enum audit_field *ret, uint64_t *ret_number,
	       struct str *ret_text) MUST_CHECK;
