/*
 * conf: who vouches for users, aliases, roll-out, further certificates; the sample; URLs and
 * patterns of subjects.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf/keyset.h"
#include "conf/pattern.h"
#include "conf/providers.h"
#include "conf/secret.h"
#include "conf/url.h"
#include "shm/segment.h"
#include "t/unit/conf_rig.h"

/* The first provider begins at line 4, column 7. */
#define HEAD	"listeners: [{address: \"127.0.0.1:1\"}]\nauth:\n  providers:\n"
#define AUTH(s) HEAD "    - {" s "}\n"
#define OIDC(s) AUTH("name: a, type: oidc, audience: [x], " s)
#define ISSUER	"issuer: \"https://i\""

TestSuite(conf_auth, .fini = rig_teardown);

Test(conf_auth, defaults)
{
	cr_assert_eq(rig_load(BASE), 0, "%s", rig_errors());
	cr_expect_eq(conf->auth_leeway_ms, 60000);
	cr_expect_eq(conf->auth_grace_ms, 3600000);
	cr_expect_eq(conf->rollout_percent, 100);
	cr_expect_eq(conf->rollout_deny_teams.count, 0);
	cr_expect_eq(conf->limit_failed_tokens, 10);
	cr_expect_eq(conf->team_aliases_count, 0);
}

static const char everything[] =
	"listeners:\n"
	"  - address: \"0.0.0.0:15002\"\n"
	"    tls:\n"
	"      certificate: a.crt\n"
	"      key: a.key\n"
	"      client_ca: ca.crt\n"
	"      more:\n"
	"        - {certificate: b.crt, key: b.key}\n"
	"        - {certificate: /k/c.crt, key: /k/c.key}\n"
	"auth:\n"
	"  leeway: 10m\n"
	"  grace: 0\n"
	"  providers:\n"
	"    - {name: hand, type: static, tokens_file: tokens}\n"
	"    - name: okta\n"
	"      type: oidc\n"
	"      issuer: \"https://example.okta.com/oauth2/default\"\n"
	"      audience: [\"https://spark.example.com\", b]\n"
	"      jwks_url: \"https://example.okta.com/keys?a=b\"\n"
	"      ca: company-ca.crt\n"
	"      refresh: 5m\n"
	"      claims: {user: uid, groups: realm.roles}\n"
	"    - name: k8s\n"
	"      type: oidc\n"
	"      issuer: kubernetes/serviceaccount\n"
	"      audience: [sparkgw]\n"
	"      jwks_file: kubernetes.jwks\n"
	"      subjects:\n"
	"        - {match: \"system:serviceaccount:ml-*:*\", user: ml, team: fe, envs: [dev]}\n"
	"        - match: \"system:serviceaccount:*\"\n"
	"    - {name: local, type: oidc, issuer: \"http://127.0.0.1:8080/\", audience: [a]}\n"
	"    - {name: pat, type: pat}\n"
	"    - {name: own, type: service, issuer: anything}\n"
	"    - name: machines\n"
	"      type: certificate\n"
	"      san: dns\n"
	"      subjects: [{match: \"*.example.com\", team: ads}]\n"
	"routing:\n"
	"  team_aliases:\n"
	"    - {name: fe, aliases: [feature-engineering, \"Feature Engineering\"]}\n"
	"  env_aliases: [{name: prod, aliases: [production, prod]}]\n"
	"rollout:\n"
	"  spark_connect_enabled: 0\n"
	"  deny_teams: [ads]\n"
	"  deny_users: [mallory]\n"
	"  allow_teams: [fe]\n"
	"  allow_users: [\"alice@example.com\", bob]\n"
	"teams:\n"
	"  - {name: fe, envs: [dev, prod], regions: [us-west-2, eu]}\n"
	"  - name: ads\n"
	"limits: {failed_tokens: 1000}\n";

