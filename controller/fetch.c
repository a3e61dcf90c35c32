/*
 * HTTP transfers, in the controller: URLs in, bodies out.
 *
 *	libcurl tells which sockets to watch (watch_socket) and when it wants to be called
 *	(watch_time); the loop calls turn(), which lets libcurl work and ends the jobs it has done.
 *
 * Jobs end outside of libcurl's callbacks, which may not call it back.
 */
#include "controller/fetch.h"

#include <curl/curl.h>
#include <stdlib.h>
#include "conf/url.h"
#include "lib/buf.h"
#include "lib/panic.h"

#define FETCH_MAGIC	   0x66657463u
#define JOB_MAGIC	   0x666a6f62u
#define CONNECT_MS	   5000L
#define HEADERS_MAX	   ((size_t)64 * 1024)
#define WORDS_SIZE	   (CURL_ERROR_SIZE + 32)
#define SET(option, value) curl_easy_setopt(job->curl, option, value)

struct watch { /* a socket of libcurl; used again after it, and freed with all of it */
	struct loop_io io;
	struct fetch *fetch;
	struct watch *next;
	curl_socket_t fd; /* CURL_SOCKET_BAD: free */
};

struct fetch {
	unsigned magic;
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct watch *watches;
	struct fetch_job *jobs;
};

struct fetch_job {
	unsigned magic;
	struct fetch *fetch;
	struct fetch_job *next;
	CURL *curl;
	struct curl_slist *headers;
	struct buf body;
	size_t header_bytes;
	fetch_done *done;
	void *arg;
	char error[CURL_ERROR_SIZE];
};

/* ---- the loop's side ---- */

static void end_jobs(struct fetch *);

static void
turn(struct fetch *f, curl_socket_t fd, int events)
{
	int running;

	CHECK_MAGIC(f, FETCH_MAGIC);
	curl_multi_socket_action(f->multi, fd, events, &running);
	end_jobs(f);
}

static void
on_socket(void *arg, unsigned events)
{
	struct watch *w = arg;

	turn(w->fetch, w->fd,
	     (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
		     (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_time(void *arg)
{
	turn(arg, CURL_SOCKET_TIMEOUT, 0);
}

static struct watch *
get_watch(struct fetch *f, curl_socket_t fd)
{
	struct watch *w = f->watches;

	while (w != NULL && w->fd != CURL_SOCKET_BAD)
		w = w->next;
	if (w == NULL) {
		w = calloc(1, sizeof(*w));
		ASSERT(w != NULL);
		w->fetch = f;
		w->next = f->watches;
		f->watches = w;
	}
	w->fd = fd;
	return w;
}

static int
watch_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *slot)
{
	struct fetch *f = arg;
	struct watch *w = slot;
	unsigned events =
		(what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0);

	CHECK_MAGIC(f, FETCH_MAGIC);
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL) {
			loop_io_stop(&w->io);
			w->fd = CURL_SOCKET_BAD;
		}
		return 0;
	}
	if (w != NULL) {
		loop_io_events(&w->io, events);
		return 0;
	}
	w = get_watch(f, fd);
	curl_multi_assign(f->multi, fd, w);
	loop_io_start(f->loop, &w->io, fd, events, on_socket, w);
	return 0;
}

static int
watch_time(CURLM *multi, long ms, void *arg)
{
	struct fetch *f = arg;

	CHECK_MAGIC(f, FETCH_MAGIC);
	if (ms < 0)
		loop_timer_stop(&f->timer);
	else
		loop_timer_start(f->loop, &f->timer, (uint64_t)ms, 0, on_time, f);
	return 0;
}

struct fetch *
fetch_open(struct loop *loop)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->magic = FETCH_MAGIC;
	f->loop = loop;
	f->multi = curl_multi_init();
	if (f->multi == NULL) {
		free(f);
		return NULL;
	}
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	return f;
}

void
fetch_close(struct fetch **fetch)
{
	struct fetch *f = *fetch;
	struct watch *w;

	if (f == NULL)
		return;
	CHECK_MAGIC(f, FETCH_MAGIC);
	*fetch = NULL;
	while (f->jobs != NULL) {
		struct fetch_job *job = f->jobs;

		fetch_end(&job);
	}
	curl_multi_cleanup(f->multi);
	loop_timer_stop(&f->timer);
	while ((w = f->watches) != NULL) {
		f->watches = w->next;
		loop_io_stop(&w->io);
		free(w);
	}
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

static void
set_limits(struct fetch_job *job)
{
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, ""); /* whatever the environment says */
	SET(CURLOPT_NOPROXY, "*");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	SET(CURLOPT_TIMEOUT_MS, FETCH_MS);
	SET(CURLOPT_MAXFILESIZE, (long)FETCH_MAX);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	SET(CURLOPT_QUICK_EXIT, 1L); /* a job that ends does not wait for a name server */
}

/* The system's folder of certificates would count beside a file of ours. */
static void
set_trust(struct fetch_job *job, const char *ca)
{
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca == NULL)
		return;
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_CAINFO, ca);
}

static bool
prepare(struct fetch_job *job, const char *url, const char *ca)
{
	const char *scheme = str_starts(str_from(url), STR("https:")) ? "https" : "http";

	job->curl = curl_easy_init();
	job->headers = curl_slist_append(NULL, "Accept: application/json");
	if (job->curl == NULL || job->headers == NULL || SET(CURLOPT_URL, url) != CURLE_OK ||
	    SET(CURLOPT_PROTOCOLS_STR, scheme) != CURLE_OK)
		return false;
	set_limits(job);
	set_trust(job, ca);
	SET(CURLOPT_USERAGENT, "sparkgw");
	SET(CURLOPT_HTTPHEADER, job->headers);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, job);
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, job);
	SET(CURLOPT_ERRORBUFFER, job->error);
	SET(CURLOPT_PRIVATE, job);
	return curl_multi_add_handle(job->fetch->multi, job->curl) == CURLM_OK;
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
	if (job->curl != NULL)
		curl_multi_remove_handle(job->fetch->multi, job->curl);
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
finish(struct fetch_job *job, CURLcode code)
{
	char words[WORDS_SIZE] = "";
	int err = judge(job, code, words);
	fetch_done *done = job->done;
	void *arg = job->arg;
	struct buf body = job->body;

	buf_init(&job->body, FETCH_MAX);
	fetch_end(&job);
	done(arg, err, err == 0 ? buf_str(&body) : STR_NONE, words);
	buf_free(&body);
}

/* The list of messages is asked anew each time: what a job's owner does may change it. */
static void
end_jobs(struct fetch *f)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(f->multi, &left)) != NULL) {
		char *job = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &job);
		finish((struct fetch_job *)(void *)job, message->data.result);
	}
}
