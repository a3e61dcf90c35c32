/*
 * Byte streams over TLS: whom one end takes the other for. ALPN, certificates, and who is told what
 * when they are wrong.
 */
#include <string.h>
#include "lib/clock.h"
#include "t/unit/io_rig.h"

TestSuite(io_trust, .init = rig_start_tls, .fini = rig_drop_tls, .timeout = 30);

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

Test(io_trust, server_demands_alpn)
{
	for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
		const struct alpn_row *r = &offers[i];
		SSL_CTX *client = rig_client_ctx("ca", NULL);

		SSL_CTX_set_alpn_protos(client, (const unsigned char *)r->offer,
					(unsigned)strlen(r->offer));
		rig_connect_pair(rig_server_ctx("good", NULL), client, "spark.test");
		rig_run(r->accepted ? rig_both_up : rig_both_broken, 500);
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

Test(io_trust, client_demands_alpn)
{
	SSL_CTX *server = rig_server_ctx("good", NULL);

	SSL_CTX_set_alpn_select_cb(server, choose_nothing, NULL);
	rig_connect_pair(server, rig_client_ctx("ca", NULL), "spark.test");
	cr_assert(rig_run(rig_both_broken, 500));
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
	rig_connect_pair(rig_server_ctx(r->server, r->client_ca), rig_client_ctx(r->ca, r->client),
			 r->name);
	rig_run(r->client_why == NULL ? rig_both_up : rig_both_broken, 500);
	if (r->client_why == NULL) {
		cr_expect(a.ups == 1 && b.ups == 1, "%s: %s, %s", r->about, a.io.why, b.io.why);
		rig_exchange(1000, 1000);
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

Test(io_trust, trust)
{
	for (size_t i = 0; i < sizeof trust / sizeof trust[0]; i++)
		check_trust(&trust[i]);
}

/* Nobody is there to type a password: a key that needs one is an error with words. */
Test(io_trust, locked_key)
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
