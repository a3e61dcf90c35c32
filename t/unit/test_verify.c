/* workers/verify: from a token to an identity, or to the words of a refusal. */
#include <criterion/criterion.h>
#include <openssl/sha.h>
#include "t/unit/scratch.h"
#include "t/unit/token_rig.h"
#include "workers/verify.h"

#define NOW_MS 1700000000000ull
#define GOOD   "\"iss\":\"https://idp\",\"aud\":\"gw\",\"exp\":1700003600,\"iat\":1700000000"
#define KEY_ID "k1"

static struct conf *conf;
static struct keyring *keyring;
static struct verify *verify;

static void
load(const char *providers)
{
	static char text[16384];
	struct conf_error *errors = NULL;
	char words[512] = "";
	struct buf jwks;
	struct jwks_key key = rig_public(RIG_RSA, STR(KEY_ID));
	FILE *f = fopen(scratch_path("jwks.json"), "w");

	buf_init(&jwks, 65536);
	cr_assert_eq(jwks_print(&key, 1, &jwks), 0);
	cr_assert_not_null(f);
	fwrite(jwks.p, 1, jwks.len, f);
	fclose(f);
	buf_free(&jwks);
	snprintf(text, sizeof text,
		 "listeners: [{address: \"127.0.0.1:1\", tls: {certificate: c, key: k, client_ca: "
		 "a}}]\n"
		 "auth: {required: true, leeway: 60s, grace: 1h, providers: [%s]}\n"
		 "teams: [{name: eng, groups: [eng]}, {name: ops, groups: [ops]}]\n",
		 providers);
	if (conf_load_text(scratch_path("sparkgw.yaml"), str_from(text), &conf, &errors) != 0)
		conf_error_text(conf, errors, words, sizeof words);
	cr_assert_str_empty(words);
	keyring = keyring_new(conf);
	verify = verify_new(&(struct verify_setup){.conf = conf, .keyring = keyring});
}

static void
open_rig(void)
{
	scratch_make();
	rig_open();
}

static void
close_rig(void)
{
	verify_free(&verify);
	keyring_free(&keyring);
	conf_free(&conf);
	rig_close();
	scratch_drop();
}

TestSuite(verify, .init = open_rig, .fini = close_rig, .timeout = 60);

static int
check_at(struct str token, uint64_t now_ms, struct verify_result *ret)
{
	uint8_t digest[VERDICTS_DIGEST];

	SHA256((const unsigned char *)token.p, token.n, digest);
	return verify_token(verify, NULL, token, digest, now_ms, ret);
}

static int
check(const char *claims, struct verify_result *ret)
{
	return check_at(rig_sign(RIG_RSA, JWT_RS256, KEY_ID, claims), NOW_MS, ret);
}

/* "user/name/team/envs.../groups..." of an identity, "-" where there is none. */
static const char *
text_of(const struct verify_result *r)
{
	static char text[1024];
	int n = snprintf(text, sizeof text, "%.*s/%.*s/%.*s", STR_ARG(r->who->user),
			 STR_ARG(r->who->name), STR_ARG(r->who->team));

	for (unsigned i = 0; i < r->who->envs_count; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "/%.*s", STR_ARG(r->who->envs[i]));
	for (unsigned i = 0; i < r->who->groups_count; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, "/%.*s",
			      STR_ARG(r->who->groups[i]));
	return text;
}

static void
expect(const char *claims, const char *wanted)
{
	struct verify_result r;

	if (check(claims, &r) == 0) {
		cr_expect_str_eq(text_of(&r), wanted, "%s: %s", claims, text_of(&r));
		identity_unref(&r.who);
	} else {
		cr_expect_not_null(strstr(r.why, wanted), "%s: %s", claims, r.why);
	}
}

#define OKTA                                                                                   \
	"{name: okta, type: oidc, issuer: \"https://idp\", audience: [gw, other], jwks_file: " \
	"jwks.json"

Test(verify, claims_of_a_good_token)
{
	load(OKTA "}");
	expect("{" GOOD ",\"sub\":\"alice\",\"groups\":[\"eng\",\"all\"],\"name\":\"Alice A\"}",
	       "alice/Alice A//eng/all");
	expect("{" GOOD ",\"sub\":\"alice\",\"groups\":\"eng\"}", "alice///eng");
	expect("{" GOOD ",\"sub\":\"alice\",\"name\":\"tab\\there\"}", "alice//");
	expect("{" GOOD ",\"sub\":\"alice\",\"groups\":[1,2]}", "alice//");
	expect("{" GOOD "}", "claim of the user");
	expect("{" GOOD ",\"sub\":\"\"}", "is no text");
	expect("{" GOOD ",\"sub\":\"a\\nb\"}", "is no text");
}

Test(verify, claims_by_other_names)
{
	load(OKTA ", claims: {user: email, groups: realm.roles, name: preferred}}");
	expect("{" GOOD ",\"sub\":\"x\",\"email\":\"a@b\",\"realm\":{\"roles\":[\"eng\"]},"
	       "\"preferred\":\"A\"}",
	       "a@b/A//eng");
}

