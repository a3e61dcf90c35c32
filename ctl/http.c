/*
 * HTTP over the control socket, for sparkgwctl: a path goes out, a status and a body come in.
 */
#include "ctl/http.h"

#include <curl/curl.h>
#include <errno.h>
#include "lib/panic.h"

#define CONNECT_MS 5000L
#define RETRIES	   20u /* one second in all */
#define RETRY_MS   50
#define ANSWER_MS  150000L /* a reload waits until new processes are ready */

static size_t
take(char *piece, size_t size, size_t count, void *arg)
{
	struct buf *body = arg;

	buf_add(body, piece, size * count);
	return buf_failed(body) ? 0 : size * count;
}

static void
prepare(CURL *curl, const char *socket_path, const char *url, const char *body, struct buf *into)
{
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever the environment says */
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ANSWER_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, into);
	if (body != NULL)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
}

/* Refused: for a moment nobody listens while one controller follows another. Nothing was sent, so
 * that asking again is safe. */
static CURLcode
perform(CURL *curl)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000};
	CURLcode code = CURLE_COULDNT_CONNECT;
	long system_error = 0;

	for (unsigned i = 0; i < RETRIES; i++) {
		code = curl_easy_perform(curl);
		if (code != CURLE_COULDNT_CONNECT ||
		    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &system_error) != CURLE_OK ||
		    system_error != ECONNREFUSED)
			break;
		nanosleep(&pause, NULL);
	}
	return code;
}

static int
translate(CURL *curl, CURLcode code, const char **ret_words)
{
	long system_error = 0;

	*ret_words = curl_easy_strerror(code);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return E_TIMEOUT;
	if (code == CURLE_WRITE_ERROR)
		return E_LIMIT;
	if (code == CURLE_COULDNT_CONNECT &&
	    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &system_error) == CURLE_OK &&
	    system_error != 0)
		*ret_words = strerror((int)system_error);
	if (system_error == EACCES)
		return E_DENIED;
	return system_error == ENOENT ? E_NOT_FOUND : E_CLOSED;
}

int
http_ask(const char *socket_path, const char *path, const char *body, struct http_answer *ret,
	 const char **ret_words)
{
	CURL *curl = curl_easy_init();
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	struct buf url, answer;
	long status = 0;
	CURLcode code;
	int err = 0;

	ASSERT(curl != NULL && headers != NULL);
	buf_init(&url, 8192);
	buf_printf(&url, "http://sparkgw%s", path);
	buf_init(&answer, HTTP_ANSWER_MAX);
	prepare(curl, socket_path, buf_cstr(&url), body, &answer);
	if (body != NULL)
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	code = perform(curl);
	if (code != CURLE_OK) {
		err = translate(curl, code, ret_words);
		buf_free(&answer);
	} else {
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		ret->status = (unsigned)status;
		ret->body = answer;
	}
	buf_free(&url);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return err;
}

void
http_escape(struct buf *out, const char *value)
{
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    c == '-' || c == '.' || c == '_' || c == '~')
			buf_add_byte(out, c);
		else
			buf_printf(out, "%%%02X", c);
	}
}
