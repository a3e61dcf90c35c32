/*
 * The RPCs of spark.connect.SparkConnectService (apache/spark base.proto, 3.4 to 4.3) and how the
 * gateway treats each; one table. Pure.
 */
#pragma once
#include <stdbool.h>
#include "lib/str.h"

#define METHODS_SERVICE "spark.connect.SparkConnectService"

/* What is answered when the session has no binding. */
enum method_unbound {
	/* Makes a binding. Interrupt does, too, as Spark itself makes the session then: PySpark
	 * keeps the server_side_session_id of its first answer, and an empty one of ours would
	 * spoil the session. */
	UNBOUND_CREATE,
	UNBOUND_NOT_FOUND, /* SESSION_NOT_FOUND */
	UNBOUND_EMPTY,	   /* OK and an empty answer of the method's response type */
};

enum method_id {
	METHOD_EXECUTE_PLAN,
	METHOD_ANALYZE_PLAN,
	METHOD_CONFIG,
	METHOD_ADD_ARTIFACTS,
	METHOD_ARTIFACT_STATUS,
	METHOD_INTERRUPT,
	METHOD_REATTACH_EXECUTE,
	METHOD_RELEASE_EXECUTE,
	METHOD_RELEASE_SESSION,
	METHOD_FETCH_ERROR_DETAILS,
	METHOD_CLONE_SESSION,
	METHOD_GET_STATUS,
	METHOD_OTHER, /* one of the service that the table lacks: needs a binding, passes through */
	METHODS
};

struct method {
	enum method_id id;
	const char *name; /* "ExecutePlan" */
	enum method_unbound unbound;
	bool client_stream; /* many request messages */
	bool server_stream;
	bool plan;  /* makes new work: only for whoever may still go there */
	bool grace; /* ends or follows work under way: for a while also with an expired token */
};

/* By ":path". E_SYNTAX: not "/service/Method"; E_NOT_FOUND: another service. */
int methods_find(struct str path, const struct method **ret) MUST_CHECK;
const struct method *methods_get(enum method_id);
