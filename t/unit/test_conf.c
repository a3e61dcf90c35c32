/*
 * conf: defaults, every kind of value, every refusal with its place, files of secrets, and that
 * what is printed loads to the same.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf/check.h"
#include "conf/conf.h"
#include "conf/load.h"
#include "conf/schema.h"
#include "conf/secret.h"
#include "lib/clock.h"
#include "shm/segment.h"
#include "t/unit/conf_rig.h"

TestSuite(conf, .fini = rig_teardown);

Test(conf, defaults)
{
	cr_assert_eq(rig_load(BASE), 0, "%s", rig_errors());
	cr_expect(conf->workers >= 1 && conf->workers <= 256);
	cr_expect_null(conf->region.p);
	EXPECT_STR(conf->state_dir, "/var/lib/sparkgw");
	EXPECT_STR(conf->run_dir, "/run/sparkgw");
	EXPECT_STR(conf->log_file, "stderr");
	cr_expect_eq(conf->drain_timeout_ms, 180000);
	cr_expect_eq(conf->log_level, LOG_LEVEL_INFO);
	cr_expect_eq(conf->log_format, LOG_FORMAT_TEXT);
	cr_expect_not(conf->has_admin);
	cr_expect_eq(conf->header_env.count, 2);
	EXPECT_STR(conf->header_env.names[1], "x-doordash-environment");
	EXPECT_STR(conf->header_run_id.names[0], "x-metaflow-run-id");
	cr_expect_null(conf->default_env.p);
	cr_expect_eq(conf->health_interval_ms, 5000);
	cr_expect_eq(conf->health_timeout_ms, 2000);
	cr_expect_eq(conf->health_rise, 1);
	cr_expect_eq(conf->health_fall, 3);
	cr_expect_eq(conf->session_idle_timeout_ms, 7200000);
	cr_expect_eq(conf->session_driver_lost_after_ms, 30000);
	cr_expect_eq(conf->limit_connections, 10000);
	cr_expect_eq(conf->limit_streams, 256);
	cr_expect_eq(conf->limit_header_bytes, 16384);
	cr_expect_eq(conf->limit_header_fields, 100);
	EXPECT_STR(conf->text, BASE);
	EXPECT_STR(conf->path, "/t/gw.yaml");
}

static const char full[] =
	"workers: 3\n"
	"region: us-west-2\n"
	"state_dir: state\n"
	"run_dir: /tmp/run\n"
	"drain_timeout: 90s\n"
	"log: {level: debug, format: json, file: log/gw.log}\n"
	"listeners:\n"
	"  - address: \"0.0.0.0:15002\"\n"
	"    tls: {certificate: server.crt, key: /k/server.key, client_ca: ca.crt}\n"
	"  - {address: \"[::]:15004\", insecure: true}\n"
	"  - address: 127.0.0.1:15003\n"
	"admin: {address: \"[::1]:15080\"}\n"
	"auth:\n"
	"  providers:\n"
	"    - {name: hand, type: static, tokens_file: tokens}\n"
	"headers: {team: [x-team], run_id: []}\n"
	"routing: {default_env: prod}\n"
	"teams:\n"
	"  - {name: fe, groups: [\"eng: features, all\", \"\\u00e4\\\"\\\\\"], envs: [dev, prod]}\n"
	"  - name: ads\n"
	"clusters:\n"
	"  - name: fe-prod\n"
	"    team: fe\n"
	"    env: prod\n"
	"    region: us-west-2\n"
	"    hosts: [FE.example.com, \"*.fe.example.com\"]\n"
	"    drivers:\n"
	"      - {address: \"10.0.0.5:15002\", weight: 2}\n"
	"      - {address: \"spark-b.internal:15002\", name: b}\n"
	"    token_file: spark.token\n"
	"    tls: {ca: ca.crt, certificate: gw.crt, key: gw.key, server_name: spark}\n"
	"  - name: pool\n"
	"    shared: true\n"
	"    teams: [fe, ads]\n"
	"    env: dev\n"
	"    drivers: [{address: \"[2001:db8::1]:15002\"}]\n"
	"health: {interval: 250ms, timeout: 1s, rise: 2, fall: 100}\n"
	"session: {idle_timeout: 90m, driver_lost_after: 5s}\n"
	"limits: {connections: 5, streams_per_connection: 7, header_bytes: 1000KiB, header_fields: "
	"10}\n";

Test(conf, everything)
{
	const struct conf_cluster *fe;
	const struct conf_token *bob;

	cr_assert_eq(rig_load(full), 0, "%s", rig_errors());
	cr_expect_eq(conf->workers, 3);
	EXPECT_STR(conf->state_dir, "/t/state");
	EXPECT_STR(conf->log_file, "/t/log/gw.log");
	cr_assert_eq(conf->listeners_count, 3);
	cr_expect(conf->listeners[0].has_tls && !conf->listeners[1].has_tls);
	EXPECT_STR(conf->listeners[0].tls.key, "/k/server.key");
	cr_expect_eq(conf->listeners[0].line, 8);
	cr_expect_eq(conf->listeners[0].tls.line, 9);
	cr_expect_eq(conf->listeners[1].address.family, AF_INET6);
	cr_expect(conf->has_admin && conf->admin.port == 15080);
	cr_expect(conf->auth_required);
	cr_assert_eq(conf->providers[0].tokens_count, 3);
	cr_expect_eq(conf->providers[0].tokens[0].groups_count, 2);
	bob = &conf->providers[0].tokens[1];
	EXPECT_STR(bob->token, "s3cret-b");
	EXPECT_STR(bob->user, "bob");
	cr_expect_eq(bob->groups_count, 0);
	cr_expect_eq(conf->header_run_id.count, 0);
	EXPECT_STR(conf->teams[0].groups[1], "\xc3\xa4\"\\");
	fe = conf_cluster(conf, STR("fe-prod"));
	cr_assert_not_null(fe);
	EXPECT_STR(fe->hosts[0], "fe.example.com");
	EXPECT_STR(fe->drivers[0].name, "10.0.0.5:15002");
	EXPECT_STR(fe->drivers[1].name, "b");
	cr_expect_eq(fe->drivers[1].weight, 1);
	EXPECT_STR(fe->token, "s3cret-of-spark");
	EXPECT_STR(fe->tls.certificate, "/t/gw.crt");
	cr_expect(conf->clusters[1].shared && conf->clusters[1].teams_count == 2);
	cr_expect_eq(conf->limit_header_bytes, 1024000);
	cr_expect_not_null(conf_team(conf, STR("ads")));
	cr_expect_null(conf_team(conf, STR("nobody")));
	cr_expect_null(conf_cluster(conf, STR("nobody")));
}

/* ---- printing ---- */