Test(verify, refusals)
{
	load(OKTA "}");
	expect("{\"iss\":\"https://evil\",\"aud\":\"gw\",\"exp\":1700003600,\"sub\":\"a\"}",
	       "vouches for the token's issuer");
	expect("{\"iss\":\"https://idp\",\"aud\":\"elsewhere\",\"exp\":1700003600,\"sub\":\"a\"}",
	       "another audience");
	expect("{\"iss\":\"https://idp\",\"exp\":1700003600,\"sub\":\"a\"}", "another audience");
	expect("{" GOOD ",\"sub\":\"a\",\"nbf\":1700000100}", "");
}

Test(verify, keys)
{
	struct verify_result r;
	const char *claims = "{" GOOD ",\"sub\":\"a\"}";

	load(OKTA "}");
	cr_expect_eq(check_at(rig_sign(RIG_P256, JWT_ES256, KEY_ID, claims), NOW_MS, &r), E_DENIED);
	cr_expect_str_eq(r.why, "the token's algorithm is not that of its key");
	cr_expect_eq(check_at(rig_sign(RIG_RSA, JWT_RS256, "k2", claims), NOW_MS, &r), E_AGAIN);
	cr_expect_eq(r.provider, 0);
	cr_expect_eq(r.issued_ms, 1700000000000ull);
	struct str token = rig_sign(RIG_RSA, JWT_RS256, KEY_ID, claims);
	char *forged = arena_copy(rig_arena, token.p, token.n);
	forged[token.n - 30] = forged[token.n - 30] == 'A' ? 'B' : 'A';
	cr_expect_eq(check_at((struct str){forged, token.n}, NOW_MS, &r), E_DENIED);
	cr_expect_str_eq(r.why, "the token's signature is wrong");
}

Test(verify, expiry_and_grace)
{
	struct str token;
	struct verify_result r;

	load(OKTA "}");
	token = rig_sign(RIG_RSA, JWT_RS256, KEY_ID, "{" GOOD ",\"sub\":\"a\"}");
	const uint64_t exp_ms = 1700003600000ull, leeway_ms = 60000, hour_ms = 3600000;
	cr_assert_eq(check_at(token, exp_ms + leeway_ms - 1000, &r), 0);
	cr_expect_not(r.who->expired);
	cr_expect_eq(r.who->expires_ms, exp_ms + leeway_ms);
	identity_unref(&r.who);
	cr_assert_eq(check_at(token, exp_ms + leeway_ms, &r), 0);
	cr_expect(r.who->expired);
	identity_unref(&r.who);
	cr_assert_eq(check_at(token, exp_ms + leeway_ms + hour_ms - 1, &r), 0);
	cr_expect(r.who->expired);
	identity_unref(&r.who);
	cr_expect_eq(check_at(token, exp_ms + leeway_ms + hour_ms, &r), E_DENIED);
	cr_expect_str_eq(r.why, "token expired");
}

Test(verify, subjects)
{
	load(OKTA
	     ", subjects: ["
	     "{match: \"system:serviceaccount:ml-*:train\", user: trainer, team: eng, envs: [dev]},"
	     "{match: \"repo:example/etl:*\", team: ops}]}");
	expect("{" GOOD ",\"sub\":\"system:serviceaccount:ml-blue:train\"}", "trainer//eng/dev");
	expect("{" GOOD ",\"sub\":\"repo:example/etl:ref:refs/heads/main\"}",
	       "repo:example/etl:ref:refs/heads/main//ops");
	expect("{" GOOD ",\"sub\":\"system:serviceaccount:ml-blue:other\"}", "not admitted");
	expect("{" GOOD ",\"sub\":\"repo:example/etl-evil:x\"}", "not admitted");
	expect("{" GOOD ",\"sub\":\"xrepo:example/etl:x\"}", "not admitted");
}

Test(verify, what_is_no_signed_token)
{
	struct verify_result r;

	load(OKTA "}");
	cr_expect_eq(check_at(STR("opaque"), NOW_MS, &r), E_DENIED);
	cr_expect_str_eq(r.why, "unknown token");
	cr_expect_eq(check_at(STR("a.b"), NOW_MS, &r), E_DENIED);
	cr_expect_eq(check_at(STR("sgw_notreally"), NOW_MS, &r), E_DENIED);
	cr_expect_str_eq(r.why, "unknown token");
}

Test(verify, personal_tokens_are_checked_before_they_are_looked_up)
{
	struct verify_result r;

	load("{name: pat, type: pat}");
	cr_expect_eq(check_at(STR("sgw_0123456789"), NOW_MS, &r), E_DENIED);
	cr_expect_not_null(strstr(r.why, "malformed personal token"));
}

Test(verify, certificates)
{
	struct str names[] = {STR("spiffe://x/other"), STR("spiffe://x/etl")};
	struct io_peer peer = {.names = names, .names_count = 2, .expires_ms = 77};
	struct verify_result r;
	enum cert_kind kind;

	load("{name: mtls, type: certificate, subjects: [{match: \"spiffe://x/etl\", user: etl, "
	     "team: ops}]}");
	cr_expect(verify_wants_certificate(verify, &kind));
	cr_expect_eq(kind, CERT_URI);
	cr_assert_eq(verify_certificate(verify, &peer, &r), 0);
	cr_expect_str_eq(text_of(&r), "etl//ops");
	cr_expect_eq(r.who->expires_ms, 77);
	identity_unref(&r.who);
	peer.names_count = 1;
	cr_expect_eq(verify_certificate(verify, &peer, &r), E_DENIED);
	peer.names_count = 0;
	cr_expect_eq(verify_certificate(verify, &peer, &r), E_DENIED);
}
