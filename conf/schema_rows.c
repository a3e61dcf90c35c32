/*
 * The table of all keys. schema.c is what can be asked of it.
 */
#include "conf/schema.h"
#include "conf/types.h"

/* The offset of a field; does not compile when the field is of another C type. */
#define OFFSET(s, f, c_type) (offsetof(struct s, f) * _Generic(((struct s *)NULL)->f, c_type : 1))

#define GROUP(path_, ...)                                                      \
	{                                                                      \
		.path = (path_), .type = SCHEMA_MAP, .has_at = SCHEMA_NOWHERE, \
		.line_at = SCHEMA_NOWHERE, __VA_ARGS__                         \
	}
#define BLOCK(path_, s, f, has, line, help_)                                     \
	{                                                                        \
		.path = (path_), .type = SCHEMA_MAP, .help = (help_), .at = (f), \
		.has_at = OFFSET(s, has, bool), .line_at = (line)                \
	}
#define LIST(path_, s, f, count, line, ...)                                        \
	{                                                                          \
		.path = (path_), .type = SCHEMA_LIST, .at = offsetof(struct s, f), \
		.count_at = OFFSET(s, count, unsigned), .line_at = (line),         \
		.size = sizeof(*((struct s *)NULL)->f), __VA_ARGS__                \
	}
#define STRS(path_, item_, s, f, count, ...)                                              \
	{                                                                                 \
		.path = (path_), .type = SCHEMA_STRS, .item = (item_),                    \
		.at = OFFSET(s, f, struct str *), .count_at = OFFSET(s, count, unsigned), \
		__VA_ARGS__                                                               \
	}
#define VALUE(path_, type_, s, f, c_type, ...)                                            \
	{                                                                                 \
		.path = (path_), .type = (type_), .at = OFFSET(s, f, c_type), __VA_ARGS__ \
	}
#define STRING(path_, type_, s, f, ...) VALUE(path_, type_, s, f, struct str, __VA_ARGS__)
#define HELP(words_)			.help = (words_)
#define DEFAULT(text)			.fallback = (text)
#define BOUNDS(min_, max_)		.min = (min_), .max = (max_)
#define REQUIRED			.required = true
#define TYPES(words_)			.types = (words_)

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define KIB    1024ull

