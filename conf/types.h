/*
 * The configuration as structs, all in one arena, immutable after loading. Every key of the file is
 * a row of the schema table (schema.h); each struct is one block of it.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "conf/auth.h"
#include "conf/audit.h"
#include "lib/arena.h"
#include "lib/log.h"
#include "lib/sock.h"
#include "lib/str.h"

struct conf_certificate { /* one more on a listener; its names choose it by SNI */
	struct str certificate, key;
	unsigned line;
};
struct conf_tls { /* of a listener */
	struct str certificate, key, client_ca; /* absolute paths; STR_NONE: absent */
	struct conf_certificate *more;
	unsigned more_count;
	unsigned line; /* where the block stands, for errors about its files */
};
struct conf_listener {
	struct sock_addr address;
	bool has_tls, insecure; /* insecure: clear text allowed on a non-loopback address */
	struct conf_tls tls;
	unsigned line;
};
struct conf_driver_tls { /* to the drivers of a cluster */
	struct str ca, certificate, key, server_name;
	unsigned line;
};
struct conf_driver {
	struct str name;    /* default: the address */
	struct str address; /* "host:port" */
	uint32_t weight;    /* 1 to 1000, default 1 */
};
struct conf_cluster {
	struct str name, team, env, region;
	bool shared;
	struct str *teams;
	struct str *hosts; /* exact names or "*.example.com", lower case */
	unsigned teams_count, hosts_count;
	struct conf_driver *drivers;
	unsigned drivers_count;
	struct str token_file; /* absolute; STR_NONE */
	struct str token;      /* its content, read and mode-checked at load; a secret */
	bool has_tls;
	struct conf_driver_tls tls;
	unsigned line;
};
struct conf_team {
	struct str name;
	struct str *groups, *envs;
	struct str *regions; /* where its data may go; none: everywhere */
	unsigned groups_count, envs_count, regions_count;
};
struct conf_alias { /* other words for a team or an environment */
	struct str name;
	struct str *aliases;
	unsigned aliases_count;
};
struct conf_names { /* header names, lower case: the first one present counts; or just names */
	struct str *names;
	unsigned count;
};

struct conf {
	struct arena *arena;
	struct str path; /* of the file, absolute */
	struct str text; /* exactly what was loaded */

	uint32_t workers; /* resolved; `auto` = number of CPUs */
	struct str region, state_dir, run_dir; /* the folders absolute */
	uint64_t drain_timeout_ms;

	enum log_level log_level;
	enum log_format log_format;
	struct str log_file; /* absolute, or "stderr" */

	struct conf_listener *listeners;
	unsigned listeners_count, providers_count;
	bool has_admin;
	struct sock_addr admin;

	bool auth_required;
	uint64_t auth_leeway_ms, auth_grace_ms;
	struct conf_provider *providers;

	struct conf_names header_team, header_env, header_user, header_run_id;
	struct str default_env;
	struct conf_alias *team_aliases, *env_aliases;
	unsigned team_aliases_count, env_aliases_count;
	uint32_t rollout_percent; /* of the teams */
	struct conf_names rollout_deny_teams, rollout_deny_users;
	struct conf_names rollout_allow_teams, rollout_allow_users;
	struct conf_team *teams;
	struct conf_cluster *clusters;
	unsigned teams_count, clusters_count;

	uint64_t health_interval_ms, health_timeout_ms;
	uint32_t health_rise, health_fall;
	uint64_t session_idle_timeout_ms, session_driver_lost_after_ms;

	struct conf_audit audit;

	uint32_t limit_connections, limit_streams; /* of the whole gateway; of one connection */
	uint64_t limit_header_bytes;
	uint32_t limit_header_fields;
	uint32_t limit_failed_tokens; /* per address until unknown tokens are looked at later */
};

struct conf_error {
	unsigned line, column; /* 0: about the file as a whole */
	const char *key;       /* "clusters[0].drivers[1].address", or "" */
	const char *words;
	struct conf_error *next;
};