static void
expect_providers(const struct conf_provider *p)
{
	EXPECT_STR(p[0].tokens[0].user, "alice");
	cr_expect_eq(p[1].type, PROVIDER_OIDC);
	EXPECT_STR(p[1].issuer, "https://example.okta.com/oauth2/default");
	cr_assert_eq(p[1].audience_count, 2);
	EXPECT_STR(p[1].jwks_url, "https://example.okta.com/keys?a=b");
	EXPECT_STR(p[1].ca, "/t/company-ca.crt");
	cr_expect_eq(p[1].refresh_ms, 300000);
	EXPECT_STR(p[1].claim_user, "uid");
	EXPECT_STR(p[1].claim_groups, "realm.roles");
	EXPECT_STR(p[1].claim_name, "name");
	EXPECT_STR(p[2].jwks_file, "/t/kubernetes.jwks");
	cr_expect(str_starts(p[2].jwks, STR("{\"keys\":[")));
	cr_expect_eq(p[2].refresh_ms, 3600000);
	cr_assert_eq(p[2].subjects_count, 2);
	EXPECT_STR(p[2].subjects[0].match, "system:serviceaccount:ml-*:*");
	EXPECT_STR(p[2].subjects[0].user, "ml");
	EXPECT_STR(p[2].subjects[0].team, "fe");
	EXPECT_STR(p[2].subjects[0].envs[0], "dev");
	cr_expect_null(p[2].subjects[1].user.p);
	cr_expect_null(p[3].jwks_url.p);
	cr_expect_eq(p[4].type, PROVIDER_PAT);
	cr_expect_null(p[4].claim_user.p);
	cr_expect_eq(p[4].refresh_ms, 0);
	cr_expect_eq(p[5].type, PROVIDER_SERVICE);
	cr_assert_eq(p[5].audience_count, 1);
	EXPECT_STR(p[5].audience[0], "sparkgw");
	cr_expect_eq(p[6].type, PROVIDER_CERTIFICATE);
	cr_expect_eq(p[6].san, SAN_DNS);
}

Test(conf_auth, everything)
{
	const struct conf_tls *tls;

	cr_assert_eq(rig_load(everything), 0, "%s", rig_errors());
	cr_assert_eq(conf->providers_count, 7);
	expect_providers(conf->providers);
	cr_expect_eq(conf->auth_leeway_ms, 600000);
	cr_expect_eq(conf->auth_grace_ms, 0);
	tls = &conf->listeners[0].tls;
	cr_assert_eq(tls->more_count, 2);
	EXPECT_STR(tls->more[0].key, "/t/b.key");
	cr_expect_eq(tls->more[0].line, 8);
	EXPECT_STR(tls->more[1].certificate, "/k/c.crt");
	cr_assert_eq(conf->team_aliases_count, 1);
	EXPECT_STR(conf->team_aliases[0].aliases[1], "Feature Engineering");
	EXPECT_STR(conf->env_aliases[0].name, "prod");
	cr_expect_eq(conf->rollout_percent, 0);
	EXPECT_STR(conf->rollout_deny_teams.names[0], "ads");
	EXPECT_STR(conf->rollout_deny_users.names[0], "mallory");
	EXPECT_STR(conf->rollout_allow_teams.names[0], "fe");
	cr_expect_eq(conf->rollout_allow_users.count, 2);
	cr_expect_eq(conf->teams[0].regions_count, 2);
	cr_expect_eq(conf->limit_failed_tokens, 1000);
}

Test(conf_auth, what_is_printed_loads_to_the_same)
{
	static const char *const texts[] = {
		everything,
		OIDC(ISSUER),
		AUTH("name: a, type: pat"),
		BASE "routing: {team_aliases: [], env_aliases: []}\nrollout: {deny_users: []}\n",
		OIDC(ISSUER ", jwks_file: kubernetes.jwks, subjects: [{match: \"#\", envs: []}]"),
	};

	for (size_t i = 0; i < N(texts); i++)
		rig_print_and_load(texts[i]);
	cr_assert_eq(conf->providers_count, 1);
	cr_expect(str_starts(conf->providers[0].jwks, STR("{\"keys\":[")));
}

/* ---- refusals ---- */

