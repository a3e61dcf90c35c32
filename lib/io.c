/*
 * Sockets and TLS under one roof. In: readiness events; out: bytes up to the owner, bytes down to
 * the socket.
 *
 *	recv --> rx (shared) --> SSL_read --> plain (shared) --> ops->bytes
 *	out (blocks) --> SSL_write --> tx (shared) --> send ; the rest --> sealed (blocks)
 *
 * OpenSSL reads and writes through a BIO of ours, whose "wire" is rx and tx: SSL_read is called
 * until there is no more, so nothing of rx is left behind when the turn ends; and tx is empty again
 * before anybody else is called, for it is shared.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "lib/io.h"
#include "lib/panic.h"
#include "lib/sock.h"
#include "lib/tls.h"

#define IO_MAGIC  0x10C0FFEEu
#define RX_SIZE	  65536
#define TX_SIZE	  (4 * (POOL_BLOCK + 512))
#define ROUNDS	  4 /* recv calls per readiness event, so that others get their turn */
#define IOV_COUNT 8
/* So many in that time: each costs us two keys and an answer, and OpenSSL has no limit. */
#define REKEYS_MAX 10
#define REKEYS_MS  60000u

static uint8_t rx[RX_SIZE], plain[RX_SIZE], tx[TX_SIZE];
static size_t rx_at, rx_len, tx_len;
static BIO_METHOD *method;

/* ---- the BIO between OpenSSL and rx, tx ---- */

static int
wire_read(BIO *b, char *to, int n)
{
	const struct io *io = BIO_get_data(b);
	size_t have = rx_len - rx_at;

	BIO_clear_retry_flags(b);
	if (io != NULL && io->rekeys > REKEYS_MAX)
		return -1;
	if (have == 0) {
		BIO_set_retry_read(b);
		return -1;
	}
	if ((size_t)n > have)
		n = (int)have;
	memcpy(to, rx + rx_at, (size_t)n);
	rx_at += (size_t)n;
	return n;
}

static int
wire_write(BIO *b, const char *p, int n)
{
	struct io *io = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (io == NULL)
		return n;
	if (io->sealed.len == 0 && TX_SIZE - tx_len >= (size_t)n) {
		memcpy(tx + tx_len, p, (size_t)n);
		tx_len += (size_t)n;
	} else {
		pool_append(&io->sealed, tx, tx_len);
		tx_len = 0;
		pool_append(&io->sealed, p, (size_t)n);
	}
	return n;
}

static long
wire_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static int
wire_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

static BIO *
wire_new(struct io *io)
{
	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");
		ASSERT(method != NULL);
		BIO_meth_set_read(method, wire_read);
		BIO_meth_set_write(method, wire_write);
		BIO_meth_set_ctrl(method, wire_ctrl);
		BIO_meth_set_create(method, wire_create);
	}
	BIO *b = BIO_new(method);
	if (b != NULL)
		BIO_set_data(b, io);
	return b;
}

/* Before each call of OpenSSL, which tells a failure by what is in the queue of errors. Clearing an
 * empty one costs several times a look at it. */
static void
forget_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* ---- sending ---- */

static int
sys_failed(void)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return E_AGAIN;
	return errno == EPIPE || errno == ECONNRESET ? E_CLOSED : E_IO;
}

static int
send_chain(struct io *io, struct pool_chain *c)
{
	while (c->len > 0) {
		struct iovec v[IOV_COUNT];
		struct msghdr m = {.msg_iov = v};

		for (struct pool_block *b = c->first; b != NULL && m.msg_iovlen < IOV_COUNT;
		     b = b->next)
			v[m.msg_iovlen++] = (struct iovec){b->data + b->start, b->end - b->start};
		ssize_t n = sendmsg(io->fd, &m, MSG_NOSIGNAL);
		if (n < 0)
			return sys_failed();
		pool_drop(c, (size_t)n);
	}
	return 0;
}

