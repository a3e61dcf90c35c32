/*
 * Byte streams over sockets, clear and TLS: order, partial writes, who is told what when something
 * ends, and buffers that all connections share.
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include "lib/sock.h"
#include "t/unit/io_rig.h"

#define PAIRS 24

TestSuite(io, .init = rig_start, .fini = rig_drop, .timeout = 30);
TestSuite(io_tls, .init = rig_start_tls, .fini = rig_drop_tls, .timeout = 30);

/* ---- bytes ---- */

Test(io, megabytes_both_ways)
{
	rig_connect_pair(NULL, NULL, NULL);
	rig_exchange(5000000, 7000000);
	cr_expect(a.writables > 10, "the socket was full %u times", a.writables);
	cr_expect(a.most <= AHEAD + 3000);
}

Test(io_tls, megabytes_both_ways)
{
	rig_connect_pair(rig_server_ctx("good", NULL), rig_client_ctx("ca", NULL), "spark.test");
	rig_exchange(5000000, 7000000);
	cr_expect(a.writables > 10, "the socket was full %u times", a.writables);
	cr_expect(a.most <= AHEAD + 3000 + 5 * POOL_BLOCK);
	cr_expect_str_eq(SSL_get_version(a.io.ssl), "TLSv1.3");
}

Test(io_tls, megabytes_over_tls12)
{
	SSL_CTX *ctx = rig_client_ctx("ca", NULL);

	SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
	rig_connect_pair(rig_server_ctx("good", NULL), ctx, "spark.test");
	rig_exchange(1000000, 1000000);
	cr_expect_str_eq(SSL_get_version(a.io.ssl), "TLSv1.2");
}

/* What was appended before the connection stood goes out when it does. */
Test(io_tls, bytes_before_it_is_up)
{
	rig_connect_pair(rig_server_ctx("good", NULL), rig_client_ctx("ca", NULL), "spark.test");
	cr_expect(io_blocked(&b.io) && !io_up(&b.io));
	uint8_t early[100];
	for (size_t i = 0; i < sizeof early; i++)
		early[i] = rig_pattern(b.seed, i);
	pool_append(&b.io.out, early, sizeof early);
	b.sent = sizeof early;
	cr_expect_eq(io_flush(&b.io), 0);
	cr_expect_eq(io_waiting(&b.io), 100);
	b.to_send = 1000;
	cr_assert(rig_run(rig_all_arrived, 2000));
	cr_expect(a.got == 1100 && !a.wrong);
}

Test(io, blocked_and_free_again)
{
	rig_connect_pair(NULL, NULL, NULL);
	cr_assert(rig_run(rig_both_up, 1000));
	io_pause(&b.io, true);
	a.to_send = 1000000;
	rig_produce(&a);
	cr_expect(io_blocked(&a.io) && a.to_send > 800000);
	size_t waiting = io_waiting(&a.io);
	rig_run(NULL, 30);
	cr_expect(io_waiting(&a.io) == waiting && a.writables == 0 && b.got == 0);
	io_pause(&b.io, false);
	cr_assert(rig_run(rig_all_arrived, 5000));
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
		rig_produce(n);
	if (e->io.ssl != NULL && e->rekeys < 4 && e->got > 50000 * (e->rekeys + 1)) {
		e->rekeys++;
		SSL_key_update(e->io.ssl, SSL_KEY_UPDATE_REQUESTED);
	}
}

Test(io_tls, many_interleaved)
{
	SSL_CTX *server = rig_server_ctx("good", NULL), *client = rig_client_ctx("ca", NULL);
	int fds[2];

	memset(many, 0, sizeof many);
	for (unsigned i = 0; i < PAIRS; i++) {
		bool tls = i % 4 != 3;

		rig_sockets(fds, 4096 << i % 3);
		rig_open_pair(&many[2 * i], &many[2 * i + 1], fds, tls ? server : NULL,
			      tls ? client : NULL, tls ? "spark.test" : NULL);
		for (unsigned k = 2 * i; k < 2 * i + 2; k++) {
			many[k].to_send = 300000 + 1000 * k;
			many[k].hook = prod_neighbour;
		}
		if (!tls)
			rig_produce(&many[2 * i]);
	}
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	cr_assert(rig_run(many_arrived, 20000));
	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		cr_expect(!many[i].wrong && many[i].broken == 0, "end %u: %s", i, many[i].io.why);
		io_close(&many[i].io);
	}
}

