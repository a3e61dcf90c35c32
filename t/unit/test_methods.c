/* proto/methods */
#include <criterion/criterion.h>
#include <signal.h>
#include "proto/methods.h"

#define P "/spark.connect.SparkConnectService/"

Test(methods, find)
{
	static const struct {
		const char *path;
		int err;
		enum method_id id;
		enum method_unbound unbound;
		bool client_stream, server_stream;
	} rows[] = {
		{P "ExecutePlan", 0, METHOD_EXECUTE_PLAN, UNBOUND_CREATE, false, true},
		{P "AnalyzePlan", 0, METHOD_ANALYZE_PLAN, UNBOUND_CREATE, false, false},
		{P "Config", 0, METHOD_CONFIG, UNBOUND_CREATE, false, false},
		{P "AddArtifacts", 0, METHOD_ADD_ARTIFACTS, UNBOUND_CREATE, true, false},
		{P "ArtifactStatus", 0, METHOD_ARTIFACT_STATUS, UNBOUND_CREATE, false, false},
		{P "Interrupt", 0, METHOD_INTERRUPT, UNBOUND_CREATE, false, false},
		{P "ReattachExecute", 0, METHOD_REATTACH_EXECUTE, UNBOUND_NOT_FOUND, false, true},
		{P "ReleaseExecute", 0, METHOD_RELEASE_EXECUTE, UNBOUND_NOT_FOUND, false, false},
		{P "ReleaseSession", 0, METHOD_RELEASE_SESSION, UNBOUND_EMPTY, false, false},
		{P "FetchErrorDetails", 0, METHOD_FETCH_ERROR_DETAILS, UNBOUND_EMPTY, false, false},
		{P "CloneSession", 0, METHOD_CLONE_SESSION, UNBOUND_NOT_FOUND, false, false},
		{P "GetStatus", 0, METHOD_GET_STATUS, UNBOUND_NOT_FOUND, false, false},
		{P "Invented", 0, METHOD_OTHER, UNBOUND_NOT_FOUND, true, true},
		{P "executeplan", 0, METHOD_OTHER, UNBOUND_NOT_FOUND, true, true},
		{P "ExecutePlanX", 0, METHOD_OTHER, UNBOUND_NOT_FOUND, true, true},
		{P "ExecutePla", 0, METHOD_OTHER, UNBOUND_NOT_FOUND, true, true},
		{P "other", 0, METHOD_OTHER, UNBOUND_NOT_FOUND, true, true},
		{"/grpc.health.v1.Health/Check", E_NOT_FOUND, 0, 0, false, false},
		{"/spark.connect.SparkConnectServic/Config", E_NOT_FOUND, 0, 0, false, false},
		{"/spark.connect.sparkconnectservice/Config", E_NOT_FOUND, 0, 0, false, false},
		{"/x/y", E_NOT_FOUND, 0, 0, false, false},
		{"", E_SYNTAX, 0, 0, false, false},
		{"/", E_SYNTAX, 0, 0, false, false},
		{"//", E_SYNTAX, 0, 0, false, false},
		{"//Config", E_SYNTAX, 0, 0, false, false},
		{P, E_SYNTAX, 0, 0, false, false},
		{"/spark.connect.SparkConnectService", E_SYNTAX, 0, 0, false, false},
		{"spark.connect.SparkConnectService/Config", E_SYNTAX, 0, 0, false, false},
		{"/prefix" P "Config", E_SYNTAX, 0, 0, false, false},
		{P "Config/", E_SYNTAX, 0, 0, false, false},
		{"*", E_SYNTAX, 0, 0, false, false},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const struct method *m = NULL;
		cr_expect_eq(methods_find(str_from(rows[i].path), &m), rows[i].err, "%s",
			     rows[i].path);
		if (rows[i].err != 0) {
			cr_expect_null(m);
			continue;
		}
		cr_assert_not_null(m);
		cr_expect_eq(m->id, rows[i].id, "%s", rows[i].path);
		cr_expect_eq(m->unbound, rows[i].unbound, "%s", rows[i].path);
		cr_expect_eq(m->client_stream, rows[i].client_stream, "%s", rows[i].path);
		cr_expect_eq(m->server_stream, rows[i].server_stream, "%s", rows[i].path);
	}
}

Test(methods, who_may_call)
{
	static const struct {
		const char *name;
		bool plan, grace;
	} rows[METHODS] = {
		{"ExecutePlan", true, false},	 {"AnalyzePlan", true, false},
		{"Config", true, false},	 {"AddArtifacts", true, false},
		{"ArtifactStatus", true, false}, {"CloneSession", true, false},
		{"Invented", true, false},	 {"ReattachExecute", false, true},
		{"ReleaseExecute", false, true}, {"ReleaseSession", false, true},
		{"Interrupt", false, true},	 {"FetchErrorDetails", false, false},
		{"GetStatus", false, false},
	};

	for (size_t i = 0; i < METHODS; i++) {
		char path[128];
		const struct method *m;
		snprintf(path, sizeof path, P "%s", rows[i].name);
		cr_assert_eq(methods_find(str_from(path), &m), 0);
		cr_expect_eq(m->plan, rows[i].plan, "%s", path);
		cr_expect_eq(m->grace, rows[i].grace, "%s", path);
	}
}

Test(methods, names_with_nul_are_not_read_past_the_table)
{
	const struct method *m = NULL;
	const struct str rows[] = {STR(P "Config\0"),
				   STR(P "Config\0XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"),
				   STR(P "\0")};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_assert_eq(methods_find(rows[i], &m), 0);
		cr_expect_eq(m->id, METHOD_OTHER, "row %zu", i);
	}
}

Test(methods, get_agrees_with_find)
{
	for (unsigned id = 0; id < METHOD_OTHER; id++) {
		char path[128];
		const struct method *found, *m = methods_get(id);
		snprintf(path, sizeof path, P "%s", m->name);
		cr_assert_eq(methods_find(str_from(path), &found), 0);
		cr_expect_eq(found, m);
	}
	cr_expect_eq(methods_get(METHOD_OTHER)->id, METHOD_OTHER);
}

Test(methods, get_refuses_what_is_no_method, .signal = SIGABRT)
{
	(void)methods_get(METHODS);
}
