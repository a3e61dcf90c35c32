/*
 * What the service manager is told: READY, RELOADING, STOPPING, WATCHDOG and a line of STATUS.
 *
 * Process: supervisor. In: three variables of the environment. Out: datagrams to the manager's
 * socket.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "daemon/notify.h"
#include "lib/clock.h"
#include "lib/str.h"

static struct sockaddr_un manager;
static socklen_t manager_size; /* 0: there is none */
static uint64_t watchdog_ms;
static char manager_name[sizeof(manager.sun_path)], watchdog_usec[24]; /* as they were */

static void
find_manager(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n < 2 || n >= sizeof(manager.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	manager.sun_family = AF_UNIX;
	memcpy(manager.sun_path, path, n);
	if (path[0] == '@')
		manager.sun_path[0] = '\0'; /* an abstract address is as long as its name */
	memcpy(manager_name, path, n + 1);
	manager_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static void
find_watchdog(void)
{
	uint64_t usec, pid;

	if (str_u64(str_from(getenv("WATCHDOG_USEC")), UINT64_MAX, &usec) != E_OK)
		return;
	if (getenv("WATCHDOG_PID") != NULL &&
	    (str_u64(str_from(getenv("WATCHDOG_PID")), INT32_MAX, &pid) != E_OK ||
	     pid != (uint64_t)getpid()))
		return;
	watchdog_ms = usec / 2000;
	snprintf(watchdog_usec, sizeof(watchdog_usec), "%llu", (unsigned long long)usec);
}

void
notify_init(void)
{
	find_manager();
	find_watchdog();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void
tell(const char *text)
{
	int fd;

	if (manager_size == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&manager,
		     manager_size);
	close(fd);
}

void
notify_ready(const char *fmt, ...)
{
	char text[256] = "READY=1\nSTATUS=";
	size_t n = strlen(text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	tell(text);
}

void
notify_successor(long pid, unsigned generation)
{
	char text[128];

	snprintf(text, sizeof(text), "MAINPID=%ld\nREADY=1\nSTATUS=upgraded, generation %u", pid,
		 generation);
	tell(text);
}

void
notify_hand_on(void)
{
	if (manager_size > 0)
		setenv("NOTIFY_SOCKET", manager_name, 1);
	if (watchdog_ms > 0)
		setenv("WATCHDOG_USEC", watchdog_usec, 1);
}

void
notify_reloading(void)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reading the configuration",
		 (unsigned long long)(clock_ns() / 1000));
	tell(text);
}

void
notify_stopping(void)
{
	tell("STOPPING=1\nSTATUS=draining");
}

void
notify_watchdog(void)
{
	tell("WATCHDOG=1");
}

uint64_t
notify_watchdog_ms(void)
{
	return watchdog_ms;
}
