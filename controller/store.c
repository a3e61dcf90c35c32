/*
 * One object on its way into the store: a file comes in, two HTTP requests go out.
 *
 *	IDLE --store_put--> MEASURING --> PUTTING --> LOOKING --> IDLE, done()
 */
#include "controller/store.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "conf/secret.h"
#include "controller/gzip.h"
#include "controller/sealed.h"
#include "controller/web.h"
#include "lib/panic.h"

#define STORE_MAGIC	   0x73746f72u
#define SLICE		   ((size_t)128 * 1024) /* of the file, in a turn: some milliseconds */
#define OUTPUT		   ((size_t)64 * 1024)
#define KEY_MAX		   256
#define URL_MAX_BYTES	   2048
#define SLOW_BYTES	   1024L /* a second, for so many seconds: it stands still */
#define SLOW_SECONDS	   30L
#define HEX		   (2 * EVP_MAX_MD_SIZE + 1)
#define NOTHING_SHA256	   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ANSWER_MAX	   4096
#define WORDS_SIZE	   (CURL_ERROR_SIZE + 64)
#define SET(option, value) curl_easy_setopt(s->curl, option, value)

enum state { STORE_IDLE, STORE_MEASURING, STORE_PUTTING, STORE_LOOKING };

struct store {
	unsigned magic;
	const struct conf_ship *conf;
	struct loop *loop;
	struct web *web;
	store_done *done;
	void *arg;

	enum state state;
	int fd;
	char url[URL_MAX_BYTES];
	struct gzip *gzip;
	EVP_MD_CTX *digest;
	uint64_t size; /* compressed */
	char sha256[HEX];
	struct loop_timer slice;

	struct web_job job;
	CURL *curl;
	struct curl_slist *headers;
	char answer[ANSWER_MAX], etag[128], put_etag[128];
	size_t answer_n;
	char error[CURL_ERROR_SIZE];
};

/* ---- its end ---- */

void
store_end(struct store *s)
{
	CHECK_MAGIC(s, STORE_MAGIC);
	loop_timer_stop(&s->slice);
	web_end(&s->job);
	curl_easy_cleanup(s->curl);
	curl_slist_free_all(s->headers);
	gzip_free(&s->gzip);
	EVP_MD_CTX_free(s->digest);
	if (s->fd >= 0)
		close(s->fd);
	s->curl = NULL;
	s->headers = NULL;
	s->digest = NULL;
	s->fd = -1;
	s->state = STORE_IDLE;
}

static void
finish(struct store *s, int err, const char *words)
{
	char copy[WORDS_SIZE];

	str_copy(copy, sizeof(copy), str_from(words));
	store_end(s);
	s->done(s->arg, err, copy);
}

/* ---- a request ---- */

