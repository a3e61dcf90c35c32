/* What sparkgwctl makes of audit files: a line for people, the files in order, a folder of the
 * configuration. */
#include <fcntl.h>
#include <sys/stat.h>
#include "ctl/audit_files.h"
#include "ctl/audit_show.h"
#include "ctl/where.h"
#include "t/unit/scratch.h"

TestSuite(audit_show, .init = scratch_make, .fini = scratch_drop, .timeout = 20);

Test(audit_show, lines_for_people)
{
	static const struct {
		const char *line, *wanted;
	} cases[] = {
		{"{\"seq\":3,\"time\":\"T\",\"gateway\":\"g\",\"kind\":\"rpc\",\"status\":\"OK\","
		 "\"code\":0,"
		 "\"method\":\"ExecutePlan\",\"user\":\"alice\",\"team\":\"t\",\"env\":\"prod\","
		 "\"cluster\":\"c\",\"driver\":\"d\",\"ms\":{\"total\":12.345},"
		 "\"plan\":{\"kind\":\"command\",\"command\":\"sql_command\",\"sql\":\"select "
		 "1\"}}\n",
		 "T OK ExecutePlan alice t/prod c/d 12.3 ms sql_command sql: select 1\n"},
		{"{\"time\":\"T\",\"kind\":\"rpc\",\"status\":\"UNAUTHENTICATED\",\"method\":"
		 "\"Config\","
		 "\"refused\":true,\"words\":\"token expired\",\"ms\":{\"total\":0.1}}\n",
		 "T UNAUTHENTICATED Config - - - 0.1 ms refused: token expired\n"},
		{"{\"time\":\"T\",\"kind\":\"rpc\",\"status\":\"UNAVAILABLE\",\"method\":"
		 "\"x\\u001b[2J\\u009b\\n\","
		 "\"user\":\"\xc3\xa9\",\"unfinished\":true}\n",
		 "T UNAVAILABLE x?[2J?? \xc3\xa9 - - unfinished\n"},
		{"{\"seq\":1,\"time\":\"T\",\"kind\":\"act\",\"act\":\"driver drain "
		 "a\",\"by\":\"uid=0\",\"done\":true,"
		 "\"chain\":\"x\"}\n",
		 "T act driver drain a by=uid=0 done=true\n"},
		{"{\"time\":\"T\",\"kind\":\"lost\",\"worker\":3,\"records\":17,\"why\":\"ring "
		 "full\"}\n",
		 "T lost worker=3 records=17 why=ring full\n"},
		{"{\"time\":\"T\",\"kind\":\"file\",\"previous\":\"\"}\n", ""},
		{"{\"records\":1,\"seal\":\"x\"}\n", ""},
		{"no\x1bthing\n", "no?thing\n"},
		{"{\"time\":\"T\",\"kind\":\"rpc\",\"status\":\"OK\",\"user\":"
		 "\"\\u202ekcatta\\u2066\\u2028\xe2\x80\x90\"}\n",
		 "T OK - ?kcatta??\xe2\x80\x90 - -\n"},
		{"", "\n"},
	};
	struct buf out;

	buf_init(&out, 1 << 20);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		buf_clear(&out);
		audit_show(&out, str_from(cases[i].line));
		cr_expect_str_eq(buf_cstr(&out), cases[i].wanted, "%zu: %s", i, buf_cstr(&out));
	}
	buf_free(&out);
}

static void
touch(const char *name)
{
	int fd = open(scratch_path(name), O_WRONLY | O_CREAT, 0600);

	cr_assert_geq(fd, 0);
	close(fd);
}

Test(audit_show, files_come_in_the_order_of_their_records)
{
	static const char *const names[] = {"audit/audit-20261122T101112Z-000000000001.log",
					    "audit/audit-20251122T101112Z-000000000012.log",
					    "audit/audit-20261122T101113Z-000000000113.log",
					    "audit/audit.log"};
	struct audit_files files;

	cr_expect_eq(audit_files_list(scratch, &files), E_IO);
	cr_assert_eq(mkdir(scratch_path("audit"), 0700), 0);
	cr_assert_eq(audit_files_list(scratch, &files), 0);
	cr_expect_eq(files.count, 0u);
	audit_files_free(&files);
	for (int i = 3; i >= 0; i--)
		touch(names[i]);
	touch("audit/shipped");
	touch("audit/audit-x.log");
	cr_assert_eq(audit_files_list(scratch, &files), 0);
	cr_assert_eq(files.count, 4u);
	for (unsigned i = 0; i < 4; i++)
		cr_expect_str_eq(files.paths[i], scratch_path(names[i]));
	cr_expect(audit_files_is_live(files.paths[3]) && !audit_files_is_live(files.paths[0]));
	audit_files_free(&files);
}

static const char *
where(const char *text, const char **ret_problem)
{
	static char path[PATH_MAX];
	FILE *f = fopen(scratch_path("x.yaml"), "w");

	fputs(text, f);
	fclose(f);
	*ret_problem = NULL;
	return where_find(scratch_path("x.yaml"), "state_dir", "/default", path, sizeof(path),
			  ret_problem)
		       ? path
		       : NULL;
}

Test(audit_show, one_folder_out_of_a_configuration)
{
	const char *problem;
	char path[PATH_MAX];

	cr_expect_str_eq(where("state_dir: /a/b\nrun_dir: x\n", &problem), "/a/b");
	cr_expect_str_eq(where("run_dir: x\n", &problem), "/default");
	cr_expect_str_eq(where("state_dir: s\nnonsense: [1, 2]\n", &problem), scratch_path("s"));
	cr_expect_null(where("a: [", &problem));
	cr_expect_not_null(problem);
	cr_expect_null(where("", &problem));
	cr_expect_not(where_find(scratch_path("none"), "x", "y", path, sizeof(path), &problem));
	cr_expect_not_null(problem);
}
