/*
 * Byte streams over sockets, clear and TLS: order, partial writes, who is told what when something
 * ends or a certificate is wrong, and buffers that all connections share.
 */
#include <netinet/in.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include "lib/clock.h"
#include "lib/io.h"
#include "lib/sock.h"
#include "lib/tls.h"
#include "t/unit/certs.h"

#define AHEAD	 65536 /* bytes produced before they are sent */
#define PAIRS	 24
#define SLOWNESS 10 /* of valgrind, which says that it is there (t/tools/under-valgrind) */

/* ---- certificates ---- */

/* ca -> good (spark.test, 127.0.0.1), expired, user; other -> stranger; locked has a password */
static void
make_certificates(void)
{
	struct issued ca = certs_issue("ca", NULL, NULL, 10),
		      other = certs_issue("other", NULL, NULL, 10);
	struct issued good = certs_issue("good", &ca, "DNS:spark.test,IP:127.0.0.1,IP:::1", 10);
	struct issued old = certs_issue("expired", &ca, "DNS:spark.test", -1);
	struct issued user = certs_issue("user", &ca, "DNS:user.test", 10);
	struct issued stranger = certs_issue("stranger", &other, "DNS:spark.test", 10);
	struct issued locked = certs_issue("locked", &ca, "DNS:spark.test", 10);

	certs_save(&good, "good", NULL);
	certs_save(&old, "expired", NULL);
	certs_save(&user, "user", NULL);
	certs_save(&stranger, "stranger", NULL);
	certs_save(&locked, "locked", "secret");
	certs_save(&ca, "ca", NULL);
	certs_save(&other, "other", NULL);
}

static SSL_CTX *
server_ctx(const char *name, const char *client_ca)
{
	struct tls_server_files f = {
		.certificate = certs_path(name, "crt"),
		.key = certs_path(name, "key"),
		.client_ca = certs_path(client_ca, "crt"),
	};
	char words[256] = "";
	SSL_CTX *ctx = NULL;
	unsigned wrong;

	cr_assert_eq(tls_server_ctx(&f, NULL, &ctx, &wrong, words, sizeof words), 0, "%s", words);
	return ctx;
}

static SSL_CTX *
client_ctx(const char *ca, const char *name)
{
	char words[256] = "";
	SSL_CTX *ctx = NULL;
	struct tls_client_files f = {certs_path(ca, "crt"), certs_path(name, "crt"),
				     certs_path(name, "key")};

	cr_assert_eq(tls_client_ctx(&f, &ctx, words, sizeof words), 0, "%s", words);
	return ctx;
}

/* ---- an end of a connection ---- */

struct end {
	struct io io;
	unsigned ups, broken, writables;
	int why;
	size_t got, sent, to_send;
	bool wrong;	   /* the bytes are not the pattern */
	size_t most;	   /* waiting at once */
	uint8_t seed;	   /* of what is sent */
	struct end *other; /* whose seed is expected */
	unsigned rekeys;
	void (*hook)(struct end *); /* with every piece */
};

static struct loop *loop;
static struct end a, b; /* server and client of the tests with one pair */

static uint8_t
pattern(uint8_t seed, size_t at)
{
	return (uint8_t)(seed + at * 3 + (at >> 8) + (at >> 16));
}

static void
produce(struct end *e)
{
	uint8_t bytes[3000];

	while (e->to_send > 0 && !io_blocked(&e->io) && !e->io.closed) {
		while (e->to_send > 0 && e->io.out.len < AHEAD) {
			size_t n = e->to_send < sizeof bytes ? e->to_send : sizeof bytes;

			for (size_t i = 0; i < n; i++)
				bytes[i] = pattern(e->seed, e->sent + i);
			pool_append(&e->io.out, bytes, n);
			e->sent += n;
			e->to_send -= n;
		}
		int rc = io_flush(&e->io);
		cr_expect(rc == 0 || rc == E_CLOSED, "%d", rc);
		if (rc != 0)
			return;
		e->most = io_waiting(&e->io) > e->most ? io_waiting(&e->io) : e->most;
	}
}

