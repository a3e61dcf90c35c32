/*
 * Tokens that the gateway gives out: what may be wished (controller/token_wish), the key pairs
 * (controller/pair), the signed text (controller/issue) as the data path reads it, and when keys
 * are fetched again (controller/backoff).
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "controller/backoff.h"
#include "controller/issue.h"
#include "controller/pair.h"
#include "controller/token_wish.h"
#include "proto/jwks.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

/* ---- backoff ---- */

Test(backoff, doubles_up_to_five_minutes)
{
	static const struct {
		unsigned failures;
		uint64_t ms;
	} cases[] = {{1, 5000},	  {2, 10000},  {3, 20000},  {4, 40000},	      {5, 80000},
		     {6, 160000}, {7, 300000}, {8, 300000}, {1000000, 300000}};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		cr_expect_eq(backoff_retry_ms(cases[i].failures, 0), cases[i].ms, "case %zu", i);
		for (uint64_t random = 1; random < 1000000; random += 7919) {
			uint64_t ms = backoff_retry_ms(cases[i].failures, random);

			cr_assert(ms <= cases[i].ms && ms > cases[i].ms * 3 / 4, "case %zu", i);
		}
	}
}

Test(backoff, refreshes_before_the_interval_ends)
{
	static const uint64_t intervals_ms[] = {60000, 3600000, 86400000};

	for (size_t i = 0; i < COUNT_OF(intervals_ms); i++)
		for (uint64_t random = 0; random < 100000000; random += 79193) {
			uint64_t all = intervals_ms[i], ms = backoff_refresh_ms(all, 0, random);

			cr_assert(ms >= all * 5 / 8 - 1 && ms <= all * 7 / 8);
			cr_assert_eq(backoff_refresh_ms(all, 1000, random), ms - 1000);
			cr_assert_eq(backoff_refresh_ms(all, all, random), 0);
			cr_assert_eq(backoff_refresh_ms(all, UINT64_MAX, random), 0);
		}
}

/* ---- pairs ---- */

static char path[64];

static void
write_file(const char *text, size_t n, mode_t mode)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/sparkgw-pair-XXXXXX");
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cr_assert_eq(write(fd, text, n), (ssize_t)n);
	cr_assert_eq(fchmod(fd, mode), 0);
	close(fd);
}

Test(pair, is_read_as_it_was_made)
{
	struct pair made, other, read;

	cr_assert_eq(pair_make(&made), 0);
	cr_assert_eq(pair_make(&other), 0);
	cr_expect_eq(strlen(made.kid), PAIR_KID - 1);
	cr_expect_eq(strspn(made.kid, "0123456789abcdef"), PAIR_KID - 1);
	cr_expect_str_neq(made.kid, other.kid);
	write_file(made.pem, made.pem_len, 0600);
	cr_assert_eq(pair_read(path, &read), 0);
	cr_expect_str_eq(read.kid, made.kid);
	cr_expect_eq(read.der_len, made.der_len);
	cr_expect_eq(memcmp(read.der, made.der, made.der_len), 0);
	unlink(path);
	cr_expect_eq(pair_read(path, &read), E_IO);
}

#define ED_PEM                                                                   \
	"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsL" \
	"MREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n" /* Ed25519 of RFC 8410 */

Test(pair, refuses_what_is_no_key_of_ours)
{
	struct pair p, good;

	write_file("nothing", 7, 0600);
	cr_expect_eq(pair_read(path, &p), E_SYNTAX);
	unlink(path);
	write_file("", 0, 0600);
	cr_expect_eq(pair_read(path, &p), E_SYNTAX);
	unlink(path);
	write_file(ED_PEM, sizeof(ED_PEM) - 1, 0600);
	cr_expect_eq(pair_read(path, &p), E_SYNTAX);
	unlink(path);
	cr_assert_eq(pair_make(&good), 0);
	write_file(good.pem, good.pem_len, 0644);
	cr_expect_eq(pair_read(path, &p), E_DENIED);
	cr_expect_eq(p.pem_len, 0);
	unlink(path);
	cr_expect_eq(pair_read("/tmp", &p), E_DENIED);
}

/* ---- signed texts ---- */

static const struct str audience[] = {{"sparkgw", 7}, {"other", 5}};
static const struct str envs[] = {{"dev", 3}, {"prod", 4}};

