/*
 * TLS contexts: what a reload carries over, which certificate a client is shown, who resumes, and
 * what is refused with words.
 */
#include <openssl/err.h>
#include "lib/sni.h"
#include "lib/tls.h"
#include "t/unit/certs.h"

#define TICKET_KEYS 80
#define MORE	    3

static struct issued ca;
static char paths[2 * (MORE + 1)][PATH_MAX];
static struct tls_server_files files;
static struct tls_pair more[MORE];

static struct str
path_of(unsigned i, const char *name, const char *suffix)
{
	return str_from(str_copy(paths[i], sizeof(paths[i]), certs_path(name, suffix)));
}

static struct tls_pair
pair_of(unsigned i, const char *name, const char *alt)
{
	certs_make(name, &ca, alt);
	return (struct tls_pair){path_of(2 * i, name, "crt"), path_of(2 * i + 1, name, "key")};
}

static void
start(void)
{
	scratch_make();
	ca = certs_issue("an authority", NULL, NULL, 10);
	struct tls_pair base = pair_of(0, "base", "DNS:base.test,DNS:exact.wild.test");
	files = (struct tls_server_files){.certificate = base.certificate, .key = base.key};
	more[0] = pair_of(1, "one", "DNS:one.test,DNS:*.wild.test,DNS:Mixed.Test,URI:x:y");
	more[1] = pair_of(2, "two", "IP:10.0.0.1,DNS:one.test,DNS:two.test,DNS:b.wild.test");
	more[2] = pair_of(3, "three", "DNS:*.test,DNS:f*.odd.test,DNS:*.a.wild.test");
}

static void
drop(void)
{
	X509_free(ca.x);
	EVP_PKEY_free(ca.key);
	cr_expect_eq(ERR_peek_error(), 0);
	scratch_drop();
}

TestSuite(tls, .init = start, .fini = drop, .timeout = 60);

static SSL_CTX *
make(SSL_CTX *previous)
{
	SSL_CTX *ctx = NULL;
	char words[256] = "";
	unsigned wrong;

	cr_assert_eq(tls_server_ctx(&files, previous, &ctx, &wrong, words, sizeof(words)), 0, "%s",
		     words);
	return ctx;
}

static SSL_CTX *
make_with_more(void)
{
	files.more = more;
	files.more_count = MORE;
	return make(NULL);
}

/* Trusts anybody and asks for h2, with a certificate of its own or none. */
static SSL_CTX *
make_client(int version, const char *name)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)"\2h2", 3);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	if (name != NULL) {
		cr_assert(SSL_CTX_use_certificate_file(ctx, certs_path(name, "crt").p,
						       SSL_FILETYPE_PEM) == 1);
		cr_assert(SSL_CTX_use_PrivateKey_file(ctx, certs_path(name, "key").p,
						      SSL_FILETYPE_PEM) == 1);
	}
	return ctx;
}

/* ---- a handshake in memory ---- */

struct wire {
	SSL *server, *client;
};

static struct wire
lay(SSL_CTX *server, SSL_CTX *client, const char *name, SSL_SESSION *session)
{
	struct wire w = {SSL_new(server), SSL_new(client)};
	BIO *a, *b;

	cr_assert(BIO_new_bio_pair(&a, 0, &b, 0) == 1);
	SSL_set_bio(w.server, a, a);
	SSL_set_bio(w.client, b, b);
	SSL_set_accept_state(w.server);
	SSL_set_connect_state(w.client);
	if (name != NULL)
		cr_assert(SSL_set_tlsext_host_name(w.client, name) == 1);
	if (session != NULL)
		cr_assert(SSL_set_session(w.client, session) == 1);
	return w;
}

/* A byte goes each way too: tickets come with it, and refusals of client certificates. */
static bool
talk(struct wire *w)
{
	char byte = 'x';
	bool ok = true;

	for (int i = 0;
	     i < 20 && !(SSL_is_init_finished(w->server) && SSL_is_init_finished(w->client)); i++) {
		SSL_do_handshake(w->client);
		SSL_do_handshake(w->server);
	}
	ok = SSL_write(w->server, &byte, 1) == 1 && SSL_read(w->client, &byte, 1) == 1 &&
	     SSL_write(w->client, &byte, 1) == 1 && SSL_read(w->server, &byte, 1) == 1;
	ERR_clear_error();
	return ok;
}

static void
hang_up(struct wire *w)
{
	SSL_shutdown(w->client); /* or its session would not be resumable */
	SSL_free(w->server);
	SSL_free(w->client);
	ERR_clear_error();
}