/* Sends tx; what the socket does not take goes to io->sealed. */
static int
send_tx(struct io *io)
{
	size_t at = 0;
	int rc = 0;

	if (io->sealed.len > 0)
		rc = send_chain(io, &io->sealed);
	while (rc == 0 && at < tx_len) {
		ssize_t n = send(io->fd, tx + at, tx_len - at, MSG_NOSIGNAL);
		if (n < 0)
			rc = sys_failed();
		else
			at += (size_t)n;
	}
	if (rc == E_AGAIN)
		pool_append(&io->sealed, tx + at, tx_len - at);
	tx_len = 0;
	return rc;
}

static int
tls_failed(struct io *io, int ret)
{
	int e = SSL_get_error(io->ssl, ret);

	if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
		return E_AGAIN;
	if (e == SSL_ERROR_ZERO_RETURN)
		return E_CLOSED;
	long verdict = SSL_get_verify_result(io->ssl);
	if (io->rekeys > REKEYS_MAX) {
		str_copy(io->why, sizeof io->why, STR("too many key updates"));
		ERR_clear_error();
	} else if (verdict != X509_V_OK) {
		snprintf(io->why, sizeof io->why, "the peer's certificate: %s",
			 X509_verify_cert_error_string(verdict));
		ERR_clear_error();
	} else {
		tls_error(io->why, sizeof io->why);
	}
	return E_TLS;
}

/* Encrypts block by block; a record holds what a block holds. */
static int
flush_tls(struct io *io)
{
	int rc = io->sealed.len > 0 ? send_chain(io, &io->sealed) : 0;

	ASSERT(tx_len == 0);
	while (rc == 0 && io->out.len > 0) {
		while (io->out.len > 0 && TX_SIZE - tx_len > POOL_BLOCK + 256) {
			struct pool_block *b = io->out.first;

			forget_errors();
			int n = SSL_write(io->ssl, b->data + b->start, (int)(b->end - b->start));
			if (n <= 0) {
				rc = tls_failed(io, n);
				tx_len = 0;
				return rc == E_AGAIN ? E_TLS : rc; /* the wire never blocks */
			}
			pool_drop(&io->out, (size_t)n);
		}
		rc = send_tx(io);
	}
	return rc;
}

static void
watch(struct io *io)
{
	unsigned want = io->reading_off ? 0 : LOOP_READ;

	if (io->failed)
		want = 0;
	else if (io->connecting || io->sealed.len > 0 || io->blocked)
		want |= LOOP_WRITE;
	loop_io_events(&io->watch, want);
}

int
io_flush(struct io *io)
{
	int rc = 0;

	CHECK_MAGIC(io, IO_MAGIC);
	if (io->closed || io->failed)
		return E_CLOSED;
	if (!io->connecting && !io->handshaking)
		rc = io->ssl != NULL ? flush_tls(io) : send_chain(io, &io->out);
	if (rc != 0 && rc != E_AGAIN)
		return rc;
	io->blocked = rc == E_AGAIN;
	watch(io);
	return 0;
}

/* ---- receiving ---- */

static void
broken(struct io *io, int why)
{
	if (io->closed || io->failed)
		return;
	io->failed = true;
	watch(io);
	io->ops->broken(io->arg, why);
}

static bool
speaks_h2(const struct io *io)
{
	const unsigned char *alpn;
	unsigned n;

	SSL_get0_alpn_selected(io->ssl, &alpn, &n);
	return n == 2 && memcmp(alpn, "h2", 2) == 0;
}

static void
shake(struct io *io)
{
	ERR_clear_error();
	int n = SSL_do_handshake(io->ssl);
	int rc = n == 1 ? 0 : tls_failed(io, n);

	if (rc == 0 && !speaks_h2(io)) {
		str_copy(io->why, sizeof io->why, STR("the peer did not agree to ALPN h2"));
		rc = E_TLS;
	}
	int sent = send_tx(io); /* also the alert of a failure */

	if (rc == 0) {
		io->handshaking = false;
		if (sent == 0 || sent == E_AGAIN)
			io->ops->up(io->arg);
		else
			broken(io, sent);
	} else if (rc != E_AGAIN) {
		broken(io, rc);
	} else if (sent != 0 && sent != E_AGAIN) {
		broken(io, sent);
	}
}

/* What TLS answers by itself: alerts, KeyUpdate. */
static int
send_own(struct io *io)
{
	int rc = tx_len > 0 ? send_tx(io) : 0;

	return rc == E_AGAIN ? 0 : rc;
}

