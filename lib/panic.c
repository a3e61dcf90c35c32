/*
 * How a process of ours dies by its own fault: one line on standard error, then the signal's
 * default action (core file, status for the supervisor). Every process.
 *
 * All of it runs where the heap may be broken: only write(2), memory reserved beforehand, a stack
 * of its own (the fault may be an exhausted stack).
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/panic.h"

#define WHO_MAX	     31
#define OBITUARY_MAX 512
#define STACK_SIZE   (64 * 1024)

static char name[WHO_MAX + 1] = "process";
static uint8_t signal_stack[STACK_SIZE];
static volatile sig_atomic_t told; /* the line of this death is already out */

struct line {
	char p[OBITUARY_MAX];
	size_t n;
};

static void
put(struct line *l, const char *z)
{
	while (*z != '\0' && l->n < sizeof(l->p) - 1) /* one byte is kept for the newline */
		l->p[l->n++] = *z++;
}

static void
put_number(struct line *l, uint64_t value, unsigned base)
{
	char digits[24];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do {
		digits[--i] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	put(l, digits + i);
}

static void
begin(struct line *l)
{
	l->n = 0;
	put(l, "obituary: ");
	put(l, name);
	put(l, ": ");
}

static void
end(struct line *l)
{
	ssize_t n;

	l->p[l->n++] = '\n';
	n = write(STDERR_FILENO, l->p, l->n);
	(void)n; /* nobody is left to be told */
}

static const char *
signal_name(int signo)
{
	switch (signo) {
	case SIGSEGV: return "SIGSEGV";
	case SIGBUS: return "SIGBUS";
	case SIGFPE: return "SIGFPE";
	case SIGILL: return "SIGILL";
	case SIGABRT: return "SIGABRT";
	default: return "signal";
	}
}

/* SA_RESETHAND has already restored the default action; the raised signal waits until we return. */
static void
on_signal(int signo, siginfo_t *info, void *context)
{
	struct line l;

	(void)context;
	if (!told) {
		told = 1;
		begin(&l);
		put(&l, "killed by ");
		put(&l, signal_name(signo));
		if (info->si_code > 0 && signo != SIGABRT) {
			put(&l, " at address 0x");
			put_number(&l, (uintptr_t)info->si_addr, 16);
		} else if (info->si_code == SI_USER && info->si_pid != getpid()) {
			put(&l, " sent by process ");
			put_number(&l, (uint64_t)info->si_pid, 10);
		}
		end(&l);
	}
	raise(signo);
}

void
panic_init(const char *who)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	struct sigaction act = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
	stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof(signal_stack)};
	size_t n = strnlen(who, WHO_MAX);

	memcpy(name, who, n);
	name[n] = '\0';
	told = 0;
	sigaltstack(&stack, NULL);
	sigemptyset(&act.sa_mask);
	act.sa_sigaction = on_signal;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &act, NULL);
}

_Noreturn void
panic_assert(const char *cond, const char *file, int line, const char *func)
{
	struct line l;

	begin(&l);
	put(&l, "assertion failed: ");
	put(&l, cond);
	put(&l, " at ");
	put(&l, file);
	put(&l, ":");
	put_number(&l, (uint64_t)line, 10);
	put(&l, " in ");
	put(&l, func);
	put(&l, "(), killed by SIGABRT");
	end(&l);
	told = 1;
	abort();
}

_Noreturn void
fatal(const char *fmt, ...)
{
	va_list ap;
	char words[1024];

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "%s: %s\n", program_invocation_short_name, words);
	exit(1);
}