static void
on_up(void *arg)
{
	struct end *e = arg;

	e->ups++;
	cr_expect(io_up(&e->io));
	produce(e);
}

static void
on_bytes(void *arg, const uint8_t *p, size_t n)
{
	struct end *e = arg;

	cr_expect(e->broken == 0 && n > 0);
	for (size_t i = 0; i < n; i++)
		e->wrong |= p[i] != pattern(e->other->seed, e->got + i);
	e->got += n;
	if (e->hook != NULL)
		e->hook(e);
}

static void
on_writable(void *arg)
{
	struct end *e = arg;

	e->writables++;
	cr_expect(!io_blocked(&e->io));
	produce(e);
}

static void
on_broken(void *arg, int why)
{
	struct end *e = arg;

	e->broken++;
	e->why = why;
}

static const struct io_ops calls = {on_up, on_bytes, on_writable, on_broken};

static void
open_pair(struct end *server, struct end *client, int fds[2], SSL_CTX *server_tls,
	  SSL_CTX *client_tls, const char *name)
{
	server->other = client;
	client->other = server;
	server->seed = (uint8_t)fds[0];
	client->seed = (uint8_t)(fds[0] + 100);
	cr_assert_eq(io_open_server(&server->io, loop, fds[0], server_tls, &calls, server), 0);
	cr_assert_eq(io_open_client(&client->io, loop, fds[1], client_tls, name, &calls, client),
		     0);
	if (server_tls == NULL)
		server->ups = 1; /* is up from the start, and not told so */
}

static void
sockets(int fds[2], int room)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2 && room > 0; i++)
		cr_assert_eq(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
}

/* Takes the contexts over. */
static void
connect_pair(SSL_CTX *server_tls, SSL_CTX *client_tls, const char *name)
{
	int fds[2];

	sockets(fds, 8192);
	open_pair(&a, &b, fds, server_tls, client_tls, name);
	SSL_CTX_free(server_tls);
	SSL_CTX_free(client_tls);
}

/* ---- running ---- */

static bool (*done)(void);
static uint64_t until_ms;

static void
look(void *arg)
{
	(void)arg;
	if ((done != NULL && done()) || clock_ms() >= until_ms)
		loop_stop(loop);
}

static bool
run(bool (*condition)(void), uint64_t ms)
{
	struct loop_timer timer = {0};

	if (getenv("UNDER_VALGRIND") != NULL)
		ms *= SLOWNESS;
	done = condition;
	until_ms = clock_ms() + ms;
	loop_timer_start(loop, &timer, 0, 1, look, NULL);
	loop_run(loop);
	loop_timer_stop(&timer);
	return condition == NULL || condition();
}

static bool
both_up(void)
{
	return a.ups > 0 && b.ups > 0;
}

static bool
both_broken(void)
{
	return a.broken > 0 && b.broken > 0;
}

static bool
all_arrived(void)
{
	return a.to_send + b.to_send == 0 && a.got == b.sent && b.got == a.sent;
}

static void
start(void)
{
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	loop = loop_new();
}

static void
drop(void)
{
	if (a.io.magic != 0)
		io_close(&a.io);
	if (b.io.magic != 0)
		io_close(&b.io);
	cr_expect(a.broken <= 1 && b.broken <= 1, "broken() is the last call");
	cr_expect_eq(pool_in_use(), 0, "%zu blocks are left", pool_in_use());
	cr_expect_eq(ERR_peek_error(), 0, "nothing is left for the next to stumble over");
	pool_trim();
	loop_free(&loop);
}

static void
start_tls(void)
{
	start();
	scratch_make();
	make_certificates();
}

static void
drop_tls(void)
{
	drop();
	scratch_drop();
}