/* New keys now and then are fine; one who asks for them all the time costs too much. */
Test(io_tls, key_updates)
{
	unsigned n = 0;

	rig_connect_pair(rig_server_ctx("good", NULL), rig_client_ctx("ca", NULL), "spark.test");
	cr_assert(rig_run(rig_both_up, 1000));
	for (; n < 30 && a.broken == 0; n++) {
		cr_assert_eq(SSL_key_update(b.io.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		b.to_send = 10;
		rig_produce(&b);
		rig_run(NULL, 2);
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
	SSL_CTX *server = rig_server_ctx("good", NULL), *client = rig_client_ctx("ca", NULL);
	int fds[2];

	memset(many, 0, sizeof many);
	rig_sockets(fds, 0);
	rig_open_pair(&many[0], &many[1], fds, server, client, "spark.test");
	rig_connect_pair(server, client, "spark.test");
	cr_assert(rig_run(rig_both_up, 1000));
	a.hook = close_neighbour;
	cr_assert_eq(SSL_key_update(b.io.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	rig_exchange(20000, 20000);
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
	cr_assert(rig_run(rig_both_up, 1000));
	a.hook = close_while_reading;
	b.to_send = 10;
	rig_produce(&b);
	rig_run(NULL, 20);
	cr_expect(a.broken == 0 && a.got == 10, "who closes is not told");
	cr_expect(b.broken == 1 && b.why == E_CLOSED, "%u, %d", b.broken, b.why);
	cr_expect(b.io.why[0] == '\0', "%s", b.io.why);
	cr_expect_eq(io_flush(&a.io), E_CLOSED);
	cr_expect_eq(io_flush(&b.io), E_CLOSED);
}

Test(io, closed_from_within)
{
	rig_connect_pair(NULL, NULL, NULL);
	check_close();
}

Test(io_tls, closed_from_within)
{
	rig_connect_pair(rig_server_ctx("good", NULL), rig_client_ctx("ca", NULL), "spark.test");
	check_close();
}

/* The end of what one says is not the end of what he hears. */
static void
check_end(void)
{
	cr_assert(rig_run(rig_both_up, 1000));
	b.to_send = 50000;
	io_pause(&b.io, true);
	rig_produce(&b);
	io_say_end(&a.io);
	cr_expect(a.io.said_end);
	for (unsigned i = 0; i < 1000 && a.got < 50000; i++)
		rig_run(NULL, 2);
	cr_expect(a.got == 50000 && !a.wrong && a.broken == 0, "%zu", a.got);
	io_pause(&b.io, false);
	rig_run(NULL, 20);
	cr_expect(b.broken == 1 && b.why == E_CLOSED && a.broken == 0);
	io_close(&b.io);
	rig_run(NULL, 20);
	cr_expect(a.broken == 1 && a.why == E_CLOSED);
}

Test(io, say_end)
{
	rig_connect_pair(NULL, NULL, NULL);
	check_end();
}

Test(io_tls, say_end)
{
	rig_connect_pair(rig_server_ctx("good", NULL), rig_client_ctx("ca", NULL), "spark.test");
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
	cr_assert_eq(io_open_client(&b.io, loop, client, NULL, NULL, &rig_calls, &b), 0);
	pool_append(&b.io.out, "hello", 5);
	cr_expect_eq(io_flush(&b.io), 0);
	rig_run(NULL, 20);
	cr_expect(b.broken == 1 && b.why == E_REFUSED && b.ups == 0, "%d", b.why);
}

Test(io_tls, garbage_after_the_handshake)
{
	static const uint8_t garbage[70000] = {23, 3, 3, 0, 40};

	rig_connect_pair(rig_server_ctx("good", NULL), rig_client_ctx("ca", NULL), "spark.test");
	cr_assert(rig_run(rig_both_up, 1000));
	ssize_t n = send(b.io.fd, garbage, sizeof garbage, MSG_NOSIGNAL);
	cr_assert(n > 100);
	cr_assert(rig_run(rig_both_broken, 1000));
	cr_expect(a.why == E_TLS && a.broken == 1, "%d", a.why);
	cr_expect(b.why == E_TLS && strstr(b.io.why, "alert bad record mac") != NULL,
		  "the alert arrives: %s", b.io.why);
}

Test(io_tls, gone_during_the_handshake)
{
	int fds[2];

	rig_sockets(fds, 0);
	SSL_CTX *ctx = rig_server_ctx("good", NULL);
	cr_assert_eq(io_open_server(&a.io, loop, fds[0], ctx, &rig_calls, &a), 0);
	SSL_CTX_free(ctx);
	cr_assert_eq(send(fds[1], "\26\3\1", 3, 0), 3);
	rig_run(NULL, 10);
	cr_expect(a.broken == 0 && a.ups == 0);
	sock_close(&fds[1]);
	rig_run(NULL, 10);
	cr_expect(a.broken == 1 && a.why == E_CLOSED);
	cr_expect_str_eq(a.io.why, "closed during the handshake");
}

Test(io_tls, clear_text_to_a_tls_port)
{
	int fds[2];

	rig_sockets(fds, 0);
	SSL_CTX *ctx = rig_server_ctx("good", NULL);
	cr_assert_eq(io_open_server(&a.io, loop, fds[0], ctx, &rig_calls, &a), 0);
	SSL_CTX_free(ctx);
	cr_assert_eq(send(fds[1], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24, 0), 24);
	rig_run(NULL, 10);
	cr_expect(a.broken == 1 && a.why == E_TLS && a.io.why[0] != '\0', "%s", a.io.why);
	sock_close(&fds[1]);
}

Test(io, clear_text_has_no_names)
{
	struct arena *arena = arena_new(256, 65536);
	char buf[SNI_SIZE];
	struct io_peer peer;

	rig_connect_pair(NULL, NULL, NULL);
	cr_assert(rig_run(rig_both_up, 1000));
	cr_expect_null(io_server_name(&a.io, buf).p);
	cr_expect_eq(io_peer(&a.io, CERT_URI, arena, &peer), E_NOT_FOUND);
	arena_free(&arena);
}
