/*
 * lib/sock: addresses as text, and real sockets on loopback and in the file system.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "lib/sock.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

TestSuite(sock, .timeout = 20);

Test(sock, reads_and_writes_addresses)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} rows[] = {
		{"127.0.0.1:80", "127.0.0.1:80"},
		{"0.0.0.0:0", "0.0.0.0:0"},
		{"255.255.255.255:65535", "255.255.255.255:65535"},
		{"[::1]:80", "[::1]:80"},
		{"[2001:DB8:0::1]:15002", "[2001:db8::1]:15002"},
		{"[fe80::1%7]:1", "[fe80::1%7]:1"},
		{"[fe80::1%lo]:1", "[fe80::1%1]:1"},
		{"[::ffff:1.2.3.4]:5", "[::ffff:1.2.3.4]:5"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
		{"127.0.0.1", NULL},
		{"127.0.0.1:", NULL},
		{"127.0.0.1:65536", NULL},
		{"127.0.0.1:000080", NULL},
		{"127.0.0.1:8a", NULL},
		{"127.0.0.1: 80", NULL},
		{"127.0.0.1:80 ", NULL},
		{"127.0.0.256:80", NULL},
		{"127.0.1:80", NULL},
		{"1.2.3.4.5.6.7.8.9:80", NULL},
		{"localhost:80", NULL},
		{"::1:80", NULL},
		{"[::1]", NULL},
		{"[::1]80", NULL},
		{"[::1:80", NULL},
		{"[]:80", NULL},
		{"[127.0.0.1]:80", NULL},
		{"[fe80::1%]:80", NULL},
		{"[fe80::1%nosuchinterface0]:80", NULL},
		{":80", NULL},
		{"", NULL},
	};
	char text[SOCK_ADDR_TEXT];

	for (size_t i = 0; i < N(rows); i++) {
		struct sock_addr addr = {.port = 4711};
		int err = sock_addr_parse(str_from(rows[i].in), &addr);

		if (rows[i].out == NULL) {
			cr_expect_eq(err, E_SYNTAX, "%s", rows[i].in);
			cr_expect_eq(addr.port, 4711, "%s: untouched on failure", rows[i].in);
			continue;
		}
		cr_expect_eq(err, 0, "%s", rows[i].in);
		cr_expect_str_eq(sock_addr_text(&addr, text, sizeof(text)), rows[i].out);
	}
	cr_expect_eq(sock_addr_parse((struct str){"1.2.3.4\0.5:80", 13}, &(struct sock_addr){0}),
		     E_SYNTAX);
	cr_expect_str_eq(sock_addr_text(&(struct sock_addr){0}, text, sizeof(text)), "none");
}

static struct sock_addr
addr(const char *text)
{
	struct sock_addr a;

	cr_assert_eq(sock_addr_parse(str_from(text), &a), 0, "%s", text);
	return a;
}

Test(sock, compares_addresses)
{
	static const char *const all[] = {
		"127.0.0.1:80", "127.0.0.1:81", "127.0.0.2:80",
		"[::1]:80",	"[::2]:80",	"[::1%1]:80",
	};

	for (size_t i = 0; i < N(all); i++)
		for (size_t j = 0; j < N(all); j++) {
			struct sock_addr a = addr(all[i]), b = addr(all[j]);

			cr_expect_eq(sock_addr_eq(&a, &b), i == j, "%s %s", all[i], all[j]);
		}
}

Test(sock, knows_loopback)
{
	static const struct {
		const char *text;
		bool yes;
	} rows[] = {
		{"127.0.0.1:1", true},
		{"127.255.0.9:1", true},
		{"128.0.0.1:1", false},
		{"0.0.0.0:1", false},
		{"[::1]:1", true},
		{"[::]:1", false},
		{"[::ffff:127.0.0.1]:1", true},
		{"[7f00::1]:1", false},
		{"[::ffff:10.0.0.1]:1", false},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct sock_addr a = addr(rows[i].text);

		cr_expect_eq(sock_addr_is_loopback(&a), rows[i].yes, "%s", rows[i].text);
	}
	cr_expect(!sock_addr_is_loopback(&(struct sock_addr){0}));
}

Test(sock, goes_to_the_system_and_back)
{
	static const char *const all[] = {"10.1.2.3:15002", "[2001:db8::7%3]:443"};
	struct sockaddr_storage sys;
	struct sockaddr_un un = {.sun_family = AF_UNIX};

	for (size_t i = 0; i < N(all); i++) {
		struct sock_addr a = addr(all[i]), b;

		cr_expect_eq(sock_addr_to_sys(&a, &sys),
			     i == 0 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		cr_expect_eq(sock_addr_from_sys((struct sockaddr *)&sys, &b), 0);
		cr_expect(sock_addr_eq(&a, &b));
	}
	cr_expect_eq(sock_addr_from_sys((struct sockaddr *)&un, &(struct sock_addr){0}), E_SYNTAX);
}

Test(sock, splits_host_and_port)
{
	static const struct {
		const char *in, *host; /* host NULL: refused */
		unsigned port;
	} rows[] = {
		{"spark-b.internal:15002", "spark-b.internal", 15002},
		{"10.0.0.5:1", "10.0.0.5", 1},
		{"[2001:db8::1]:443", "2001:db8::1", 443},
		{"my_host:80", "my_host", 80},
		{"::1:80", NULL, 0},
		{"[name]:80", NULL, 0},
		{"[::1]", NULL, 0},
		{"host", NULL, 0},
		{"host:", NULL, 0},
		{":80", NULL, 0},
		{"host:80:80", NULL, 0},
		{"ho st:80", NULL, 0},
		{"host/x:80", NULL, 0},
		{"host:99999", NULL, 0},
	};

	for (size_t i = 0; i < N(rows); i++) {
		struct str host = STR_NONE;
		uint16_t port = 0;
		int err = sock_split_host_port(str_from(rows[i].in), &host, &port);

		cr_expect_eq(err, rows[i].host != NULL ? 0 : E_SYNTAX, "%s: %d", rows[i].in, err);
		cr_expect(str_eq(host, str_from(rows[i].host)), "%s", rows[i].in);
		cr_expect_eq(port, rows[i].port, "%s", rows[i].in);
	}
}

