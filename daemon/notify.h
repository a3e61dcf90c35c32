/*
 * The service manager: sd_notify(3) by hand, one datagram per message. Supervisor only.
 *
 * Without NOTIFY_SOCKET every function is a no-op. Nothing here blocks, and a lost message is no
 * error: the manager's own time-outs speak then.
 */
#pragma once
#include <stdint.h>

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them from the environment, so
 * that no child speaks. */
void notify_init(void);

/* The text becomes STATUS=. */
void notify_ready(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The process that is the service's main one from now on; for NotifyAccess=main, said by the one that
 * was. */
void notify_successor(long pid, unsigned generation);
void notify_hand_on(void); /* in a process that will be the main one: into its environment again */
void notify_reloading(void); /* must be followed by notify_ready(), also when the reload failed */
void notify_stopping(void);
void notify_watchdog(void);
uint64_t
notify_watchdog_ms(void); /* how often to call it: half of what the manager waits; 0: not wanted */