const struct schema_row schema_rows[] = {
	VALUE("workers", SCHEMA_U32, conf, workers, uint32_t, .words = "auto", DEFAULT("auto"),
	      BOUNDS(1, 256), .unit = "processes",
	      HELP("processes of the data path; auto: one for each CPU")),
	STRING("region", SCHEMA_NAME, conf, region,
	       HELP("of this gateway; clusters of the same region are preferred")),
	STRING("state_dir", SCHEMA_PATH, conf, state_dir, DEFAULT("/var/lib/sparkgw"),
	       HELP("folder of the session store and the audit file")),
	STRING("run_dir", SCHEMA_PATH, conf, run_dir, DEFAULT("/run/sparkgw"),
	       HELP("folder of the control socket, the pid file and the shared segment")),
	VALUE("drain_timeout", SCHEMA_DURATION, conf, drain_timeout_ms, uint64_t, DEFAULT("180s"),
	      BOUNDS(0, DAY), HELP("how long RPCs may go on after a reload or a stop")),

	GROUP("log", HELP("the gateway's own log")),
	VALUE("log.level", SCHEMA_ENUM, conf, log_level, enum log_level, DEFAULT("info"),
	      .words = "debug info warn error", HELP("the least important lines that are written")),
	VALUE("log.format", SCHEMA_ENUM, conf, log_format, enum log_format, DEFAULT("text"),
	      .words = "text json", HELP("how a line looks")),
	STRING("log.file", SCHEMA_PATH, conf, log_file, .words = "stderr", DEFAULT("stderr"),
	       HELP("a file, or stderr; opened again on SIGUSR1")),

	LIST("listeners", conf, listeners, listeners_count, offsetof(struct conf_listener, line),
	     HELP("where clients connect; at least one")),
	VALUE("listeners[].address", SCHEMA_ADDRESS, conf_listener, address, struct sock_addr,
	      REQUIRED, HELP("numeric address and port: \"0.0.0.0:15002\", \"[::]:15002\"")),
	VALUE("listeners[].insecure", SCHEMA_BOOL, conf_listener, insecure, bool, DEFAULT("false"),
	      HELP("allow clear text on an address that is not loopback")),
	BLOCK("listeners[].tls", conf_listener, offsetof(struct conf_listener, tls), has_tls,
	      offsetof(struct conf_tls, line), "absent: HTTP/2 in clear text"),
	STRING("listeners[].tls.certificate", SCHEMA_PATH, conf_tls, certificate, REQUIRED,
	       HELP("PEM file of the server's certificate and its chain")),
	STRING("listeners[].tls.key", SCHEMA_PATH, conf_tls, key, REQUIRED,
	       HELP("PEM file of the certificate's private key")),
	STRING("listeners[].tls.client_ca", SCHEMA_PATH, conf_tls, client_ca,
	       HELP("PEM file; clients must show a certificate that one of these has signed")),
	LIST("listeners[].tls.more", conf_tls, more, more_count,
	     offsetof(struct conf_certificate, line),
	     HELP("other certificates, chosen by the name that the client asks for (SNI)")),
	STRING("listeners[].tls.more[].certificate", SCHEMA_PATH, conf_certificate, certificate,
	       REQUIRED, HELP("PEM file of the certificate and its chain; its names choose it")),
	STRING("listeners[].tls.more[].key", SCHEMA_PATH, conf_certificate, key, REQUIRED,
	       HELP("PEM file of its private key")),

	BLOCK("admin", conf, 0, has_admin, SCHEMA_NOWHERE,
	      "/healthz, /readyz, /metrics and the status page"),
	VALUE("admin.address", SCHEMA_ADDRESS, conf, admin, struct sock_addr, REQUIRED,
	      HELP("a loopback address and port")),

	GROUP("auth", HELP("how clients prove who they are")),
	VALUE("auth.required", SCHEMA_BOOL, conf, auth_required, bool, DEFAULT("true"),
	      HELP("false: a client without a token is anonymous, or whom its request names")),
	VALUE("auth.leeway", SCHEMA_DURATION, conf, auth_leeway_ms, uint64_t, DEFAULT("60s"),
	      BOUNDS(0, 10 * MINUTE), HELP("how far the clocks of others may be from ours")),
	VALUE("auth.grace", SCHEMA_DURATION, conf, auth_grace_ms, uint64_t, DEFAULT("1h"),
	      BOUNDS(0, DAY),
	      HELP("after a token's end, how long what runs may be reattached and released")),
	LIST("auth.providers", conf, providers, providers_count,
	     offsetof(struct conf_provider, line),
	     HELP("who vouches for tokens, asked in this order")),
	STRING("auth.providers[].name", SCHEMA_NAME, conf_provider, name, REQUIRED,
	       HELP("unique among the providers")),
	VALUE("auth.providers[].type", SCHEMA_ENUM, conf_provider, type, enum conf_provider_type,
	      REQUIRED, .words = "static oidc pat service certificate",
	      HELP("where its tokens come from")),
	STRING("auth.providers[].tokens_file", SCHEMA_PATH, conf_provider, tokens_file, REQUIRED,
	       TYPES("static"),
	       HELP("lines of \"TOKEN USER [GROUP,GROUP]\"; not readable by others")),
	STRING("auth.providers[].issuer", SCHEMA_TEXT, conf_provider, issuer, REQUIRED,
	       TYPES("oidc service"), HELP("who signs: the `iss` of its tokens, to the letter")),
	STRS("auth.providers[].audience", SCHEMA_TEXT, conf_provider, audience, audience_count,
	     TYPES("oidc service"), HELP("for whom: the `aud` of a token must name one of these")),
	STRING("auth.providers[].jwks_url", SCHEMA_URL, conf_provider, jwks_url, TYPES("oidc"),
	       HELP("where its public keys are; absent: where the issuer says")),
	STRING("auth.providers[].jwks_file", SCHEMA_PATH, conf_provider, jwks_file, TYPES("oidc"),
	       HELP("its public keys in a file instead")),
	STRING("auth.providers[].ca", SCHEMA_PATH, conf_provider, ca, TYPES("oidc"),
	       HELP("PEM file of who signs its web certificate; absent: the system's store")),
	VALUE("auth.providers[].refresh", SCHEMA_DURATION, conf_provider, refresh_ms, uint64_t,
	      DEFAULT("1h"), BOUNDS(MINUTE, DAY), TYPES("oidc"),
	      HELP("how often its keys are fetched")),
	GROUP("auth.providers[].claims",
	      HELP("what of a token says who it is; dots lead into objects"), TYPES("oidc")),
	STRING("auth.providers[].claims.user", SCHEMA_TEXT, conf_provider, claim_user,
	       DEFAULT("sub"), HELP("claim of the user's id")),
	STRING("auth.providers[].claims.groups", SCHEMA_TEXT, conf_provider, claim_groups,
	       DEFAULT("groups"), HELP("claim of the groups, a list or one")),
	STRING("auth.providers[].claims.name", SCHEMA_TEXT, conf_provider, claim_name,
	       DEFAULT("name"), HELP("claim of the name for people")),
	LIST("auth.providers[].subjects", conf_provider, subjects, subjects_count, SCHEMA_NOWHERE,
	     HELP("machines: the first that matches counts; who matches none is refused"),
	     TYPES("oidc certificate")),
	STRING("auth.providers[].subjects[].match", SCHEMA_TEXT, conf_subject, match, REQUIRED,
	       HELP("the whole subject; * stands for any run of characters")),
	STRING("auth.providers[].subjects[].user", SCHEMA_TEXT, conf_subject, user,
	       HELP("user to be; absent: the subject itself")),
	STRING("auth.providers[].subjects[].team", SCHEMA_NAME, conf_subject, team,
	       HELP("member of this team and no other; absent: as its groups say")),
	STRS("auth.providers[].subjects[].envs", SCHEMA_NAME, conf_subject, envs, envs_count,
	     HELP("environments it may use; none listed: all of the team's")),
	VALUE("auth.providers[].san", SCHEMA_ENUM, conf_provider, san, enum conf_san,
	      DEFAULT("uri"), .words = "uri dns email", TYPES("certificate"),
	      HELP("which name in the certificate is the subject")),

	GROUP("headers",
	      HELP("names of request headers; of each list the first one present counts")),
	STRS("headers.team", SCHEMA_HEADER, conf, header_team.names, header_team.count,
	     DEFAULT("[x-doordash-team]"), HELP("headers that name the team")),
	STRS("headers.env", SCHEMA_HEADER, conf, header_env.names, header_env.count,
	     DEFAULT("[x-doordash-env, x-doordash-environment]"),
	     HELP("headers that name the environment")),
	STRS("headers.user", SCHEMA_HEADER, conf, header_user.names, header_user.count,
	     DEFAULT("[x-doordash-user]"), HELP("headers that name the user")),
	STRS("headers.run_id", SCHEMA_HEADER, conf, header_run_id.names, header_run_id.count,
	     DEFAULT("[x-metaflow-run-id]"), HELP("headers that name the workflow run, for audit")),

	GROUP("routing", HELP("which cluster when the client does not say")),
	STRING("routing.default_env", SCHEMA_NAME, conf, default_env,
	       HELP("environment of requests that name none")),
	LIST("routing.team_aliases", conf, team_aliases, team_aliases_count, SCHEMA_NOWHERE,
	     HELP("other words for a team")),
	STRING("routing.team_aliases[].name", SCHEMA_NAME, conf_alias, name, REQUIRED,
	       HELP("the team")),
	STRS("routing.team_aliases[].aliases", SCHEMA_TEXT, conf_alias, aliases, aliases_count,
	     REQUIRED, HELP("what clients may say for it")),
	LIST("routing.env_aliases", conf, env_aliases, env_aliases_count, SCHEMA_NOWHERE,
	     HELP("other words for an environment")),
	STRING("routing.env_aliases[].name", SCHEMA_NAME, conf_alias, name, REQUIRED,
	       HELP("the environment")),
	STRS("routing.env_aliases[].aliases", SCHEMA_TEXT, conf_alias, aliases, aliases_count,
	     REQUIRED, HELP("what clients may say for it")),

	GROUP("rollout", HELP("who is served already while people move over")),
	VALUE("rollout.spark_connect_enabled", SCHEMA_U32, conf, rollout_percent, uint32_t,
	      DEFAULT("100"), BOUNDS(0, 100), .unit = "percent",
	      HELP("percent of the teams, by a stable hash of their names")),
	STRS("rollout.deny_teams", SCHEMA_NAME, conf, rollout_deny_teams.names,
	     rollout_deny_teams.count, HELP("teams that are not served")),
	STRS("rollout.deny_users", SCHEMA_TEXT, conf, rollout_deny_users.names,
	     rollout_deny_users.count, HELP("users who are not served")),
	STRS("rollout.allow_teams", SCHEMA_NAME, conf, rollout_allow_teams.names,
	     rollout_allow_teams.count, HELP("teams that are served whatever the percentage")),
	STRS("rollout.allow_users", SCHEMA_TEXT, conf, rollout_allow_users.names,
	     rollout_allow_users.count, HELP("users who are served whatever the percentage")),

	LIST("teams", conf, teams, teams_count, SCHEMA_NOWHERE, HELP("who may own clusters")),
	STRING("teams[].name", SCHEMA_NAME, conf_team, name, REQUIRED,
	       HELP("unique among the teams")),
	STRS("teams[].groups", SCHEMA_TEXT, conf_team, groups, groups_count,
	     HELP("a user in one of these groups is a member")),
	STRS("teams[].envs", SCHEMA_NAME, conf_team, envs, envs_count,
	     HELP("environments its members may use; none listed: all")),
	STRS("teams[].regions", SCHEMA_NAME, conf_team, regions, regions_count,
	     HELP("regions its data may go to; none listed: all")),

	LIST("clusters", conf, clusters, clusters_count, offsetof(struct conf_cluster, line),
	     HELP("sets of interchangeable drivers")),
	STRING("clusters[].name", SCHEMA_NAME, conf_cluster, name, REQUIRED,
	       HELP("unique among the clusters")),
	STRING("clusters[].team", SCHEMA_NAME, conf_cluster, team,
	       HELP("the owner; absent only when the cluster is shared")),
	STRING("clusters[].env", SCHEMA_NAME, conf_cluster, env, REQUIRED,
	       HELP("dev, staging, prod or whatever you call it")),
	STRING("clusters[].region", SCHEMA_NAME, conf_cluster, region,
	       HELP("where its drivers run; absent: near every gateway")),
	VALUE("clusters[].shared", SCHEMA_BOOL, conf_cluster, shared, bool, DEFAULT("false"),
	      HELP("true: for all the teams listed below instead of one")),
	STRS("clusters[].teams", SCHEMA_NAME, conf_cluster, teams, teams_count,
	     HELP("teams that may use a shared cluster")),
	STRS("clusters[].hosts", SCHEMA_PATTERN, conf_cluster, hosts, hosts_count,
	     HELP("host names that select this cluster; a leading \"*.\" stands for one label")),
	LIST("clusters[].drivers", conf_cluster, drivers, drivers_count, SCHEMA_NOWHERE,
	     HELP("at least one; at most 1024 in all clusters")),
	STRING("clusters[].drivers[].name", SCHEMA_NAME, conf_driver, name,
	       HELP("unique in the cluster; absent: the address")),
	STRING("clusters[].drivers[].address", SCHEMA_HOSTPORT, conf_driver, address, REQUIRED,
	       HELP("host:port of Spark Connect; the host a name or an address")),
	VALUE("clusters[].drivers[].weight", SCHEMA_U32, conf_driver, weight, uint32_t,
	      DEFAULT("1"), BOUNDS(1, 1000),
	      HELP("share of new sessions compared with the others")),
	STRING("clusters[].token_file", SCHEMA_PATH, conf_cluster, token_file,
	       HELP("Spark's pre-shared token for these drivers; not readable by others")),
	BLOCK("clusters[].tls", conf_cluster, offsetof(struct conf_cluster, tls), has_tls,
	      offsetof(struct conf_driver_tls, line), "to the drivers; absent: clear text"),
	STRING("clusters[].tls.ca", SCHEMA_PATH, conf_driver_tls, ca,
	       HELP("PEM file of who signs the drivers' certificates; absent: the system's store")),
	STRING("clusters[].tls.certificate", SCHEMA_PATH, conf_driver_tls, certificate,
	       HELP("PEM file of the certificate that the gateway shows to the drivers")),
	STRING("clusters[].tls.key", SCHEMA_PATH, conf_driver_tls, key,
	       HELP("PEM file of its private key")),
	STRING("clusters[].tls.server_name", SCHEMA_HOST, conf_driver_tls, server_name,
	       HELP("name in the drivers' certificates; absent: the host of the address")),

	GROUP("health", HELP("how drivers are probed")),
	VALUE("health.interval", SCHEMA_DURATION, conf, health_interval_ms, uint64_t, DEFAULT("5s"),
	      BOUNDS(100, HOUR), HELP("between two probes of a driver")),
	VALUE("health.timeout", SCHEMA_DURATION, conf, health_timeout_ms, uint64_t, DEFAULT("2s"),
	      BOUNDS(50, MINUTE), HELP("after which a probe has failed")),
	VALUE("health.rise", SCHEMA_U32, conf, health_rise, uint32_t, DEFAULT("1"), BOUNDS(1, 100),
	      .unit = "probes", HELP("good probes in a row until a driver counts as up")),
	VALUE("health.fall", SCHEMA_U32, conf, health_fall, uint32_t, DEFAULT("3"), BOUNDS(1, 100),
	      .unit = "probes", HELP("failed probes in a row until a driver counts as down")),

	GROUP("session", HELP("the life of a session's binding to its driver")),
	VALUE("session.idle_timeout", SCHEMA_DURATION, conf, session_idle_timeout_ms, uint64_t,
	      DEFAULT("2h"), BOUNDS(SECOND, 30 * DAY),
	      HELP("after which an unused binding is forgotten; above the driver's own time-out")),
	VALUE("session.driver_lost_after", SCHEMA_DURATION, conf, session_driver_lost_after_ms,
	      uint64_t, DEFAULT("30s"), BOUNDS(100, HOUR),
	      HELP("after which an unreachable driver is given up and its sessions end")),

	GROUP("limits", HELP("what clients may take")),
	VALUE("limits.connections", SCHEMA_U32, conf, limit_connections, uint32_t, DEFAULT("10000"),
	      BOUNDS(1, 1000000), .unit = "connections",
	      HELP("client connections of the whole gateway")),
	VALUE("limits.streams_per_connection", SCHEMA_U32, conf, limit_streams, uint32_t,
	      DEFAULT("256"), BOUNDS(1, 10000), .unit = "RPCs", HELP("at once on one connection")),
	VALUE("limits.header_bytes", SCHEMA_SIZE, conf, limit_header_bytes, uint64_t,
	      DEFAULT("16KiB"), BOUNDS(KIB, KIB *KIB), HELP("all headers of one request")),
	VALUE("limits.header_fields", SCHEMA_U32, conf, limit_header_fields, uint32_t,
	      DEFAULT("100"), BOUNDS(10, 10000), .unit = "fields", HELP("headers of one request")),
	VALUE("limits.failed_tokens", SCHEMA_U32, conf, limit_failed_tokens, uint32_t,
	      DEFAULT("10"), BOUNDS(1, 1000), .unit = "failures",
	      HELP("bad tokens from one address until tokens from there that were not seen before "
		   "are looked at a second later")),

	GROUP("audit", HELP("the record of every RPC and of every administrative act")),
	VALUE("audit.enabled", SCHEMA_BOOL, conf, audit.enabled, bool, DEFAULT("true"),
	      HELP("false: nothing is recorded")),
	VALUE("audit.on_full", SCHEMA_ENUM, conf, audit.on_full, enum conf_on_full,
	      DEFAULT("refuse"), .words = "refuse continue",
	      HELP("when records cannot be written: refuse new plans, or lose and count records")),
	VALUE("audit.max_bytes", SCHEMA_SIZE, conf, audit.max_bytes, uint64_t, DEFAULT("256MiB"),
	      BOUNDS(64 * KIB, 64 * KIB * KIB * KIB), HELP("size at which a file is sealed")),
	VALUE("audit.max_age", SCHEMA_DURATION, conf, audit.max_age_ms, uint64_t, DEFAULT("1h"),
	      BOUNDS(SECOND, 30 * DAY),
	      HELP("age at which a file is sealed, if anything is in it")),
	VALUE("audit.keep", SCHEMA_DURATION, conf, audit.keep_ms, uint64_t, DEFAULT("0"),
	      BOUNDS(0, 3650 * DAY), HELP("how long sealed files stay; 0: for ever")),
	STRING("audit.gateway", SCHEMA_TEXT, conf, audit.gateway,
	       HELP("name of this gateway in its records; absent: the host's")),
	VALUE("audit.sql", SCHEMA_ENUM, conf, audit.sql, enum conf_sql, DEFAULT("text"),
	      .words = "text hash none", HELP("what is recorded of SQL")),
	VALUE("audit.sql_bytes", SCHEMA_SIZE, conf, audit.sql_bytes, uint64_t, DEFAULT("2KiB"),
	      BOUNDS(0, 16 * KIB), HELP("of a longer text the rest is cut off")),
	STRS("audit.redact", SCHEMA_TEXT, conf, audit.redact, audit.redact_count,
	     HELP("regular expressions; what matches is blacked out in SQL texts")),
	BLOCK("audit.ship", conf, offsetof(struct conf, audit.ship), audit.has_ship,
	      offsetof(struct conf_ship, line),
	      "sealed files are copied into a store that speaks S3; absent: they are not"),
	STRING("audit.ship.endpoint", SCHEMA_URL, conf_ship, endpoint, REQUIRED,
	       HELP("the store's URL, without the bucket")),
	STRING("audit.ship.bucket", SCHEMA_NAME, conf_ship, bucket, REQUIRED,
	       HELP("the bucket, which must be there")),
	STRING("audit.ship.prefix", SCHEMA_TEXT, conf_ship, prefix, DEFAULT("audit"),
	       HELP("what the names of all objects begin with, up to a slash")),
	STRING("audit.ship.region", SCHEMA_NAME, conf_ship, region, DEFAULT("us-east-1"),
	       HELP("region in the requests' signatures")),
	STRING("audit.ship.access_key_file", SCHEMA_PATH, conf_ship, access_key_file, REQUIRED,
	       HELP("file of the access key's id; not readable by others")),
	STRING("audit.ship.secret_key_file", SCHEMA_PATH, conf_ship, secret_key_file, REQUIRED,
	       HELP("file of the secret access key; not readable by others")),
	STRING("audit.ship.ca", SCHEMA_PATH, conf_ship, ca,
	       HELP("PEM file of who signs the store's certificate; absent: the system's store")),

	BLOCK("tracing", conf, offsetof(struct conf, audit.tracing), audit.has_tracing,
	      offsetof(struct conf_tracing, line),
	      "spans of RPCs for a collector of OpenTelemetry; absent: none"),
	STRING("tracing.endpoint", SCHEMA_URL, conf_tracing, endpoint, REQUIRED,
	       HELP("URL of its OTLP over HTTP; /v1/traces is added")),
	VALUE("tracing.sample", SCHEMA_U32, conf_tracing, sample, uint32_t, DEFAULT("100"),
	      BOUNDS(0, 100), .unit = "percent",
	      HELP("of the traces that begin here; for others the client has decided")),
	STRING("tracing.ca", SCHEMA_PATH, conf_tracing, ca,
	       HELP("PEM file of who signs its certificate; absent: the system's store")),
};
const size_t schema_count = sizeof(schema_rows) / sizeof(schema_rows[0]);