/* Decrypts all of rx and hands it up. */
static void
receive_tls(struct io *io)
{
	size_t have = 0;
	int rc = 0;

	if (io->handshaking)
		shake(io);
	while (!io->closed && !io->handshaking && rc == 0) {
		forget_errors();
		int n = SSL_read(io->ssl, plain + have, (int)(RX_SIZE - have));
		if (n > 0)
			have += (size_t)n;
		else
			rc = tls_failed(io, n);
		if (rx_at == rx_len && rc == 0 && SSL_has_pending(io->ssl) == 0)
			rc = E_AGAIN; /* as the next call would find out */
		int sent = send_own(io);
		if (sent != 0 && (rc == 0 || rc == E_AGAIN))
			rc = sent;
		if (have > 0 && (rc != 0 || RX_SIZE - have < POOL_BLOCK)) {
			io->ops->bytes(io->arg, plain, have);
			have = 0;
		}
	}
	rx_at = rx_len = 0;
	if (rc != 0 && rc != E_AGAIN)
		broken(io, rc);
}

static void
readable(struct io *io)
{
	for (int i = 0; i < ROUNDS && !io->closed && !io->failed && !io->reading_off; i++) {
		ssize_t n = recv(io->fd, rx, RX_SIZE, 0);

		if (n == 0) {
			if (io->handshaking)
				str_copy(io->why, sizeof io->why,
					 STR("closed during the handshake"));
			broken(io, E_CLOSED);
			return;
		}
		if (n < 0) {
			int rc = sys_failed();
			if (rc != E_AGAIN)
				broken(io, rc);
			return;
		}
		if (io->ssl != NULL) {
			rx_at = 0;
			rx_len = (size_t)n;
			receive_tls(io);
		} else {
			io->ops->bytes(io->arg, rx, (size_t)n);
		}
		if (n < RX_SIZE)
			break;
	}
	if (!io->closed)
		watch(io);
}

static void
connected(struct io *io)
{
	int rc = sock_connect_result(io->fd);

	if (rc != 0) {
		broken(io, rc);
		return;
	}
	io->connecting = false;
	if (io->ssl != NULL)
		shake(io);
	else
		io->ops->up(io->arg);
	if (!io->closed)
		watch(io);
}

static void
ready(void *arg, unsigned events)
{
	struct io *io = arg;

	CHECK_MAGIC(io, IO_MAGIC);
	if (io->connecting) {
		if (events & LOOP_WRITE)
			connected(io);
		return;
	}
	if (events & LOOP_WRITE) {
		int rc = io->handshaking ? send_chain(io, &io->sealed) : io_flush(io);

		if (rc != 0 && rc != E_AGAIN) {
			broken(io, rc);
			return;
		}
		if (io->handshaking)
			watch(io);
		else if (!io_blocked(io))
			io->ops->writable(io->arg);
	}
	if (!io->closed && (events & LOOP_READ))
		readable(io);
}

/* ---- opening and closing ---- */

/* Called by OpenSSL with every message of the handshake protocol, both ways. */
static void
count_rekeys(int sent, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct io *io = arg;

	(void)version, (void)ssl;
	if (sent || type != SSL3_RT_HANDSHAKE || n == 0 ||
	    *(const uint8_t *)p != SSL3_MT_KEY_UPDATE)
		return;
	uint64_t now = loop_ms(io->watch.loop);
	if (now - io->rekeys_since_ms >= REKEYS_MS) {
		io->rekeys_since_ms = now;
		io->rekeys = 0;
	}
	io->rekeys++;
}

