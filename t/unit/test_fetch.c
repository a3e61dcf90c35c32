/*
 * What the controller fetches from identity providers: what they say of themselves
 * (controller/discovery), and the transfers (controller/fetch) from a small server that answers as
 * badly as its path asks for.
 */
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <string.h>
#include "controller/discovery.h"
#include "controller/fetch.h"
#include "lib/buf.h"
#include "t/unit/http_rig.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(*(array)))

Test(discovery, url)
{
	static const struct {
		const char *issuer, *url;
	} cases[] = {
		{"https://a.example.com", "https://a.example.com/.well-known/openid-configuration"},
		{"https://a.example.com/",
		 "https://a.example.com/.well-known/openid-configuration"},
		{"https://a.example.com/oauth2/default",
		 "https://a.example.com/oauth2/default/.well-known/openid-configuration"},
	};
	char url[DISCOVERY_URL], small[16];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		cr_expect_eq(discovery_url(str_from(cases[i].issuer), url, sizeof(url)), 0);
		cr_expect_str_eq(url, cases[i].url);
	}
	cr_expect_eq(discovery_url(STR("https://a.example.com"), small, sizeof(small)), E_LIMIT);
}

#define ISSUER "https://a.example.com"

Test(discovery, reads_or_refuses)
{
	static const struct {
		const char *text;
		int err;
	} cases[] = {
		{"{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"https://b/keys\", \"x\": [1]}", 0},
		{"{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"http://127.0.0.1:1/keys\"}", 0},
		{"{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"http://b/keys\"}", E_DENIED},
		{"{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"file:///etc/passwd\"}", E_DENIED},
		{"{\"issuer\": \"" ISSUER "/\", \"jwks_uri\": \"https://b/keys\"}", E_DENIED},
		{"{\"issuer\": \"https://b\", \"jwks_uri\": \"https://b/keys\"}", E_DENIED},
		{"{\"issuer\": null, \"jwks_uri\": \"https://b/keys\"}", E_DENIED},
		{"{\"jwks_uri\": \"https://b/keys\"}", E_DENIED},
		{"{\"issuer\": \"" ISSUER "\"}", E_SYNTAX},
		{"{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"\"}", E_SYNTAX},
		{"{\"issuer\": \"" ISSUER "\", \"jwks_uri\": [\"https://b/keys\"]}", E_SYNTAX},
		{"{\"issuer\": \"" ISSUER
		 "\", \"jwks_uri\": \"https://b\", \"jwks_uri\": \"https://c\"}",
		 E_SYNTAX},
		{"{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"https://a/\\u0000b\"}", E_SYNTAX},
		{"[]", E_SYNTAX},
		{"<html>", E_SYNTAX},
		{"", E_SYNTAX},
	};
	char url[DISCOVERY_URL];

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		const char *words = NULL;
		int err = discovery_parse(str_from(cases[i].text), STR(ISSUER), url, sizeof(url),
					  &words);

		cr_expect_eq(err, cases[i].err, "%s: %d", cases[i].text, err);
		cr_expect(err == 0 || words != NULL);
		if (err == 0)
			cr_expect_str_eq(strrchr(url, '/'), "/keys");
	}
}

Test(discovery, refuses_a_url_that_is_too_long)
{
	struct buf text;
	char url[DISCOVERY_URL];
	const char *words;

	buf_init(&text, 8192);
	buf_add_str(&text, STR("{\"issuer\": \"" ISSUER "\", \"jwks_uri\": \"https://b/"));
	for (unsigned i = 0; i < DISCOVERY_URL; i++)
		buf_add_byte(&text, 'x');
	buf_add_str(&text, STR("\"}"));
	cr_expect_eq(discovery_parse(buf_str(&text), STR(ISSUER), url, sizeof(url), &words),
		     E_DENIED);
	buf_free(&text);
}

/* ---- transfers ---- */

static struct loop *loop;
static struct fetch *fetch;

static void
put_chunks(int fd, const char *head, unsigned count)
{
	char chunk[1024];

	snprintf(chunk, sizeof(chunk), "200\r\n%0512d\r\n", 7);
	http_put(fd, head);
	for (unsigned i = 0; i < count; i++)
		http_put(fd, chunk);
	http_put(fd, "0\r\n\r\n");
}

static void
http_serve(int fd, const char *path)
{
	char head[256];

	if (strncmp(path, "/good ", 6) == 0)
		http_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nkeys");
	else if (strncmp(path, "/chunks ", 8) == 0)
		put_chunks(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 512);
	else if (strncmp(path, "/many ", 6) == 0)
		put_chunks(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 5120);
	else if (strncmp(path, "/long ", 6) == 0)
		http_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx");
	else if (strncmp(path, "/heads ", 7) == 0) {
		http_put(fd, "HTTP/1.1 200 OK\r\n");
		snprintf(head, sizeof(head), "x: %0200d\r\n", 7);
		for (unsigned i = 0; i < 1000; i++)
			http_put(fd, head);
		http_put(fd, "Content-Length: 0\r\n\r\n");
	} else if (strncmp(path, "/redirect ", 10) == 0) {
		snprintf(head, sizeof(head),
			 "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%u/good\r\n"
			 "Content-Length: 0\r\n\r\n",
			 http_port);
		http_put(fd, head);
	} else if (strncmp(path, "/empty ", 7) == 0)
		http_put(fd, "HTTP/1.1 204 No Content\r\n\r\n");
	else if (strncmp(path, "/broken ", 8) == 0)
		http_put(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nkeys");
	/* all others: not a byte */
}

static void
start(void)
{
	http_start();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	loop = loop_new();
	fetch = fetch_open(loop);
	cr_assert_not_null(fetch);
}

static void
stop(void)
{
	fetch_close(&fetch);
	loop_free(&loop);
	http_stop();
	curl_global_cleanup();
}

TestSuite(fetch, .init = start, .fini = stop, .timeout = 60);

struct outcome {
	unsigned calls, wanted;
	int err;
	size_t size;
	char words[300];
	struct fetch_job *job;
};

static void
take(void *arg, int err, struct str body, const char *words)
{
	struct outcome *o = arg;

	o->err = err;
	o->size = body.n;
	snprintf(o->words, sizeof(o->words), "%s", words);
	if (++o->calls == o->wanted)
		loop_stop(loop);
}

static void
begin(struct outcome *o, const char *path)
{
	char url[128];
	const char *words;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", http_port, path);
	cr_assert_eq(fetch_start(fetch, url, NULL, take, o, &o->job, &words), 0);
	cr_assert_eq(o->calls, 0, "answered at once");
}

Test(fetch, takes_what_is_good_and_refuses_the_rest)
{
	static const struct {
		const char *path;
		int err;
		size_t size;
		const char *words;
	} cases[] = {
		{"/good", 0, 4, ""},
		{"/chunks", 0, FETCH_MAX, ""},
		{"/many", E_LIMIT, 0, "256 KiB"},
		{"/long", E_LIMIT, 0, "256 KiB"},
		{"/heads", E_LIMIT, 0, ""},
		{"/redirect", E_DENIED, 0, "redirects"},
		{"/empty", E_DENIED, 0, "HTTP 204"},
		{"/broken", E_CLOSED, 0, ""},
		{"/silent", E_CLOSED, 0, ""},
	};

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "socks5://127.0.0.1:1", 1);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct outcome o = {.wanted = 1};

		begin(&o, cases[i].path);
		loop_run(loop);
		cr_expect_eq(o.err, cases[i].err, "%s: %d %s", cases[i].path, o.err, o.words);
		cr_expect_eq(o.size, cases[i].size, "%s: %zu", cases[i].path, o.size);
		cr_expect_not_null(strstr(o.words, cases[i].words), "%s: %s", cases[i].path,
				   o.words);
	}
}

Test(fetch, nobody_listens)
{
	struct outcome o = {.wanted = 1};

	http_port = 1;
	begin(&o, "/good");
	loop_run(loop);
	cr_expect_eq(o.err, E_CLOSED);
	cr_expect_neq(o.words[0], '\0');
}

Test(fetch, several_at_once)
{
	struct outcome o = {.wanted = 8};

	for (unsigned i = 0; i < o.wanted; i++)
		begin(&o, "/good");
	loop_run(loop);
	cr_expect_eq(o.calls, 8);
	cr_expect_eq(o.err, 0);
}

static void
stop_loop(void *arg)
{
	loop_stop(loop);
}

Test(fetch, what_is_ended_is_not_heard_of)
{
	struct outcome ended = {0}, closed = {0};
	struct loop_timer timer = {0};

	begin(&ended, "/good");
	begin(&closed, "/good");
	fetch_end(&ended.job);
	cr_expect_null(ended.job);
	fetch_end(&ended.job);
	fetch_close(&fetch);
	loop_timer_start(loop, &timer, 100, 0, stop_loop, NULL);
	loop_run(loop);
	cr_expect_eq(ended.calls + closed.calls, 0);
}

Test(fetch, only_urls_of_the_rules)
{
	struct outcome o = {0};
	const char *words = NULL;

	cr_expect_eq(fetch_start(fetch, "http://192.0.2.1/keys", NULL, take, &o, &o.job, &words),
		     E_DENIED);
	cr_expect_not_null(words);
	cr_expect_eq(fetch_start(fetch, "file:///etc/passwd", NULL, take, &o, &o.job, &words),
		     E_DENIED);
}
