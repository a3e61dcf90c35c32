/*
 * Small documents, in the controller: URLs in, bodies out. The transfers run in controller/web.
 */
#include "controller/fetch.h"

#include <stdlib.h>
#include "conf/url.h"
#include "controller/web.h"
#include "lib/buf.h"
#include "lib/panic.h"

#define FETCH_MAGIC	   0x66657463u
#define JOB_MAGIC	   0x666a6f62u
#define HEADERS_MAX	   ((size_t)64 * 1024)
#define WORDS_SIZE	   (CURL_ERROR_SIZE + 32)
#define SET(option, value) curl_easy_setopt(job->curl, option, value)

struct fetch {
	unsigned magic;
	struct web *web;
	struct fetch_job *jobs;
};

struct fetch_job {
	unsigned magic;
	struct fetch *fetch;
	struct fetch_job *next;
	struct web_job web;
	CURL *curl;
	struct curl_slist *headers;
	struct buf body;
	size_t header_bytes;
	fetch_done *done;
	void *arg;
	char error[CURL_ERROR_SIZE];
};

struct fetch *
fetch_open(struct loop *loop)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->magic = FETCH_MAGIC;
	f->web = web_open(loop);
	if (f->web == NULL) {
		free(f);
		return NULL;
	}
	return f;
}

void
fetch_close(struct fetch **fetch)
{
	struct fetch *f = *fetch;

	if (f == NULL)
		return;
	CHECK_MAGIC(f, FETCH_MAGIC);
	*fetch = NULL;
	while (f->jobs != NULL) {
		struct fetch_job *job = f->jobs;

		fetch_end(&job);
	}
	web_close(&f->web);
	f->magic = 0;
	free(f);
}

/* ---- a job ---- */

/* The length that the headers promise says nothing about a body in chunks: count. */
static size_t
take_body(char *piece, size_t size, size_t count, void *arg)
{
	struct fetch_job *job = arg;

	CHECK_MAGIC(job, JOB_MAGIC);
	buf_add(&job->body, piece, size * count);
	return buf_failed(&job->body) ? 0 : size * count;
}

static size_t
take_header(char *piece, size_t size, size_t count, void *arg)
{
	struct fetch_job *job = arg;

	CHECK_MAGIC(job, JOB_MAGIC);
	job->header_bytes += size * count;
	return job->header_bytes > HEADERS_MAX ? 0 : size * count;
}

static void finish(void *arg, CURLcode code);

static bool
prepare(struct fetch_job *job, const char *url, const char *ca)
{
	job->curl = curl_easy_init();
	job->headers = curl_slist_append(NULL, "Accept: application/json");
	if (job->curl == NULL || job->headers == NULL)
		return false;
	web_prepare(job->curl, url, ca);
	SET(CURLOPT_TIMEOUT_MS, FETCH_MS);
	SET(CURLOPT_MAXFILESIZE, (long)FETCH_MAX);
	SET(CURLOPT_HTTPHEADER, job->headers);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, job);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, job);
	SET(CURLOPT_ERRORBUFFER, job->error);
	return web_start(job->fetch->web, &job->web, job->curl, finish, job) == 0;
}

int
fetch_start(struct fetch *f, const char *url, const char *ca, fetch_done *done, void *arg,
	    struct fetch_job **ret, const char **ret_words)
{
	struct fetch_job *job;

	CHECK_MAGIC(f, FETCH_MAGIC);
	*ret_words = url_wrong(str_from(url));
	if (*ret_words != NULL)
		return E_DENIED;
	*ret_words = "out of memory";
	job = calloc(1, sizeof(*job));
	if (job == NULL)
		return E_NOMEM;
	job->magic = JOB_MAGIC;
	job->fetch = f;
	job->done = done;
	job->arg = arg;
	buf_init(&job->body, FETCH_MAX);
	job->next = f->jobs;
	f->jobs = job;
	if (!prepare(job, url, ca)) {
		fetch_end(&job);
		return E_NOMEM;
	}
	*ret = job;
	return 0;
}

void
fetch_end(struct fetch_job **ended)
{
	struct fetch_job *job = *ended, **at;

	*ended = NULL;
	if (job == NULL)
		return;
	CHECK_MAGIC(job, JOB_MAGIC);
	for (at = &job->fetch->jobs; *at != job;)
		at = &(*at)->next;
	*at = job->next;
	web_end(&job->web);
	curl_easy_cleanup(job->curl);
	curl_slist_free_all(job->headers);
	buf_free(&job->body);
	job->magic = 0;
	free(job);
}

/* ---- its end ---- */

static int
translate(CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT: return E_TIMEOUT;
	case CURLE_WRITE_ERROR:
	case CURLE_FILESIZE_EXCEEDED: return E_LIMIT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CACERT_BADFILE: return E_TLS;
	default: return E_CLOSED;
	}
}

static int
judge(struct fetch_job *job, CURLcode code, char words[WORDS_SIZE])
{
	int err = code != CURLE_OK ? translate(code) : 0;
	long status = 0;

	if (err == E_LIMIT) {
		snprintf(words, WORDS_SIZE, "the answer is larger than 256 KiB");
	} else if (err != 0) {
		snprintf(words, WORDS_SIZE, "%s",
			 job->error[0] != '\0' ? job->error : curl_easy_strerror(code));
	} else if (curl_easy_getinfo(job->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
		   status != 200) {
		snprintf(words, WORDS_SIZE, "the answer is HTTP %ld%s", status,
			 status >= 300 && status < 400 ? ", and redirects are not followed" : "");
		err = E_DENIED;
	}
	return err;
}

/* The job is gone from the list before its owner hears of it: a new one may be begun there. */
static void
finish(void *ended, CURLcode code)
{
	struct fetch_job *job = ended;
	char words[WORDS_SIZE] = "";
	int err = judge(job, code, words);
	fetch_done *done = job->done;
	void *arg = job->arg;
	struct buf body = job->body;

	CHECK_MAGIC(job, JOB_MAGIC);
	buf_init(&job->body, FETCH_MAX);
	fetch_end(&job);
	done(arg, err, err == 0 ? buf_str(&body) : STR_NONE, words);
	buf_free(&body);
}
