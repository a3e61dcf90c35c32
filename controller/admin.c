/*
 * HTTP for the controller: connections come in, whole requests go to routes, answers go out.
 *
 *	socket --> libmicrohttpd (epoll) --> take() --> handle() --> admin_answer() --> send()
 *
 * The library watches its sockets with an epoll descriptor of its own; that descriptor is one
 * watcher of our loop, so that the process stays single-threaded. A request whose answer takes
 * another process is suspended until admin_answer().
 */
#include "controller/admin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include "controller/visitors.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "lib/sock.h"

#define ADMIN_MAGIC   0x61646d69u
#define REQUEST_MAGIC 0x72657175u
#define IDLE_SECONDS  10u
#define MEMORY_LIMIT \
	((size_t)32 * 1024) /* per connection: the head of a request and of its answer */

struct admin {
	unsigned magic;
	struct loop *loop;
	struct MHD_Daemon *daemon;
	enum admin_door door;
	void (*handle)(void *arg, struct admin_request *);
	void *arg;
	struct loop_io io;
	struct loop_timer timer;
	struct loop_later later;
	unsigned running;
	struct visitors visitors;
};

struct admin_request {
	unsigned magic;
	struct admin *admin;
	struct MHD_Connection *connection;
	const char *method, *path;
	struct buf body;
	char peer[SOCK_ADDR_TEXT + 16];
	bool suspended;
	unsigned status; /* 0: not answered yet */
	char *text;	 /* of the answer; malloc'ed, NULL when the library has it */
	const char *type, *allow, *encoding, *policy;
	size_t size;
	void (*release)(void *text);
};

static void
pump(void *arg)
{
	struct admin *a = arg;
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	CHECK_MAGIC(a, ADMIN_MAGIC);
	a->visitors.left = false;
	MHD_run(a->daemon);
	if (a->visitors.left) /* it looks for newcomers again when it is run, and only then */
		loop_timer_start(a->loop, &a->timer, 1, 0, pump, a);
	else if (MHD_get_timeout(a->daemon, &timeout_ms) == MHD_YES)
		loop_timer_start(a->loop, &a->timer, timeout_ms, 0, pump, a);
	else
		loop_timer_stop(&a->timer);
}

static void
pump_io(void *arg, unsigned events)
{
	pump(arg);
}

static void
name_peer(struct admin_request *r)
{
	const union MHD_ConnectionInfo *info;
	struct ucred who;
	socklen_t size = sizeof(who);
	struct sock_addr addr;
	char text[SOCK_ADDR_TEXT];

	snprintf(r->peer, sizeof(r->peer), "peer=unknown");
	if (r->admin->door == ADMIN_CONTROL) {
		info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		if (info != NULL &&
		    getsockopt(info->connect_fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0)
			snprintf(r->peer, sizeof(r->peer), "uid=%u pid=%d", (unsigned)who.uid,
				 (int)who.pid);
		return;
	}
	info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	if (info != NULL && sock_addr_from_sys(info->client_addr, &addr) == 0)
		snprintf(r->peer, sizeof(r->peer), "peer=%s",
			 sock_addr_text(&addr, text, sizeof(text)));
}

/* The head is in: makes the request. MHD_NO closes the connection. */
static enum MHD_Result
begin(struct admin *a, struct MHD_Connection *connection, const char *method, const char *path,
      void **slot)
{
	struct admin_request *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return MHD_NO;
	r->magic = REQUEST_MAGIC;
	r->admin = a;
	r->connection = connection;
	r->method = method;
	r->path = path;
	buf_init(&r->body, ADMIN_BODY_MAX);
	name_peer(r);
	a->running++;
	visitors_set(&a->visitors, connection, VISITORS_ANSWERED);
	*slot = r;
	return MHD_YES;
}

/* A page of somebody else's in a browser on this machine reaches a loopback address by a name of
 * its own that resolves to it; an address, or "localhost", is no such name. */
static bool
is_rebound(const struct admin_request *r)
{
	const char *text =
		MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	struct str host, port;
	struct in6_addr any;
	char name[INET6_ADDRSTRLEN];

	if (r->admin->door != ADMIN_TCP || text == NULL || text[0] == '[')
		return false;
	host = str_cut(str_from(text), ':', &port);
	if (host.n == 0 || str_eq_nocase(host, STR("localhost")))
		return false;
	if (host.n >= sizeof(name))
		return true;
	str_copy(name, sizeof(name), host);
	return inet_pton(AF_INET, name, &any) != 1;
}

static bool
is_oversized(const struct admin_request *r)
{
	const char *text = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_CONTENT_LENGTH);
	uint64_t length;

	return text != NULL && str_u64(str_from(text), ADMIN_BODY_MAX, &length) != 0;
}