static const struct refusal {
	const char *text, *errors;
} refusals[] = {
	/* values */
	{BASE "limits: {failed_tokens: 0}\n",
	 "3:25: limits.failed_tokens: 0 is out of bounds, must be 1 to 1000 failures\n"},
	{BASE "rollout: {spark_connect_enabled: 101}\n",
	 "3:34: rollout.spark_connect_enabled: 101 is out of bounds, must be 0 to 100 percent\n"},
	{HEAD "    - {name: a, type: pat}\n  leeway: 11m\n  grace: 25h\n",
	 "5:11: auth.leeway: 11m is out of bounds, must be 0 to 10m\n"
	 "6:10: auth.grace: 25h is out of bounds, must be 0 to 1d\n"},
	/* which key belongs to which type */
	{AUTH("name: a, type: saml, issuer: x, subjects: [{match: m}], audience: [x]"),
	 "4:23: auth.providers[0].type: 'saml' is not known here; accepted: static oidc pat "
	 "service certificate\n"},
	{AUTH("name: a, issuer: x"),
	 "4:7: auth.providers[0].type: is missing: where its tokens come from\n"},
	{AUTH("name: a, type: static"),
	 "4:7: auth.providers[0].tokens_file: is missing, and type static needs it: lines of "
	 "\"TOKEN USER [GROUP,GROUP]\"; not readable by others\n"},
	{AUTH("name: a, type: oidc"),
	 "4:7: auth.providers[0].issuer: is missing, and type oidc needs it: who signs: the `iss` "
	 "of its tokens, to the letter\n"
	 "4:7: auth.providers[0].audience: is missing, and type oidc needs it: without it a token "
	 "that was made for somebody else would do\n"},
	{AUTH("name: a, type: service"),
	 "4:7: auth.providers[0].issuer: is missing, and type service needs it: who signs: the "
	 "`iss` of its tokens, to the letter\n"},
	{AUTH("name: a, type: pat, issuer: x, tokens_file: t, san: uri, jwk_url: x"),
	 "4:28: auth.providers[0].issuer: is only for type oidc or service, not for pat\n"
	 "4:39: auth.providers[0].tokens_file: is only for type static, not for pat\n"
	 "4:55: auth.providers[0].san: is only for type certificate, not for pat\n"
	 "4:65: auth.providers[0].jwk_url: unknown key; did you mean 'jwks_url'?\n"},
	{AUTH("name: a, type: service, issuer: x, claims: {user: x}, subjects: [{x: y}], refresh: "
	      "1h"),
	 "4:43: auth.providers[0].claims: is only for type oidc, not for service\n"
	 "4:62: auth.providers[0].subjects: is only for type oidc or certificate, not for service\n"
	 "4:82: auth.providers[0].refresh: is only for type oidc, not for service\n"},
	{OIDC("issuer: \"https://i\", subjects: [{team: t}], claims: [x]"),
	 "4:76: auth.providers[0].subjects[0].match: is missing: the whole subject; * stands for "
	 "any run of characters\n"
	 "4:96: auth.providers[0].claims: must be a block of keys\n"},
	/* issuers and keys */
	{OIDC("issuer: a b"), "4:52: auth.providers[0].issuer: is no URL to find the keys by; say "
			      "jwks_url or jwks_file\n"},
	{OIDC("issuer: \"http://idp.example.com\", jwks_url: \"ftp://x\""),
	 "4:52: auth.providers[0].issuer: would go in clear text to another host: https:// is "
	 "needed\n"
	 "4:88: auth.providers[0].jwks_url: must begin with https://, or with http:// when the "
	 "host is loopback\n"},
	{OIDC("issuer: \"https://i?x=1\""),
	 "4:52: auth.providers[0].issuer: has a query, so that the keys cannot be found by it; say "
	 "jwks_url or jwks_file\n"},
	{OIDC("issuer: i, jwks_url: \"https://s3cret@x/\""),
	 "4:65: auth.providers[0].jwks_url: must hold no user and no password\n"},
	{OIDC("issuer: i, jwks_url: \"https://x\", jwks_file: kubernetes.jwks, ca: company-ca.crt"),
	 "4:89: auth.providers[0].jwks_file: stands beside jwks_url; only one of them can count\n"
	 "4:110: auth.providers[0].ca: has no use beside jwks_file: nothing is fetched then\n"},
	{OIDC("issuer: i, jwks_file: nowhere"),
	 "4:66: auth.providers[0].jwks_file: /t/nowhere: not here\n"},
	{OIDC("issuer: i, jwks_file: blank"), "4:66: auth.providers[0].jwks_file: /t/blank: the "
					      "set is no JSON object, or has a name twice\n"},
	{OIDC("issuer: i, jwks_file: tokens"), "4:66: auth.providers[0].jwks_file: /t/tokens: the "
					       "set is no JSON object, or has a name twice\n"},
	{OIDC("issuer: i, jwks_file: secret.jwks"),
	 "4:66: auth.providers[0].jwks_file: /t/secret.jwks: the set has no key that can verify "
	 "signatures\n"},
	{OIDC("issuer: \"https://i\", ca: tokens"),
	 "4:69: auth.providers[0].ca: /t/tokens: holds no certificate in PEM\n"},
	{AUTH("name: a, type: oidc, audience: [], " ISSUER),
	 "4:29: auth.providers[0].audience: needs at least one\n"},
	{AUTH("name: a, type: service, issuer: i, audience: []"),
	 "4:43: auth.providers[0].audience: needs at least one\n"},
	/* several */
	{AUTH("name: a, type: pat") "    - {name: b, type: pat}\n    - {name: a, type: service, "
				    "issuer: i}\n    - {name: c, type: service, issuer: i}\n",
	 "5:23: auth.providers[1].type: only one provider can be of type pat (first at line 4)\n"
	 "6:14: auth.providers[2].name: 'a' is used twice (first at line 4)\n"
	 "7:23: auth.providers[3].type: only one provider can be of type service (first at line "
	 "6)\n"
	 "7:40: auth.providers[3].issuer: 'i' is used twice (first at line 6)\n"},
	{AUTH("name: a, type: certificate"),
	 "4:23: auth.providers[0].type: needs a listener whose tls has client_ca: no client shows "
	 "a certificate otherwise\n"},
	/* subjects */
	{OIDC(ISSUER ", subjects: []"),
	 "4:65: auth.providers[0].subjects: lists nobody: name who is let in, or leave the key out "
	 "to let in all that it vouches for\n"},
	{HEAD "    - name: a\n      type: oidc\n      " ISSUER "\n      audience: [x]\n"
	      "      subjects:\n        # - match: x\n",
	 "8:16: auth.providers[0].subjects: lists nobody: name who is let in, or leave the key out "
	 "to let in all that it vouches for\n"},
	{HEAD "    - name: a\n      type: oidc\n      " ISSUER "\n      audience: [x]\n"
	      "      subjects:\n"
	      "        - match: \"a:**\"\n"
	      "        - match: \"a:*:b\"\n"
	      "        - {match: \"a:c:b\", team: t}\n"
	      "        - {match: \"a:*:b*\", team: nobody, envs: [dev, prod]}\n"
	      "        - {match: \"*\", team: t, envs: [dev, prod]}\n"
	      "        - {match: \"z\", envs: [qa]}\n"
	      "teams: [{name: t, envs: [dev]}]\n",
	 "9:18: auth.providers[0].subjects[0].match: one * is enough for any run of characters\n"
	 "11:19: auth.providers[0].subjects[2].match: is never reached: 'a:*:b' comes first (line "
	 "10) and matches all of it\n"
	 "12:35: auth.providers[0].subjects[3].team: 'nobody' is not listed under teams\n"
	 "13:45: auth.providers[0].subjects[4].envs[1]: 'prod' is not listed under envs of team "
	 "'t'\n"
	 "14:19: auth.providers[0].subjects[5].match: is never reached: '*' comes first (line 13) "
	 "and matches all of it\n"},
	/* further certificates */
	{"auth: {required: false}\nlisteners:\n  - address: \"127.0.0.1:1\"\n"
	 "    tls:\n      certificate: a\n      key: b\n      more:\n"
	 "        - {certificate: a, key: b}\n        - {certificate: c}\n"
	 "        - {certificate: c, key: d}\n        - {key: d}\n",
	 "8:25: listeners[0].tls.more[0].certificate: is the listener's first one as well\n"
	 "9:11: listeners[0].tls.more[1].key: is missing: PEM file of its private key\n"
	 "10:25: listeners[0].tls.more[2].certificate: '/t/c' is used twice (first at line 9)\n"
	 "11:11: listeners[0].tls.more[3].certificate: is missing: PEM file of the certificate and "
	 "its chain; its names choose it\n"},
	/* aliases */
	{BASE "teams: [{name: fe, envs: [dev]}, {name: ads}]\nrouting:\n  team_aliases:\n"
	      "    - {name: fe, aliases: [x, ads, fe, x]}\n"
	      "    - {name: who, aliases: [y]}\n"
	      "    - {name: ads, aliases: [who, x]}\n"
	      "    - {name: ads, aliases: []}\n"
	      "    - name: fe2\n",
	 "6:31: routing.team_aliases[0].aliases[1]: 'ads' is the name of another team\n"
	 "6:40: routing.team_aliases[0].aliases[3]: 'x' is used twice (first at line 6)\n"
	 "7:14: routing.team_aliases[1].name: 'who' is not listed under teams\n"
	 "8:29: routing.team_aliases[2].aliases[0]: 'who' is the name of another team\n"
	 "8:34: routing.team_aliases[2].aliases[1]: 'x' is used twice (first at line 6)\n"
	 "9:14: routing.team_aliases[3].name: 'ads' is used twice (first at line 8)\n"
	 "9:19: routing.team_aliases[3].aliases: needs at least one word\n"
	 "10:7: routing.team_aliases[4].aliases: is missing: what clients may say for it\n"
	 "10:13: routing.team_aliases[4].name: 'fe2' is not listed under teams\n"},
	{BASE "teams: [{name: fe, envs: [dev]}]\nrouting:\n  default_env: prod\n  env_aliases:\n"
	      "    - {name: staging, aliases: [dev, prod, e]}\n"
	      "clusters: [{name: c, team: fe, env: e, drivers: [{address: \"a:1\"}]}]\n",
	 "7:33: routing.env_aliases[0].aliases[0]: 'dev' is the name of another environment\n"
	 "7:38: routing.env_aliases[0].aliases[1]: 'prod' is the name of another environment\n"
	 "7:44: routing.env_aliases[0].aliases[2]: 'e' is the name of another environment\n"},
	{BASE "clusters:\n"
	      "  - {name: c, team: fe, env: e, drivers: [{address: \"a:1\"}]}\n"
	      "  - {name: d, shared: true, teams: [x], env: e, drivers: [{address: \"a:1\"}]}\n"
	      "routing: {team_aliases: [{name: any, aliases: [fe, x]}]}\n",
	 "6:48: routing.team_aliases[0].aliases[0]: 'fe' is the name of another team\n"
	 "6:52: routing.team_aliases[0].aliases[1]: 'x' is the name of another team\n"},
	/* roll-out */
	{BASE "teams: [{name: a}, {name: b}]\nrollout:\n  deny_teams: [a, c, a]\n"
	      "  deny_users: [u]\n  allow_teams: [d, b, a]\n  allow_users: [v, u, v]\n",
	 "5:19: rollout.deny_teams[1]: 'c' is not listed under teams\n"
	 "5:22: rollout.deny_teams[2]: 'a' is used twice (first at line 5)\n"
	 "7:17: rollout.allow_teams[0]: 'd' is not listed under teams\n"
	 "7:23: rollout.allow_teams[2]: 'a' stands in rollout.deny_teams as well\n"
	 "8:20: rollout.allow_users[1]: 'u' stands in rollout.deny_users as well\n"
	 "8:23: rollout.allow_users[2]: 'v' is used twice (first at line 8)\n"},
	{BASE "teams: [{name: a, regions: [\"x y\"]}]\n",
	 "3:29: teams[0].regions[0]: 'x y' is not a name: 1 to 63 letters, digits, '.', '_' or "
	 "'-'\n"},
};

