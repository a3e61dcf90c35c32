#include <criterion/criterion.h>
#include "workers/misgivings.h"

static const struct router_wish team = {.config_team = {"ops", 3}},
				env = {.config_env = {"prod", 4}},
				both = {.config_team = {"eng", 3}, .config_env = {"prod", 4}};

static struct session_key
key_of(uint8_t id, const char *user)
{
	return (struct session_key){.id = {id}, .user = str_from(user)};
}

TestSuite(misgivings, .timeout = 20);

Test(misgivings, are_of_one_session_of_one_user)
{
	struct misgivings *m = misgivings_new();
	const struct router_refusal no = {.code = GRPC_PERMISSION_DENIED,
					  .words = "not a member of team \"ops\""};
	struct session_key alice = key_of(1, "alice"), other = key_of(2, "alice"),
			   bob = key_of(1, "bob");
	struct router_refusal found;

	cr_expect_not(misgivings_find(m, &alice, &found));
	misgivings_put(m, &alice, &team, &no);
	cr_assert(misgivings_find(m, &alice, &found));
	cr_expect_eq(found.code, GRPC_PERMISSION_DENIED);
	cr_expect_str_eq(found.words, no.words);
	cr_expect_not(misgivings_find(m, &other, &found));
	cr_expect_not(misgivings_find(m, &bob, &found));
	misgivings_drop(m, &bob, &team);
	misgivings_drop(m, &alice, &env);
	cr_expect(misgivings_find(m, &alice, &found));
	misgivings_drop(m, &alice, &both);
	cr_expect_not(misgivings_find(m, &alice, &found));
	misgivings_free(&m);
}

Test(misgivings, take_no_more_room_for_many)
{
	struct misgivings *m = misgivings_new();
	const struct router_refusal no = {.code = GRPC_INVALID_ARGUMENT, .words = "no"};
	struct router_refusal found;
	unsigned kept = 0;
	char user[16];

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(user, sizeof user, "user%u", i);
		struct session_key key = key_of(1, user);
		misgivings_put(m, &key, &team, &no);
		cr_expect(misgivings_find(m, &key, &found), "the last one stands");
	}
	for (unsigned i = 0; i < 5000; i++) {
		snprintf(user, sizeof user, "user%u", i);
		struct session_key key = key_of(1, user);
		kept += misgivings_find(m, &key, &found);
		misgivings_drop(m, &key, &both);
	}
	cr_expect(kept > 100 && kept <= 256, "%u", kept);
	misgivings_free(&m);
}
