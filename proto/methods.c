/*
 * The one table of the service's RPCs. Pure.
 */
#include "proto/methods.h"
#include "lib/panic.h"

static const struct method table[METHODS] = {
	{METHOD_EXECUTE_PLAN, "ExecutePlan", .unbound = UNBOUND_CREATE, .server_stream = true,
	 .plan = true},
	{METHOD_ANALYZE_PLAN, "AnalyzePlan", .unbound = UNBOUND_CREATE, .plan = true},
	{METHOD_CONFIG, "Config", .unbound = UNBOUND_CREATE, .plan = true},
	{METHOD_ADD_ARTIFACTS, "AddArtifacts", .unbound = UNBOUND_CREATE, .client_stream = true,
	 .plan = true},
	{METHOD_ARTIFACT_STATUS, "ArtifactStatus", .unbound = UNBOUND_CREATE, .plan = true},
	{METHOD_INTERRUPT, "Interrupt", .unbound = UNBOUND_CREATE, .grace = true},
	{METHOD_REATTACH_EXECUTE, "ReattachExecute", .unbound = UNBOUND_NOT_FOUND,
	 .server_stream = true, .grace = true},
	{METHOD_RELEASE_EXECUTE, "ReleaseExecute", .unbound = UNBOUND_NOT_FOUND, .grace = true},
	{METHOD_RELEASE_SESSION, "ReleaseSession", .unbound = UNBOUND_EMPTY, .grace = true},
	{METHOD_FETCH_ERROR_DETAILS, "FetchErrorDetails", .unbound = UNBOUND_EMPTY},
	{METHOD_CLONE_SESSION, "CloneSession", .unbound = UNBOUND_NOT_FOUND, .plan = true},
	{METHOD_GET_STATUS, "GetStatus", .unbound = UNBOUND_NOT_FOUND},
	{METHOD_OTHER, "other", .unbound = UNBOUND_NOT_FOUND, .client_stream = true,
	 .server_stream = true, .plan = true},
};

int
methods_find(struct str path, const struct method **ret)
{
	struct str service, name;

	if (path.n == 0 || path.p[0] != '/')
		return E_SYNTAX;
	service = str_cut((struct str){path.p + 1, path.n - 1}, '/', &name);
	if (service.n == 0 || name.n == 0 || memchr(name.p, '/', name.n) != NULL)
		return E_SYNTAX;
	if (!str_eq(service, STR(METHODS_SERVICE)))
		return E_NOT_FOUND;
	for (size_t i = 0; i < METHOD_OTHER; i++) {
		if (strncmp(name.p, table[i].name, name.n) == 0 &&
		    strlen(table[i].name) == name.n) {
			*ret = &table[i];
			return 0;
		}
	}
	*ret = &table[METHOD_OTHER];
	return 0;
}

const struct method *
methods_get(enum method_id id)
{
	ASSERT(id < METHODS && table[id].id == id);
	return &table[id];
}