Test(conf_auth, refuses_with_place_and_words)
{
	for (size_t i = 0; i < N(refusals); i++)
		rig_refuses(refusals[i].text, refusals[i].errors);
}

Test(conf_auth, providers_fit_the_shared_segment)
{
	struct buf text;

	buf_init(&text, 1u << 20);
	for (unsigned count = PROVIDERS_MAX; count <= PROVIDERS_MAX + 1; count++) {
		buf_clear(&text);
		buf_add_str(&text, STR(HEAD));
		for (unsigned i = 0; i < count; i++)
			buf_printf(&text,
				   "    - {name: p%u, type: oidc, issuer: \"https://i%u\", "
				   "audience: [x]}\n",
				   i, i);
		cr_expect_eq(rig_load(buf_cstr(&text)), count == PROVIDERS_MAX ? 0 : E_SYNTAX);
	}
	cr_expect_str_eq(rig_errors(),
			 "3:3: auth.providers: 33 providers, at most 32 are possible\n");
	buf_free(&text);
}

Test(conf_auth, subjects_have_a_bound)
{
	struct buf text;

	buf_init(&text, 1u << 20);
	buf_add_str(&text, STR(HEAD "    - name: a\n      type: oidc\n      " ISSUER
				    "\n      audience: [x]\n      subjects:\n"));
	for (unsigned i = 0; i < PROVIDERS_SUBJECTS_MAX; i++)
		buf_printf(&text, "        - match: \"system:serviceaccount:team-%u:*\"\n", i);
	cr_expect_eq(rig_load(buf_cstr(&text)), 0, "%s", rig_errors());
	buf_add_str(&text, STR("        - match: x\n"));
	cr_expect_eq(rig_load(buf_cstr(&text)), E_SYNTAX);
	cr_expect_str_eq(rig_errors(), "3:3: auth.providers: 1001 subjects in all providers, at "
				       "most 1000 are possible\n");
	buf_free(&text);
}

