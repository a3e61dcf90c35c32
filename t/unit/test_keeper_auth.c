/* The keeper as a process: keys of providers, roll-out, private key files. */
#include <sys/stat.h>
#include "t/unit/keeper_auth_rig.h"

TestSuite(keeper_auth, .init = rig_make_auth, .fini = rig_drop_auth, .timeout = 90);

/* ---- keys ---- */

Test(keeper_auth, keys_become_current_together)
{
	uint64_t before;

	rig_start();
	before = rig_generation(SEGMENT_KEYS);
	for (unsigned i = 0; i < 3; i++)
		cr_expect_eq(rig_put_key("okta", 1, i), 0);
	cr_expect_eq(rig_generation(SEGMENT_KEYS), before);
	cr_expect_eq(rig_current_set("okta", 0), 0u);
	cr_expect_eq(rig_complete("okta", 1, 4), E_STATE);
	cr_expect_eq(rig_generation(SEGMENT_KEYS), before);
	cr_expect_eq(rig_complete("okta", 1, 3), 0);
	cr_expect_gt(rig_generation(SEGMENT_KEYS), before);
	cr_expect_eq(rig_current_set("okta", 3), 1u);
	before = rig_generation(SEGMENT_KEYS);
	cr_expect_eq(rig_complete("okta", 1, 3), 0, "asked again");
	cr_expect_eq(rig_generation(SEGMENT_KEYS), before);
	rig_stop();
}

Test(keeper_auth, killed_between_the_keys_of_a_set_it_keeps_the_old_one)
{
	struct keeper_public_key m = rig_key_message("okta", 3, 0);
	_Alignas(16) char buf[MSG_MAX];

	rig_start();
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(rig_put_key("okta", 1, i), 0);
	cr_expect_eq(rig_complete("okta", 1, 2), 0);
	for (unsigned i = 0; i < 2; i++)
		cr_expect_eq(rig_put_key("okta", 2, i), 0);
	rig_kill();
	cr_expect_eq(rig_current_set("okta", 2), 1u);
	rig_start();
	cr_expect_eq(rig_current_set("okta", 2), 1u);
	cr_expect_eq(rig_complete("okta", 2, 3), E_STATE, "the third was never said");
	cr_expect_eq(rig_current_set("okta", 2), 1u);
	cr_expect_eq(rig_put_key("okta", 2, 2), 0);
	cr_expect_eq(rig_complete("okta", 2, 3), 0, "what was answered stayed");
	cr_expect_eq(rig_current_set("okta", 3), 2u);
	kill(rig.pid, SIGSTOP);
	cr_assert_eq(msg_send(rig.controller, &m.head), 0);
	rig_kill();
	rig_start();
	cr_expect_eq(rig_recv(rig.controller, buf)->id, m.head.id, "its successor answers");
	cr_expect_eq(rig_complete("okta", 3, 1), 0);
	cr_expect_eq(rig_current_set("okta", 1), 3u);
	rig_stop();
}

/* ---- settings ---- */

Test(keeper_auth, the_roll_out_outlives_the_keeper)
{
	uint64_t before;

	rig_start();
	cr_expect_eq(rig_rollout(), SETTINGS_UNSET);
	before = rig_generation(SEGMENT_SETTINGS);
	cr_expect_eq(rig_set_rollout(37), 0);
	cr_expect_gt(rig_generation(SEGMENT_SETTINGS), before);
	cr_expect_eq(rig_rollout(), 37);
	rig_kill();
	rig_start();
	cr_expect_eq(rig_rollout(), 37);
	cr_expect_eq(rig_set_rollout(0), 0);
	cr_expect_eq(rig_rollout(), 0);
	cr_expect_eq(rig_set_rollout(SETTINGS_UNSET), 0);
	cr_expect_eq(rig_rollout(), SETTINGS_UNSET);
	rig_stop();
}

/* ---- private keys ---- */

static mode_t
folder_mode(void)
{
	struct stat st;

	cr_assert_eq(stat(scratch_path("keys"), &st), 0);
	return st.st_mode & 07777;
}

Test(keeper_auth, a_private_key_is_a_closed_file)
{
	static char big[KEEPER_SECRET_MAX + 1];

	umask(0);
	rig_start();
	cr_expect_eq(rig_write_secret("service-2026.pem", "private"), 0);
	cr_expect_eq(folder_mode(), 0700u);
	cr_expect_str_eq(rig_read_secret("service-2026.pem"), "private");
	cr_assert_eq(chmod(scratch_path("keys"), 0777), 0);
	cr_assert_eq(chmod(scratch_path("keys/service-2026.pem"), 0666), 0);
	memset(big, 'k', KEEPER_SECRET_MAX);
	cr_expect_eq(rig_write_secret("service-2026.pem", big), 0, "replaced");
	cr_expect_eq(folder_mode(), 0700u, "closed again");
	cr_expect_str_eq(rig_read_secret("service-2026.pem"), big);
	cr_expect_eq(rig_write_secret("b", "2"), 0);
	cr_expect_eq(rig_files_in_folder(), 2u, "no temporary one stays");
	cr_expect_eq(rig_write_secret("b", ""), 0, "removed");
	cr_expect_eq(rig_write_secret("b", ""), 0, "and it is gone");
	cr_expect_eq(rig_files_in_folder(), 1u);
	rig_stop();
}

Test(keeper_auth, names_lead_out_of_no_folder)
{
	static const char *const names[] = {"",	      ".", "..",  ".a",	 "../a", "a/b",
					    "/tmp/a", "A", "a b", "a\n", "a_b",	 "\xc3\xa4"};

	rig_start();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct keeper_secret m = rig_secret_message(names[i], "x");

		cr_assert_eq(msg_send(rig.controller, &m.head), 0);
	}
	cr_expect_eq(rig_write_secret("good", "x"), 0, "the first one that is answered");
	cr_expect_eq(rig_files_in_folder(), 1u);
	rig_stop();
}

Test(keeper_auth, a_folder_that_is_not_ours_is_not_used)
{
	rig_start();
	cr_assert_eq(mkdir(scratch_path("elsewhere"), 0700), 0);
	cr_assert_eq(symlink("elsewhere", scratch_path("keys")), 0);
	cr_expect_eq(rig_write_secret("a", "x"), E_DENIED);
	cr_assert_eq(unlink(scratch_path("keys")), 0);
	cr_assert_eq(rename(scratch_path("elsewhere"), scratch_path("keys")), 0);
	cr_assert_eq(symlink("../victim", scratch_path("keys/a")), 0);
	cr_expect_eq(rig_write_secret("a", "x"), 0);
	cr_expect_str_eq(rig_read_secret("a"), "x", "a file of its own");
	cr_expect_neq(access(scratch_path("victim"), F_OK), 0);
	if (geteuid() == 0) {
		cr_assert_eq(chown(scratch_path("keys"), 65534, 65534), 0);
		cr_expect_eq(rig_write_secret("b", "x"), E_DENIED, "another user's");
	}
	rig_stop();
}