static bool
read_key(struct str path, char ret[KEY_MAX], char *words, size_t size)
{
	char text[KEY_MAX], why[128];
	size_t n = 0;
	bool good = secret_files.read(path.p, text, sizeof(text) - 1, &n, why, sizeof(why)) == 0;

	while (good && n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
		n--;
	if (!good)
		snprintf(words, size, "%s: %s", path.p, why);
	else if (n == 0)
		snprintf(words, size, "%s is empty", path.p);
	else
		str_copy(ret, KEY_MAX, (struct str){text, n});
	explicit_bzero(text, sizeof(text));
	return good && n > 0;
}

static bool
set_keys(struct store *s, char *words, size_t size)
{
	char id[KEY_MAX], secret[KEY_MAX], sigv4[128];
	bool good = read_key(s->conf->access_key_file, id, words, size) &&
		    read_key(s->conf->secret_key_file, secret, words, size);

	if (good) {
		snprintf(sigv4, sizeof(sigv4), "aws:amz:%.*s:s3", STR_ARG(s->conf->region));
		SET(CURLOPT_AWS_SIGV4, sigv4);
		SET(CURLOPT_USERNAME, id);
		SET(CURLOPT_PASSWORD, secret);
	}
	explicit_bzero(id, sizeof(id));
	explicit_bzero(secret, sizeof(secret));
	return good;
}

/* Only the beginning is kept: the reason of a refusal. */
static size_t
take_answer(char *piece, size_t size, size_t count, void *arg)
{
	struct store *s = arg;
	size_t n = size * count, room;

	CHECK_MAGIC(s, STORE_MAGIC);
	room = sizeof(s->answer) - 1 - s->answer_n;
	memcpy(s->answer + s->answer_n, piece, n < room ? n : room);
	s->answer_n += n < room ? n : room;
	s->answer[s->answer_n] = '\0';
	return n;
}

static size_t
take_header(char *piece, size_t size, size_t count, void *arg)
{
	struct store *s = arg;
	struct str line = {piece, size * count}, value, name = str_cut(line, ':', &value);

	CHECK_MAGIC(s, STORE_MAGIC);
	while (value.n > 0 && strchr("\r\n", value.p[value.n - 1]) != NULL)
		value.n--;
	if (str_eq_nocase(name, STR("etag")))
		str_copy(s->etag, sizeof(s->etag), str_trim(value));
	return size * count;
}

static size_t
give_body(char *buf, size_t size, size_t count, void *arg)
{
	struct store *s = arg;
	size_t n = 0;

	CHECK_MAGIC(s, STORE_MAGIC);
	if (gzip_read(s->gzip, (uint8_t *)buf, size * count, SIZE_MAX, &n) != 0)
		return CURL_READFUNC_ABORT;
	return n;
}

static bool
add_header(struct store *s, const char *line)
{
	struct curl_slist *longer = curl_slist_append(s->headers, line);

	if (longer != NULL)
		s->headers = longer;
	return longer != NULL;
}

static void on_end(void *arg, CURLcode code);

static void
request(struct store *s, enum state state)
{
	char words[WORDS_SIZE] = "out of memory", hash[HEX + 32];

	s->state = state;
	s->curl = curl_easy_init();
	s->etag[0] = s->error[0] = s->answer[0] = '\0';
	s->answer_n = 0;
	snprintf(hash, sizeof(hash), "x-amz-content-sha256: %s",
		 state == STORE_PUTTING ? s->sha256 : NOTHING_SHA256);
	if (s->curl == NULL || !set_keys(s, words, sizeof(words)) || !add_header(s, hash) ||
	    (state == STORE_PUTTING && !add_header(s, "Content-Type: application/gzip"))) {
		finish(s, E_DENIED, words);
		return;
	}
	web_prepare(s->curl, s->url, s->conf->ca.p);
	SET(CURLOPT_LOW_SPEED_LIMIT, state == STORE_PUTTING ? SLOW_BYTES : 1L);
	SET(CURLOPT_LOW_SPEED_TIME, SLOW_SECONDS);
	SET(CURLOPT_HTTPHEADER, s->headers);
	SET(CURLOPT_WRITEFUNCTION, take_answer);
	SET(CURLOPT_WRITEDATA, s);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, s);
	SET(CURLOPT_ERRORBUFFER, s->error);
	if (state == STORE_PUTTING) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_READFUNCTION, give_body);
		SET(CURLOPT_READDATA, s);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->size);
	} else {
		SET(CURLOPT_NOBODY, 1L);
	}
	if (web_start(s->web, &s->job, s->curl, on_end, s) != 0)
		finish(s, E_NOMEM, words);
}

/* <Code>NoSuchBucket</Code>; what is no plain word is not repeated. */
static struct str
code_of(const char *answer)
{
	const char *at = strstr(answer, "<Code>");
	struct str code = {at != NULL ? at + 6 : "", 0};

	while ((code.p[code.n] >= 'a' && code.p[code.n] <= 'z') ||
	       (code.p[code.n] >= 'A' && code.p[code.n] <= 'Z'))
		code.n++;
	return code;
}

/* Of the request that ended. */
static int
judge(struct store *s, CURLcode code, char words[WORDS_SIZE])
{
	const char *what = s->state == STORE_PUTTING ? "PUT" : "HEAD";
	long status = 0;

	if (code != CURLE_OK) {
		snprintf(words, WORDS_SIZE, "%s: %s", what,
			 s->error[0] != '\0' ? s->error : curl_easy_strerror(code));
		return code == CURLE_OPERATION_TIMEDOUT ? E_TIMEOUT : E_CLOSED;
	}
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return 0;
	snprintf(words, WORDS_SIZE, "%s: the answer is HTTP %ld%s%.*s", what, status,
		 code_of(s->answer).n > 0 ? " " : "", STR_ARG(code_of(s->answer)));
	return E_DENIED;
}

static void
after_put(struct store *s)
{
	str_copy(s->put_etag, sizeof(s->put_etag), str_from(s->etag));
	curl_easy_cleanup(s->curl);
	curl_slist_free_all(s->headers);
	s->curl = NULL;
	s->headers = NULL;
	request(s, STORE_LOOKING);
}

