/*
 * Sockets and addresses. Every process; here all descriptors of the data path begin, non-blocking
 * and close-on-exec, and here the system's errors become ours.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "lib/panic.h"
#include "lib/sock.h"

#define HOST_MAX 255

/* "[host]:port" or "host:port" into slices; *ret_v6 tells the brackets. */
static int
split(struct str s, struct str *ret_host, struct str *ret_port, bool *ret_v6)
{
	bool v6 = s.n > 0 && s.p[0] == '[';
	struct str host, port;

	if (v6) {
		host = str_cut((struct str){s.p + 1, s.n - 1}, ']', &port);
		if (port.p == NULL || port.n == 0 || port.p[0] != ':')
			return E_SYNTAX;
		port = (struct str){port.p + 1, port.n - 1};
	} else {
		host = str_cut(s, ':', &port);
	}
	if (host.n == 0 || host.n > HOST_MAX || port.n == 0)
		return E_SYNTAX;
	*ret_host = host;
	*ret_port = port;
	*ret_v6 = v6;
	return 0;
}

static int
parse_port(struct str s, uint16_t *ret)
{
	uint64_t port;

	if (s.n > 5 || str_u64(s, UINT16_MAX, &port) != 0)
		return E_SYNTAX;
	*ret = (uint16_t)port;
	return 0;
}

static int
parse_scope(struct str s, uint32_t *ret)
{
	char name[IF_NAMESIZE];
	uint64_t number;

	if (str_u64(s, UINT32_MAX, &number) == 0) {
		*ret = (uint32_t)number;
		return 0;
	}
	if (s.n == 0 || s.n >= sizeof(name))
		return E_SYNTAX;
	*ret = if_nametoindex(str_copy(name, sizeof(name), s));
	return *ret != 0 ? 0 : E_SYNTAX;
}

static int
parse_v6(struct str host, struct sock_addr *addr)
{
	struct str scope, bare = str_cut(host, '%', &scope);
	char text[INET6_ADDRSTRLEN];

	if (bare.n >= sizeof(text) || memchr(bare.p, '\0', bare.n) != NULL)
		return E_SYNTAX;
	addr->family = AF_INET6;
	if (inet_pton(AF_INET6, str_copy(text, sizeof(text), bare), addr->bytes) != 1)
		return E_SYNTAX;
	return scope.p != NULL ? parse_scope(scope, &addr->scope) : 0;
}

static int
parse_v4(struct str host, struct sock_addr *addr)
{
	char text[INET_ADDRSTRLEN];

	if (host.n >= sizeof(text) || memchr(host.p, '\0', host.n) != NULL)
		return E_SYNTAX;
	addr->family = AF_INET;
	return inet_pton(AF_INET, str_copy(text, sizeof(text), host), addr->bytes) == 1 ? 0
											: E_SYNTAX;
}

int
sock_addr_parse(struct str s, struct sock_addr *ret)
{
	struct sock_addr addr = {0};
	struct str host, port;
	bool v6;
	int err = split(s, &host, &port, &v6);

	if (err == 0)
		err = parse_port(port, &addr.port);
	if (err == 0)
		err = v6 ? parse_v6(host, &addr) : parse_v4(host, &addr);
	if (err == 0)
		*ret = addr;
	return err;
}

const char *
sock_addr_text(const struct sock_addr *addr, char *buf, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "", scope[16] = "";

	if (addr->family == AF_INET) {
		inet_ntop(AF_INET, addr->bytes, host, sizeof(host));
		snprintf(buf, size, "%s:%u", host, (unsigned)addr->port);
	} else if (addr->family == AF_INET6) {
		inet_ntop(AF_INET6, addr->bytes, host, sizeof(host));
		if (addr->scope != 0)
			snprintf(scope, sizeof(scope), "%%%u", (unsigned)addr->scope);
		snprintf(buf, size, "[%s%s]:%u", host, scope, (unsigned)addr->port);
	} else {
		snprintf(buf, size, "none");
	}
	return buf;
}

bool
sock_addr_eq(const struct sock_addr *a, const struct sock_addr *b)
{
	size_t n = a->family == AF_INET6 ? 16 : a->family == AF_INET ? 4 : 0;

	return a->family == b->family && a->port == b->port && a->scope == b->scope &&
	       memcmp(a->bytes, b->bytes, n) == 0;
}

bool
sock_addr_is_loopback(const struct sock_addr *addr)
{
	static const uint8_t one[16] = {[15] = 1};
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (addr->family == AF_INET)
		return addr->bytes[0] == 127;
	if (addr->family != AF_INET6)
		return false;
	return memcmp(addr->bytes, one, 16) == 0 ||
	       (memcmp(addr->bytes, mapped, 12) == 0 && addr->bytes[12] == 127);
}

socklen_t
sock_addr_to_sys(const struct sock_addr *addr, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (addr->family == AF_INET) {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, addr->bytes, sizeof(in->sin_addr));
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

	ASSERT(addr->family == AF_INET6);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(addr->port);
	in6->sin6_scope_id = addr->scope;
	memcpy(&in6->sin6_addr, addr->bytes, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}

int
sock_addr_from_sys(const struct sockaddr *sa, struct sock_addr *ret)
{
	struct sock_addr addr = {.family = sa->sa_family};

	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)sa;

		addr.port = ntohs(in->sin_port);
		memcpy(addr.bytes, &in->sin_addr, sizeof(in->sin_addr));
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)sa;

		addr.port = ntohs(in6->sin6_port);
		addr.scope = in6->sin6_scope_id;
		memcpy(addr.bytes, &in6->sin6_addr, sizeof(in6->sin6_addr));
	} else {
		return E_SYNTAX;
	}
	*ret = addr;
	return 0;
}

