/*
 * The resolver. Enter: host names from the loop; leave: lists of addresses to the loop.
 *
 *	loop: resolve_get() -> todo --[mutex]--> thread: getaddrinfo() -> ended
 *	loop: done() <--[mutex]-- ended <--[eventfd]--
 *
 * A job belongs to whoever has it: the loop, the queue, or the thread. getaddrinfo can hang for as
 * long as the system's resolver likes, so the end does not wait for the thread: it finds `stop` and
 * takes the shared part with it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "checker/resolve.h"
#include "lib/log.h"
#include "lib/panic.h"

#define RESOLVE_MAGIC	   0x5265736fu
#define RESOLVE_NAME_MAGIC 0x52736e6du
#define HOST_MAX	   255

struct job {
	struct job *next;
	struct resolve_name *name; /* the loop's; the thread does not look into it */
	char host[HOST_MAX + 1];
	int failure; /* EAI_...; 0: the list is good */
	struct resolve_list list;
};

struct shared {
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct job *todo, **todo_tail;
	struct job *ended;
	bool stop, busy;
	int fd; /* eventfd; written under the mutex while !stop */
};

struct resolve {
	unsigned magic;
	struct loop *loop;
	struct shared *shared;
	pthread_t thread;
	struct loop_io watch;
	int fd;
	struct resolve_name *names;
	void (*done)(void *arg, const struct resolve_name *);
	void *arg;
};

struct resolve_name {
	unsigned magic, refs; /* the openers, and a look-up under way */
	struct resolve *resolve;
	struct resolve_name *next;
	char host[HOST_MAX + 1];
	struct resolve_list list; /* last good one */
	uint64_t asked_ms;
	int failure;
	bool numeric, asking, complained;
};

/* ---- the thread ---- */

static bool
has(const struct resolve_list *list, const struct sock_addr *a)
{
	for (unsigned i = 0; i < list->count; i++)
		if (sock_addr_eq(&list->at[i], a))
			return true;
	return false;
}

static void
look_up(struct job *job)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;

	job->failure = getaddrinfo(job->host, NULL, &hints, &found);
	if (job->failure != 0)
		return;
	for (struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
		struct sock_addr a;

		if (job->list.count < RESOLVE_ADDRESSES &&
		    sock_addr_from_sys(ai->ai_addr, &a) == 0 && !has(&job->list, &a))
			job->list.at[job->list.count++] = a;
	}
	freeaddrinfo(found);
	if (job->list.count == 0)
		job->failure = EAI_NONAME;
}

static void
free_jobs(struct job *job)
{
	while (job != NULL) {
		struct job *next = job->next;
		free(job);
		job = next;
	}
}

static void
free_shared(struct shared *s)
{
	free_jobs(s->todo);
	free_jobs(s->ended);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}

/* The next job, or NULL when it is over. */
static struct job *
take(struct shared *s)
{
	while (s->todo == NULL && !s->stop)
		pthread_cond_wait(&s->wake, &s->mutex);
	if (s->stop)
		return NULL;
	struct job *job = s->todo;
	s->todo = job->next;
	if (s->todo == NULL)
		s->todo_tail = &s->todo;
	return job;
}

