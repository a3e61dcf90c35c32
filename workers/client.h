/*
 * One connection of a client: an HTTP/2 server whose streams are RPCs.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "h2/h2.h"
#include "lib/sock.h"
#include "shm/sessions.h"
#include "shm/tokens.h"

struct identity;
struct worker;

struct client {
	unsigned magic;
	struct h2 h2;
	struct worker *worker;
	struct client *prev, *next; /* of the worker */
	struct sock_addr peer;
	char peer_text[SOCK_ADDR_TEXT];
	struct identity *certificate; /* whom the client's certificate names; NULL: not asked yet */
	uint32_t id;
	uint32_t rpcs;	 /* begun */
	uint32_t slowed; /* of them, wait because of bad tokens from their address */
	bool tls;
	bool proven, suspect;	 /* it has shown a good token, a bad one */
	uint64_t turned_away_ms; /* there was no place to wait in; 0: never */
};

/* Takes over fd. */
void client_open(struct worker *, int fd, SSL_CTX *tls, const struct sock_addr *peer);
void client_drain_all(struct worker *);	  /* GOAWAY to each */
unsigned client_end_all(struct worker *); /* UNAVAILABLE to every RPC under way; returns how many */
void client_close_all(struct worker *);	  /* at once */
/* Ends every RPC under way of this session with SESSION_CLOSED (an administrator closed it). */
void client_session_closed(struct worker *, const struct session_key *);
/* Forgets this token (it was revoked) and ends every RPC under way of it with UNAUTHENTICATED. */
void client_token_revoked(struct worker *, struct str id);
/* "client=7 peer=127.0.0.1:4711" */
const char *client_text(const struct client *, char *buf, size_t size);