static bool
has_flags(int fd)
{
	return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0;
}

static int
option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	cr_expect_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static struct sock_addr
local_addr(int fd)
{
	struct sockaddr_storage sys;
	socklen_t len = sizeof(sys);
	struct sock_addr a = {0};

	cr_assert_eq(getsockname(fd, (struct sockaddr *)&sys, &len), 0);
	cr_assert_eq(sock_addr_from_sys((struct sockaddr *)&sys, &a), 0);
	return a;
}

static void
wait_for(int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};

	cr_assert_eq(poll(&p, 1, 5000), 1);
}

static void
connect_and_accept(const char *where)
{
	struct sock_addr at = addr(where), peer = {0}, own;
	int listening, out, in;

	cr_assert_eq(sock_listen(&at, false, 16, &listening), 0, "%s", where);
	cr_expect(has_flags(listening));
	at = local_addr(listening);
	cr_expect_eq(sock_accept(listening, &in, NULL), E_AGAIN);
	cr_assert_eq(sock_connect(&at, &out), 0);
	wait_for(out, POLLOUT);
	cr_expect_eq(sock_connect_result(out), 0);
	wait_for(listening, POLLIN);
	cr_assert_eq(sock_accept(listening, &in, &peer), 0);
	own = local_addr(out);
	cr_expect(sock_addr_eq(&peer, &own));
	cr_expect(has_flags(in) && has_flags(out));
	cr_expect_eq(option(in, IPPROTO_TCP, TCP_NODELAY), 1);
	cr_expect_eq(option(out, IPPROTO_TCP, TCP_NODELAY), 1);
	sock_close(&in);
	cr_expect_eq(in, -1);
	sock_close(&in);
	sock_close(&out);
	sock_close(&listening);
}

Test(sock, connects_and_accepts)
{
	connect_and_accept("127.0.0.1:0");
	connect_and_accept("[::1]:0");
}

Test(sock, sees_a_refused_connection)
{
	struct sock_addr at = addr("127.0.0.1:0");
	int fd, err;

	cr_assert_eq(sock_listen(&at, false, 1, &fd), 0);
	at = local_addr(fd);
	sock_close(&fd);
	err = sock_connect(&at, &fd);
	if (err == 0) {
		wait_for(fd, POLLOUT);
		err = sock_connect_result(fd);
	}
	cr_expect_eq(err, E_REFUSED);
}

Test(sock, shares_a_port_only_when_asked)
{
	struct sock_addr at = addr("127.0.0.1:0");
	int first, second;

	cr_assert_eq(sock_listen(&at, true, 16, &first), 0);
	at = local_addr(first);
	cr_expect_eq(option(first, SOL_SOCKET, SO_REUSEPORT), 1);
	cr_expect_eq(sock_listen(&at, false, 16, &second), E_IO);
	cr_expect_eq(errno, EADDRINUSE);
	cr_expect_eq(sock_listen(&at, true, 16, &second), 0);
}

