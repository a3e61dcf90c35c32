/*
 * SIGUSR2: one binary replaces another without closing a socket. The running supervisor starts the
 * program that lies at its own path now, hands over its sockets and the lock, and drains only when
 * the new one serves; until then any failure of the new one changes nothing. Supervisor only.
 */
#pragma once
#include <sys/types.h>
#include "daemon/handover.h"
#include "lib/loop.h"
#include "lib/msg.h"

/*
 *	IDLE --upgrade_begin--> STARTING --READY--> OPENING --TOOK--> DONE
 *	 ^                         |                   |
 *	 '--- it ends, or 30 s ----+-------------------'
 */
enum upgrade_state { UPGRADE_IDLE, UPGRADE_STARTING, UPGRADE_OPENING, UPGRADE_DONE };

struct upgrade_hooks {
	void (*done)(void *arg, pid_t successor); /* it serves: drain */
	void (*answers)(void *arg);		  /* so does its controller, or it has ended */
	void (*failed)(void *arg);
};

struct upgrade {
	struct loop *loop;
	const char *program; /* path */
	char *const *argv;
	const struct upgrade_hooks *hooks;
	void *arg;

	enum upgrade_state state;
	pid_t pid;
	int link_fd;
	struct msg_channel link;
	struct loop_timer limit;
	char why[1536]; /* what it said, or what was done to it */
};

/* The other members are set by the caller before; link_fd is filled in. */
void upgrade_begin(struct upgrade *, struct handover *);
void upgrade_reaped(struct upgrade *, pid_t, int status); /* a child that sat nowhere has died */
void upgrade_close(struct upgrade *); /* ends the new program unless that serves */
