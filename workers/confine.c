/*
 * A table of calls becomes a BPF program. What is not in it traps: the handler of SIGSYS counts,
 * and puts the answer in the place where the caller looks for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>
#include "lib/panic.h"
#include "workers/confine.h"

#if defined(__x86_64__)
#define ARCH		AUDIT_ARCH_X86_64
#define ANSWER(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCH		AUDIT_ARCH_AARCH64
#define ANSWER(context) ((context)->uc_mcontext.regs[0])
#endif

#define RULES_MAX 512

static atomic_uint refused;
static atomic_long last_refused;

#if defined(ARCH) && !defined(__SANITIZE_ADDRESS__)

/* Whatever they are called with. */
static const unsigned plain[] = {
	/* descriptors that are there */
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_pwrite64,
	SYS_lseek,
	SYS_close,
	SYS_fcntl,
	SYS_dup3,
	SYS_fstat,
	SYS_ppoll,
	/* the segment's rows take memory; the store's map grows */
	SYS_fallocate,
	SYS_ftruncate,
	/* sockets */
	SYS_accept4,
	SYS_connect,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendto,
	SYS_sendmsg,
	SYS_shutdown,
	SYS_getsockopt,
	SYS_setsockopt,
	SYS_getsockname,
	SYS_getpeername,
	/* the loop */
	SYS_epoll_create1,
	SYS_epoll_ctl,
	SYS_epoll_pwait,
	/* memory; with PROT_EXEC see below */
	SYS_brk,
	SYS_munmap,
	SYS_mremap,
	SYS_madvise,
	SYS_membarrier,
	/* time, chance, locks */
	SYS_clock_gettime,
	SYS_clock_getres,
	SYS_clock_nanosleep,
	SYS_nanosleep,
	SYS_gettimeofday,
	SYS_getrandom,
	SYS_futex,
	SYS_set_robust_list,
	SYS_get_robust_list,
	SYS_sched_yield,
	SYS_restart_syscall,
	/* who am I, how is the machine */
	SYS_getpid,
	SYS_getppid,
	SYS_gettid,
	SYS_getuid,
	SYS_geteuid,
	SYS_getgid,
	SYS_getegid,
	SYS_getrusage,
	SYS_sysinfo,
	SYS_uname,
	SYS_sched_getaffinity,
	/* the end */
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_exit,
	SYS_exit_group,
#ifdef __x86_64__
	SYS_poll,
	SYS_epoll_wait,
	SYS_accept,
	SYS_dup2,
	SYS_time,
#endif
};

struct program {
	struct sock_filter rules[RULES_MAX];
	unsigned short count;
};

static void
put(struct program *p, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
	ASSERT(p->count < RULES_MAX);
	p->rules[p->count++] = (struct sock_filter){code, if_true, if_false, k};
}

#define LOAD(p, offset) put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset), 0, 0)
#define RETURN(p, what) put(p, BPF_RET | BPF_K, (what), 0, 0)
/* the low half of an argument (both machines are little-endian) */
#define ARGUMENT(i) (offsetof(struct seccomp_data, args) + 8 * (i))

/* Skips the next `skip` rules unless it is this call. */
static void
put_call(struct program *p, unsigned number, uint8_t skip)
{
	put(p, BPF_JMP | BPF_JEQ | BPF_K, number, 0, skip);
}

static void
allow_plain(struct program *p, unsigned number)
{
	put_call(p, number, 1);
	RETURN(p, SECCOMP_RET_ALLOW);
}

/* When the argument has none of the bits. */
static void
allow_without(struct program *p, unsigned number, unsigned argument, uint32_t bits)
{
	put_call(p, number, 4);
	LOAD(p, ARGUMENT(argument));
	put(p, BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0);
	RETURN(p, SECCOMP_RET_ALLOW);
	RETURN(p, SECCOMP_RET_TRAP);
}

static void
allow_equal(struct program *p, unsigned number, unsigned argument, uint32_t value)
{
	put_call(p, number, 4);
	LOAD(p, ARGUMENT(argument));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
	RETURN(p, SECCOMP_RET_ALLOW);
	RETURN(p, SECCOMP_RET_TRAP);
}

/* TCP: nothing else leads to a driver. */
static void
allow_tcp(struct program *p, unsigned number)
{
	put_call(p, number, 8);
	LOAD(p, ARGUMENT(0));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0);
	put(p, BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 4);
	LOAD(p, ARGUMENT(1));
	put(p, BPF_ALU | BPF_AND | BPF_K, 0xf, 0, 0); /* without SOCK_NONBLOCK, SOCK_CLOEXEC */
	put(p, BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 1);
	RETURN(p, SECCOMP_RET_ALLOW);
	RETURN(p, SECCOMP_RET_TRAP);
}

static void
build(struct program *p)
{
	LOAD(p, offsetof(struct seccomp_data, arch));
	put(p, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0);
	RETURN(p, SECCOMP_RET_KILL_PROCESS);
	LOAD(p, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		allow_plain(p, plain[i]);
	allow_without(p, SYS_mmap, 2, PROT_EXEC);
	allow_without(p, SYS_mprotect, 2, PROT_EXEC);
	allow_equal(p, SYS_newfstatat, 3, AT_EMPTY_PATH);
	allow_equal(p, SYS_tgkill, 0, (uint32_t)getpid());
	allow_tcp(p, SYS_socket);
	RETURN(p, SECCOMP_RET_TRAP);
}

static void
on_refused(int signo, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;

	(void)signo;
	atomic_store(&last_refused, info->si_syscall);
	atomic_fetch_add(&refused, 1);
	ANSWER(context) = -EPERM;
}

static int
install(void)
{
	struct sigaction act = {.sa_flags = SA_SIGINFO};
	struct program p = {.count = 0};
	struct sock_fprog prog;

	build(&p);
	prog = (struct sock_fprog){.len = p.count, .filter = p.rules};
	sigemptyset(&act.sa_mask);
	act.sa_sigaction = on_refused;
	if (sigaction(SIGSYS, &act, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) != 0)
		return E_IO;
	return 0;
}
#endif

int
confine(void)
{
#if defined(ARCH) && !defined(__SANITIZE_ADDRESS__)
	return install();
#else
	return E_STATE;
#endif
}

unsigned
confine_refused(long *ret_last)
{
	*ret_last = atomic_load(&last_refused);
	return atomic_load(&refused);
}
