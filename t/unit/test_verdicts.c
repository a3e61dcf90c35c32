#include <criterion/criterion.h>
#include "workers/verdicts.h"

static struct identity *
person(const char *user, const char *token_id)
{
	return identity_new(&(struct identity){
		.verified = true, .user = str_from(user), .token_id = str_from(token_id)});
}

static void
put(struct verdicts *v, uint8_t first, uint8_t last, const char *user, const char *token_id)
{
	uint8_t digest[VERDICTS_DIGEST] = {[0] = first, [VERDICTS_DIGEST - 1] = last};
	struct identity *who = person(user, token_id);

	verdicts_put(v, digest, who);
	identity_unref(&who);
}

static const char *
get(struct verdicts *v, uint8_t first, uint8_t last)
{
	static char user[64];
	uint8_t digest[VERDICTS_DIGEST] = {[0] = first, [VERDICTS_DIGEST - 1] = last};
	struct identity *who = verdicts_find(v, digest);

	return who != NULL ? str_copy(user, sizeof user, who->user) : "";
}

TestSuite(verdicts, .timeout = 20);

Test(verdicts, finds_what_was_put_and_nothing_else)
{
	struct verdicts *v = verdicts_new();

	put(v, 1, 1, "alice", NULL);
	put(v, 1, 2, "bob", NULL);
	put(v, 1, 1, "carol", NULL);
	cr_expect_str_eq(get(v, 1, 1), "carol");
	cr_expect_str_eq(get(v, 1, 2), "bob");
	cr_expect_str_eq(get(v, 1, 3), "");
	cr_expect_str_eq(get(v, 2, 1), "");
	verdicts_free(&v);
	cr_expect_null(v);
}

Test(verdicts, newcomer_takes_the_place_of_the_least_used)
{
	struct verdicts *v = verdicts_new();
	const char *users[] = {"a", "b", "c", "d"};

	for (uint8_t i = 0; i < 4; i++)
		put(v, 7, i, users[i], NULL);
	for (uint8_t i = 0; i < 4; i++)
		if (i != 2)
			cr_expect_str_eq(get(v, 7, i), users[i]);
	put(v, 7, 9, "new", NULL);
	cr_expect_str_eq(get(v, 7, 2), "");
	cr_expect_str_eq(get(v, 7, 9), "new");
	verdicts_free(&v);
}

Test(verdicts, drops_by_digest_by_id_own_and_all)
{
	struct verdicts *v = verdicts_new();
	uint8_t first[VERDICTS_DIGEST] = {1};

	put(v, 1, 0, "a", NULL);
	put(v, 2, 0, "b", "id-b");
	put(v, 3, 0, "c", "id-c");
	put(v, 4, 0, "d", NULL);
	verdicts_drop(v, first);
	cr_expect_str_eq(get(v, 1, 0), "");
	verdicts_drop_id(v, STR("id-b"));
	cr_expect_str_eq(get(v, 2, 0), "");
	cr_expect_str_eq(get(v, 3, 0), "c");
	verdicts_drop_own(v);
	cr_expect_str_eq(get(v, 3, 0), "");
	cr_expect_str_eq(get(v, 4, 0), "d");
	verdicts_drop_all(v);
	cr_expect_str_eq(get(v, 4, 0), "");
	verdicts_free(&v);
}

Test(verdicts, identity_outlives_its_place)
{
	struct verdicts *v = verdicts_new();
	uint8_t digest[VERDICTS_DIGEST] = {9};

	put(v, 9, 0, "alice", "id");
	struct identity *who = identity_ref(verdicts_find(v, digest));
	verdicts_free(&v);
	cr_expect(str_eq(who->user, STR("alice")));
	identity_unref(&who);
}