TestSuite(io, .init = start, .fini = drop, .timeout = 30);
TestSuite(io_tls, .init = start_tls, .fini = drop_tls, .timeout = 30);

/* ---- bytes ---- */

static void
exchange(size_t up, size_t down)
{
	cr_assert(run(both_up, 2000));
	a.to_send = down;
	b.to_send = up;
	produce(&a);
	produce(&b);
	cr_assert(run(all_arrived, 20000), "%zu of %zu, %zu of %zu", a.got, up, b.got, down);
	cr_expect(!a.wrong && !b.wrong);
	cr_expect(a.ups == 1 && b.ups == 1 && a.broken == 0 && b.broken == 0);
	cr_expect_eq(pool_in_use(), 0);
}

Test(io, megabytes_both_ways)
{
	connect_pair(NULL, NULL, NULL);
	exchange(5000000, 7000000);
	cr_expect(a.writables > 10, "the socket was full %u times", a.writables);
	cr_expect(a.most <= AHEAD + 3000);
}

Test(io_tls, megabytes_both_ways)
{
	connect_pair(server_ctx("good", NULL), client_ctx("ca", NULL), "spark.test");
	exchange(5000000, 7000000);
	cr_expect(a.writables > 10, "the socket was full %u times", a.writables);
	cr_expect(a.most <= AHEAD + 3000 + 5 * POOL_BLOCK);
	cr_expect_str_eq(SSL_get_version(a.io.ssl), "TLSv1.3");
}

Test(io_tls, megabytes_over_tls12)
{
	SSL_CTX *ctx = client_ctx("ca", NULL);

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	connect_pair(server_ctx("good", NULL), ctx, "spark.test");
	exchange(1000000, 1000000);
	cr_expect_str_eq(SSL_get_version(a.io.ssl), "TLSv1.2");
}

/* What was appended before the connection stood goes out when it does. */
Test(io_tls, bytes_before_it_is_up)
{
	connect_pair(server_ctx("good", NULL), client_ctx("ca", NULL), "spark.test");
	cr_expect(io_blocked(&b.io) && !io_up(&b.io));
	uint8_t early[100];
	for (size_t i = 0; i < sizeof early; i++)
		early[i] = pattern(b.seed, i);
	pool_append(&b.io.out, early, sizeof early);
	b.sent = sizeof early;
	cr_expect_eq(io_flush(&b.io), 0);
	cr_expect_eq(io_waiting(&b.io), 100);
	b.to_send = 1000;
	cr_assert(run(all_arrived, 2000));
	cr_expect(a.got == 1100 && !a.wrong);
}

Test(io, blocked_and_free_again)
{
	connect_pair(NULL, NULL, NULL);
	cr_assert(run(both_up, 1000));
	io_pause(&b.io, true);
	a.to_send = 1000000;
	produce(&a);
	cr_expect(io_blocked(&a.io) && a.to_send > 800000);
	size_t waiting = io_waiting(&a.io);
	run(NULL, 30);
	cr_expect(io_waiting(&a.io) == waiting && a.writables == 0 && b.got == 0);
	io_pause(&b.io, false);
	cr_assert(run(all_arrived, 5000));
	cr_expect(!io_blocked(&a.io) && a.writables > 0 && !b.wrong);
	/* an append without a flush is not blocked */
	pool_append(&a.io.out, "x", 1);
	cr_expect(!io_blocked(&a.io));
	pool_clear(&a.io.out);
}

/* ---- many connections, one set of buffers ---- */

static struct end many[2 * PAIRS];

static bool
many_arrived(void)
{
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		if (many[i].to_send > 0 || many[i].got != many[i].other->sent || !many[i].ups)
			return false;
	return true;
}

/* Everybody's bytes are the moment for a neighbour to send. */
static void
prod_neighbour(struct end *e)
{
	struct end *n = &many[((size_t)(e - many) + 7) % (2 * PAIRS)];

	if (io_up(&n->io))
		produce(n);
	if (e->io.ssl != NULL && e->rekeys < 4 && e->got > 50000 * (e->rekeys + 1)) {
		e->rekeys++;
		SSL_key_update(e->io.ssl, SSL_KEY_UPDATE_REQUESTED);
	}
}

