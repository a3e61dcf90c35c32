/*
 * A client's connection. In: a descriptor from accept.c; out: RPCs (rpc.c), one per stream. Ends
 * when the client goes, when it misbehaves (h2/budget), or after GOAWAY when its last stream is
 * done.
 */
#include <stdio.h>
#include <stdlib.h>
#include "lib/log.h"
#include "lib/panic.h"
#include "workers/client.h"
#include "workers/context.h"
#include "workers/rpc.h"

#define CLIENT_MAGIC  0x434C4E54u
#define STREAM_WINDOW (256u << 10) /* an upload's bytes that may wait for the driver */
#define CONN_WINDOW   (4u << 20)   /* credit is given on receipt; this covers the round trip */

static struct h2_limits limits;

static struct client *
client_of(struct h2 *h2)
{
	struct client *c = (struct client *)(void *)((char *)h2 - offsetof(struct client, h2));

	CHECK_MAGIC(c, CLIENT_MAGIC);
	return c;
}

const char *
client_text(const struct client *c, char *buf, size_t size)
{
	char peer[SOCK_ADDR_TEXT];

	snprintf(buf, size, "client=%u peer=%s", c->id,
		 sock_addr_text(&c->peer, peer, sizeof peer));
	return buf;
}

static struct h2_stream *
on_open(struct h2 *h2)
{
	return rpc_new(client_of(h2));
}

static void
say_why(struct client *c, int why)
{
	char ctx[128];

	if (c->h2.abused) {
		counters_add(c->worker->counters, COUNTER_abuse_closed, 1);
		log_warn(client_text(c, ctx, sizeof ctx),
			 "closed: the connection spent its abuse budget");
	} else if (why == E_TLS || (why == E_TIMEOUT && c->h2.io.handshaking)) {
		counters_add(c->worker->counters, COUNTER_handshakes_failed, 1);
		log_info(client_text(c, ctx, sizeof ctx), "TLS handshake failed: %s",
			 why == E_TIMEOUT ? "timed out" : c->h2.io.why);
	} else if (why == E_SYNTAX) {
		log_info(client_text(c, ctx, sizeof ctx), "closed: not HTTP/2");
	} else {
		log_debug(client_text(c, ctx, sizeof ctx), "closed: %s", err_text(why));
	}
}

static void
on_closed(struct h2 *h2, int why)
{
	struct client *c = client_of(h2);
	struct worker *w = c->worker;

	say_why(c, why);
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		w->clients = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	w->clients_count--;
	counters_add(w->counters, COUNTER_connections_open, -1);
	identity_unref(&c->certificate);
	c->magic = 0;
	free(c);
	worker_maybe_leave(w);
}

static const struct h2_ops ops = {.open = on_open, .closed = on_closed};

void
client_open(struct worker *w, int fd, SSL_CTX *tls, const struct sock_addr *peer)
{
	static uint32_t last_id;
	struct client *c = calloc(1, sizeof *c);

	if (c == NULL) {
		sock_close(&fd);
		return;
	}
	limits = (struct h2_limits){
		.streams = w->conf->limit_streams,
		.stream_window = STREAM_WINDOW,
		.connection_window = CONN_WINDOW,
		.header_bytes = w->conf->limit_header_bytes,
		.header_fields = w->conf->limit_header_fields,
	};
	c->magic = CLIENT_MAGIC;
	c->worker = w;
	c->peer = *peer;
	sock_addr_text(peer, c->peer_text, sizeof(c->peer_text));
	c->tls = tls != NULL;
	c->id = ++last_id;
	if (h2_open_server(&c->h2, w->loop, fd, tls, &limits, &ops) != 0) {
		free(c);
		return;
	}
	c->next = w->clients;
	if (c->next != NULL)
		c->next->prev = c;
	w->clients = c;
	w->clients_count++;
	counters_add(w->counters, COUNTER_connections_open, 1);
	counters_add(w->counters, COUNTER_connections_total, 1);
}

void
client_drain_all(struct worker *w)
{
	for (struct client *c = w->clients; c != NULL; c = c->next)
		h2_go_away(&c->h2);
}

unsigned
client_end_all(struct worker *w)
{
	unsigned ended = 0;

	for (struct client *c = w->clients; c != NULL; c = c->next)
		for (struct h2_stream *s = c->h2.streams, *next; s != NULL; s = next) {
			struct rpc *r = rpc_of_client(s);

			next = s->next;
			if (r->state == RPC_DONE)
				continue;
			rpc_blame(r, METRICS_ERROR_draining);
			(void)rpc_unavailable(r, "this gateway process ends", 100);
			ended++;
		}
	return ended;
}

void
client_close_all(struct worker *w)
{
	for (struct client *c = w->clients; c != NULL; c = c->next)
		h2_close(&c->h2, 0);
}

static bool
is_of(const struct rpc *r, const struct session_key *key)
{
	return r->state != RPC_DONE && r->state >= RPC_ROUTE &&
	       memcmp(r->key.id, key->id, sizeof key->id) == 0 && str_eq(r->key.user, key->user);
}

void
client_session_closed(struct worker *w, const struct session_key *key)
{
	for (struct client *c = w->clients; c != NULL; c = c->next)
		for (struct h2_stream *s = c->h2.streams, *next; s != NULL; s = next) {
			struct rpc *r = rpc_of_client(s);
			struct status closed = {.code = GRPC_INTERNAL,
						.detail = STATUS_SESSION_CLOSED};

			next = s->next;
			if (is_of(r, key)) {
				closed.handle = str_from(r->session_text);
				(void)rpc_refuse_with(r, &closed);
			}
		}
}

static bool
is_by_token(const struct rpc *r, struct str id)
{
	const struct identity *who = r->who;

	return r->state != RPC_DONE && who != NULL && str_eq(who->token_id, id);
}

void
client_token_revoked(struct worker *w, struct str id)
{
	ASSERT(id.n > 0); /* else it would be that of everybody who has none */
	authn_forget(w->authn, id);
	for (struct client *c = w->clients; c != NULL; c = c->next)
		for (struct h2_stream *s = c->h2.streams, *next; s != NULL; s = next) {
			struct rpc *r = rpc_of_client(s);

			next = s->next;
			if (is_by_token(r, id))
				(void)rpc_refuse(r, GRPC_UNAUTHENTICATED, "this token was revoked");
		}
}
