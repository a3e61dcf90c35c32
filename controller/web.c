/*
 * Transfers of libcurl in the loop.
 *
 *	libcurl tells which sockets to watch (watch_socket) and when it wants to be called
 *	(watch_time); the loop calls turn(), which lets libcurl work and ends the jobs it has done.
 *
 * Jobs end outside of libcurl's callbacks, which may not call it back.
 */
#include "controller/web.h"

#include <stdlib.h>
#include "lib/panic.h"
#include "lib/str.h"

#define WEB_MAGIC  0x77656221u
#define CONNECT_MS 5000L

struct watch { /* a socket of libcurl; used again after it, and freed with all of it */
	struct loop_io io;
	struct web *web;
	struct watch *next;
	curl_socket_t fd; /* CURL_SOCKET_BAD: free */
};

struct web {
	unsigned magic;
	struct loop *loop;
	CURLM *multi;
	struct loop_timer timer;
	struct watch *watches;
};

/* ---- the loop's side ---- */

static void end_jobs(struct web *);

static void
turn(struct web *web, curl_socket_t fd, int events)
{
	int running;

	CHECK_MAGIC(web, WEB_MAGIC);
	curl_multi_socket_action(web->multi, fd, events, &running);
	end_jobs(web);
}

static void
on_socket(void *arg, unsigned events)
{
	struct watch *w = arg;

	turn(w->web, w->fd,
	     (events & LOOP_READ ? CURL_CSELECT_IN : 0) |
		     (events & LOOP_WRITE ? CURL_CSELECT_OUT : 0));
}

static void
on_time(void *arg)
{
	turn(arg, CURL_SOCKET_TIMEOUT, 0);
}

static struct watch *
get_watch(struct web *web, curl_socket_t fd)
{
	struct watch *w = web->watches;

	while (w != NULL && w->fd != CURL_SOCKET_BAD)
		w = w->next;
	if (w == NULL) {
		w = calloc(1, sizeof(*w));
		ASSERT(w != NULL);
		w->web = web;
		w->next = web->watches;
		web->watches = w;
	}
	w->fd = fd;
	return w;
}

static int
watch_socket(CURL *curl, curl_socket_t fd, int what, void *arg, void *slot)
{
	struct web *web = arg;
	struct watch *w = slot;
	unsigned events =
		(what & CURL_POLL_IN ? LOOP_READ : 0) | (what & CURL_POLL_OUT ? LOOP_WRITE : 0);

	CHECK_MAGIC(web, WEB_MAGIC);
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
	w = get_watch(web, fd);
	curl_multi_assign(web->multi, fd, w);
	loop_io_start(web->loop, &w->io, fd, events, on_socket, w);
	return 0;
}

static int
watch_time(CURLM *multi, long ms, void *arg)
{
	struct web *web = arg;

	CHECK_MAGIC(web, WEB_MAGIC);
	if (ms < 0)
		loop_timer_stop(&web->timer);
	else
		loop_timer_start(web->loop, &web->timer, (uint64_t)ms, 0, on_time, web);
	return 0;
}

struct web *
web_open(struct loop *loop)
{
	struct web *web = calloc(1, sizeof(*web));

	if (web == NULL)
		return NULL;
	web->magic = WEB_MAGIC;
	web->loop = loop;
	web->multi = curl_multi_init();
	if (web->multi == NULL) {
		free(web);
		return NULL;
	}
	curl_multi_setopt(web->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(web->multi, CURLMOPT_SOCKETDATA, web);
	curl_multi_setopt(web->multi, CURLMOPT_TIMERFUNCTION, watch_time);
	curl_multi_setopt(web->multi, CURLMOPT_TIMERDATA, web);
	return web;
}

void
web_close(struct web **ret)
{
	struct web *web = *ret;
	struct watch *w;

	if (web == NULL)
		return;
	CHECK_MAGIC(web, WEB_MAGIC);
	*ret = NULL;
	curl_multi_cleanup(web->multi);
	loop_timer_stop(&web->timer);
	while ((w = web->watches) != NULL) {
		web->watches = w->next;
		loop_io_stop(&w->io);
		free(w);
	}
	web->magic = 0;
	free(web);
}

/* ---- a job ---- */

int
web_start(struct web *web, struct web_job *job, CURL *curl, void (*done)(void *arg, CURLcode),
	  void *arg)
{
	CHECK_MAGIC(web, WEB_MAGIC);
	ASSERT(job->web == NULL);
	*job = (struct web_job){web, curl, done, arg};
	if (curl_easy_setopt(curl, CURLOPT_PRIVATE, job) == CURLE_OK &&
	    curl_multi_add_handle(web->multi, curl) == CURLM_OK)
		return 0;
	*job = (struct web_job){.web = NULL};
	return E_NOMEM;
}

void
web_end(struct web_job *job)
{
	if (job->web == NULL)
		return;
	CHECK_MAGIC(job->web, WEB_MAGIC);
	curl_multi_remove_handle(job->web->multi, job->curl);
	*job = (struct web_job){.web = NULL};
}

/* The list of messages is asked anew each time: what a job's owner does may change it. */
static void
end_jobs(struct web *web)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(web->multi, &left)) != NULL) {
		CURLcode code = message->data.result;
		struct web_job *job, over;
		char *private = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
		job = (struct web_job *)(void *)private;
		over = *job;
		web_end(job);
		over.done(over.arg, code);
	}
}

/* The system's folder of certificates would count beside a file of ours. */
void
web_prepare(CURL *curl, const char *url, const char *ca)
{
	const char *scheme = str_starts(str_from(url), STR("https:")) ? "https" : "http";

	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, scheme);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "sparkgw");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* does not wait for a name server */
	curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca == NULL)
		return;
	curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(curl, CURLOPT_CAINFO, ca);
}
