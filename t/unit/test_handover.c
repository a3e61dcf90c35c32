/* What a predecessor and a service manager hand over. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "daemon/handover.h"

Test(handover, reads_what_it_writes)
{
	struct handover h = {.generation = 7, .state_dir = strdup("/var/lib/with blanks")}, back;
	char number[16];
	int pair[2], lock = dup(0), sock = socket(AF_INET, SOCK_STREAM, 0), file;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	h.link_fd = pair[0];
	h.lock_fd = lock;
	cr_assert_eq(handover_add(&h, sock, true), E_OK);
	cr_assert_eq(handover_add(&h, pair[1], false), E_OK);
	file = handover_write(&h);
	cr_assert_geq(file, 0);
	snprintf(number, sizeof(number), "%d", file);
	setenv("SPARKGW_UPGRADE", number, 1);
	setenv("LISTEN_FDS", "1", 1);
	cr_assert_eq(handover_take(&back), E_OK);
	cr_expect_null(getenv("SPARKGW_UPGRADE"));
	cr_expect_null(getenv("LISTEN_FDS"));
	cr_expect_eq(back.link_fd, pair[0]);
	cr_expect_eq(back.lock_fd, lock);
	cr_expect_eq(back.generation, 7);
	cr_expect_str_eq(back.state_dir, "/var/lib/with blanks");
	cr_assert_eq(back.count, 2);
	cr_expect(back.sockets[0].fd == sock && back.sockets[0].given);
	cr_expect(back.sockets[1].fd == pair[1] && !back.sockets[1].given);
	handover_free(&h);
	handover_free(&back);
}

Test(handover, refuses_nonsense)
{
	static const char *const texts[] = {
		"",
		"link 3\nlock 4\n",
		"link 3\nstate /x\n",
		"link x\nlock 4\nstate /x\n",
		"link 3\nlock 4\nstate\n",
		"link 3\nlock 4\nstate /x\nlisten -1\n",
		"link 3\nlock 4\nstate /x\nlisten 99999999999\n",
		"link 3\nlock 4\nstate /x\nnonsense\n",
	};
	struct handover h;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		cr_expect_neq(handover_parse(str_from(texts[i]), &h), E_OK, "%s", texts[i]);
	/* a later version may say more */
	cr_assert_eq(handover_parse(STR("link 3\nlock 4\nstate /x\ncolour 5\n"), &h), E_OK);
	handover_free(&h);
}

Test(handover, listen_fds)
{
	static const struct {
		const char *fds, *pid;
		int err;
		unsigned count;
	} rows[] = {
		{NULL, NULL, E_OK, 0},	      {"2", NULL, E_OK, 0},	 {NULL, "77", E_OK, 0},
		{"2", "77", E_OK, 2},	      {"2", "78", E_OK, 0},	 {"0", "77", E_OK, 0},
		{"-1", "77", E_SYNTAX, 0},    {"x", "77", E_SYNTAX, 0},	 {"", "77", E_SYNTAX, 0},
		{"99999", "77", E_SYNTAX, 0}, {"2", "7 7", E_SYNTAX, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		unsigned count = 99;

		cr_expect_eq(handover_parse_listen(rows[i].fds, rows[i].pid, 77, &count),
			     rows[i].err, "row %zu", i);
		cr_expect_eq(count, rows[i].count, "row %zu", i);
	}
}