/* ---- the sample ---- */

/* "#key: value" becomes "key: value", "#- x" becomes "- x"; what has a blank behind its # is a
 * comment. */
static void
uncomment(char *text)
{
	for (char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += strspn(line, "\n ");
		if (line[0] == '#' && (line[1] == '-' || (line[1] >= 'a' && line[1] <= 'z')))
			memmove(line, line + 1, strlen(line));
	}
}

Test(conf_auth, the_sample_loads_also_with_all_keys)
{
	static char text[65536];
	char path[4096];
	FILE *file;

	if (getenv("top_srcdir") == NULL)
		cr_skip_test("top_srcdir is not set");
	snprintf(path, sizeof(path), "%s/etc/sparkgw.yaml", getenv("top_srcdir"));
	file = fopen(path, "re");
	cr_assert_not_null(file, "%s", path);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	cr_expect_eq(rig_load(text), 0, "%s", rig_errors());
	cr_expect_not(conf->clusters[0].has_tls);
	cr_expect_eq(conf->providers_count, 1);
	uncomment(text);
	rig_print_and_load(text);
	cr_assert(conf->clusters[0].has_tls);
	EXPECT_STR(conf->clusters[0].tls.server_name, "spark");
	EXPECT_STR(conf->clusters[0].token, "s3cret-of-fe");
	cr_expect_eq(conf->providers_count, 8);
}

