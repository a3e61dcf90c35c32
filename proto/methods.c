/*
 * The one table of the service's RPCs. Pure.
 */
#include "proto/methods.h"
#include "lib/panic.h"

/* id, name, unbound, client_stream, server_stream */
static const struct method table[METHODS] = {
	{METHOD_EXECUTE_PLAN, "ExecutePlan", UNBOUND_CREATE, false, true},
	{METHOD_ANALYZE_PLAN, "AnalyzePlan", UNBOUND_CREATE, false, false},
	{METHOD_CONFIG, "Config", UNBOUND_CREATE, false, false},
	{METHOD_ADD_ARTIFACTS, "AddArtifacts", UNBOUND_CREATE, true, false},
	{METHOD_ARTIFACT_STATUS, "ArtifactStatus", UNBOUND_CREATE, false, false},
	{METHOD_INTERRUPT, "Interrupt", UNBOUND_CREATE, false, false},
	{METHOD_REATTACH_EXECUTE, "ReattachExecute", UNBOUND_NOT_FOUND, false, true},
	{METHOD_RELEASE_EXECUTE, "ReleaseExecute", UNBOUND_NOT_FOUND, false, false},
	{METHOD_RELEASE_SESSION, "ReleaseSession", UNBOUND_EMPTY, false, false},
	{METHOD_FETCH_ERROR_DETAILS, "FetchErrorDetails", UNBOUND_EMPTY, false, false},
	{METHOD_CLONE_SESSION, "CloneSession", UNBOUND_NOT_FOUND, false, false},
	{METHOD_GET_STATUS, "GetStatus", UNBOUND_NOT_FOUND, false, false},
	{METHOD_OTHER, "other", UNBOUND_NOT_FOUND, true, true},
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
