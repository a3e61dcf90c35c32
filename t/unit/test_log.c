/*
 * lib/log: the two formats, escaping, cutting, what happens to a stream that takes nothing; and the
 * obituaries of lib/panic, which go to the same place.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/str.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static char path[] = "/tmp/sparkgw-test-log-XXXXXX";
static char moved[64];
static char text[1 << 16];

static void
setup(void)
{
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	snprintf(moved, sizeof(moved), "%s.1", path);
}

static void
teardown(void)
{
	unlink(path);
	unlink(moved);
	cr_expect_eq(log_open(NULL, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
}

TestSuite(log, .init = setup, .fini = teardown, .timeout = 20);

static void
open_log(enum log_level level, enum log_format format)
{
	cr_assert_eq(log_open(path, level, format), 0);
}

static const char *
read_all(int fd)
{
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) - 1 && (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	return text;
}

static const char *
contents(const char *name)
{
	int fd = open(name, O_RDONLY);

	cr_assert_geq(fd, 0, "%s", name);
	read_all(fd);
	close(fd);
	return text;
}

Test(log, writes_text)
{
	struct str line, rest, stamp;

	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_ident("worker=2 gen=1");
	log_info("client=7", "refused: %s", "token expired");
	log_error(NULL, "second");
	line = str_cut(str_from(contents(path)), '\n', &rest);
	stamp = str_cut(line, ' ', &line);
	cr_expect(stamp.n == 24 && str_starts(stamp, STR("20")) && stamp.p[23] == 'Z');
	cr_expect(str_eq(line, STR("info worker=2 gen=1 client=7 refused: token expired")));
	cr_expect(str_ends(rest, STR("Z error worker=2 gen=1 second\n")));
	cr_expect_eq(log_lost(), 0);
}

Test(log, has_levels)
{
	open_log(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
	cr_expect(!log_wants(LOG_LEVEL_INFO) && log_wants(LOG_LEVEL_WARN));
	log_debug(NULL, "one");
	log_info(NULL, "two");
	log_warn(NULL, "three");
	cr_expect_null(strstr(contents(path), "one"));
	cr_expect_null(strstr(text, "two"));
	cr_expect_not_null(strstr(text, "warn three\n"));
}

Test(log, writes_json)
{
	struct str rest;

	open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_ident("worker=2 gen=1");
	log_info("rpc=12 user=alice b words=", "said \"%s\"", "a\\b");
	str_cut(str_from(contents(path)), ',', &rest);
	cr_expect(str_starts(str_from(text), STR("{\"time\":\"20")));
	cr_expect(str_eq(rest, STR("\"level\":\"info\",\"worker\":2,\"gen\":1,\"rpc\":\"12\","
				   "\"user\":\"alice b\",\"words\":\"\","
				   "\"message\":\"said \\\"a\\\\b\\\"\"}\n")),
		  "%.*s", STR_ARG(rest));
}

Test(log, json_identity_may_be_a_name)
{
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_ident("supervisor");
	log_info("loose words", "m");
	cr_expect_not_null(
		strstr(contents(path), "\"ident\":\"supervisor\",\"context\":\"loose words\","));
}

Test(log, escapes_what_is_not_text)
{
	static const struct {
		const char *in, *text, *json;
	} rows[] = {
		{"a\nb\tc\rd", "a\\nb\\tc\\rd", "a\\nb\\tc\\rd"},
		{"\x1b[31m", "\\x1b[31m", "\\u001b[31m"},
		{"\x7f", "\\x7f", "\\u007f"},
		{"\xc2\x85z", "\\xc2\\x85z", "\\ufffd\\ufffdz"},
		{"\xe2\x80\xaez", "\\xe2\\x80\\xaez", "\\ufffd\\ufffd\\ufffdz"},
		{"\xff\xc3", "\\xff\\xc3", "\\ufffd\\ufffd"},
		{"\xe2\x82\xac\xc2\xa0", "\xe2\x82\xac\xc2\xa0", "\xe2\x82\xac\xc2\xa0"},
	};
	char want[64];

	for (size_t i = 0; i < N(rows); i++) {
		open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
		log_info("user=a\nb", "%s", rows[i].in);
		snprintf(want, sizeof(want), " user=a\\nb %s\n", rows[i].text);
		cr_expect_not_null(strstr(contents(path), want), "row %zu: %s", i, text);
		open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		log_info("user=a\nb", "%s", rows[i].in);
		snprintf(want, sizeof(want), "\"user\":\"a\\nb\",\"message\":\"%s\"}\n",
			 rows[i].json);
		cr_expect_not_null(strstr(contents(path), want), "row %zu: %s", i, text);
	}
}

Test(log, cuts_long_lines_but_closes_them)
{
	static char ctx[4000], words[4000];
	struct str line, rest;

	memcpy(ctx, "key=", 4);
	memset(ctx + 4, 'k', sizeof(ctx) - 5);
	for (int i = 0; i < 4; i++) {
		int format = i & 1;

		memset(words, i & 2 ? 'x' : '\x01', sizeof(words) - 1);
		cr_assert_eq(truncate(path, 0), 0);
		open_log(LOG_LEVEL_INFO, (enum log_format)format);
		log_info(ctx, "%s", words);
		log_info(NULL, "next");
		line = str_cut(str_from(contents(path)), '\n', &rest);
		cr_expect(line.n > 2030 && line.n < 2048, "%zu bytes", line.n);
		cr_expect_not_null(strstr(rest.p, "next"));
		if (format == LOG_FORMAT_JSON)
			cr_expect(str_ends(line, i & 2 ? STR("xx\"}") : STR("01\"}")));
		else
			cr_expect(str_ends(line, i & 2 ? STR("xxxx") : STR("\\x01")));
	}
}

Test(log, keeps_errno)
{
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	errno = ENOENT;
	log_info(NULL, "%m");
	cr_expect_eq(errno, ENOENT);
	cr_expect_not_null(strstr(contents(path), "No such file"));
}

Test(log, reopens_after_rotation)
{
	struct stat st;
	int fd;

	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	fd = log_fd();
	log_info(NULL, "before");
	cr_assert_eq(rename(path, moved), 0);
	log_info(NULL, "between");
	cr_assert_eq(log_reopen(), 0);
	log_info(NULL, "after");
	cr_expect_eq(log_fd(), fd, "the number stays");
	cr_expect_not_null(strstr(contents(moved), "between"));
	cr_expect_null(strstr(text, "after"));
	cr_expect_not_null(strstr(contents(path), "after"));
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777 & ~0640u, 0);
}

Test(log, keeps_the_old_file_when_it_cannot_reopen)
{
	char dir[] = "/tmp/sparkgw-test-log-dir-XXXXXX", file[128], away[64];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/log", dir);
	snprintf(away, sizeof(away), "%s.away", dir);
	cr_assert_eq(log_open(file, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	cr_assert_eq(rename(dir, away), 0);
	cr_expect_eq(log_reopen(), E_IO);
	cr_expect_eq(errno, ENOENT);
	log_info(NULL, "still here");
	snprintf(file, sizeof(file), "%s/log", away);
	cr_expect_not_null(strstr(contents(file), "still here"));
	unlink(file);
	rmdir(away);
}

Test(log, tells_why_it_cannot_open)
{
	cr_expect_eq(log_open("/nonexistent/log", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), E_IO);
	cr_expect_eq(errno, ENOENT);
}

/* Standard error that nobody reads: lines are counted, not waited for. */
static void
fill(int fd)
{
	cr_assert_geq(dup2(fd, STDERR_FILENO), 0);
	close(fd);
	cr_assert_eq(log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	for (int i = 0; i < 5000; i++)
		log_info(NULL, "%0200d", i);
}

Test(log, never_waits_for_a_pipe)
{
	int fds[2];

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	fill(fds[1]);
	cr_expect(log_lost() > 4000 && log_lost() < 5000, "%llu", (unsigned long long)log_lost());
	cr_expect_eq(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0, "it belongs to others too");
}

Test(log, never_waits_for_a_socket)
{
	int fds[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fill(fds[1]);
	cr_expect(log_lost() > 1000 && log_lost() < 5000, "%llu", (unsigned long long)log_lost());
	close(fds[0]);
	log_info(NULL, "the reader is gone, and we are not");
}

Test(log, lines_of_several_processes_stay_whole)
{
	struct str line, rest;
	int lines = 0;

	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	for (int child = 0; child < 4; child++) {
		if (fork() != 0)
			continue;
		open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT); /* an offset of its own */
		for (int i = 0; i < 50; i++)
			log_info(NULL, "%060d.", i);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	for (rest = str_from(contents(path)); rest.n > 0; lines++) {
		line = str_cut(rest, '\n', &rest);
		cr_expect(line.n == 24 + 6 + 61 && line.p[line.n - 1] == '.', "%zu", line.n);
	}
	cr_expect_eq(lines, 200);
}

TestSuite(panic, .timeout = 20);

static void
assert_something(void)
{
	int one = 1;

	ASSERT(one == 2);
}

static void
read_nowhere(void)
{
	*(volatile char *)(uintptr_t)0x1000;
}

static void (*volatile again)(void); /* hides the recursion from the compiler */

static void
overflow_stack(void)
{
	volatile char big[1 << 14];

	again = overflow_stack;
	big[0] = 1;
	again();
	big[1] = big[0];
}

static void
call_abort(void)
{
	abort();
}

static void
call_fatal(void)
{
	fatal("cannot bind %s: choose another port", "127.0.0.1:1");
}

/* What `die` leaves on standard error, and its status. */
static int
obituary(void (*die)(void))
{
	int fds[2], status;
	pid_t pid;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDERR_FILENO);
		panic_init("worker 2, with a name that is too long");
		die();
		_exit(0);
	}
	close(fds[1]);
	read_all(fds[0]);
	close(fds[0]);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(panic, every_death_leaves_one_line)
{
	static const struct {
		void (*die)(void);
		int signo;
		const char *words;
	} rows[] = {
		{assert_something, SIGABRT, "assertion failed: one == 2 at "},
		{read_nowhere, SIGSEGV, "killed by SIGSEGV at address 0x1000\n"},
		{overflow_stack, SIGSEGV, "killed by SIGSEGV at address 0x"},
		{call_abort, SIGABRT, "killed by SIGABRT\n"},
	};

	for (size_t i = 0; i < N(rows); i++) {
		int status = obituary(rows[i].die);
		struct str rest;

		cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == rows[i].signo, "row %zu: %x",
			  i, (unsigned)status);
		cr_expect(str_starts(str_from(text),
				     STR("obituary: worker 2, with a name that is t: ")),
			  "%s", text);
		cr_expect_not_null(strstr(text, rows[i].words), "%s", text);
		str_cut(str_from(text), '\n', &rest);
		cr_expect_eq(rest.n, 0, "one line: %s", text);
	}
}

Test(panic, fatal_gives_advice)
{
	int status = obituary(call_fatal);

	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	cr_expect_not_null(strstr(text, ": cannot bind 127.0.0.1:1: choose another port\n"));
}

Test(err, every_code_has_words)
{
	for (int err = 0; err >= E_REFUSED; err--)
		cr_expect_str_neq(err_text(err), "unknown error", "%d", err);
	cr_expect_str_eq(err_text(E_NOT_FOUND), "not found");
	cr_expect_str_eq(err_text(-4711), "unknown error");
}
