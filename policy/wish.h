/*
 * What the router is asked, what it sees of the world, and what it answers. The slices of a wish
 * are the caller's; those of a choice are the registry's, the configuration's, the identity's or
 * the wish's.
 */
#pragma once
#include "conf/conf.h"
#include "policy/identity.h"
#include "policy/rollout.h"
#include "policy/router_trace.h"
#include "proto/grpc.h"
#include "shm/health.h"
#include "shm/registry.h"

struct router_wish {
	struct str host;		    /* of :authority, without port; or STR_NONE */
	struct str sni;			    /* the server name of the TLS handshake; or STR_NONE */
	struct str team, env;		    /* from headers, as they came */
	struct str config_team, config_env; /* from the first Config call, as they came */
	const struct identity *who;
	uint32_t avoid_driver;	    /* id of a driver that just failed, or 0 */
	struct router_trace *trace; /* for `explain`; NULL on the data path */
};

struct router_choice {
	struct registry_cluster *cluster;
	struct registry_driver *driver;
	struct str team, env; /* under which the session is booked: the names, never aliases */
};

/* How the router sees the world beyond the registry. */
struct router_view {
	const struct conf *conf;
	const struct registry *registry;
	const struct health_row *health;	 /* by slot */
	const _Atomic uint32_t *driver_sessions; /* by slot */
	int rollout; /* percentage set live, or ROLLOUT_CONFIGURED */
};

struct router_refusal {
	enum grpc_code code;
	const char *words; /* in the arena, or constant */
	struct str team, env; /* UNAVAILABLE: those that it would have been, the configuration's */
};
