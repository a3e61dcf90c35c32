/*
 * What the first Config call of a session says about routing: the pairs in the message's bytes.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "proto/wire.h"
#include "t/unit/world.h"

TestSuite(config_pairs, .init = world_build, .fini = world_drop);

struct message {
	uint8_t bytes[1024];
	size_t n;
};

static void
put(struct message *m, uint32_t field, struct str bytes)
{
	uint8_t *end = wire_put_len(m->bytes + m->n, m->bytes + sizeof m->bytes, field, bytes);

	cr_assert(end != NULL);
	m->n = (size_t)(end - m->bytes);
}

static struct str
text(const struct message *m)
{
	return (struct str){(const char *)m->bytes, m->n};
}

/* ConfigRequest as spark.conf.set() sends it; `in`: the field of the operation (1 is Set). */
static struct message
config_request(uint32_t in, const char *const (*pairs)[2], size_t count)
{
	struct message set = {.n = 0}, operation = {.n = 0}, request = {.n = 0};

	for (size_t i = 0; i < count; i++) {
		struct message pair = {.n = 0};

		put(&pair, 1, str_from(pairs[i][0]));
		if (pairs[i][1] != NULL)
			put(&pair, 2, str_from(pairs[i][1]));
		put(&set, 1, text(&pair));
	}
	put(&operation, in, text(&set));
	put(&request, 1, STR("8b4cd4a2-ec10-4a3a-b5a6-5b7ba6fa5d2e"));
	put(&request, 2, STR("\n\002u1"));
	put(&request, 3, text(&operation));
	put(&request, 4, STR("_SPARK_CONNECT_PYTHON"));
	return request;
}

#define PREFIX "spark.connect.grpc.header."

struct pairs_row {
	const char *about;
	const char *const pairs[4][2];
	const char *team, *env;
};

static const struct pairs_row pairs_table[] = {
	{"both", {{PREFIX "x-team", "fe"}, {PREFIX "x-env", "dev"}}, "fe", "dev"},
	{"none", {{"spark.sql.shuffle.partitions", "10"}}, NULL, NULL},
	{"another header", {{PREFIX "x-other", "fe"}}, NULL, NULL},
	{"prefix only", {{PREFIX, "fe"}}, NULL, NULL},
	{"not the prefix", {{"x-team", "fe"}, {"spark.connect.x-team", "fe"}}, NULL, NULL},
	{"case of a header name", {{PREFIX "X-Team", "fe"}}, "fe", NULL},
	{"second name", {{PREFIX "x-group", "fe"}}, "fe", NULL},
	{"first name before second",
	 {{PREFIX "x-team", "fe"}, {PREFIX "x-group", "ml"}},
	 "fe",
	 NULL},
	{"first name before second, whatever the order",
	 {{PREFIX "x-group", "ml"}, {PREFIX "x-team", "fe"}},
	 "fe",
	 NULL},
	{"set twice: the last one stands",
	 {{PREFIX "x-team", "ml"}, {PREFIX "x-team", "fe"}},
	 "fe",
	 NULL},
	{"key without a value", {{PREFIX "x-team", NULL}}, NULL, NULL},
	{"among others",
	 {{"spark.app.name", "a"}, {PREFIX "x-environment", "qa"}, {"spark.x", "y"}},
	 NULL,
	 "qa"},
};

Test(config_pairs, found)
{
	for (size_t i = 0; i < WORLD_COUNT(pairs_table); i++) {
		const struct pairs_row *r = &pairs_table[i];
		struct router_wish w = {0};
		size_t count = 0;

		while (count < 4 && r->pairs[count][0] != NULL)
			count++;
		struct message m = config_request(1, r->pairs, count);
		router_config_pairs(&world.conf, text(&m), &w);
		cr_expect(str_eq(w.config_team, str_from(r->team)), "%s: team %.*s", r->about,
			  STR_ARG(w.config_team));
		cr_expect(str_eq(w.config_env, str_from(r->env)), "%s: env %.*s", r->about,
			  STR_ARG(w.config_env));
	}
}

Test(config_pairs, other_operations)
{
	static const char *const pairs[][2] = {{PREFIX "x-team", "fe"}};

	for (uint32_t in = 2; in <= 7; in++) { /* Get, GetWithDefault … IsModifiable */
		struct message m = config_request(in, pairs, 1);
		struct router_wish w = {0};

		router_config_pairs(&world.conf, text(&m), &w);
		cr_expect_null(w.config_team.p, "operation %u", in);
	}
}

/* Cut anywhere: no more than less is found, and nothing outside the bytes is touched. */
Test(config_pairs, cut_short)
{
	static const char *const pairs[][2] = {{PREFIX "x-team", "fe"}, {PREFIX "x-env", "dev"}};
	struct message m = config_request(1, pairs, 2);

	for (size_t n = 0; n < m.n; n++) {
		uint8_t *copy = malloc(n + (n == 0));
		struct router_wish w = {0};

		memcpy(copy, m.bytes, n);
		router_config_pairs(&world.conf, (struct str){(const char *)copy, n}, &w);
		cr_expect(w.config_team.n == 0 || str_eq(w.config_team, STR("fe")), "at %zu", n);
		free(copy);
	}
	struct router_wish w = {0};
	router_config_pairs(&world.conf, STR_NONE, &w);
	cr_expect_null(w.config_team.p);
}