Test(io_tls, many_interleaved)
{
	SSL_CTX *server = server_ctx("good", NULL), *client = client_ctx("ca", NULL);
	int fds[2];

	memset(many, 0, sizeof many);
	for (unsigned i = 0; i < PAIRS; i++) {
		bool tls = i % 4 != 3;

		sockets(fds, 4096 << i % 3);
		open_pair(&many[2 * i], &many[2 * i + 1], fds, tls ? server : NULL,
			  tls ? client : NULL, tls ? "spark.test" : NULL);
		for (unsigned k = 2 * i; k < 2 * i + 2; k++) {
			many[k].to_send = 300000 + 1000 * k;
			many[k].hook = prod_neighbour;
		}
		if (!tls)
			produce(&many[2 * i]);
	}
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	cr_assert(run(many_arrived, 20000));
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		cr_expect(!many[i].wrong && many[i].broken == 0, "end %u: %s", i, many[i].io.why);
		io_close(&many[i].io);
	}
}

/* New keys now and then are fine; one who asks for them all the time costs too much. */
Test(io_tls, key_updates)
{
	unsigned n = 0;

	connect_pair(server_ctx("good", NULL), client_ctx("ca", NULL), "spark.test");
	cr_assert(run(both_up, 1000));
	for (; n < 30 && a.broken == 0; n++) {
		cr_assert_eq(SSL_key_update(b.io.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		b.to_send = 10;
		produce(&b);
		run(NULL, 2);
	}
	cr_expect(n == 11 && a.why == E_TLS && a.got == 100, "%u, %d, %zu", n, a.why, a.got);
	cr_expect_str_eq(a.io.why, "too many key updates");
}

/* Closing one connection from another's bytes, while that one owes an answer of TLS itself. */
static void
close_neighbour(struct end *e)
{
	(void)e;
	if (!many[0].io.closed)
		io_close(&many[0].io);
}

Test(io_tls, neighbour_closed_from_within)
{
	SSL_CTX *server = server_ctx("good", NULL), *client = client_ctx("ca", NULL);
	int fds[2];

	memset(many, 0, sizeof many);
	sockets(fds, 0);
	open_pair(&many[0], &many[1], fds, server, client, "spark.test");
	connect_pair(server, client, "spark.test");
	cr_assert(run(both_up, 1000));
	a.hook = close_neighbour;
	cr_assert_eq(SSL_key_update(b.io.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	exchange(20000, 20000);
	cr_expect(many[1].broken == 1 && many[1].why == E_CLOSED, "%u, %d, %s", many[1].broken,
		  many[1].why, many[1].io.why);
	io_close(&many[1].io);
}

/* ---- ends ---- */

static void
close_while_reading(struct end *e)
{
	io_close(&e->io);
	io_close(&e->io);
}

static void
check_close(void)
{
	cr_assert(run(both_up, 1000));
	a.hook = close_while_reading;
	b.to_send = 10;
	produce(&b);
	run(NULL, 20);
	cr_expect(a.broken == 0 && a.got == 10, "who closes is not told");
	cr_expect(b.broken == 1 && b.why == E_CLOSED, "%u, %d", b.broken, b.why);
	cr_expect(b.io.why[0] == '\0', "%s", b.io.why);
	cr_expect_eq(io_flush(&a.io), E_CLOSED);
	cr_expect_eq(io_flush(&b.io), E_CLOSED);
}

Test(io, closed_from_within)
{
	connect_pair(NULL, NULL, NULL);
	check_close();
}

Test(io_tls, closed_from_within)
{
	connect_pair(server_ctx("good", NULL), client_ctx("ca", NULL), "spark.test");
	check_close();
}

/* The end of what one says is not the end of what he hears. */
static void
check_end(void)
{
	cr_assert(run(both_up, 1000));
	b.to_send = 50000;
	io_pause(&b.io, true);
	produce(&b);
	io_say_end(&a.io);
	cr_expect(a.io.said_end);
	for (unsigned i = 0; i < 1000 && a.got < 50000; i++)
		run(NULL, 2);
	cr_expect(a.got == 50000 && !a.wrong && a.broken == 0, "%zu", a.got);
	io_pause(&b.io, false);
	run(NULL, 20);
	cr_expect(b.broken == 1 && b.why == E_CLOSED && a.broken == 0);
	io_close(&b.io);
	run(NULL, 20);
	cr_expect(a.broken == 1 && a.why == E_CLOSED);
}

Test(io, say_end)
{
	connect_pair(NULL, NULL, NULL);
	check_end();
}

Test(io_tls, say_end)
{
	connect_pair(server_ctx("good", NULL), client_ctx("ca", NULL), "spark.test");
	check_end();
}

Test(io, connection_refused)
{
	struct sock_addr address;
	struct sockaddr_storage name;
	socklen_t size = sizeof name;
	int fd, client;

	cr_assert_eq(sock_addr_parse(STR("127.0.0.1:0"), &address), 0);
	cr_assert_eq(sock_listen(&address, false, 1, &fd), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	cr_assert_eq(sock_addr_from_sys((struct sockaddr *)&name, &address), 0);
	sock_close(&fd);
	if (sock_connect(&address, &client) != 0)
		return; /* known at once */
	cr_assert_eq(io_open_client(&b.io, loop, client, NULL, NULL, &calls, &b), 0);
	pool_append(&b.io.out, "hello", 5);
	cr_expect_eq(io_flush(&b.io), 0);
	run(NULL, 20);
	cr_expect(b.broken == 1 && b.why == E_REFUSED && b.ups == 0, "%d", b.why);
}

Test(io_tls, garbage_after_the_handshake)
{
	static const uint8_t garbage[70000] = {23, 3, 3, 0, 40};

	connect_pair(server_ctx("good", NULL), client_ctx("ca", NULL), "spark.test");
	cr_assert(run(both_up, 1000));
	ssize_t n = send(b.io.fd, garbage, sizeof garbage, MSG_NOSIGNAL);
	cr_assert(n > 100);
	cr_assert(run(both_broken, 1000));
	cr_expect(a.why == E_TLS && a.broken == 1, "%d", a.why);
	cr_expect(b.why == E_TLS && strstr(b.io.why, "alert bad record mac") != NULL,
		  "the alert arrives: %s", b.io.why);
}

Test(io_tls, gone_during_the_handshake)
{
	int fds[2];

	sockets(fds, 0);
	SSL_CTX *ctx = server_ctx("good", NULL);
	cr_assert_eq(io_open_server(&a.io, loop, fds[0], ctx, &calls, &a), 0);
	SSL_CTX_free(ctx);
	cr_assert_eq(send(fds[1], "\26\3\1", 3, 0), 3);
	run(NULL, 10);
	cr_expect(a.broken == 0 && a.ups == 0);
	sock_close(&fds[1]);
	run(NULL, 10);
	cr_expect(a.broken == 1 && a.why == E_CLOSED);
	cr_expect_str_eq(a.io.why, "closed during the handshake");
}

Test(io_tls, clear_text_to_a_tls_port)
{
	int fds[2];

	sockets(fds, 0);
	SSL_CTX *ctx = server_ctx("good", NULL);
	cr_assert_eq(io_open_server(&a.io, loop, fds[0], ctx, &calls, &a), 0);
	SSL_CTX_free(ctx);
	cr_assert_eq(send(fds[1], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, 0), 24);
	run(NULL, 10);
	cr_expect(a.broken == 1 && a.why == E_TLS && a.io.why[0] != '\0', "%s", a.io.why);
	sock_close(&fds[1]);
}

/* ---- ALPN ---- */

struct alpn_row {
	const char *about;
	const char *offer; /* of the client; as on the wire */
	bool accepted;
};

static const struct alpn_row offers[] = {
	{"h2", "\2h2", true},
	{"h2 among others", "\10http/1.1\2h2", true},
	{"http/1.1", "\10http/1.1", false},
	{"nothing", "", false},
	{"a longer name", "\3h2c", false},
};

Test(io_tls, server_demands_alpn)
{
	for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
		const struct alpn_row *r = &offers[i];
		SSL_CTX *client = client_ctx("ca", NULL);

		SSL_CTX_set_alpn_protos(client, (const unsigned char *)r->offer,
					(unsigned)strlen(r->offer));
		connect_pair(server_ctx("good", NULL), client, "spark.test");
		run(r->accepted ? both_up : both_broken, 500);
		cr_expect(r->accepted == (a.ups == 1 && b.ups == 1), "%s: %u, %u", r->about, a.ups,
			  b.ups);
		cr_expect(r->accepted || (a.why == E_TLS && b.why == E_TLS), "%s", r->about);
		cr_expect(r->accepted || strstr(b.io.why, "alert no application protocol") != NULL,
			  "%s: the alert arrives: %s", r->about, b.io.why);
		io_close(&a.io);
		io_close(&b.io);
		memset(&a, 0, sizeof a);
		memset(&b, 0, sizeof b);
	}
}

static int
choose_nothing(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	       unsigned in_len, void *arg)
{
	(void)ssl, (void)out, (void)out_len, (void)in, (void)in_len, (void)arg;
	return SSL_TLSEXT_ERR_NOACK;
}

Test(io_tls, client_demands_alpn)
{
	SSL_CTX *server = server_ctx("good", NULL);

	SSL_CTX_set_alpn_select_cb(server, choose_nothing, NULL);
	connect_pair(server, client_ctx("ca", NULL), "spark.test");
	cr_assert(run(both_broken, 500));
	cr_expect(b.why == E_TLS && b.ups == 0);
	cr_expect_str_eq(b.io.why, "the peer did not agree to ALPN h2");
}

/* ---- certificates ---- */

struct trust_row {
	const char *about;
	const char *server, *ca, *name;	     /* what the client sees, trusts, expects */
	const char *client, *client_ca;	     /* what it shows, what the server demands */
	const char *client_why, *server_why; /* in the words; NULL: it works */
	const char *sni;
};

static const struct trust_row trust[] = {
	{"right name", "good", "ca", "spark.test", NULL, NULL, NULL, NULL, "spark.test"},
	{"right address", "good", "ca", "127.0.0.1", NULL, NULL, NULL, NULL, NULL},
	{"right IPv6 address", "good", "ca", "::1", NULL, NULL, NULL, NULL, NULL},
	{"right name in capitals", "good", "ca", "SPARK.Test", NULL, NULL, NULL, NULL,
	 "spark.test"},
	{"no name to check", "good", "ca", NULL, NULL, NULL, NULL, NULL, NULL},
	{"wrong name", "good", "ca", "other.test", NULL, NULL,
	 "the peer's certificate: hostname mismatch", "alert", "other.test"},
	{"wrong address", "good", "ca", "127.0.0.2", NULL, NULL,
	 "the peer's certificate: IP address mismatch", "alert", NULL},
	{"wrong authority", "stranger", "ca", "spark.test", NULL, NULL,
	 "the peer's certificate: unable to get local issuer", "alert unknown ca", "spark.test"},
	{"expired", "expired", "ca", "spark.test", NULL, NULL,
	 "the peer's certificate: certificate has expired", "alert certificate expired",
	 "spark.test"},
	{"client certificate", "good", "ca", "spark.test", "user", "ca", NULL, NULL, "spark.test"},
	{"no client certificate", "good", "ca", "spark.test", NULL, "ca",
	 "alert certificate required", "did not return a certificate", "spark.test"},
	{"client certificate of another authority", "good", "ca", "spark.test", "stranger", "ca",
	 "alert unknown ca", "the peer's certificate: unable to get local issuer", "spark.test"},
	{"expired client certificate", "good", "ca", "spark.test", "expired", "ca",
	 "alert certificate expired", "the peer's certificate: certificate has expired",
	 "spark.test"},
};

/* What the server knows of the client; only what was verified counts. */
static void
check_peer(const struct trust_row *r)
{
	struct arena *arena = arena_new(256, 65536);
	char buf[SNI_SIZE];
	struct str sni = io_server_name(&a.io, buf);
	struct io_peer peer;

	cr_expect(str_eq(sni, str_from(r->sni)) && (sni.p == NULL) == (r->sni == NULL),
		  "%s: SNI %.*s", r->about, STR_ARG(sni));
	if (r->client_why == NULL && r->client_ca != NULL) {
		cr_expect_eq(io_peer(&a.io, CERT_DNS, arena, &peer), 0, "%s", r->about);
		cr_expect(peer.names_count == 1 && str_eq(peer.names[0], STR("user.test")));
		cr_expect(peer.expires_ms > clock_wall_ms() + 9 * 86400000ull &&
			  peer.expires_ms < clock_wall_ms() + 11 * 86400000ull);
		cr_expect_eq(io_peer(&a.io, CERT_URI, arena, &peer), 0);
		cr_expect_eq(peer.names_count, 0);
	} else {
		cr_expect_eq(io_peer(&a.io, CERT_DNS, arena, &peer), E_NOT_FOUND, "%s", r->about);
	}
	arena_free(&arena);
}

static void
check_trust(const struct trust_row *r)
{
	connect_pair(server_ctx(r->server, r->client_ca), client_ctx(r->ca, r->client), r->name);
	run(r->client_why == NULL ? both_up : both_broken, 500);
	if (r->client_why == NULL) {
		cr_expect(a.ups == 1 && b.ups == 1, "%s: %s, %s", r->about, a.io.why, b.io.why);
		exchange(1000, 1000);
	} else {
		cr_expect(a.ups == 0 && a.why == E_TLS && b.why == E_TLS, "%s: %d, %d", r->about,
			  a.why, b.why);
		cr_expect(strstr(b.io.why, r->client_why) != NULL, "%s: client: %s", r->about,
			  b.io.why);
		cr_expect(strstr(a.io.why, r->server_why) != NULL, "%s: server: %s", r->about,
			  a.io.why);
	}
	check_peer(r);
	io_close(&a.io);
	io_close(&b.io);
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
}

Test(io_tls, trust)
{
	for (size_t i = 0; i < sizeof trust / sizeof trust[0]; i++)
		check_trust(&trust[i]);
}

Test(io, clear_text_has_no_names)
{
	struct arena *arena = arena_new(256, 65536);
	char buf[SNI_SIZE];
	struct io_peer peer;

	connect_pair(NULL, NULL, NULL);
	cr_assert(run(both_up, 1000));
	cr_expect_null(io_server_name(&a.io, buf).p);
	cr_expect_eq(io_peer(&a.io, CERT_URI, arena, &peer), E_NOT_FOUND);
	arena_free(&arena);
}

/* Nobody is there to type a password: a key that needs one is an error with words. */
Test(io_tls, locked_key)
{
	struct tls_server_files f = {
		.certificate = certs_path("locked", "crt"),
		.key = certs_path("locked", "key"),
	};
	char words[256] = "";
	SSL_CTX *ctx = NULL;
	unsigned wrong = 7;

	cr_expect_eq(tls_server_ctx(&f, NULL, &ctx, &wrong, words, sizeof words), E_TLS);
	cr_expect_eq(wrong, 0);
	cr_expect(strstr(words, "locked.key") != NULL && strstr(words, "password") != NULL, "%s",
		  words);
}