/* The name is checked; an address is no server name to be sent (RFC 6066 section 3). */
static bool
set_name(SSL *ssl, const char *name)
{
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
		return true;
	ERR_clear_error();
	return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

static int
open_tls(struct io *io, SSL_CTX *tls, const char *server_name)
{
	io->ssl = SSL_new(tls);
	BIO *b = io->ssl != NULL ? wire_new(io) : NULL;
	if (b == NULL)
		goto failed;
	SSL_set_bio(io->ssl, b, b);
	SSL_set_msg_callback(io->ssl, count_rekeys);
	SSL_set_msg_callback_arg(io->ssl, io);
	if (io->client) {
		SSL_set_connect_state(io->ssl);
		if (server_name != NULL && !set_name(io->ssl, server_name))
			goto failed;
	} else {
		SSL_set_accept_state(io->ssl);
	}
	io->handshaking = true;
	return 0;
failed:
	SSL_free(io->ssl);
	io->ssl = NULL;
	ERR_clear_error();
	return E_NOMEM;
}

static int
open_any(struct io *io, struct loop *loop, int fd, SSL_CTX *tls, const char *server_name)
{
	io->magic = IO_MAGIC;
	io->fd = fd;
	if (tls != NULL && open_tls(io, tls, server_name) != 0) {
		sock_close(&io->fd);
		io->closed = true;
		return E_NOMEM;
	}
	unsigned events = LOOP_READ | (io->connecting ? LOOP_WRITE : 0);
	loop_io_start(loop, &io->watch, fd, events, ready, io);
	return 0;
}

int
io_open_server(struct io *io, struct loop *loop, int fd, SSL_CTX *tls, const struct io_ops *ops,
	       void *arg)
{
	*io = (struct io){.ops = ops, .arg = arg};
	return open_any(io, loop, fd, tls, NULL);
}

int
io_open_client(struct io *io, struct loop *loop, int fd, SSL_CTX *tls, const char *server_name,
	       const struct io_ops *ops, void *arg)
{
	*io = (struct io){.ops = ops, .arg = arg, .client = true, .connecting = true};
	return open_any(io, loop, fd, tls, server_name);
}

/* A courtesy; nothing depends on it. */
static void
close_notify(struct io *io)
{
	ASSERT(tx_len == 0);
	if (!io->handshaking && !io->connecting && !io->said_end && SSL_shutdown(io->ssl) >= 0 &&
	    io->sealed.len == 0)
		(void)!send(io->fd, tx, tx_len, MSG_NOSIGNAL);
	tx_len = 0;
}

void
io_say_end(struct io *io)
{
	CHECK_MAGIC(io, IO_MAGIC);
	ASSERT(io_up(io) && io_waiting(io) == 0 && !io->said_end);
	if (io->ssl != NULL)
		close_notify(io);
	io->said_end = true;
	(void)!shutdown(io->fd, SHUT_WR);
}

void
io_close(struct io *io)
{
	CHECK_MAGIC(io, IO_MAGIC);
	if (io->closed)
		return;
	io->closed = true;
	if (io->ssl != NULL) {
		close_notify(io);
		SSL_free(io->ssl);
		io->ssl = NULL;
		ERR_clear_error();
	}
	loop_io_stop(&io->watch);
	sock_close(&io->fd);
	pool_clear(&io->out);
	pool_clear(&io->sealed);
}

bool
io_up(const struct io *io)
{
	return !io->closed && !io->connecting && !io->handshaking;
}

bool
io_blocked(const struct io *io)
{
	return !io_up(io) || io->sealed.len > 0 || io->blocked;
}

void
io_pause(struct io *io, bool off)
{
	io->reading_off = off;
	if (!io->closed && !io->connecting)
		watch(io);
}

size_t
io_waiting(const struct io *io)
{
	return io->out.len + io->sealed.len;
}

struct str
io_server_name(const struct io *io, char buf[SNI_SIZE])
{
	return io->ssl != NULL ? sni_name(io->ssl, buf) : STR_NONE;
}

int
io_peer(const struct io *io, enum cert_kind kind, struct arena *arena, struct io_peer *ret)
{
	const X509 *x = io->ssl != NULL && io_up(io) ? SSL_get0_peer_certificate(io->ssl) : NULL;
	struct io_peer peer;
	int rc;

	if (x == NULL)
		return E_NOT_FOUND;
	if (SSL_get_verify_result(io->ssl) != X509_V_OK)
		return E_DENIED;
	rc = cert_names(x, kind, arena, &peer.names, &peer.names_count);
	if (rc == 0)
		rc = cert_expires_ms(x, &peer.expires_ms);
	if (rc == 0)
		*ret = peer;
	return rc;
}