static void *
run(void *arg)
{
	struct shared *s = arg;
	struct job *job;
	const uint64_t one = 1;

	pthread_mutex_lock(&s->mutex);
	while ((job = take(s)) != NULL) {
		s->busy = true;
		pthread_mutex_unlock(&s->mutex);
		look_up(job);
		pthread_mutex_lock(&s->mutex);
		s->busy = false;
		job->next = s->ended;
		s->ended = job;
		if (s->stop) { /* nobody waits for us */
			pthread_mutex_unlock(&s->mutex);
			free_shared(s);
			return NULL;
		}
		(void)!write(s->fd, &one, sizeof(one)); /* full means that it is readable already */
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

/* ---- the loop's side ---- */

static void
unref(struct resolve_name *n)
{
	struct resolve_name **at = &n->resolve->names;

	ASSERT(n->refs > 0);
	if (--n->refs > 0)
		return;
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	n->magic = 0;
	free(n);
}

static void
take_in(struct resolve_name *n, const struct job *job)
{
	char ctx[HOST_MAX + 8];

	n->asking = false;
	n->asked_ms = loop_ms(n->resolve->loop);
	n->failure = job->failure;
	if (job->failure == 0) {
		n->list = job->list;
		n->complained = false;
	} else if (n->list.count > 0 && !n->complained) {
		n->complained = true;
		snprintf(ctx, sizeof(ctx), "host=%s", n->host);
		log_warn(ctx, "the name does not resolve (%s); its last good address is kept",
			 gai_strerror(job->failure));
	}
}

static void
on_ended(void *arg, unsigned events)
{
	struct resolve *r = arg;
	uint64_t count;
	struct job *job;

	(void)events;
	CHECK_MAGIC(r, RESOLVE_MAGIC);
	(void)!read(r->fd, &count, sizeof(count));
	pthread_mutex_lock(&r->shared->mutex);
	job = r->shared->ended;
	r->shared->ended = NULL;
	pthread_mutex_unlock(&r->shared->mutex);
	while (job != NULL) {
		struct job *next = job->next;
		struct resolve_name *n = job->name;

		take_in(n, job);
		free(job);
		r->done(r->arg, n);
		unref(n);
		job = next;
	}
}

static void
ask(struct resolve_name *n)
{
	struct shared *s = n->resolve->shared;
	struct job *job = calloc(1, sizeof(*job));

	ASSERT(job != NULL);
	job->name = n;
	str_copy(job->host, sizeof(job->host), str_from(n->host));
	n->refs++;
	n->asking = true;
	pthread_mutex_lock(&s->mutex);
	*s->todo_tail = job;
	s->todo_tail = &job->next;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
}

int
resolve_get(struct resolve_name *n, struct resolve_list *ret)
{
	CHECK_MAGIC(n, RESOLVE_NAME_MAGIC);
	uint64_t keep = n->failure != 0 ? RESOLVE_RETRY_MS : RESOLVE_KEEP_MS;
	bool fresh =
		n->numeric || (n->asked_ms != 0 && loop_ms(n->resolve->loop) - n->asked_ms < keep);

	if (!fresh && !n->asking)
		ask(n);
	if (n->list.count > 0) {
		*ret = n->list;
		return 0;
	}
	return fresh ? E_NOT_FOUND : E_AGAIN;
}

const char *
resolve_words(const struct resolve_name *n)
{
	return n->failure != 0 ? gai_strerror(n->failure) : "not looked up yet";
}

static bool
parse_numeric(const char *host, struct sock_addr *ret)
{
	char text[HOST_MAX + 8];

	snprintf(text, sizeof(text), strchr(host, ':') != NULL ? "[%s]:0" : "%s:0", host);
	return sock_addr_parse(str_from(text), ret) == 0;
}

struct resolve_name *
resolve_open(struct resolve *r, struct str host)
{
	struct resolve_name *n;

	CHECK_MAGIC(r, RESOLVE_MAGIC);
	for (n = r->names; n != NULL; n = n->next) {
		if (!str_eq_nocase(str_from(n->host), host))
			continue;
		n->refs++;
		return n;
	}
	n = host.n <= HOST_MAX ? calloc(1, sizeof(*n)) : NULL;
	if (n == NULL)
		return NULL;
	*n = (struct resolve_name){
		.magic = RESOLVE_NAME_MAGIC, .refs = 1, .resolve = r, .next = r->names};
	str_copy(n->host, sizeof(n->host), host);
	n->numeric = parse_numeric(n->host, &n->list.at[0]);
	n->list.count = n->numeric ? 1 : 0;
	r->names = n;
	return n;
}

void
resolve_close(struct resolve_name **name)
{
	struct resolve_name *n = *name;

	if (n == NULL)
		return;
	CHECK_MAGIC(n, RESOLVE_NAME_MAGIC);
	*name = NULL;
	unref(n);
}

/* ---- beginning and end ---- */

static struct shared *
new_shared(int fd)
{
	struct shared *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->wake, NULL);
	s->todo_tail = &s->todo;
	s->fd = fd;
	return s;
}

/* Signals are for the loop's thread. */
static int
start(struct resolve *r)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&r->thread, NULL, run, r->shared);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0 ? 0 : E_FULL;
}

struct resolve *
resolve_new(struct loop *loop, void (*done)(void *arg, const struct resolve_name *), void *arg)
{
	struct resolve *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	*r = (struct resolve){.magic = RESOLVE_MAGIC, .loop = loop, .done = done, .arg = arg};
	r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->shared = r->fd >= 0 ? new_shared(r->fd) : NULL;
	if (r->shared == NULL || start(r) != 0) {
		if (r->shared != NULL)
			free_shared(r->shared);
		sock_close(&r->fd);
		free(r);
		return NULL;
	}
	loop_io_start(loop, &r->watch, r->fd, LOOP_READ, on_ended, r);
	return r;
}

void
resolve_free(struct resolve **resolve)
{
	struct resolve *r = *resolve;
	struct resolve_name *n;

	if (r == NULL)
		return;
	CHECK_MAGIC(r, RESOLVE_MAGIC);
	*resolve = NULL;
	loop_io_stop(&r->watch);
	pthread_mutex_lock(&r->shared->mutex);
	bool busy = r->shared->busy;
	r->shared->stop = true;
	pthread_cond_signal(&r->shared->wake);
	pthread_mutex_unlock(&r->shared->mutex);
	if (busy) {
		pthread_detach(r->thread);
	} else {
		pthread_join(r->thread, NULL);
		free_shared(r->shared);
	}
	while ((n = r->names) != NULL) { /* held by look-ups that nobody will hear of */
		r->names = n->next;
		free(n);
	}
	sock_close(&r->fd);
	r->magic = 0;
	free(r);
}