static const char *
shown(const struct wire *w, char buf[64])
{
	X509 *x = SSL_get0_peer_certificate(w->client);

	buf[0] = '\0';
	if (x != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, buf, 64);
	return buf;
}

/* ---- reload ---- */

static bool
same_tickets(SSL_CTX *a, SSL_CTX *b)
{
	unsigned char x[TICKET_KEYS], y[TICKET_KEYS];

	cr_assert_eq(SSL_CTX_get_tlsext_ticket_keys(a, x, sizeof(x)), 1);
	cr_assert_eq(SSL_CTX_get_tlsext_ticket_keys(b, y, sizeof(y)), 1);
	return memcmp(x, y, sizeof(x)) == 0;
}

Test(tls, a_reload_keeps_tickets_unless_client_certificates_are_demanded)
{
	SSL_CTX *first = make(NULL), *stranger = make(NULL), *second = make(first), *third, *fourth;

	cr_expect(same_tickets(first, second));
	cr_expect_not(same_tickets(first, stranger));
	files.client_ca = files.certificate;
	third = make(second);
	cr_expect_not(same_tickets(second, third));
	fourth = make(third);
	cr_expect_not(same_tickets(third, fourth));
	cr_expect(SSL_CTX_get_verify_mode(fourth) ==
		  (SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT));
	SSL_CTX_free(first);
	SSL_CTX_free(stranger);
	SSL_CTX_free(second);
	SSL_CTX_free(third);
	SSL_CTX_free(fourth);
}

/* ---- words ---- */

static void
refused(unsigned wanted, const char *file, const char *what)
{
	char words[512] = "";
	unsigned wrong = 77;
	SSL_CTX *ctx = NULL;

	cr_expect_eq(tls_server_ctx(&files, NULL, &ctx, &wrong, words, sizeof(words)), E_TLS);
	cr_expect(wrong == wanted, "%u: %s", wrong, words);
	cr_expect(strstr(words, file) != NULL && strstr(words, what) != NULL, "%s", words);
	cr_expect_null(ctx);
}

Test(tls, words_name_the_file_that_is_wrong)
{
	struct tls_client_files client = {.ca = files.key}; /* no certificate in it */
	char words[256] = "";
	SSL_CTX *ctx = NULL;

	files.key = more[0].key;
	refused(0, "one.key", "key values mismatch");
	files.key = more[0].certificate;
	refused(0, "cannot load key ", "it holds none in PEM");
	files.certificate = more[0].key;
	refused(0, "cannot load certificate ", "it holds none in PEM");
	files.certificate = str_from("/nowhere/crt");
	refused(0, "cannot load certificate /nowhere/crt", "No such file");
	cr_expect_eq(tls_client_ctx(&client, &ctx, words, sizeof(words)), E_TLS);
	cr_expect_not_null(strstr(words, "cannot load ca"), "%s", words);
	cr_expect_null(ctx);
}

Test(tls, a_pipe_is_not_waited_for, .timeout = 10)
{
	struct tls_client_files client = {.ca = certs_path("pipe", "fifo")};
	const struct tls_server_files good = files;
	char words[256] = "";
	SSL_CTX *ctx = NULL;

	cr_assert_eq(mkfifo(client.ca.p, 0600), 0);
	files.certificate = client.ca;
	refused(0, "pipe.fifo", "not a regular file");
	files = good;
	files.key = client.ca;
	refused(0, "pipe.fifo", "not a regular file");
	files = good;
	files.client_ca = client.ca;
	refused(0, "pipe.fifo", "not a regular file");
	cr_expect_eq(tls_client_ctx(&client, &ctx, words, sizeof(words)), E_TLS);
	cr_expect_not_null(strstr(words, "not a regular file"), "%s", words);
}

Test(tls, words_about_further_certificates)
{
	const struct tls_pair good = more[1];

	files.more = more;
	files.more_count = MORE;
	more[1].key = more[0].key;
	refused(2, "one.key", "key values mismatch");
	more[1].key = str_from("/nowhere/key");
	refused(2, "/nowhere/key", "No such file");
	more[1] = good;
	more[2].certificate = more[2].key;
	refused(3, "three.key", "cannot load certificate");
	more[2] = pair_of(3, "three", "URI:x:y");
	refused(3, "three.crt", "no DNS name");
	more[2] = pair_of(3, "three", NULL);
	refused(3, "three.crt", "no DNS name");
	more[2] = pair_of(3, "three", "DNS:ONE.test,DNS:base.TEST");
	refused(3, "three.crt", "earlier certificates");
	more[2] = pair_of(3, "three", "DNS:a b.test");
	refused(3, "three.crt", "malformed subjectAltName");
	certs_make("base", &ca, "DNS:a b.test");
	refused(0, "base.crt", "malformed subjectAltName");
}

