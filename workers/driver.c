/*
 * One driver's connections. In: a wish for a stream; out: an HTTP/2 connection to put it on.
 * Failures are told to the checker, which alone decides whether the driver is down.
 */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "checker/talk.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "workers/context.h"
#include "workers/driver.h"

#define CONNS_MAX     16
#define STREAMS_EACH  64 /* before a further connection is opened */
#define IDLE_MS	      60000u
#define RETRY_MS      100u
#define USER_TIMEOUT  30000 /* ms without an acknowledgement before the kernel gives up */
#define STREAM_WINDOW (256u << 10)
#define HEADER_BYTES  (64u << 10)
#define HEADER_FIELDS 200

struct driver_conn {
	struct h2 h2; /* first: h2 calls are about this */
	struct driver *driver;
	struct driver_conn *next;
	uint64_t opened_wall_ms;
	bool up;
};

static const struct h2_limits limits = {
	.stream_window = STREAM_WINDOW,
	.connection_window = 64 * STREAM_WINDOW,
	.header_bytes = HEADER_BYTES,
	.header_fields = HEADER_FIELDS,
};

static struct driver_conn *
conn_of(struct h2 *h2)
{
	return (struct driver_conn *)h2;
}

static void
suspect(struct driver *d)
{
	struct checker_suspect m = {.head = {CHECKER_SUSPECT, sizeof m, 0}, .driver_id = d->id};

	if (msg_send(d->worker->setup->checker_fd, &m.head) != 0)
		log_debug(NULL, "checker's queue is full: a suspicion was dropped");
}

static void
on_up(struct h2 *h2)
{
	conn_of(h2)->up = true;
	conn_of(h2)->driver->not_before_ms = 0;
}

static void
on_closed(struct h2 *h2, int why)
{
	struct driver_conn *c = conn_of(h2), **at;
	struct driver *d = c->driver;

	for (at = &d->conns; *at != c; at = &(*at)->next)
		ASSERT(*at != NULL);
	*at = c->next;
	d->conns_count--;
	counters_add(d->worker->counters, COUNTER_driver_connections, -1);
	if (!c->up)
		d->not_before_ms = loop_ms(d->worker->loop) + RETRY_MS;
	if (why != 0) {
		log_debug(NULL, "driver=%s connection ended: %s", d->name, err_text(why));
		suspect(d);
	}
	free(c);
}

static const struct h2_ops ops = {.up = on_up, .closed = on_closed};

struct driver *
driver_new(struct worker *w, const struct registry_driver *rd)
{
	struct driver *d = calloc(1, sizeof *d);
	struct str host;
	uint16_t port;

	ASSERT(d != NULL);
	d->worker = w;
	d->id = rd->id;
	d->slot = rd->slot;
	d->name = strndup(rd->name.p, rd->name.n);
	d->authority = strndup(rd->address.p, rd->address.n);
	ASSERT(d->name != NULL && d->authority != NULL);
	d->conf = conf_cluster(w->conf, rd->cluster->name);
	if (d->conf != NULL && d->conf->has_tls) {
		d->tls = w->setup->driver_tls[d->conf - w->conf->clusters];
		struct str name = d->conf->tls.server_name;
		if (name.n == 0 && sock_split_host_port(rd->address, &host, &port) == 0)
			name = host;
		d->server_name = strndup(name.p, name.n);
		ASSERT(d->server_name != NULL);
	}
	return d;
}

void
driver_free(struct driver **d)
{
	if (*d == NULL)
		return;
	ASSERT((*d)->conns == NULL);
	free((*d)->name);
	free((*d)->server_name);
	free((*d)->authority);
	free(*d);
	*d = NULL;
}

/* A driver that vanishes without a word is noticed by the kernel, not by HTTP/2 PINGs. */
static void
set_keepalive(int fd)
{
	int one = 1, idle = 30, gap = 10, count = 3, timeout = USER_TIMEOUT;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &gap, sizeof gap);
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
}

static int
open_connection(struct driver *d, struct h2 **ret)
{
	struct worker *w = d->worker;
	struct health health;
	int fd;

	if (loop_ms(w->loop) < d->not_before_ms)
		return E_REFUSED;
	if (health_read(&w->health[d->slot], &health) != 0 || health.driver_id != d->id ||
	    health.address.family == 0)
		return E_NOT_FOUND;
	int rc = sock_connect(&health.address, &fd);
	if (rc != 0) {
		d->not_before_ms = loop_ms(w->loop) + RETRY_MS;
		suspect(d);
		return rc;
	}
	set_keepalive(fd);
	struct driver_conn *c = calloc(1, sizeof *c);
	ASSERT(c != NULL);
	c->driver = d;
	c->opened_wall_ms = clock_wall_ms();
	if (h2_open_client(&c->h2, w->loop, fd, d->tls, d->server_name, &limits, &ops) != 0) {
		free(c);
		return E_NOMEM;
	}
	c->next = d->conns;
	d->conns = c;
	d->conns_count++;
	counters_add(w->counters, COUNTER_driver_connections, 1);
	*ret = &c->h2;
	return 0;
}

int
driver_connection(struct driver *d, struct h2 **ret)
{
	struct driver_conn *spare = NULL;

	for (struct driver_conn *c = d->conns; c != NULL; c = c->next) {
		if (!h2_can_open(&c->h2))
			continue;
		if (c->h2.streams_open < STREAMS_EACH) {
			*ret = &c->h2;
			return 0;
		}
		if (spare == NULL || c->h2.streams_open < spare->h2.streams_open)
			spare = c;
	}
	int rc = d->conns_count < CONNS_MAX ? open_connection(d, ret) : E_LIMIT;
	if (rc != 0 && spare != NULL) {
		*ret = &spare->h2;
		return 0;
	}
	return rc;
}

void
driver_request_fields(const struct driver *d, struct h2_fields *f, struct arena *a, struct str path,
		      struct str content_type)
{
	h2_fields_add(f, a, STR(":method"), STR("POST"));
	h2_fields_add(f, a, STR(":scheme"), d->tls != NULL ? STR("https") : STR("http"));
	h2_fields_add(f, a, STR(":path"), path);
	h2_fields_add(f, a, STR(":authority"), str_from(d->authority));
	h2_fields_add(f, a, STR("te"), STR("trailers"));
	h2_fields_add(f, a, STR("content-type"), content_type);
	if (d->conf != NULL && d->conf->token.n > 0)
		h2_fields_add(f, a, STR("authorization"),
			      str_from(arena_printf(a, "Bearer %.*s", STR_ARG(d->conf->token))));
}

void
driver_tick(struct driver *d, uint64_t lost_wall_ms)
{
	uint64_t now = loop_ms(d->worker->loop);

	for (struct driver_conn *c = d->conns; c != NULL; c = c->next) {
		bool idle = c->h2.streams_open == 0 && now - c->h2.idle_since_ms >= IDLE_MS;

		if (c->h2.dead)
			continue;
		if (idle)
			h2_close(&c->h2, 0);
		else if (c->opened_wall_ms < lost_wall_ms)
			h2_close(&c->h2, E_TIMEOUT);
	}
}

void
driver_close_all(struct driver *d)
{
	for (struct driver_conn *c = d->conns; c != NULL; c = c->next)
		h2_close(&c->h2, 0);
}
