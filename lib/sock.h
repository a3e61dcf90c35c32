/*
 * Sockets and addresses. Every descriptor made here is non-blocking and close-on-exec.
 */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include "lib/err.h"
#include "lib/str.h"

#define SOCK_ADDR_TEXT 64 /* "[2001:db8::1]:15002" and its NUL */

/* An IPv4 or IPv6 address with its port; plain data, fit for shared memory. family 0: none. */
struct sock_addr {
	uint16_t family;   /* AF_INET, AF_INET6 or 0 */
	uint16_t port;	   /* host byte order */
	uint32_t scope;	   /* IPv6 scope id */
	uint8_t bytes[16]; /* network byte order; IPv4 uses the first 4 */
};

/* "127.0.0.1:80", "[::1]:80"; no names. E_SYNTAX. */
int sock_addr_parse(struct str s, struct sock_addr *ret) MUST_CHECK;
const char *sock_addr_text(const struct sock_addr *, char *buf, size_t size); /* returns buf */
bool sock_addr_eq(const struct sock_addr *, const struct sock_addr *);
bool sock_addr_is_loopback(const struct sock_addr *);
socklen_t sock_addr_to_sys(const struct sock_addr *, struct sockaddr_storage *ret);
int sock_addr_from_sys(const struct sockaddr *, struct sock_addr *ret) MUST_CHECK;

/* "host:port" or "[v6]:port" into its parts; the host may be a name. E_SYNTAX. */
int sock_split_host_port(struct str s, struct str *ret_host, uint16_t *ret_port) MUST_CHECK;

/* A listening TCP socket; reuseport: SO_REUSEPORT. E_IO with errno kept. */
int sock_listen(const struct sock_addr *, bool reuseport, int backlog, int *ret_fd) MUST_CHECK;
/* A listening Unix stream socket at path (an old socket file is removed first). mode e.g. 0660.
 * E_IO with errno kept; E_EXISTS when something else than a socket is there. */
int sock_listen_unix(const char *path, unsigned mode, int backlog, int *ret_fd) MUST_CHECK;
/* Accepts one connection (TCP_NODELAY set for TCP). E_AGAIN, E_FULL (EMFILE, ENFILE, ENOBUFS,
 * ENOMEM), E_IO. */
int sock_accept(int listen_fd, int *ret_fd, struct sock_addr *ret_peer) MUST_CHECK;
/* Starts connecting (TCP_NODELAY set); 0 also while in progress. E_REFUSED, E_FULL, E_TIMEOUT,
 * E_IO. */
int sock_connect(const struct sock_addr *, int *ret_fd) MUST_CHECK;
/* After the first writability: 0, E_REFUSED, E_TIMEOUT or E_IO. */
int sock_connect_result(int fd) MUST_CHECK;
/* SOCK_SEQPACKET pair for lib/msg. */
int sock_pair(int ret_fds[2]) MUST_CHECK;
void sock_close(int *fd); /* closes and sets -1; ignores -1 */