/* ---- real files ---- */

Test(conf_auth, public_files_may_be_open_but_not_large)
{
	static char buf[KEYSET_MAX];
	char path[] = "/tmp/test_conf_auth.XXXXXX", words[128];
	int fd = mkstemp(path);
	size_t n = 0;

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchmod(fd, 0666), 0);
	cr_assert_eq(ftruncate(fd, KEYSET_MAX), 0);
	cr_expect_eq(secret_files.read_public(path, buf, sizeof(buf), &n, words, sizeof(words)), 0);
	cr_expect_eq(n, KEYSET_MAX);
	cr_expect_eq(secret_files.read(path, buf, sizeof(buf), &n, words, sizeof(words)), E_DENIED);
	cr_assert_eq(ftruncate(fd, KEYSET_MAX + 1), 0);
	cr_expect_eq(secret_files.read_public(path, buf, sizeof(buf), &n, words, sizeof(words)),
		     E_LIMIT);
	cr_expect_str_eq(words, "larger than 256 KiB");
	cr_expect_eq(secret_files.read_public("/", buf, sizeof(buf), &n, words, sizeof(words)),
		     E_DENIED);
	unlink(path);
	close(fd);
}

/* ---- URLs and patterns ---- */

Test(conf_auth, urls)
{
	static const struct {
		const char *url;
		bool good;
	} cases[] = {
		{"https://a", true},
		{"https://A.example.com:8443/x/y?z=%20&u=@", true},
		{"https://10.0.0.1/", true},
		{"https://[2001:db8::1]/keys", true},
		{"https://[2001:db8::1]:65535", true},
		{"http://localhost:8080/x", true},
		{"http://127.0.0.1", true},
		{"http://127.9.9.9:1/", true},
		{"http://[::1]:9/", true},
		{"http://[::1]", true},
		{"", false},
		{"https:/a", false},
		{"https://", false},
		{"https:///x", false},
		{"https://?x", false},
		{"HTTPS://a", false},
		{"file:///etc/passwd", false},
		{"https://a:0", false},
		{"https://a:", false},
		{"https://a:65536", false},
		{"https://a:1:2", false},
		{"https://a:x", false},
		{"https://-a", false},
		{"https://a..b", false},
		{"https://a/#x", false},
		{"https://a#", false},
		{"https://u@a/", false},
		{"https://u:p@a/", false},
		{"https://a\\@b/", false},
		{"https://a b/", false},
		{"https://a/\x7f", false},
		{"https://a/\xc3\xa4", false},
		{"https://[::1", false},
		{"https://[x]/", false},
		{"https://%61/", false},
		{"http://localhost.example.com/", false},
		{"http://127.0.0.1.example.com/", false},
		{"http://10.0.0.1/", false},
		{"http://127.1/", false},
		{"http://2130706433/", false},
		{"http://[::2]/", false},
		{"http://0.0.0.0/", false},
	};
	char text[1100];

	for (size_t i = 0; i < N(cases); i++)
		cr_expect_eq(url_wrong(str_from(cases[i].url)) == NULL, cases[i].good, "%s: %s",
			     cases[i].url, url_wrong(str_from(cases[i].url)));
	memset(text, 'a', sizeof(text));
	memcpy(text, "https://a/", 10);
	cr_expect_null(url_wrong((struct str){text, 1023}));
	cr_expect_not_null(url_wrong((struct str){text, 1024}));
	text[0] = 'x';
	text[9] = 'a';
	memcpy(text, "https://", 8);
	cr_expect_not_null(url_wrong((struct str){text, 1000}));
}