/* ---- SNI ---- */

static const struct choice {
	const char *asked, *shown;
	const char *name; /* what the server knows of it */
} choices[] = {
	{NULL, "base", NULL},
	{"base.test", "base", "base.test"},
	{"one.test", "one", "one.test"},
	{"ONE.Test", "one", "one.test"},
	{"one.test.", "one", "one.test"},
	{"mixed.test", "one", "mixed.test"},
	{"two.test", "two", "two.test"},
	{"other.test", "three", "other.test"},
	{"a.wild.test", "one", "a.wild.test"},
	{"A.WILD.TEST", "one", "a.wild.test"},
	{"b.wild.test", "two", "b.wild.test"},
	{"exact.wild.test", "base", "exact.wild.test"},
	{"c.a.wild.test", "three", "c.a.wild.test"},
	{"c.d.wild.test", "base", "c.d.wild.test"},
	{"wild.test", "three", "wild.test"},
	{"foo.odd.test", "base", "foo.odd.test"},
	{".wild.test", "base", ".wild.test"},
	{"test", "base", "test"},
	{"*.wild.test", "base", NULL},
	{"one.test ", "base", NULL},
	{"one.test\n", "base", NULL},
	{".", "base", NULL},
	{"10.0.0.1", "base", "10.0.0.1"},
	{"unknown.example", "base", "unknown.example"},
};

static void
check_choice(SSL_CTX *server, SSL_CTX *client, const struct choice *c)
{
	struct wire w = lay(server, client, c->asked, NULL);
	char cn[64], buf[SNI_SIZE];
	const unsigned char *alpn;
	unsigned alpn_len;
	struct str name;

	cr_expect(talk(&w), "%s", c->asked);
	cr_expect_str_eq(shown(&w, cn), c->shown, "%s: %s", c->asked, cn);
	name = sni_name(w.server, buf);
	cr_expect(str_eq(name, str_from(c->name)) && (name.p == NULL) == (c->name == NULL),
		  "%s: %.*s", c->asked, STR_ARG(name));
	SSL_get0_alpn_selected(w.client, &alpn, &alpn_len);
	cr_expect(alpn_len == 2 && memcmp(alpn, "h2", 2) == 0, "%s: no ALPN", c->asked);
	hang_up(&w);
}

Test(tls, certificate_by_server_name)
{
	SSL_CTX *server = make_with_more();

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *client = make_client(version, NULL);

		for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
			check_choice(server, client, &choices[i]);
		SSL_CTX_free(client);
	}
	SSL_CTX_free(server);
}