Test(conf, what_is_printed_loads_to_the_same)
{
	static const char *const texts[] = {
		BASE,
		full,
		BASE "teams: [{name: a, groups: [\"- x\", \"#\", \"\xe2\x82\xac "
		     "\xf0\x9f\x98\x80\", \"~\"]}]\n",
		BASE
		"clusters:\n- {name: a, team: t, env: e, drivers: [{address: \"a:1\"}], tls: {}}\n",
		BASE "state_dir: \"a b: c\"\nworkers: auto\ndrain_timeout: 0\nheaders: {env: []}\n",
	};

	for (size_t i = 0; i < N(texts); i++)
		rig_print_and_load(texts[i]);
}

Test(conf, printing_into_a_full_buffer_fails)
{
	struct buf out;

	buf_init(&out, 100);
	cr_assert_eq(rig_load(BASE), 0);
	cr_expect_eq(conf_print(conf, &out), E_NOMEM);
	buf_free(&out);
}

/* ---- refusals ---- */

#define D     "drivers: [{address: \"a:1\"}]"
#define C(s)  BASE "clusters:\n  - {name: a, env: e, " D ", " s "}\n"
#define CT(s) BASE "clusters:\n  - {name: a, env: e, team: t, " s "}\n"

static const struct refusal {
	const char *text, *errors;
} refusals[] = {
	/* values */
	{BASE "workers: 0\n", "3:10: workers: 0 is out of bounds, must be 1 to 256 processes\n"},
	{BASE "workers: 257\n",
	 "3:10: workers: 257 is out of bounds, must be 1 to 256 processes\n"},
	{BASE "workers: many\n", "3:10: workers: 'many' is not a number or 'auto'\n"},
	{BASE "workers: [1]\n", "3:10: workers: must be a single value (number), not a list\n"},
	{BASE "workers:\n", "3:9: workers: has no value\n"},
	{BASE "drain_timeout: 180\n",
	 "3:16: drain_timeout: '180' is not a duration: write a number "
	 "with ms, s, m, h or d, such as 30s\n"},
	{BASE "drain_timeout: 2d\n", "3:16: drain_timeout: 2d is out of bounds, must be 0 to 1d\n"},
	{BASE "limits: {header_bytes: 1}\n",
	 "3:24: limits.header_bytes: 1 is out of bounds, must be 1KiB to 1MiB\n"},
	{BASE "limits: {header_bytes: 1kb}\n", "3:24: limits.header_bytes: '1kb' is not a size: "
					       "write a number of bytes, or with KiB, MiB, GiB\n"},
	{BASE "health: {rise: 0, fall: 101}\n",
	 "3:16: health.rise: 0 is out of bounds, must be 1 to 100 probes\n"
	 "3:25: health.fall: 101 is out of bounds, must be 1 to 100 probes\n"},
	{BASE "log: {level: loud}\n",
	 "3:14: log.level: 'loud' is not known here; accepted: debug info warn error\n"},
	{BASE "log: info\n", "3:6: log: must be a block of keys\n"},
	{BASE "region: a b\n",
	 "3:9: region: 'a b' is not a name: 1 to 63 letters, digits, '.', '_' or '-'\n"},
	{BASE "state_dir: \"a\\tb\"\n", "3:12: state_dir: 'a?b' is not a path\n"},
	{BASE "headers: {team: x-team}\n", "3:17: headers.team: must be a list, such as [a, b]\n"},
	{BASE "headers: {team: [X-Team, \"a:b\"]}\n",
	 "3:18: headers.team[0]: header names are written in lower case here: 'x-team'\n"
	 "3:26: headers.team[1]: 'a:b' is not a header name (at most 63 of a-z 0-9 - _ . and the "
	 "like)\n"},
	{BASE "teams: {name: a}\n", "3:8: teams: must be a list; begin each item with '- '\n"},
	{BASE "teams: [a]\n", "3:9: teams[0]: must be a block of keys\n"},
	/* keys */
	{BASE "worker: 1\n", "3:1: worker: unknown key; did you mean 'workers'?\n"},
	{BASE "log:\n  lvl: x\n", "4:3: log.lvl: unknown key; did you mean 'level'?\n"},
	{BASE "idle_timeout: 1h\n",
	 "3:1: idle_timeout: unknown key; did you mean 'session.idle_timeout'?\n"},
	{BASE "zzz: 1\n", "3:1: zzz: unknown key\n"},
	{BASE "workers: 1\nworkers: 2\n", "4:1: duplicate key 'workers' (first at line 3)\n"},
	/* listeners and admin */
	{"",
	 "1:1: listeners: needs at least one listener\n"
	 "1:1: auth.providers: needs at least one provider because auth.required is true; without "
	 "any, say auth.required: false\n"},
	{"auth: {required: no}\nlisteners: []\n", "1:18: auth.required: 'no' is not true or false\n"
						  "2:1: listeners: needs at least one listener\n"},
	{"auth: {required: false}\nlisteners:\n  - insecure: true\n  - address: localhost:1\n"
	 "  - address: 127.0.0.1:0\n  - address: 127.0.0.1:5\n    tls: {certificate: a}\n",
	 "3:5: listeners[0].address: is missing: numeric address and port: \"0.0.0.0:15002\", "
	 "\"[::]:15002\"\n"
	 "4:14: listeners[1].address: 'localhost:1' is not an address and port such as "
	 "\"127.0.0.1:15002\" or \"[::1]:15002\"\n"
	 "5:14: listeners[2].address: the port must be 1 to 65535\n"
	 "7:5: listeners[3].tls.key: is missing: PEM file of the certificate's private key\n"},
	{"auth: {required: false}\nlisteners:\n  - address: 10.0.0.1:5\n  - address: 127.0.0.1:5\n"
	 "  - address: \"127.0.0.1:5\"\n",
	 "3:14: listeners[0].address: clear text on an address that is not loopback: give it tls, "
	 "or "
	 "say insecure: true\n"
	 "5:14: listeners[2].address: '127.0.0.1:5' is used twice (first at line 4)\n"},
	{BASE "admin: {address: \"0.0.0.0:1\"}\n",
	 "3:18: admin.address: must be loopback (127.0.0.1 or "
	 "[::1]): anybody who reaches it may read it\n"},
	{BASE "admin: {address: \"127.0.0.1:15003\"}\n",
	 "1:23: listeners[0].address: is the address of admin as well\n"},
	{BASE "admin:\n", "3:7: admin.address: is missing: a loopback address and port\n"},
	/* auth */
	{"listeners: [{address: \"127.0.0.1:1\"}]\nauth: {}\n",
	 "2:1: auth.providers: needs at least one provider because auth.required is true; without "
	 "any, "
	 "say auth.required: false\n"},
	/* teams and clusters */
	{BASE "teams:\n  - name: a\n  - name: b\n  - name: a\n",
	 "6:11: teams[2].name: 'a' is used twice (first at line 4)\n"},
	{BASE "clusters:\n  - {name: a, env: e, team: t, " D "}\n  - {name: a, env: e, team: t, " D
	      "}\n",
	 "5:12: clusters[1].name: 'a' is used twice (first at line 4)\n"},
	{C("region: r"),
	 "4:5: clusters[0].team: is missing: name the owner, or say shared: true and list teams\n"},
	{C("team: t, shared: true"),
	 "4:5: clusters[0].teams: is missing: a shared cluster lists the teams that may use it\n"
	 "4:58: clusters[0].team: a shared cluster has no owner; list those who may use it under "
	 "teams\n"},
	{C("team: t, teams: [a]"),
	 "4:61: clusters[0].teams: only for a shared cluster: say team, or shared: true\n"},
	{C("team: t") "teams: [{name: x}]\n",
	 "4:58: clusters[0].team: 't' is not listed under teams\n"},
	{C("shared: true, teams: [x, y]") "teams: [{name: x}]\n",
	 "4:77: clusters[0].teams[1]: 'y' is not listed under teams\n"},
	{BASE "clusters:\n  - {name: a, team: t, " D "}\n",
	 "4:5: clusters[0].env: is missing: dev, staging, prod or whatever you call it\n"},
	{CT("region: r"), "4:5: clusters[0].drivers: needs at least one driver\n"},
	{CT("drivers: []"), "4:32: clusters[0].drivers: needs at least one driver\n"},
	{CT("drivers: [{address: a}, {address: \"a:0\"}, {address: \"a_b:1\"}, {address: "
	    "\"-a:1\"}]"),
	 "4:52: clusters[0].drivers[0].address: 'a' is not host:port with a port of 1 to 65535\n"
	 "4:66: clusters[0].drivers[1].address: 'a:0' is not host:port with a port of 1 to 65535\n"
	 "4:104: clusters[0].drivers[3].address: '-a:1' is not host:port with a port of 1 to "
	 "65535\n"},
	{CT("drivers: [{address: \"a:1\"}, {address: \"b:1\", name: x}, {address: \"c:1\", name: "
	    "x}]"),
	 "4:110: clusters[0].drivers[2].name: 'x' is used twice (first at line 4)\n"},
	{CT("drivers: [{address: \"a:1\"}, {address: \"a:1\"}]"),
	 "4:60: clusters[0].drivers[1].name: 'a:1' is used twice (first at line 4)\n"},
	{CT("drivers: [{address: \"a:1\", weight: 1001}]"),
	 "4:67: clusters[0].drivers[0].weight: 1001 is out of bounds, must be 1 to 1000\n"},
	{CT(D ", tls: {certificate: x}"),
	 "4:80: clusters[0].tls.certificate: needs its key beside it\n"},
	{CT(D ", tls: {key: x}"), "4:72: clusters[0].tls.key: needs its certificate beside it\n"},
	{CT(D ", hosts: [a..b, \"*.\", \"a.*.b\", \"*.ok\", h, H]"),
	 "4:69: clusters[0].hosts[0]: 'a..b' is not a host name, nor \"*.\" and a host name\n"
	 "4:75: clusters[0].hosts[1]: '*.' is not a host name, nor \"*.\" and a host name\n"
	 "4:81: clusters[0].hosts[2]: 'a.*.b' is not a host name, nor \"*.\" and a host name\n"
	 "4:101: clusters[0].hosts[5]: 'h' is used twice (first at line 4)\n"},
	{BASE "clusters:\n  - {name: a, env: e, team: t, " D ", hosts: [x.y]}\n"
	      "  - {name: b, env: e, team: t, " D ", hosts: [z, x.y]}\n",
	 "5:72: clusters[1].hosts[1]: 'x.y' is used twice (first at line 4)\n"},
	/* files of secrets: named, never quoted */
	{CT(D ", token_file: nowhere"), "4:73: clusters[0].token_file: /t/nowhere: not here\n"},
	{CT(D ", token_file: empty.token"),
	 "4:73: clusters[0].token_file: /t/empty.token: is empty\n"},
	{CT(D ", token_file: two.token"),
	 "4:73: clusters[0].token_file: /t/two.token: must hold one token without blanks\n"},
	{"listeners: [{address: \"127.0.0.1:1\"}]\nauth:\n  providers:\n"
	 "    - {name: a, type: static, tokens_file: bad}\n",
	 "4:44: auth.providers[0].tokens_file: /t/bad: line 1: no user behind the token\n"
	 "4:44: auth.providers[0].tokens_file: /t/bad: line 2: more than TOKEN USER GROUP,GROUP "
	 "(no "
	 "blanks between groups)\n"
	 "4:44: auth.providers[0].tokens_file: /t/bad: line 3: an empty group\n"
	 "4:44: auth.providers[0].tokens_file: /t/bad: line 4: a token of characters that no "
	 "header can "
	 "carry\n"},
	{"listeners: [{address: \"127.0.0.1:1\"}]\nauth:\n  providers:\n"
	 "    - {name: a, type: static, tokens_file: twins}\n",
	 "4:44: auth.providers[0].tokens_file: /t/twins: users 'alice' and 'bob' have the same "
	 "token\n"},
	/* the file itself */
	{"[]\n", "1:1: must be a block of keys\n1:1: listeners: needs at least one listener\n"},
	{"a: [\n", "2:1: did not find expected node content (while parsing a flow node)\n"},
};