static struct issue_claims
claims(void)
{
	return (struct issue_claims){
		.issuer = STR("https://sparkgw.example.com"),
		.subject = STR("nightly"),
		.team = STR("eng"),
		.audience = audience,
		.audience_count = 1,
		.envs = envs,
		.envs_count = 2,
		.id = "0123456789ab",
		.issued_s = 1000,
		.expires_s = 2000,
	};
}

static void
expect_texts(const struct jwt *jwt, struct str path_, struct arena *arena, const struct str *wanted,
	     unsigned count)
{
	const struct str *list = NULL;
	unsigned n = 0;

	cr_assert_eq(jwt_claim_texts(jwt, path_, arena, &list, &n), 0);
	cr_assert_eq(n, count);
	for (unsigned i = 0; i < n; i++)
		cr_expect(str_eq(list[i], wanted[i]));
}

Test(issue, passes_the_gate_and_verifies)
{
	struct arena *arena = arena_new(16384, 1 << 20);
	struct issue_claims c = claims();
	struct pair pair, other;
	struct jwks_key key = {0}, wrong = {0};
	struct str team = STR_NONE;
	struct jwt jwt = {0};
	const char *why = "";
	char *token = NULL;

	cr_assert_eq(pair_make(&pair), 0);
	cr_assert_eq(pair_make(&other), 0);
	cr_assert_eq(issue_service(&c, (struct str){pair.pem, pair.pem_len}, pair.kid, &token), 0);
	cr_assert_eq(jwt_read(str_from(token), arena, &jwt, &why), 0, "%s", why);
	cr_expect_eq(jwt.alg, JWT_ES256);
	cr_expect(str_eq(jwt.kid, str_from(pair.kid)));
	cr_expect(str_eq(jwt.issuer, c.issuer) && str_eq(jwt.subject, c.subject));
	cr_expect(str_eq(jwt.id, str_from(c.id)));
	cr_expect_eq(jwt.iat_s, 1000);
	cr_expect_eq(jwt.exp_s, 2000);
	cr_expect(jwt_has_audience(&jwt, audience, 1));
	cr_expect(!jwt_has_audience(&jwt, audience + 1, 1));
	cr_expect_eq(jwt_claim_text(&jwt, STR("team"), arena, &team), 0);
	cr_expect(str_eq(team, STR("eng")));
	expect_texts(&jwt, STR("envs"), arena, envs, 2);
	cr_assert_eq(jwks_key_from_der((struct str){(char *)pair.der, pair.der_len},
				       str_from(pair.kid), 1u << JWT_ES256, &key),
		     0);
	cr_assert_eq(jwks_key_from_der((struct str){(char *)other.der, other.der_len},
				       str_from(pair.kid), 1u << JWT_ES256, &wrong),
		     0);
	cr_expect_eq(jwks_verify(&key, &jwt), 0);
	cr_expect_eq(jwks_verify(&wrong, &jwt), E_DENIED);
	jwks_free(&key, 1);
	jwks_free(&wrong, 1);
	jwt_clear(&jwt);
	issue_wipe(&token);
	cr_expect_null(token);
	issue_wipe(&token);
	arena_free(&arena);
}

Test(issue, several_audiences_and_no_environments)
{
	struct arena *arena = arena_new(16384, 1 << 20);
	struct issue_claims c = claims();
	struct pair pair;
	struct jwt jwt = {0};
	const struct str *list;
	const char *why = "";
	char *token = NULL;
	unsigned n;

	c.audience_count = 2;
	c.envs_count = 0;
	cr_assert_eq(pair_make(&pair), 0);
	cr_assert_eq(issue_service(&c, (struct str){pair.pem, pair.pem_len}, pair.kid, &token), 0);
	cr_assert_eq(jwt_read(str_from(token), arena, &jwt, &why), 0, "%s", why);
	cr_expect(jwt_has_audience(&jwt, audience + 1, 1));
	cr_expect_eq(jwt_claim_texts(&jwt, STR("envs"), arena, &list, &n), E_NOT_FOUND);
	jwt_clear(&jwt);
	issue_wipe(&token);
	arena_free(&arena);
}

Test(issue, refuses_a_key_that_is_none)
{
	struct issue_claims c = claims();
	char *token = NULL;

	cr_expect_eq(issue_service(&c, STR("nothing"), "k", &token), E_SYNTAX);
	c.subject = (struct str){"\377", 1};
	cr_expect_eq(issue_service(&c, STR("nothing"), "k", &token), E_SYNTAX);
	cr_expect_null(token);
}

/* ---- wishes ---- */

static struct str open_envs[] = {{"dev", 3}, {"prod", 4}};
static struct conf_team teams[] = {
	{.name = {"eng", 3}, .envs = open_envs, .envs_count = 2},
	{.name = {"ops", 3}},
};