Test(tls, one_certificate_for_all_names)
{
	static const struct choice any = {"One.Test", "base", "one.test"};
	SSL_CTX *server = make(NULL), *client = make_client(TLS1_3_VERSION, NULL);

	check_choice(server, client, &any);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

Test(tls, certificate_by_server_name_after_a_retry)
{
	SSL_CTX *server = make_with_more(), *client = make_client(TLS1_3_VERSION, NULL);
	char cn[64];

	cr_assert(SSL_CTX_set1_groups_list(server, "P-384") == 1);
	cr_assert(SSL_CTX_set1_groups_list(client, "X25519:P-384") == 1);
	struct wire w = lay(server, client, "two.test", NULL);
	cr_expect(talk(&w));
	cr_expect_str_eq(shown(&w, cn), "two");
	hang_up(&w);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

Test(tls, further_certificates_demand_alpn)
{
	SSL_CTX *server = make_with_more(), *client = make_client(TLS1_3_VERSION, NULL);
	struct wire w;

	SSL_CTX_set_alpn_protos(client, (const unsigned char *)"\10http/1.1", 9);
	w = lay(server, client, "one.test", NULL);
	cr_expect_not(talk(&w));
	hang_up(&w);
	SSL_CTX_set_alpn_protos(client, NULL, 0);
	w = lay(server, client, "one.test", NULL);
	cr_expect_not(talk(&w));
	hang_up(&w);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

/* A reload frees the context while connections made of it go on, or are in the handshake. */
Test(tls, further_certificates_live_as_long_as_connections)
{
	SSL_CTX *server = make_with_more(), *client = make_client(TLS1_3_VERSION, NULL);
	struct wire w = lay(server, client, "one.test", NULL);
	char cn[64];

	SSL_CTX_free(server);
	SSL_CTX_free(client);
	cr_expect(talk(&w));
	cr_expect_str_eq(shown(&w, cn), "one");
	hang_up(&w);
}

/* ---- resumption ---- */

static SSL_SESSION *
session_of(SSL_CTX *server, SSL_CTX *client, const char *name)
{
	struct wire w = lay(server, client, name, NULL);

	cr_expect(talk(&w));
	cr_expect_not(SSL_session_reused(w.server));
	SSL_SESSION *s = SSL_get1_session(w.client);
	hang_up(&w);
	return s;
}

static void
check_resumption(int version)
{
	SSL_CTX *server = make_with_more(), *client = make_client(version, NULL), *next;
	SSL_SESSION *session = session_of(server, client, "one.test");
	char buf[SNI_SIZE];

	cr_expect(SSL_SESSION_is_resumable(session));
	struct wire w = lay(server, client, "one.test", session);
	cr_expect(talk(&w) && SSL_session_reused(w.server));
	cr_expect(str_eq(sni_name(w.server, buf), STR("one.test")));
	hang_up(&w);
	/* to another of its certificates: TLS 1.2 stays with the name of the session */
	w = lay(server, client, "two.test", session);
	cr_expect(talk(&w) && SSL_session_reused(w.server));
	cr_expect(str_eq(sni_name(w.server, buf),
			 version == TLS1_3_VERSION ? STR("two.test") : STR("one.test")));
	hang_up(&w);
	/* after a reload */
	next = make(server);
	SSL_CTX_free(server);
	w = lay(next, client, "one.test", session);
	cr_expect(talk(&w) && SSL_session_reused(w.server));
	hang_up(&w);
	SSL_SESSION_free(session);
	SSL_CTX_free(next);
	SSL_CTX_free(client);
}

Test(tls, resumption_with_further_certificates)
{
	check_resumption(TLS1_2_VERSION);
	check_resumption(TLS1_3_VERSION);
}

/* ---- client certificates ---- */

static void
demand_client_certificates(void)
{
	struct issued copy = {.x = ca.x, .key = ca.key};
	static char path[PATH_MAX];

	X509_up_ref(ca.x);
	EVP_PKEY_up_ref(ca.key);
	certs_save(&copy, "ca", NULL);
	files.client_ca = str_from(str_copy(path, sizeof(path), certs_path("ca", "crt")));
}

static void
check_client(SSL_CTX *server, int version, const char *name, bool accepted)
{
	SSL_CTX *client = make_client(version, name);
	static const char *const asked[] = {NULL, "one.test", "two.test"};

	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct wire w = lay(server, client, asked[i], NULL);

		cr_expect_eq(talk(&w), accepted, "%x, %s, %s", (unsigned)version, name, asked[i]);
		cr_expect(!accepted || (SSL_get0_peer_certificate(w.server) != NULL &&
					SSL_get_verify_result(w.server) == X509_V_OK));
		hang_up(&w);
	}
	SSL_CTX_free(client);
}

Test(tls, client_certificates_are_demanded_whatever_the_name)
{
	struct issued other = certs_issue("another authority", NULL, NULL, 10);
	SSL_CTX *server;

	demand_client_certificates();
	certs_make("friend", &ca, "URI:spiffe://test/friend");
	certs_make("stranger", &other, "URI:spiffe://test/friend");
	server = make_with_more();
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		check_client(server, version, "friend", true);
		check_client(server, version, "stranger", false);
		check_client(server, version, NULL, false);
	}
	SSL_CTX_free(server);
	X509_free(other.x);
	EVP_PKEY_free(other.key);
}

/* Each connection shows its certificate: a session is not resumed, however it was come by. */
Test(tls, no_resumption_with_client_certificates)
{
	certs_make("friend", &ca, "URI:spiffe://test/friend");
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *client = make_client(version, "friend"), *open, *closed;
		SSL_SESSION *session;
		struct wire w;

		files.client_ca = STR_NONE;
		open = make_with_more();
		demand_client_certificates();
		closed = make(open);
		session = session_of(closed, client, "one.test");
		cr_expect_not(SSL_SESSION_is_resumable(session));
		SSL_SESSION_free(session);
		session = session_of(open, client, "one.test");
		cr_expect(SSL_SESSION_is_resumable(session));
		w = lay(closed, client, "one.test", session);
		cr_expect(talk(&w) && !SSL_session_reused(w.server));
		cr_expect(SSL_get0_peer_certificate(w.server) != NULL &&
			  SSL_get_verify_result(w.server) == X509_V_OK);
		hang_up(&w);
		SSL_SESSION_free(session);
		SSL_CTX_free(open);
		SSL_CTX_free(closed);
		SSL_CTX_free(client);
	}
}
