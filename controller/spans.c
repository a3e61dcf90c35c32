/*
 * Spans, in the controller: lines come in from the audit file, requests go out to the collector.
 */
#include "controller/spans.h"

#include <stdio.h>
#include <stdlib.h>
#include "controller/backoff.h"
#include "controller/otlp.h"
#include "controller/tail.h"
#include "controller/web.h"
#include "lib/hash.h"
#include "lib/log.h"
#include "lib/panic.h"
#include "shm/chain.h"
#include "shm/counters.h"
#include "shm/segment.h"

#define SPANS_MAGIC 0x7370616eu
#define POLL_MS	    250
#define POST_MS	    10000L
#define LEAVING_MS  200 /* until the next try, when there is not much time */
#define URL_SIZE    1152
#define GATEWAY	    256
#define LAST_PIECES 64 /* of the file, before it leaves: what comes behind is the successor's */
#define WORDS	    (CURL_ERROR_SIZE + 32)

struct spans {
	unsigned magic;
	const struct conf_tracing *conf;
	struct loop *loop;
	struct tail *tail;
	struct web *web;
	_Atomic uint64_t *seq; /* of the last record that was looked at, by whomever */
	struct counters_slot *counters;
	bool leaving;
	struct loop_timer poll, flush;
	json_t *queue, *batch; /* batch: NULL when nothing is on its way */
	char gateway[GATEWAY], url[URL_SIZE];
	char *body;
	CURL *curl;
	struct curl_slist *headers;
	struct web_job job;
	uint64_t exported, dropped;
	unsigned failures; /* in a row */
	char error[WORDS], curl_error[CURL_ERROR_SIZE];
};

static void on_flush(void *arg);

static void
plan_flush(struct spans *s, uint64_t ms)
{
	loop_timer_start(s->loop, &s->flush, ms, 0, on_flush, s);
}

/* ---- sending ---- */

static void
end_request(struct spans *s)
{
	web_end(&s->job);
	curl_easy_cleanup(s->curl);
	curl_slist_free_all(s->headers);
	free(s->body);
	s->curl = NULL;
	s->headers = NULL;
	s->body = NULL;
}

static void
drop(struct spans *s, size_t count)
{
	s->dropped += count;
	counters_add(s->counters, COUNTER_spans_dropped, (int64_t)count);
}

static void
forget_batch(struct spans *s)
{
	json_decref(s->batch);
	s->batch = NULL;
}

static void
fail(struct spans *s, const char *words, bool again)
{
	struct hash_key any;

	hash_key_random(&any);
	str_copy(s->error, sizeof(s->error), str_from(words));
	if (s->failures++ == 0)
		log_warn(NULL, "tracing: spans cannot be sent: %s", words);
	else
		log_debug(NULL, "tracing: spans cannot be sent: %s", words);
	if (!again) {
		drop(s, json_array_size(s->batch));
		forget_batch(s);
	}
	plan_flush(s, s->leaving ? LEAVING_MS : backoff_retry_ms(s->failures, any.k0));
}

static void
succeed(struct spans *s)
{
	if (s->failures > 0)
		log_info(NULL, "tracing: spans are sent again, %llu were dropped",
			 (unsigned long long)s->dropped);
	s->failures = 0;
	s->exported += json_array_size(s->batch);
	counters_add(s->counters, COUNTER_spans_sent, (int64_t)json_array_size(s->batch));
	forget_batch(s);
	if (json_array_size(s->queue) > 0)
		plan_flush(s,
			   s->leaving || json_array_size(s->queue) >= SPANS_BATCH ? 0 : SPANS_MS);
}

/* The specification's list of what is worth another try. */
static bool
is_passing(long status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

static void
on_end(void *arg, CURLcode code)
{
	struct spans *s = arg;
	char words[WORDS];
	long status = 0;

	CHECK_MAGIC(s, SPANS_MAGIC);
	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	end_request(s);
	if (code == CURLE_OK && status >= 200 && status < 300) {
		succeed(s);
		return;
	}
	if (code != CURLE_OK)
		snprintf(words, sizeof(words), "%s",
			 s->curl_error[0] != '\0' ? s->curl_error : curl_easy_strerror(code));
	else
		snprintf(words, sizeof(words), "the answer is HTTP %ld", status);
	fail(s, words, code != CURLE_OK || is_passing(status));
}

static size_t
pass_over(char *piece, size_t size, size_t count, void *arg)
{
	return size * count;
}

static void
post(struct spans *s)
{
	s->body = otlp_request(s->batch, s->gateway);
	s->curl = curl_easy_init();
	s->headers = curl_slist_append(NULL, "Content-Type: application/json");
	s->curl_error[0] = '\0';
	if (s->body == NULL || s->curl == NULL || s->headers == NULL) {
		end_request(s);
		fail(s, "out of memory", true);
		return;
	}
	web_prepare(s->curl, s->url, s->conf->ca.p);
	curl_easy_setopt(s->curl, CURLOPT_TIMEOUT_MS, POST_MS);
	curl_easy_setopt(s->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(s->body));
	curl_easy_setopt(s->curl, CURLOPT_POSTFIELDS, s->body);
	curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->headers);
	curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, pass_over);
	curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->curl_error);
	if (web_start(s->web, &s->job, s->curl, on_end, s) != 0) {
		end_request(s);
		fail(s, "out of memory", true);
	}
}