static void
after_look(struct store *s)
{
	curl_off_t size = -1;

	curl_easy_getinfo(s->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	if (size >= 0 && (uint64_t)size != s->size)
		finish(s, E_DENIED, "HEAD: the store has an object of another size");
	else if (s->etag[0] != '\0' && s->put_etag[0] != '\0' && strcmp(s->etag, s->put_etag) != 0)
		finish(s, E_DENIED, "HEAD: the store has another object of this name");
	else
		finish(s, 0, "");
}

static void
on_end(void *arg, CURLcode code)
{
	struct store *s = arg;
	char words[WORDS_SIZE] = "";
	int err;

	CHECK_MAGIC(s, STORE_MAGIC);
	err = judge(s, code, words);
	if (err != 0)
		finish(s, err, words);
	else if (s->state == STORE_PUTTING)
		after_put(s);
	else
		after_look(s);
}

/* ---- measuring ---- */

static void
end_measuring(struct store *s)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	ASSERT(EVP_DigestFinal_ex(s->digest, digest, &n) == 1);
	for (unsigned i = 0; i < n; i++)
		snprintf(s->sha256 + (size_t)2 * i, 3, "%02x", digest[i]);
	gzip_free(&s->gzip);
	s->gzip = gzip_new(s->fd);
	if (s->gzip == NULL)
		finish(s, E_NOMEM, "out of memory");
	else
		request(s, STORE_PUTTING);
}

static void
measure(void *arg)
{
	struct store *s = arg;
	uint8_t buf[OUTPUT];
	size_t n = 0;
	int err;

	CHECK_MAGIC(s, STORE_MAGIC);
	err = gzip_read(s->gzip, buf, sizeof(buf), SLICE, &n);
	if (err != 0 && err != E_AGAIN) {
		finish(s, err, "the file cannot be read");
	} else if (err == 0 && n == 0) {
		end_measuring(s);
	} else {
		ASSERT(EVP_DigestUpdate(s->digest, buf, n) == 1);
		s->size += n;
		loop_timer_start(s->loop, &s->slice, 0, 0, measure, s);
	}
}

/* The one character that names have and paths of signatures have not is escaped. */
static bool
make_url(struct store *s, const char *object)
{
	struct str endpoint = s->conf->endpoint;
	size_t n;
	int len;

	while (endpoint.n > 0 && endpoint.p[endpoint.n - 1] == '/')
		endpoint.n--;
	len = snprintf(s->url, sizeof(s->url), "%.*s/%.*s/", STR_ARG(endpoint),
		       STR_ARG(s->conf->bucket));
	if (len < 0 || (size_t)len + 3 * strlen(object) >= sizeof(s->url))
		return false;
	for (n = (size_t)len; *object != '\0'; object++) {
		if (*object == '=') {
			memcpy(s->url + n, "%3D", 3);
			n += 3;
		} else {
			s->url[n++] = *object;
		}
	}
	s->url[n] = '\0';
	return true;
}

void
store_put(struct store *s, int fd, const char *object)
{
	CHECK_MAGIC(s, STORE_MAGIC);
	ASSERT(s->state == STORE_IDLE);
	s->state = STORE_MEASURING;
	s->fd = fd;
	s->size = 0;
	s->gzip = gzip_new(fd);
	s->digest = EVP_MD_CTX_new();
	if (s->gzip == NULL || s->digest == NULL ||
	    EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL) != 1)
		finish(s, E_NOMEM, "out of memory");
	else if (!make_url(s, object))
		finish(s, E_LIMIT, "the object's name is too long");
	else
		loop_timer_start(s->loop, &s->slice, 0, 0, measure, s);
}

/* ---- its life ---- */

struct store *
store_new(const struct conf_ship *conf, struct loop *loop, store_done *done, void *arg)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = STORE_MAGIC;
	s->conf = conf;
	s->loop = loop;
	s->done = done;
	s->arg = arg;
	s->fd = -1;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	s->web = web_open(loop);
	if (s->web == NULL)
		store_free(&s);
	return s;
}

void
store_free(struct store **ret)
{
	struct store *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, STORE_MAGIC);
	*ret = NULL;
	store_end(s);
	web_close(&s->web);
	curl_global_cleanup();
	s->magic = 0;
	free(s);
}