static int
parse(const char *text, const struct conf *conf, struct arena *arena, struct token_wish *ret,
      json_t **ret_body)
{
	const char *words = NULL;
	int err;

	*ret_body = json_loads(text, 0, NULL);
	cr_assert_not_null(*ret_body, "%s", text);
	err = token_wish_parse(*ret_body, conf, arena, ret, &words);
	cr_expect(err == 0 || words != NULL, "%s", text);
	return err;
}

Test(token_wish, takes_or_refuses)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{"{\"user\": \"ann\", \"team\": \"eng\"}", 0},
		{"{\"user\": \"J\\u00fcrgen M\", \"team\": \"eng\", \"envs\": []}", 0},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"envs\": [\"dev\", \"prod\"]}", 0},
		{"{\"user\": \"ann\", \"team\": \"ops\", \"envs\": [\"any\"]}", 0},
		{"{\"service\": \"nightly-1.x_y\", \"team\": \"eng\", \"ttl_ms\": 1000}", 0},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"ttl_ms\": 31622400000}", 0},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"note\": \"for x\"}", 0},
		{"{}", E_SYNTAX},
		{"{\"team\": \"eng\"}", E_SYNTAX},
		{"{\"user\": \"ann\"}", E_SYNTAX},
		{"{\"user\": \"ann\", \"service\": \"x\", \"team\": \"eng\"}", E_SYNTAX},
		{"{\"user\": \"\", \"team\": \"eng\"}", E_SYNTAX},
		{"{\"user\": 7, \"team\": \"eng\"}", E_SYNTAX},
		{"{\"user\": null, \"team\": \"eng\"}", E_SYNTAX},
		{"{\"user\": \"a\\nb\", \"team\": \"eng\"}", E_SYNTAX},
		{"{\"user\": \"service:x\", \"team\": \"eng\"}", E_SYNTAX},
		{"{\"service\": \"a b\", \"team\": \"eng\"}", E_SYNTAX},
		{"{\"service\": \"\", \"team\": \"eng\"}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"unknown\"}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": [\"eng\"]}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"envs\": \"dev\"}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"envs\": [\"test\"]}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"envs\": [7]}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"ops\", \"envs\": [\"a b\"]}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"env\": [\"dev\"]}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"ttl_ms\": 0}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"ttl_ms\": -1}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"ttl_ms\": 999}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"ttl_ms\": 31622400001}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"ttl_ms\": \"30d\"}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"ttl_ms\": 1.5e9}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"note\": \"\"}", E_SYNTAX},
		{"{\"user\": \"ann\", \"team\": \"eng\", \"note\": \"a\\u001bb\"}", E_SYNTAX},
	};
	const struct conf conf = {.teams = teams, .teams_count = COUNT_OF(teams)};
	struct arena *arena = arena_new(4096, 1 << 20);
	struct token_wish w;
	json_t *body;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		cr_expect_eq(parse(cases[i].text, &conf, arena, &w, &body), cases[i].err, "%s",
			     cases[i].text);
		json_decref(body);
	}
	arena_free(&arena);
}

Test(token_wish, says_what_was_wished)
{
	const struct conf conf = {.teams = teams, .teams_count = COUNT_OF(teams)};
	const struct conf without = {.teams_count = 0};
	struct arena *arena = arena_new(4096, 1 << 20);
	struct token_wish w;
	json_t *body;

	cr_assert_eq(parse("{\"service\": \"n\", \"team\": \"eng\", \"envs\": [\"dev\"],"
			   " \"note\": \"x\"}",
			   &conf, arena, &w, &body),
		     0);
	cr_expect_eq(w.type, TOKEN_SERVICE);
	cr_expect(str_eq(w.user, STR("service:n")) && str_eq(w.service, STR("n")));
	cr_expect(str_eq(w.team, STR("eng")) && str_eq(w.note, STR("x")));
	cr_expect(w.envs_count == 1 && str_eq(w.envs[0], STR("dev")));
	cr_expect_eq(w.ttl_ms, TOKEN_WISH_TTL_MS);
	json_decref(body);
	cr_assert_eq(parse("{\"user\": \"ann\", \"team\": \"any\"}", &without, arena, &w, &body),
		     0);
	cr_expect_eq(w.type, TOKEN_PERSONAL);
	cr_expect(str_eq(w.user, STR("ann")) && w.service.p == NULL);
	json_decref(body);
	arena_free(&arena);
}
