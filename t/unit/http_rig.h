/*
 * A small HTTP server in a thread: each request is answered as the test's http_serve() likes, and
 * its connection closed.
 */
#pragma once
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int http_fd;
static uint16_t http_port;
static atomic_uint http_requests;

/* path: what follows "GET ", up to the end of the request. */
static void http_serve(int fd, const char *path);

static inline void
http_put(int fd, const char *text)
{
	ssize_t n = send(fd, text, strlen(text), MSG_NOSIGNAL);

	(void)n;
}

static inline void
http_answer(int fd, const char *status, const char *body)
{
	char head[128];

	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", status,
		 strlen(body));
	http_put(fd, head);
	http_put(fd, body);
}

static inline void
http_take(int fd)
{
	char request[4096] = "";
	size_t n = 0;

	while (n + 1 < sizeof(request) && strstr(request, "\r\n\r\n") == NULL) {
		ssize_t got = recv(fd, request + n, sizeof(request) - 1 - n, 0);

		if (got <= 0)
			break;
		n += (size_t)got;
		request[n] = '\0';
	}
	if (strncmp(request, "GET ", 4) != 0)
		return;
	http_requests++;
	http_serve(fd, request + 4);
}

static inline void *
http_run(void *arg)
{
	struct pollfd p = {.fd = http_fd, .events = POLLIN};

	while (poll(&p, 1, -1) == 1) {
		int fd = accept(http_fd, NULL, NULL);

		if (fd < 0)
			break;
		http_take(fd);
		close(fd);
	}
	return arg;
}

static inline void
http_start(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(sin);
	pthread_t thread;

	http_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(http_fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	cr_assert_eq(listen(http_fd, 16), 0);
	cr_assert_eq(getsockname(http_fd, (struct sockaddr *)&sin, &size), 0);
	http_port = ntohs(sin.sin_port);
	cr_assert_eq(pthread_create(&thread, NULL, http_run, NULL), 0);
	pthread_detach(thread);
}

static inline void
http_stop(void)
{
	shutdown(http_fd, SHUT_RDWR);
}
