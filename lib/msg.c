/*
 * Messages between our own processes over SOCK_SEQPACKET: the kernel keeps their borders, we check
 * their sizes. Every process. Enter: datagrams; leave: calls of got() with one struct each.
 */
#include <errno.h>
#include <sys/socket.h>
#include "lib/log.h"
#include "lib/msg.h"
#include "lib/panic.h"

#define TURN_MAX 64 /* messages of one channel before others get their turn */

int
msg_recv(int fd, void *buf, size_t size)
{
	const struct msg_head *head = buf;
	ssize_t n;

	ASSERT(size >= sizeof(*head) && (uintptr_t)buf % _Alignof(struct msg_head) == 0);
	/* ECONNRESET is told once, before what still lies in the queue; so ask again. */
	do {
		n = recv(fd, buf, size, MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0) {
		ASSERT(errno != EBADF && errno != ENOTSOCK && errno != EFAULT);
		return errno == EAGAIN || errno == ENOMEM ? E_AGAIN : E_CLOSED;
	}
	if (n == 0)
		return E_CLOSED;
	if ((size_t)n < sizeof(*head) || (size_t)n > size || head->size != (size_t)n ||
	    head->type == 0)
		return E_SYNTAX;
	return 0;
}

int
msg_send(int fd, const struct msg_head *head)
{
	ssize_t n;

	ASSERT(head->type != 0 && head->size >= sizeof(*head) && head->size <= MSG_MAX);
	do {
		n = send(fd, head, head->size, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n == (ssize_t)head->size)
		return 0;
	ASSERT(n < 0 && errno != EBADF && errno != ENOTSOCK && errno != EFAULT);
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? E_AGAIN : E_CLOSED;
}

static void
on_readable(void *arg, unsigned events)
{
	struct msg_channel *ch = arg;
	_Alignas(16) char buf[MSG_MAX];

	(void)events;
	/* got() may close the channel */
	for (int i = 0; i < TURN_MAX && ch->fd >= 0; i++) {
		int err = msg_recv(ch->fd, buf, sizeof(buf));

		if (err == 0) {
			ch->got(ch->arg, (const struct msg_head *)(const void *)buf);
			continue;
		}
		if (err == E_SYNTAX) {
			log_debug(NULL, "dropped a malformed message");
			continue;
		}
		if (err == E_CLOSED) {
			msg_close(ch);
			if (ch->gone != NULL)
				ch->gone(ch->arg);
		}
		return;
	}
}

void
msg_open(struct msg_channel *ch, struct loop *loop, int fd,
	 void (*got)(void *, const struct msg_head *), void (*gone)(void *), void *arg)
{
	ASSERT(fd >= 0 && got != NULL);
	*ch = (struct msg_channel){.fd = fd, .got = got, .gone = gone, .arg = arg};
	loop_io_start(loop, &ch->io, fd, LOOP_READ, on_readable, ch);
}

void
msg_close(struct msg_channel *ch)
{
	loop_io_stop(&ch->io);
	ch->fd = -1;
}
