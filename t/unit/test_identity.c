/*
 * Identities: copies that need nothing of what they were made from.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "policy/identity.h"

static void
expect_same(const struct identity *a, const struct identity *b)
{
	cr_expect(str_eq(a->user, b->user) && str_eq(a->name, b->name) && str_eq(a->team, b->team));
	cr_expect(str_eq(a->provider, b->provider) && str_eq(a->token_id, b->token_id));
	cr_expect_eq(a->groups_count, b->groups_count);
	cr_expect_eq(a->envs_count, b->envs_count);
	for (unsigned i = 0; i < a->groups_count; i++)
		cr_expect(str_eq(a->groups[i], b->groups[i]), "group %u", i);
	for (unsigned i = 0; i < a->envs_count; i++)
		cr_expect(str_eq(a->envs[i], b->envs[i]), "env %u", i);
	cr_expect_eq(a->verified, b->verified);
	cr_expect_eq(a->expired, b->expired);
	cr_expect_eq(a->expires_ms, b->expires_ms);
}

Test(identity, copies_everything)
{
	char bytes[] = "ann Ann A. fe okta id-1 group-a group-b dev";
	struct str groups[] = {{bytes + 24, 7}, {bytes + 32, 7}, STR("")};
	struct str envs[] = {{bytes + 40, 3}};
	struct identity from = {.refs = 77,
				.verified = true,
				.expired = true,
				.user = {bytes, 3},
				.name = {bytes + 4, 6},
				.groups = groups,
				.groups_count = 3,
				.team = {bytes + 11, 2},
				.envs = envs,
				.envs_count = 1,
				.provider = {bytes + 14, 4},
				.token_id = {bytes + 19, 4},
				.expires_ms = 1234567890123};
	struct identity *first = identity_new(&from), *second;

	cr_assert_not_null(first);
	cr_expect_eq(first->refs, 1);
	expect_same(first, &from);
	second = identity_new(first);
	memset(bytes, 'x', sizeof bytes);
	memset(groups, 0, sizeof groups);
	expect_same(first, second);
	cr_expect(str_eq(first->groups[1], STR("group-b")));
	cr_expect(str_eq(first->envs[0], STR("dev")));
	identity_unref(&first);
	identity_unref(&second);
}

/* Absent and empty are not the same: an empty scope fits no team. */
Test(identity, absent_stays_absent)
{
	struct identity from = {.team = STR("")};
	struct identity *w = identity_new(&from);

	cr_assert_not_null(w);
	cr_expect_not_null(w->team.p);
	cr_expect_null(w->user.p);
	cr_expect_null(w->provider.p);
	identity_unref(&w);
}

Test(identity, lives_as_long_as_somebody_holds_it)
{
	struct identity from = {.user = STR("ann")};
	struct identity *w = identity_new(&from), *mine = identity_ref(w);

	cr_expect_eq(mine->refs, 2);
	identity_unref(&w);
	cr_expect_null(w);
	cr_expect(str_eq(mine->user, STR("ann")));
	identity_unref(&mine);
	identity_unref(&mine); /* nobody's */
}
