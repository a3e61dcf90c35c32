/*
 * Messages between our own processes over SOCK_SEQPACKET: the kernel keeps their borders, we check
 * their sizes. Every process. Enter: datagrams; leave: calls of got() with one struct each.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "lib/log.h"
#include "lib/msg.h"
#include "lib/panic.h"
#include "lib/sock.h"

#define TURN_MAX 64 /* messages of one channel before others get their turn */

union control {
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int
find_fd(struct msghdr *m)
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(m);
	int fd;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* ret_fd NULL: the kernel drops a descriptor that comes along. */
static int
receive(int fd, void *buf, size_t size, int *ret_fd)
{
	const struct msg_head *head = buf;
	struct iovec iov = {buf, size};
	union control control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	ASSERT(size >= sizeof(*head) && (uintptr_t)buf % _Alignof(struct msg_head) == 0);
	if (ret_fd != NULL) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	/* ECONNRESET is told once, before what still lies in the queue; so ask again. */
	do {
		n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	} while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n < 0) {
		ASSERT(errno != EBADF && errno != ENOTSOCK && errno != EFAULT);
		return errno == EAGAIN || errno == ENOMEM ? E_AGAIN : E_CLOSED;
	}
	if (n == 0)
		return E_CLOSED;
	if (ret_fd != NULL)
		*ret_fd = find_fd(&m);
	if ((size_t)n < sizeof(*head) || (size_t)n > size || head->size != (size_t)n ||
	    head->type == 0)
		return E_SYNTAX;
	return 0;
}

int
msg_recv(int fd, void *buf, size_t size)
{
	return receive(fd, buf, size, NULL);
}

int
msg_send(int fd, const struct msg_head *head)
{
	return msg_send_fd(fd, head, -1);
}

int
msg_send_fd(int fd, const struct msg_head *head, int passed_fd)
{
	struct iovec iov = {(void *)(uintptr_t)head, head->size};
	union control control = {.head = {.cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
					  .cmsg_len = CMSG_LEN(sizeof(int))}};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	ASSERT(head->type != 0 && head->size >= sizeof(*head) && head->size <= MSG_MAX);
	if (passed_fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &passed_fd, sizeof(int));
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
	}
	do {
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
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
		int err;

		ch->passed_fd = -1;
		err = receive(ch->fd, buf, sizeof(buf), &ch->passed_fd);
		if (err == 0)
			ch->got(ch->arg, (const struct msg_head *)(const void *)buf);
		sock_close(&ch->passed_fd);
		if (err == 0)
			continue;
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
	*ch = (struct msg_channel){.fd = fd, .passed_fd = -1, .got = got, .gone = gone, .arg = arg};
	loop_io_start(loop, &ch->io, fd, LOOP_READ, on_readable, ch);
}

void
msg_close(struct msg_channel *ch)
{
	loop_io_stop(&ch->io);
	ch->fd = -1;
}