/* An answer may hold a token. */
static void
wipe(void *text)
{
	explicit_bzero(text, strlen(text));
	free(text);
}

static enum MHD_Result
send_answer(struct admin_request *r)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer_with_free_callback(r->size, r->text, r->release);
	enum MHD_Result queued;

	if (response == NULL)
		return MHD_NO; /* request_done() frees the text */
	r->text = NULL;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, r->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (r->encoding != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, r->encoding);
	if (r->allow != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->allow);
	if (r->policy != NULL) {
		MHD_add_response_header(response, "Content-Security-Policy", r->policy);
		MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	}
	queued = MHD_queue_response(r->connection, r->status, response);
	MHD_destroy_response(response);
	return queued;
}

/* Called by the library with the head, with each piece of the body, with its end, and again after a
 * suspension. */
static enum MHD_Result
take(void *arg, struct MHD_Connection *connection, const char *path, const char *method,
     const char *version, const char *piece, size_t *piece_size, void **slot)
{
	struct admin *a = arg;
	struct admin_request *r = *slot;

	CHECK_MAGIC(a, ADMIN_MAGIC);
	if (r == NULL) {
		if (begin(a, connection, method, path, slot) == MHD_NO)
			return MHD_NO;
		r = *slot;
		if (is_rebound(r))
			admin_refuse(r, MHD_HTTP_MISDIRECTED_REQUEST,
				     "ask by address or as localhost: other names in Host are "
				     "refused");
		else if (is_oversized(r))
			admin_refuse(r, MHD_HTTP_CONTENT_TOO_LARGE,
				     "the body is larger than 64 KiB");
		return r->status != 0 ? send_answer(r) : MHD_YES;
	}
	CHECK_MAGIC(r, REQUEST_MAGIC);
	if (*piece_size > 0) {
		buf_add(&r->body, piece, *piece_size);
		*piece_size = 0;
		return buf_failed(&r->body) ? MHD_NO : MHD_YES;
	}
	if (r->status == 0)
		a->handle(a->arg, r);
	if (r->status != 0)
		return send_answer(r);
	r->suspended = true;
	visitors_set(&a->visitors, connection, VISITORS_SUSPENDED);
	MHD_suspend_connection(connection);
	return MHD_YES;
}

static void
finish_request(void *arg, struct MHD_Connection *connection, void **slot,
	       enum MHD_RequestTerminationCode why)
{
	struct admin_request *r = *slot;

	if (r == NULL)
		return;
	CHECK_MAGIC(r, REQUEST_MAGIC);
	ASSERT(!r->suspended);
	r->admin->running--;
	visitors_set(&r->admin->visitors, connection, VISITORS_LISTENED);
	buf_free(&r->body);
	if (r->text != NULL)
		r->release(r->text);
	r->magic = 0;
	free(r);
	*slot = NULL;
}

/* What the library has to say is about connections that failed: nobody's news. */
__attribute__((format(printf, 2, 0))) static void
log_library(void *arg, const char *fmt, va_list ap)
{
	char line[256];

	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	log_debug(NULL, "http: %s", line);
}

int
admin_open(struct loop *loop, int fd, enum admin_door door,
	   void (*handle)(void *, struct admin_request *), void *arg, struct admin **ret)
{
	struct admin *a = calloc(1, sizeof(*a));
	const union MHD_DaemonInfo *info;

	if (a == NULL) {
		sock_close(&fd);
		return E_NOMEM;
	}
	a->magic = ADMIN_MAGIC;
	a->loop = loop;
	a->door = door;
	a->handle = handle;
	a->arg = arg;
	a->visitors.limit = ADMIN_CONNECTIONS;
	a->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, take,
		a, MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, ADMIN_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
		IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_LIMIT,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, finish_request, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, visitors_notify, &a->visitors, MHD_OPTION_END);
	if (a->daemon == NULL) {
		sock_close(&fd);
		free(a);
		return E_IO;
	}
	info = MHD_get_daemon_info(a->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	ASSERT(info != NULL && info->epoll_fd >= 0);
	loop_io_start(loop, &a->io, info->epoll_fd, LOOP_READ, pump_io, a);
	pump(a);
	*ret = a;
	return 0;
}

void
admin_quiesce(struct admin *a)
{
	int fd;

	CHECK_MAGIC(a, ADMIN_MAGIC);
	pump(a);
	fd = MHD_quiesce_daemon(a->daemon);
	sock_close(&fd);
}

