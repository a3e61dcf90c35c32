/* The keeper as a process: a full disk, and messages about authentication that are misshapen. */
#include "t/unit/keeper_auth_rig.h"

TestSuite(keeper_trouble, .init = rig_make_auth, .fini = rig_drop_auth, .timeout = 90);

Test(keeper_trouble, on_a_full_disk_nothing_is_half_done)
{
	unsigned n = 0;
	uint64_t before;
	struct token t;
	int fd;

	rig_small_disk();
	rig_start();
	cr_expect_eq(rig_make_token(1, "first").result, 0);
	cr_expect_eq(rig_write_secret("key", "old"), 0);
	fd = rig_fill_disk();
	for (unsigned i = 10; i < 2000 && rig_put_key("big", 1, i % KEYS_MAX) == 0; i++)
		cr_assert(rig_bind(0, i, "u", 2).result == 0 || i > 10);
	cr_expect(rig_wait_for_ok(0));
	before = rig_generation(SEGMENT_TOKENS);
	cr_expect_eq(rig_make_token(2, "second").result, E_FULL);
	cr_expect_eq(rig_revoke_token("first").result, E_FULL);
	cr_expect_eq(rig_set_rollout(10), E_FULL);
	cr_expect_eq(rig_put_key("okta", 1, 0), E_FULL);
	cr_expect_eq(rig_write_secret("key", "new"), E_FULL);
	cr_expect_str_eq(rig_read_secret("key"), "old");
	cr_expect_eq(rig_files_in_folder(), 1u);
	cr_expect_str_eq(rig_told(0, &n), "", "what is not on the disk is told to nobody");
	cr_expect_eq(rig_generation(SEGMENT_TOKENS), before);
	cr_assert_eq(rig_look_token(1, &t), 0, "reading goes on");
	cr_expect_eq(t.revoked_ms, 0u);
	cr_assert_eq(ftruncate(fd, 0), 0);
	close(fd);
	cr_expect(rig_wait_for_ok(1));
	cr_expect_eq(rig_revoke_token("first").result, 0);
	cr_expect_str_eq(rig_told(0, &n), "first");
	cr_expect_eq(rig_write_secret("key", "new"), 0);
	cr_expect_str_eq(rig_read_secret("key"), "new");
	rig_stop();
	umount2(scratch, MNT_DETACH);
}

/* To the keeper as it is, shorter, and longer by four bytes: all dropped. */
static void
send_misshapen(int fd, const struct msg_head *head)
{
	_Alignas(16) char buf[MSG_MAX] = {0};
	struct msg_head *copy = (void *)buf;

	memcpy(buf, head, head->size);
	copy->size = (uint16_t)(head->size - 4);
	cr_assert_eq(msg_send(fd, copy), 0);
	copy->size = (uint16_t)(head->size + 4);
	cr_assert_eq(msg_send(fd, copy), 0);
}

Test(keeper_trouble, messages_of_another_size_or_of_the_wrong_side_are_dropped)
{
	struct keeper_token token = rig_token_message(1, "a");
	struct keeper_token_revoke revoke = rig_revoke_message("first");
	struct keeper_token_used used = {.head = {KEEPER_TOKEN_USED, sizeof(used), 0}};
	struct keeper_public_key key = rig_key_message("okta", 1, 0);
	struct keeper_keys keys = {.head = {KEEPER_KEYS, sizeof(keys), 1}, .provider = "okta"};
	struct keeper_rollout rolled = {.head = {KEEPER_ROLLOUT, sizeof(rolled), 1}};
	struct keeper_secret secret = rig_secret_message("a", "x");
	const struct msg_head *all[] = {&token.head, &revoke.head, &key.head,
					&keys.head,  &rolled.head, &secret.head};

	rig_start();
	cr_expect_eq(rig_make_token(7, "first").result, 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		send_misshapen(rig.controller, all[i]);
		cr_assert_eq(msg_send(rig.workers[0], all[i]), 0); /* not a worker's business */
	}
	send_misshapen(rig.workers[0], &used.head);
	cr_assert_eq(msg_send(rig.controller, &used.head), 0); /* not the controller's */
	rig_settle();
	cr_expect_eq(rig_make_token(2, "good").result, 0, "the first one that is answered");
	cr_expect_eq(rig_rollout(), SETTINGS_UNSET);
	cr_expect_eq(rig_current_set("okta", 0), 0u);
	cr_expect_str_eq(rig_read_secret("a"), "");
	rig_stop();
}

Test(keeper_trouble, messages_that_say_nonsense_are_dropped)
{
	struct keeper_token token[12];
	struct keeper_token_revoke revoke = rig_revoke_message("A");
	struct keeper_public_key key[4];
	struct keeper_keys keys[2];
	struct keeper_rollout rolled[2];
	struct keeper_secret secret = rig_secret_message("a", "x");
	struct token t;

	for (size_t i = 0; i < 12; i++)
		token[i] = rig_token_message(1, "a");
	token[0].type = 0;
	token[1].envs_count = TOKEN_ENVS_MAX + 1;
	token[2].expires_ms = TOKEN_TIME_MAX + 1;
	token[3].id[0] = '\0';
	token[4].user[0] = '\0';
	memset(token[5].user, 'u', SESSION_USER_MAX + 1);
	memset(token[6].note, 'n', sizeof(token[6].note)); /* does not end */
	token[7].name[0] = '\xff';
	token[8].envs[1][0] = '\0';
	memset(token[9].envs[1], 'e', sizeof(token[9].envs[1]));
	memset(token[10].id, 'i', sizeof(token[10].id));
	token[11].team[0] = '\xc0';
	for (size_t i = 0; i < 4; i++)
		key[i] = rig_key_message("okta", 1, 0);
	key[0].index = KEYS_MAX;
	key[1].kid_len = KEYS_KID_MAX + 1;
	key[2].der_len = 0;
	key[3].provider[0] = '\0';
	keys[0] = (struct keeper_keys){.head = {KEEPER_KEYS, sizeof(keys[0]), 1}};
	keys[1] = keys[0];
	keys[1].provider[0] = 'p';
	keys[1].count = KEYS_MAX + 1;
	rolled[0] = (struct keeper_rollout){{KEEPER_ROLLOUT, sizeof(rolled[0]), 1}, 101};
	rolled[1] = (struct keeper_rollout){{KEEPER_ROLLOUT, sizeof(rolled[0]), 1}, -2};
	secret.len = KEEPER_SECRET_MAX + 1;
	rig_start();
	for (size_t i = 0; i < 12; i++)
		cr_assert_eq(msg_send(rig.controller, &token[i].head), 0);
	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(msg_send(rig.controller, &key[i].head), 0);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(msg_send(rig.controller, &keys[i].head), 0);
		cr_assert_eq(msg_send(rig.controller, &rolled[i].head), 0);
	}
	cr_assert_eq(msg_send(rig.controller, &revoke.head), 0);
	cr_assert_eq(msg_send(rig.controller, &secret.head), 0);
	cr_expect_eq(rig_make_token(2, "good").result, 0, "the first one that is answered");
	cr_expect_eq(rig_look_token(1, &t), E_NOT_FOUND);
	rig_stop();
}