static bool
is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      c == '-' || c == '.' || c == '_'))
			return false;
	}
	return s.n > 0;
}

int
sock_split_host_port(struct str s, struct str *ret_host, uint16_t *ret_port)
{
	struct sock_addr ignored = {0};
	struct str host, port;
	uint16_t number = 0;
	bool v6;
	int err = split(s, &host, &port, &v6);

	if (err == 0)
		err = parse_port(port, &number);
	if (err == 0 && v6)
		err = parse_v6(host, &ignored);
	if (err != 0 || (!v6 && !is_name(host)))
		return E_SYNTAX;
	*ret_host = host;
	*ret_port = number;
	return 0;
}

void
sock_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

static int
set_on(int fd, int level, int option)
{
	int on = 1;

	return setsockopt(fd, level, option, &on, sizeof(on));
}

int
sock_listen(const struct sock_addr *addr, bool reuseport, int backlog, int *ret_fd)
{
	struct sockaddr_storage sys;
	socklen_t len = sock_addr_to_sys(addr, &sys);
	int fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return E_IO;
	if (set_on(fd, SOL_SOCKET, SO_REUSEADDR) < 0 ||
	    (reuseport && set_on(fd, SOL_SOCKET, SO_REUSEPORT) < 0) ||
	    (addr->family == AF_INET6 && set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY) < 0) ||
	    bind(fd, (struct sockaddr *)&sys, len) < 0 || listen(fd, backlog) < 0) {
		sock_close(&fd);
		return E_IO;
	}
	*ret_fd = fd;
	return 0;
}

/* Only ever removes a socket: a wrong path in the configuration must not cost a file. */
static int
remove_old(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : E_IO;
	if (!S_ISSOCK(st.st_mode)) {
		errno = EEXIST;
		return E_EXISTS;
	}
	return unlink(path) == 0 || errno == ENOENT ? 0 : E_IO;
}

int
sock_listen_unix(const char *path, unsigned mode, int backlog, int *ret_fd)
{
	struct sockaddr_un sys = {.sun_family = AF_UNIX};
	size_t n = strlen(path);
	mode_t mask;
	int fd, err;

	if (n == 0 || n >= sizeof(sys.sun_path)) {
		errno = ENAMETOOLONG;
		return E_IO;
	}
	memcpy(sys.sun_path, path, n);
	err = remove_old(path);
	if (err != 0)
		return err;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return E_IO;
	/* bind() makes the file 0777 less the mask: right from its first moment */
	mask = umask(~mode & 0777);
	err = bind(fd, (struct sockaddr *)&sys, sizeof(sys)) < 0 ? E_IO : 0;
	umask(mask);
	if (err != 0 || listen(fd, backlog) < 0) {
		sock_close(&fd);
		return E_IO;
	}
	*ret_fd = fd;
	return 0;
}

/* No more descriptors, memory or local ports: later there may be some. */
static bool
is_shortage(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
	       error == EADDRNOTAVAIL;
}

/* A connection that died in the queue (accept(2) lists these): look for the next one. */
static bool
is_stillborn(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
	       error == ENOPROTOOPT || error == EHOSTDOWN || error == ENONET ||
	       error == EHOSTUNREACH || error == ENETUNREACH || error == EPERM;
}

int
sock_accept(int listen_fd, int *ret_fd, struct sock_addr *ret_peer)
{
	struct sockaddr_storage sys = {.ss_family = AF_UNSPEC};
	struct sock_addr peer = {0};
	socklen_t len;
	int fd;

	do {
		len = sizeof(sys);
		fd = accept4(listen_fd, (struct sockaddr *)&sys, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
	} while (fd < 0 && is_stillborn(errno));
	if (fd < 0) {
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return E_AGAIN;
		return is_shortage(errno) ? E_FULL : E_IO;
	}
	if (sock_addr_from_sys((struct sockaddr *)&sys, &peer) == 0)
		set_on(fd, IPPROTO_TCP, TCP_NODELAY); /* fails only when the peer is gone already */
	*ret_fd = fd;
	if (ret_peer != NULL)
		*ret_peer = peer;
	return 0;
}

static int
connect_error(int error)
{
	if (error == ECONNREFUSED)
		return E_REFUSED;
	if (error == ETIMEDOUT)
		return E_TIMEOUT;
	errno = error;
	return E_IO;
}

int
sock_connect(const struct sock_addr *addr, int *ret_fd)
{
	struct sockaddr_storage sys;
	socklen_t len = sock_addr_to_sys(addr, &sys);
	int fd = socket(addr->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return is_shortage(errno) ? E_FULL : E_IO;
	set_on(fd, IPPROTO_TCP, TCP_NODELAY);
	if (connect(fd, (struct sockaddr *)&sys, len) < 0 && errno != EINPROGRESS &&
	    errno != EINTR) {
		sock_close(&fd);
		return is_shortage(errno) || errno == EAGAIN ? E_FULL : connect_error(errno);
	}
	*ret_fd = fd;
	return 0;
}

int
sock_connect_result(int fd)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return E_IO;
	return error == 0 ? 0 : connect_error(error);
}

int
sock_pair(int ret_fds[2])
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) < 0)
		return is_shortage(errno) ? E_FULL : E_IO;
	ret_fds[0] = fds[0];
	ret_fds[1] = fds[1];
	return 0;
}