Test(sock, the_families_have_ports_of_their_own)
{
	struct sock_addr v6 = addr("[::]:0"), v4 = addr("0.0.0.0:0");
	int first, second;

	cr_assert_eq(sock_listen(&v6, false, 16, &first), 0);
	cr_expect_eq(option(first, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	v4.port = local_addr(first).port;
	cr_expect_eq(sock_listen(&v4, false, 16, &second), 0);
}

Test(sock, says_when_descriptors_run_out)
{
	struct sock_addr at = addr("127.0.0.1:0");
	struct rlimit limit = {0};
	int listening, out, fd;

	if (getenv("UNDER_VALGRIND") != NULL)
		cr_skip_test("valgrind has a limit of its own");
	cr_assert_eq(sock_listen(&at, false, 16, &listening), 0);
	at = local_addr(listening);
	cr_assert_eq(sock_connect(&at, &out), 0);
	wait_for(listening, POLLIN);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)out + 1;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while ((fd = dup(out)) >= 0)
		; /* holes below */
	cr_expect_eq(sock_accept(listening, &fd, NULL), E_FULL);
	cr_expect_eq(sock_connect(&at, &fd), E_FULL);
	cr_expect_eq(sock_pair((int[2]){0}), E_FULL);
}

static char dir[] = "/tmp/sparkgw-test-sock-XXXXXX";
static char path[64];

static void
make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/control.sock", dir);
}

static void
remove_dir(void)
{
	unlink(path);
	rmdir(dir);
}

Test(sock, listens_in_the_file_system, .init = make_dir, .fini = remove_dir)
{
	static const unsigned modes[] = {0660, 0600, 0666};
	struct sockaddr_un sys = {.sun_family = AF_UNIX};
	struct sock_addr peer = {.port = 1};
	struct stat st;
	mode_t mask = umask(022);
	int fd, out, in;

	for (size_t i = 0; i < N(modes); i++) { /* each time over the old one */
		cr_assert_eq(sock_listen_unix(path, modes[i], 16, &fd), 0);
		cr_assert_eq(stat(path, &st), 0);
		cr_expect(S_ISSOCK(st.st_mode));
		cr_expect_eq(st.st_mode & 0777, modes[i], "%o", st.st_mode);
		if (i + 1 < N(modes))
			sock_close(&fd);
	}
	cr_expect_eq(umask(mask), 022, "the mask is as before");
	str_copy(sys.sun_path, sizeof(sys.sun_path), str_from(path));
	out = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(connect(out, (struct sockaddr *)&sys, sizeof(sys)), 0);
	cr_assert_eq(sock_accept(fd, &in, &peer), 0);
	cr_expect_eq(peer.family, 0);
	cr_expect_eq(peer.port, 0);
	cr_expect(has_flags(fd) && has_flags(in));
}

Test(sock, never_removes_a_file, .init = make_dir, .fini = remove_dir)
{
	struct stat st;
	char target[80];
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	close(fd);
	cr_expect_eq(sock_listen_unix(path, 0660, 16, &fd), E_EXISTS);
	cr_expect_eq(stat(path, &st), 0);
	unlink(path);
	snprintf(target, sizeof(target), "%s.target", path);
	cr_assert_eq(sock_listen_unix(target, 0600, 16, &fd), 0);
	cr_assert_eq(symlink(target, path), 0);
	cr_expect_eq(sock_listen_unix(path, 0660, 16, &fd), E_EXISTS, "nor a link to a socket");
	cr_expect_eq(lstat(path, &st), 0);
	unlink(target);
}

Test(sock, says_why_it_cannot_listen_in_the_file_system)
{
	char longer[200];
	int fd;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_expect_eq(sock_listen_unix(longer, 0660, 16, &fd), E_IO);
	cr_expect_eq(errno, ENAMETOOLONG);
	cr_expect_eq(sock_listen_unix("/nonexistent/s", 0660, 16, &fd), E_IO);
	cr_expect_eq(errno, ENOENT);
}

Test(sock, pairs_keep_borders)
{
	char buf[16];
	int fds[2];

	cr_assert_eq(sock_pair(fds), 0);
	cr_expect(has_flags(fds[0]) && has_flags(fds[1]));
	cr_expect_eq(option(fds[0], SOL_SOCKET, SO_TYPE), SOCK_SEQPACKET);
	cr_expect(write(fds[0], "ab", 2) == 2 && write(fds[0], "c", 1) == 1);
	cr_expect_eq(read(fds[1], buf, sizeof(buf)), 2);
	cr_expect_eq(read(fds[1], buf, sizeof(buf)), 1);
}
