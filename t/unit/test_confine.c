/* What a confined process may still do, and what not. Each case is a process of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workers/confine.h"

static int
call_openat(void)
{
	return openat(AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static int
call_open(void)
{
#ifdef SYS_open
	return (int)syscall(SYS_open, "/etc/passwd", O_RDONLY);
#else
	return call_openat();
#endif
}

static int
call_execve(void)
{
	char *const none[] = {NULL};

	return execve("/bin/true", none, none);
}

static int
call_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid;
}

static int
call_vfork(void)
{
#ifdef SYS_vfork
	return (int)syscall(SYS_fork);
#else
	return call_fork();
#endif
}

static int
call_ptrace(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static int
call_packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static int
call_unix(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int
call_udp(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static int
call_bind(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	cr_assert_geq(fd, 0);
	return bind(fd, (struct sockaddr *)&in, sizeof(in));
}

static int
call_listen(void)
{
	return listen(socket(AF_INET6, SOCK_STREAM, 0), 1);
}

static int
call_exec_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

static int
call_kill(void)
{
	return kill(getppid(), 0);
}

static int
call_unlink(void)
{
	return unlink("/tmp/not-there");
}

static int
call_stat(void)
{
	struct stat st;

	return stat("/etc/passwd", &st);
}

static const struct {
	const char *name;
	int (*call)(void);
} refused[] = {
	{"openat", call_openat}, {"open", call_open},	  {"execve", call_execve},
	{"fork", call_fork},	 {"vfork", call_vfork},	  {"ptrace", call_ptrace},
	{"packet", call_packet}, {"unix", call_unix},	  {"udp", call_udp},
	{"bind", call_bind},	 {"listen", call_listen}, {"PROT_EXEC", call_exec_memory},
	{"kill", call_kill},	 {"unlink", call_unlink}, {"stat", call_stat},
};

static void
become_confined(void)
{
	int err;

	if (getenv("UNDER_VALGRIND") != NULL)
		cr_skip_test("valgrind makes system calls of its own");
	err = confine();
	cr_assert_eq(err, 0, "%s", strerror(errno));
}

Test(confine, refuses_and_counts)
{
	const unsigned count = sizeof(refused) / sizeof(refused[0]);
	int results[sizeof(refused) / sizeof(refused[0])],
		errors[sizeof(refused) / sizeof(refused[0])];
	long last = 0;

	become_confined();
	for (unsigned i = 0; i < count; i++) {
		errno = 0;
		results[i] = refused[i].call();
		errors[i] = errno;
	}
	for (unsigned i = 0; i < count; i++)
		cr_expect(results[i] == -1 && errors[i] == EPERM, "%s: %d, errno %d",
			  refused[i].name, results[i], errors[i]);
	cr_expect_eq(confine_refused(&last), count);
	cr_expect_eq(last, SYS_newfstatat);
}

Test(confine, lets_work_go_on)
{
	char path[] = "/tmp/confine-XXXXXX", bytes[16];
	int file = mkstemp(path), pair[2], sock;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	struct stat st;
	void *map, *more;
	long last;

	unlink(path);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	become_confined();

	cr_expect_eq(ftruncate(file, 1 << 20), 0);
	cr_expect_eq(posix_fallocate(file, 0, 8192), 0);
	cr_expect_eq(fstat(file, &st), 0);
	map = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	cr_assert_neq(map, MAP_FAILED);
	more = mremap(map, 1 << 20, 2 << 20, MREMAP_MAYMOVE);
	cr_assert_neq(more, MAP_FAILED);
	cr_expect_eq(madvise(more, 2 << 20, MADV_DONTNEED), 0);
	cr_expect_eq(munmap(more, 2 << 20), 0);
	cr_expect_eq(getrandom(bytes, sizeof(bytes), 0), sizeof(bytes));
	cr_expect_eq(send(pair[0], bytes, sizeof(bytes), 0), sizeof(bytes));
	cr_expect_eq(recv(pair[1], bytes, sizeof(bytes), 0), sizeof(bytes));
	sock = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	cr_expect_geq(sock, 0);
	cr_expect(connect(sock, (struct sockaddr *)&to, sizeof(to)) == 0 || errno != EPERM);
	cr_expect_eq(dup3(file, sock, O_CLOEXEC), sock);
	free(malloc((size_t)64 << 20));
	cr_expect_eq(confine_refused(&last), 0, "number %ld", last);
}

Test(confine, dies_as_before, .signal = SIGABRT)
{
	become_confined();
	abort();
}