static void
take_batch(struct spans *s)
{
	json_t *rest = json_array();

	s->batch = json_array();
	for (size_t i = 0; i < json_array_size(s->queue); i++)
		json_array_append(i < SPANS_BATCH ? s->batch : rest, json_array_get(s->queue, i));
	json_decref(s->queue);
	s->queue = rest;
}

static void
on_flush(void *arg)
{
	struct spans *s = arg;

	CHECK_MAGIC(s, SPANS_MAGIC);
	if (s->curl != NULL)
		return;
	if (s->batch == NULL)
		take_batch(s);
	if (json_array_size(s->batch) > 0)
		post(s);
	else
		forget_batch(s);
}

/* ---- collecting ---- */

/* While there are two controllers both see each line. */
static bool
is_mine(struct spans *s, struct str line)
{
	uint64_t seen = atomic_load(s->seq);
	struct chain_line parsed;

	if (chain_parse(line, &parsed) != 0 || parsed.is_seal)
		return false;
	while (parsed.seq > seen)
		if (atomic_compare_exchange_weak(s->seq, &seen, parsed.seq))
			return true;
	return false;
}

static void
take_line(struct spans *s, struct str line)
{
	size_t waiting = json_array_size(s->queue);
	json_t *span = is_mine(s, line) ? otlp_span(line, s->conf->sample) : NULL;

	if (span == NULL)
		return;
	str_copy(s->gateway, sizeof(s->gateway), chain_member(line, "gateway"));
	if (waiting >= SPANS_QUEUE) {
		drop(s, 1);
		json_decref(span);
		return;
	}
	json_array_append_new(s->queue, span);
	if (s->batch != NULL)
		return; /* under way, or to be tried again */
	if (waiting == 0)
		plan_flush(s, SPANS_MS);
	else if (waiting + 1 == SPANS_BATCH)
		plan_flush(s, 0);
}

/* False: that was all there is. */
static bool
collect(struct spans *s)
{
	struct str line;
	bool more = false;

	while (tail_next(s->tail, &line, &more) == 0)
		take_line(s, line);
	return more;
}

static void
on_poll(void *arg)
{
	struct spans *s = arg;
	bool more;

	CHECK_MAGIC(s, SPANS_MAGIC);
	more = collect(s);
	loop_timer_start(s->loop, &s->poll, more ? 0 : POLL_MS, 0, on_poll, s);
}

/* ---- its life ---- */

static void
make_url(struct spans *s)
{
	struct str endpoint = s->conf->endpoint;

	while (endpoint.n > 0 && endpoint.p[endpoint.n - 1] == '/')
		endpoint.n--;
	snprintf(s->url, sizeof(s->url), "%.*s/v1/traces", STR_ARG(endpoint));
}

struct spans *
spans_new(const struct conf *conf, struct loop *loop, struct segment *segment,
	  struct counters_slot *counters)
{
	struct spans *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->magic = SPANS_MAGIC;
	s->loop = loop;
	s->seq = segment_spans_seq(segment);
	s->counters = counters;
	if (!conf->audit.has_tracing)
		return s;
	s->conf = &conf->audit.tracing;
	make_url(s);
	curl_global_init(CURL_GLOBAL_DEFAULT);
	s->queue = json_array();
	s->tail = tail_new(conf->state_dir.p);
	s->web = web_open(loop);
	if (s->queue == NULL || s->tail == NULL || s->web == NULL)
		spans_free(&s);
	else
		loop_timer_start(loop, &s->poll, POLL_MS, 0, on_poll, s);
	return s;
}

/* A batch that has failed is tried at once. */
void
spans_leave(struct spans *s)
{
	CHECK_MAGIC(s, SPANS_MAGIC);
	if (s->conf == NULL || s->leaving)
		return;
	s->leaving = true;
	loop_timer_stop(&s->poll);
	for (unsigned i = 0; i < LAST_PIECES && collect(s); i++)
		;
	plan_flush(s, 0);
}

size_t
spans_waiting(const struct spans *s)
{
	CHECK_MAGIC(s, SPANS_MAGIC);
	return json_array_size(s->queue) + json_array_size(s->batch);
}

/* Of a request under way nobody knows any more whether it arrived. */
static void
stop(struct spans *s)
{
	size_t waiting = spans_waiting(s);

	loop_timer_stop(&s->poll);
	loop_timer_stop(&s->flush);
	end_request(s);
	if (waiting == 0)
		return;
	drop(s, waiting);
	log_warn(NULL, "tracing: %zu spans were not sent before the end, and are dropped", waiting);
}

void
spans_free(struct spans **ret)
{
	struct spans *s = *ret;

	if (s == NULL)
		return;
	CHECK_MAGIC(s, SPANS_MAGIC);
	*ret = NULL;
	stop(s);
	forget_batch(s);
	json_decref(s->queue);
	tail_free(&s->tail);
	web_close(&s->web);
	if (s->conf != NULL)
		curl_global_cleanup();
	s->magic = 0;
	free(s);
}

json_t *
spans_show(const struct spans *s)
{
	json_t *row;

	CHECK_MAGIC(s, SPANS_MAGIC);
	if (s->conf == NULL)
		return json_null();
	row = json_pack("{s:I, s:I, s:I, s:i}", "exported", (json_int_t)s->exported, "dropped",
			(json_int_t)s->dropped, "queued", (json_int_t)spans_waiting(s), "failures",
			(int)s->failures);
	json_object_set_new(row, "error", s->failures > 0 ? json_string(s->error) : json_null());
	return row;
}