unsigned
admin_running(const struct admin *a)
{
	CHECK_MAGIC(a, ADMIN_MAGIC);
	return a->running;
}

void
admin_close(struct admin **admin)
{
	struct admin *a = *admin;

	if (a == NULL)
		return;
	CHECK_MAGIC(a, ADMIN_MAGIC);
	MHD_run(a->daemon); /* picks up what was resumed: the library must not be stopped before */
	loop_later_cancel(a->loop, &a->later);
	loop_timer_stop(&a->timer);
	loop_io_stop(&a->io);
	MHD_stop_daemon(a->daemon);
	a->magic = 0;
	free(a);
	*admin = NULL;
}

enum admin_door
admin_door(const struct admin_request *r)
{
	return r->admin->door;
}

struct str
admin_method(const struct admin_request *r)
{
	return str_from(r->method);
}

struct str
admin_path(const struct admin_request *r)
{
	return str_from(r->path);
}

struct str
admin_body(const struct admin_request *r)
{
	return buf_str(&r->body);
}

struct str
admin_value(void *request, const char *key)
{
	struct admin_request *r = request;
	struct str value = STR_NONE;

	CHECK_MAGIC(r, REQUEST_MAGIC);
	if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, key, strlen(key),
					  &value.p, &value.n) != MHD_YES)
		return STR_NONE;
	return value.p != NULL ? value : STR("");
}

/* "q=0" and "q=0.000" have none. */
static bool
has_weight(struct str q)
{
	for (size_t i = 0; i < q.n; i++)
		if (q.p[i] >= '1' && q.p[i] <= '9')
			return true;
	return false;
}

/* "gzip" in the list, and not with a weight of 0. */
bool
admin_accepts_gzip(const struct admin_request *r)
{
	struct str list = str_from(MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND,
							       MHD_HTTP_HEADER_ACCEPT_ENCODING));

	CHECK_MAGIC(r, REQUEST_MAGIC);
	while (list.p != NULL) {
		struct str weight, word = str_trim(str_cut(list, ',', &list));

		word = str_trim(str_cut(word, ';', &weight));
		if (str_eq_nocase(word, STR("gzip")))
			return weight.p == NULL || has_weight(weight);
	}
	return false;
}

const char *
admin_peer(const struct admin_request *r)
{
	return r->peer;
}

static void
finish(struct admin_request *r, unsigned status)
{
	CHECK_MAGIC(r, REQUEST_MAGIC);
	ASSERT(r->status == 0 && status != 0 && r->text != NULL);
	r->status = status;
	if (!r->suspended)
		return;
	r->suspended = false;
	visitors_set(&r->admin->visitors, r->connection, VISITORS_ANSWERED);
	MHD_resume_connection(r->connection);
	loop_later(r->admin->loop, LOOP_FLUSH, &r->admin->later, pump, r->admin);
}

static void
answer(struct admin_request *r, unsigned status, char *text, const char *type)
{
	r->text = text;
	r->size = strlen(text);
	r->release = wipe;
	r->type = type;
	finish(r, status);
}

void
admin_answer_bytes(struct admin_request *r, unsigned status, const struct admin_bytes *bytes)
{
	r->text = (char *)bytes->p;
	r->size = bytes->n;
	r->release = free;
	r->type = bytes->type;
	r->encoding = bytes->encoding;
	finish(r, status);
}

void
admin_answer(struct admin_request *r, unsigned status, json_t *json)
{
	char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	if (text == NULL) {
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
		text = strdup("{\"errors\":[\"out of memory\"]}");
	}
	answer(r, status, text, "application/json");
}

void
admin_answer_secret(struct admin_request *r, unsigned status, char *json)
{
	answer(r, status, json, "application/json");
}

void
admin_answer_text(struct admin_request *r, unsigned status, const char *text)
{
	answer(r, status, strdup(text), "text/plain; charset=utf-8");
}

void
admin_answer_page(struct admin_request *r, const char *html, const char *policy)
{
	r->policy = policy;
	answer(r, MHD_HTTP_OK, strdup(html), "text/html; charset=utf-8");
}

void
admin_answer_405(struct admin_request *r, const char *allow)
{
	r->allow = allow;
	admin_refuse(r, MHD_HTTP_METHOD_NOT_ALLOWED, "the method is not allowed here");
}

void
admin_refuse(struct admin_request *r, unsigned status, const char *words)
{
	admin_answer(r, status, json_pack("{s:[s]}", "errors", words));
}
