/*
 * The rig itself; see io_rig.h.
 */
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include "lib/clock.h"
#include "t/unit/io_rig.h"

#define SLOWNESS 10 /* of valgrind, which says that it is there (t/tools/under-valgrind) */

struct loop *loop;
struct end a, b;

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

SSL_CTX *
rig_server_ctx(const char *name, const char *client_ca)
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

SSL_CTX *
rig_client_ctx(const char *ca, const char *name)
{
	char words[256] = "";
	SSL_CTX *ctx = NULL;
	struct tls_client_files f = {certs_path(ca, "crt"), certs_path(name, "crt"),
				     certs_path(name, "key")};

	cr_assert_eq(tls_client_ctx(&f, &ctx, words, sizeof words), 0, "%s", words);
	return ctx;
}

/* ---- an end of a connection ---- */

uint8_t
rig_pattern(uint8_t seed, size_t at)
{
	return (uint8_t)(seed + at * 3 + (at >> 8) + (at >> 16));
}

void
rig_produce(struct end *e)
{
	uint8_t bytes[3000];

	while (e->to_send > 0 && !io_blocked(&e->io) && !e->io.closed) {
		while (e->to_send > 0 && e->io.out.len < AHEAD) {
			size_t n = e->to_send < sizeof bytes ? e->to_send : sizeof bytes;

			for (size_t i = 0; i < n; i++)
				bytes[i] = rig_pattern(e->seed, e->sent + i);
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
	rig_produce(e);
}

static void
on_bytes(void *arg, const uint8_t *p, size_t n)
{
	struct end *e = arg;

	cr_expect(e->broken == 0 && n > 0);
	for (size_t i = 0; i < n; i++)
		e->wrong |= p[i] != rig_pattern(e->other->seed, e->got + i);
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
	rig_produce(e);
}

static void
on_broken(void *arg, int why)
{
	struct end *e = arg;

	e->broken++;
	e->why = why;
}

const struct io_ops rig_calls = {on_up, on_bytes, on_writable, on_broken};

void
rig_open_pair(struct end *server, struct end *client, int fds[2], SSL_CTX *server_tls,
	      SSL_CTX *client_tls, const char *name)
{
	server->other = client;
	client->other = server;
	server->seed = (uint8_t)fds[0];
	client->seed = (uint8_t)(fds[0] + 100);
	cr_assert_eq(io_open_server(&server->io, loop, fds[0], server_tls, &rig_calls, server), 0);
	cr_assert_eq(
		io_open_client(&client->io, loop, fds[1], client_tls, name, &rig_calls, client), 0);
	if (server_tls == NULL)
		server->ups = 1; /* is up from the start, and not told so */
}

void
rig_sockets(int fds[2], int room)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2 && room > 0; i++)
		cr_assert_eq(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
}

void
rig_connect_pair(SSL_CTX *server_tls, SSL_CTX *client_tls, const char *name)
{
	int fds[2];

	rig_sockets(fds, 8192);
	rig_open_pair(&a, &b, fds, server_tls, client_tls, name);
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

bool
rig_run(bool (*condition)(void), uint64_t ms)
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

bool
rig_both_up(void)
{
	return a.ups > 0 && b.ups > 0;
}

bool
rig_both_broken(void)
{
	return a.broken > 0 && b.broken > 0;
}

bool
rig_all_arrived(void)
{
	return a.to_send + b.to_send == 0 && a.got == b.sent && b.got == a.sent;
}

void
rig_start(void)
{
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	loop = loop_new();
}

void
rig_drop(void)
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

void
rig_start_tls(void)
{
	rig_start();
	scratch_make();
	make_certificates();
}

void
rig_drop_tls(void)
{
	rig_drop();
	scratch_drop();
}

void
rig_exchange(size_t up, size_t down)
{
	cr_assert(rig_run(rig_both_up, 2000));
	a.to_send = down;
	b.to_send = up;
	rig_produce(&a);
	rig_produce(&b);
	cr_assert(rig_run(rig_all_arrived, 20000), "%zu of %zu, %zu of %zu", a.got, up, b.got,
		  down);
	cr_expect(!a.wrong && !b.wrong);
	cr_expect(a.ups == 1 && b.ups == 1 && a.broken == 0 && b.broken == 0);
	cr_expect_eq(pool_in_use(), 0);
}