Test(conf, refuses_with_place_and_words)
{
	for (size_t i = 0; i < N(refusals); i++)
		rig_refuses(refusals[i].text, refusals[i].errors);
}

Test(conf, a_name_has_at_most_63_bytes)
{
	char text[256];

	for (int n = 63; n <= 64; n++) {
		snprintf(
			text, sizeof(text), BASE "region: %.*s\n", n,
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		cr_expect_eq(rig_load(text), n == 63 ? 0 : E_SYNTAX, "%d", n);
	}
}

static void
put_clusters(struct buf *text, unsigned clusters, unsigned drivers)
{
	buf_add_str(text, STR(BASE "clusters:\n"));
	for (unsigned i = 0; i < clusters; i++) {
		buf_printf(text, "- {name: c%u, env: e, team: t, drivers: [", i);
		for (unsigned k = 0; k < drivers; k++)
			buf_printf(text, "{address: \"h:%u\"}, ", k + 1);
		buf_printf(text, "]}\n");
	}
}

Test(conf, drivers_fit_the_shared_segment)
{
	struct buf text;

	cr_assert_eq(CHECK_DRIVERS_MAX, SEGMENT_DRIVERS);
	buf_init(&text, 1u << 20);
	put_clusters(&text, 2, CHECK_DRIVERS_MAX / 2);
	cr_expect_eq(rig_load(buf_cstr(&text)), 0);
	buf_clear(&text);
	put_clusters(&text, 2, CHECK_DRIVERS_MAX / 2 + 1);
	cr_expect_eq(rig_load(buf_cstr(&text)), E_SYNTAX);
	cr_expect_str_eq(
		rig_errors(),
		"3:1: clusters: 1026 drivers in all clusters, at most 1024 are possible\n");
	buf_free(&text);
}

Test(conf, nonsense_stays_cheap)
{
	struct buf text;
	unsigned count = 0;
	uint64_t start = clock_ms();

	buf_init(&text, 1u << 20);
	buf_add_str(&text, STR(BASE));
	for (unsigned i = 0; i < 9000; i++)
		buf_printf(&text, "nonsense_%u: x\n", i);
	cr_expect_eq(rig_load(buf_cstr(&text)), E_SYNTAX);
	for (const struct conf_error *e = errors; e != NULL; e = e->next)
		count++;
	cr_expect_eq(count, 101);
	cr_expect_str_eq(errors->words, "more errors than are shown here");
	cr_expect_lt(clock_ms() - start, 1000);
	buf_free(&text);
}

Test(conf, errors_found_later_are_sorted_in)
{
	char text[200];

	cr_assert_eq(rig_load(BASE), 0);
	conf_error_add(conf, &errors, 9, "b", "second");
	conf_error_add(conf, &errors, 2, "a", "first %d", 1);
	cr_expect_str_eq(rig_errors(), "2: a: first 1\n9: b: second\n");
	cr_expect_eq(conf_error_text(conf, errors, text, 5),
		     (int)strlen("/t/gw.yaml:2: a: first 1\n"));
	cr_expect_str_eq(text, "/t/g");
}

/* ---- real files ---- */

static char folder[64];

static const char *
put_file(const char *name, const char *text, size_t n, unsigned mode)
{
	static char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, n), (ssize_t)n);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
	return path;
}