Test(conf_auth, patterns)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"", "", true},
		{"", "a", false},
		{"a", "", false},
		{"a", "a", true},
		{"a", "A", false},
		{"a", "ab", false},
		{"*", "", true},
		{"*", "any:thing/at.all", true},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "bba", true},
		{"*a", "ab", false},
		{"a*b", "ab", true},
		{"a*b", "a*b", true},
		{"a*b", "axbxb", true},
		{"a*b", "axbx", false},
		{"*ab*", "aab", true},
		{"*a*b*", "ba", false},
		{"repo:example/etl:*", "repo:example/etl:ref:refs/heads/main", true},
		{"repo:example/etl:*", "repo:example/etl-evil:ref:refs/heads/main", false},
		{"system:serviceaccount:ml-*:*", "system:serviceaccount:ml-a:jobs", true},
		{"system:serviceaccount:ml-*:*", "system:serviceaccount:ml:jobs", false},
	};
	char text[256], pattern[256];

	for (size_t i = 0; i < N(cases); i++)
		cr_expect_eq(pattern_matches(str_from(cases[i].pattern), str_from(cases[i].text)),
			     cases[i].matches, "%s, %s", cases[i].pattern, cases[i].text);
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 2 ? 'a' : '*';
	pattern[255] = 'b';
	cr_expect_not(pattern_matches((struct str){pattern, 256}, (struct str){text, 256}));
}
