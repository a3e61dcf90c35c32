/*
 * A byte stream over a non-blocking socket, clear or TLS, for one event loop.
 *
 * Reading: one recv(2) of up to 64 KiB into a buffer that all connections of the process share, all
 * its TLS records decrypted into another shared one, handed up in as few pieces as possible; so an
 * idle connection owns no buffer. Writing: the owner appends to `out` and asks for a flush at the
 * end of the turn; TLS records of one flush leave with one send(2). What the socket does not take
 * waits here, and io_blocked() tells the owner to stop producing.
 */
#pragma once
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include "lib/cert.h"
#include "lib/loop.h"
#include "lib/pool.h"
#include "lib/sni.h"

struct io;

struct io_ops {
	void (*up)(void *arg); /* connected, and the TLS handshake is done */
	/* Bytes from the peer, valid until the call returns. May close the io. */
	void (*bytes)(void *arg, const uint8_t *p, size_t n);
	void (*writable)(void *arg); /* no longer blocked; produce and flush */
	/* E_CLOSED (clean end), E_IO, E_TLS, E_REFUSED, E_TIMEOUT; last call */
	void (*broken)(void *arg, int why);
};

struct io {
	unsigned magic;
	int fd;
	SSL *ssl; /* NULL: clear text */
	struct loop_io watch;
	const struct io_ops *ops;
	void *arg;
	bool connecting, handshaking, closed, reading_off;
	bool client;
	bool blocked; /* the last flush left something of `out` */
	bool failed;  /* broken() was called */
	bool said_end;
	unsigned rekeys; /* KeyUpdates of the peer since then */
	uint64_t rekeys_since_ms;
	struct pool_chain out;	  /* the owner's bytes, not yet encrypted or sent */
	struct pool_chain sealed; /* TLS: records that the socket did not take */
	char why[96];		  /* words about a TLS failure; "" otherwise */
};

/* fd is owned from here on. tls NULL: clear text. server_name: for SNI and the certificate's check
 * (client), or NULL. */
int io_open_server(struct io *, struct loop *, int fd, SSL_CTX *tls, const struct io_ops *,
		   void *arg);
int io_open_client(struct io *, struct loop *, int fd, SSL_CTX *tls, const char *server_name,
		   const struct io_ops *, void *arg);
void io_close(struct io *); /* sends close_notify if it can; no callbacks after; safe twice */

/* sends what is in `out`; 0 (also when blocked) or E_CLOSED, E_IO, E_TLS */
int io_flush(struct io *);
/* the socket takes nothing at the moment, or the io is not up */
bool io_blocked(const struct io *);
bool io_up(const struct io *);
void io_pause(struct io *, bool off); /* stop or go on reading */
/* Tells the peer that no more is sent (close_notify, FIN); what he still sends is read on. Once,
 * and when nothing waits. Had we closed with bytes of his unread, the kernel would throw away those
 * of ours that he does not have yet. */
void io_say_end(struct io *);
size_t io_waiting(const struct io *); /* bytes not yet taken by the socket */

/* Server: the host name the client asked for, as sni_name(); STR_NONE in clear text. In buf. */
struct str io_server_name(const struct io *, char buf[SNI_SIZE]);

struct io_peer { /* the certificate that the client showed, and that was verified */
	struct str *names; /* of the kind that was asked for; may be none */
	unsigned names_count;
	uint64_t expires_ms; /* wall clock */
};
/* Nothing of it is kept by the io, so each call reads the certificate again: call once and remember.
 * The names are in the arena. E_NOT_FOUND: none was shown (clear text; no client_ca), or the
 * handshake is not done. E_DENIED: not verified. E_SYNTAX, E_LIMIT: spoilt (cert.h). E_NOMEM. */
int io_peer(const struct io *, enum cert_kind, struct arena *, struct io_peer *ret) MUST_CHECK;