static void
make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test_conf.XXXXXX");
	cr_assert_not_null(mkdtemp(folder));
}

static void
drop_folder(void)
{
	static const char *const names[] = {"gw.yaml", "token", "tokens"};
	char path[128];

	for (size_t i = 0; i < N(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
	conf_free(&conf);
}

TestSuite(conf_files, .init = make_folder, .fini = drop_folder);

static int
load_file(const char *text)
{
	const char *path = put_file("gw.yaml", text, strlen(text), 0644);

	conf_free(&conf);
	return conf_load(path, &conf, &errors);
}

Test(conf_files, relative_names_start_beside_the_file)
{
	put_file("token", "abc\n", 4, 0640);
	put_file("tokens", "xyz alice\n", 10, 0400);
	cr_assert_eq(load_file("listeners: [{address: \"127.0.0.1:1\"}]\n"
			       "auth: {providers: [{name: a, type: static, tokens_file: tokens}]}\n"
			       "clusters: [{name: a, env: e, team: t, token_file: token, " D
			       "}]\n"),
		     0, "%s", errors ? errors->words : "");
	EXPECT_STR(conf->clusters[0].token, "abc");
	EXPECT_STR(conf->providers[0].tokens[0].token, "xyz");
}

static const char *
token_refused(unsigned mode, size_t size)
{
	static char big[70000];

	memset(big, 'x', sizeof(big));
	put_file("token", big, size, mode);
	cr_expect_eq(load_file(CT(D ", token_file: token")),
		     size > 65536 || mode & 7 ? E_SYNTAX : 0);
	return errors != NULL ? strrchr(errors->words, ':') : NULL;
}

Test(conf_files, secrets_are_closed_to_others_and_small)
{
	cr_expect_str_eq(token_refused(0644, 3), ": open to others (mode 0644); do chmod o= on it");
	cr_expect_str_eq(token_refused(0602, 3), ": open to others (mode 0602); do chmod o= on it");
	cr_expect_str_eq(token_refused(0600, 65537), ": larger than 64 KiB");
	cr_expect_null(token_refused(0640, 65536));
}

Test(conf_files, secrets_are_regular_files)
{
	cr_expect_eq(load_file(CT(D ", token_file: .")), E_SYNTAX);
	cr_expect_str_eq(strrchr(errors->words, ':'), ": not a regular file");
	cr_expect_eq(load_file(CT(D ", token_file: /dev/null")), E_SYNTAX);
	cr_expect_str_eq(errors->words, "/dev/null: not a regular file");
	cr_expect_eq(load_file(CT(D ", token_file: none")), E_SYNTAX);
	cr_expect_str_eq(strrchr(errors->words, ':'), ": No such file or directory");
}

Test(conf_files, a_file_that_cannot_be_read)
{
	char text[200];

	cr_assert_eq(conf_load("/nowhere/gw.yaml", &conf, &errors), E_IO);
	conf_error_text(conf, errors, text, sizeof(text));
	cr_expect_str_eq(text, "/nowhere/gw.yaml: cannot be read: No such file or directory\n");
	conf_free(&conf);
	cr_assert_eq(conf_load("/", &conf, &errors), E_IO);
	cr_expect_str_eq(errors->words, "cannot be read: Is a directory");
}

Test(conf_files, a_relative_path_of_the_file)
{
	load_file(BASE);
	conf_free(&conf);
	cr_assert_eq(chdir(folder), 0);
	cr_assert_eq(conf_load("gw.yaml", &conf, &errors), 0);
	cr_expect(conf->path.p[0] == '/' && str_ends(conf->path, STR("/gw.yaml")));
}

/* ---- the schema itself ---- */

/* One or two, known to the row `type` beside this one, which is filled before it. */
static void
expect_types(const struct schema_row *row, struct str types)
{
	const struct schema_row *type = schema_type_row(row);
	unsigned count = 0;

	cr_expect_lt(type, row, "%s", row->path);
	for (; types.p != NULL; count++)
		cr_expect_geq(schema_word(type->words, str_cut(types, ' ', &types)), 0, "%s",
			      row->path);
	cr_expect_leq(count, 2, "%s", row->path);
}

Test(schema, rows_are_sound)
{
	for (size_t i = 0; i < schema_count; i++) {
		const struct schema_row *r = &schema_rows[i];

		cr_expect_eq(schema_find(r->path), r, "%s is there twice", r->path);
		cr_expect_not_null(r->help, "%s", r->path);
		cr_expect_leq(strlen(schema_leaf(r)), 32, "%s", r->path);
		cr_expect_not_null(schema_type_text(r), "%s", r->path);
		cr_expect(!r->required || r->fallback == NULL, "%s", r->path);
		cr_expect_leq(r->min, r->max, "%s", r->path);
		cr_expect(r->type != SCHEMA_ENUM || r->words != NULL, "%s", r->path);
		if (r->types != NULL)
			expect_types(r, str_from(r->types));
	}
}

/* Every row is met once when the blocks are walked. */
static size_t
walk(const struct schema_row *block)
{
	const struct schema_row *row;
	size_t n = 0;

	for (row = schema_next(block, NULL); row != NULL; row = schema_next(block, row))
		n += 1 + (row->type == SCHEMA_MAP || row->type == SCHEMA_LIST ? walk(row) : 0);
	return n;
}

Test(schema, walking_meets_every_row)
{
	cr_expect_eq(walk(NULL), schema_count);
}

Test(schema, nearest)
{
	static const struct {
		const char *block, *key, *wanted;
	} cases[] = {
		{NULL, "listener", "listeners"},
		{NULL, "Listeners", "listeners"},
		{NULL, "timeout", "health.timeout"},
		{NULL, "x", NULL},
		{NULL, "", NULL},
		{"clusters", "driver", "drivers"},
		{"clusters[].drivers", "wieght", "weight"},
		{"health", "raise", "rise"},
		{"limits", "completely_different", NULL},
		{"limits", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 NULL},
	};

	for (size_t i = 0; i < N(cases); i++) {
		const struct schema_row *block =
			cases[i].block ? schema_find(cases[i].block) : NULL;
		const char *found = schema_nearest(block, str_from(cases[i].key));

		if (cases[i].wanted == NULL)
			cr_expect_null(found, "%s: %s", cases[i].key, found);
		else
			cr_expect(found != NULL && strcmp(found, cases[i].wanted) == 0, "%s: %s",
				  cases[i].key, found ? found : "nothing");
	}
}
