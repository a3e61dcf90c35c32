/*
 * The listening sockets, made before the forks and kept over reloads.
 *
 * Process: supervisor (which never accepts). In: addresses of a configuration. Out: descriptors for
 * workers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "daemon/listeners.h"
#include "lib/log.h"
#include "lib/panic.h"

#define BACKLOG	      4096
#define PATIENT_TRIES 20
#define PATIENT_NS    100000000L

/* Bound, not yet listening; errno is kept. */
static int
bind_socket(const struct sock_addr *address, bool reuseport, int *ret_fd)
{
	const int one = 1;
	struct sockaddr_storage ss;
	socklen_t size = sock_addr_to_sys(address, &ss);
	int fd, saved;

	fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return E_IO;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) != 0) ||
	    (address->family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) != 0) ||
	    bind(fd, (const struct sockaddr *)&ss, size) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return E_IO;
	}
	*ret_fd = fd;
	return E_OK;
}

/*
 * SO_REUSEPORT would silently share the port with another gateway of the same user: a socket
 * without it is refused while anybody listens there.
 */
static int
probe_address(const struct sock_addr *address, bool patient)
{
	const struct timespec pause = {.tv_nsec = PATIENT_NS};
	int fd;

	for (unsigned tries = patient ? PATIENT_TRIES : 0;; tries--) {
		if (bind_socket(address, false, &fd) == E_OK) {
			close(fd);
			return E_OK;
		}
		if (errno != EADDRINUSE || tries == 0)
			return E_IO;
		nanosleep(&pause, NULL);
	}
}

static struct listeners_address *
find(const struct listeners *ls, const struct sock_addr *address)
{
	for (unsigned i = 0; i < ls->count; i++)
		if (sock_addr_eq(&ls->addresses[i].address, address))
			return &ls->addresses[i];
	return NULL;
}

/* Our own sockets on the wildcard address, or beside it, look like a stranger's to the probe. */
static bool
own_port(const struct listeners *ls, uint16_t port)
{
	for (unsigned i = 0; i < ls->count; i++)
		if (ls->addresses[i].address.port == port)
			return true;
	return false;
}

static struct listeners_address *
add(struct listeners *ls, const struct sock_addr *address)
{
	struct listeners_address *more;

	more = reallocarray(ls->addresses, ls->count + 1, sizeof(*more));
	if (more == NULL)
		return NULL;
	ls->addresses = more;
	more += ls->count++;
	*more = (struct listeners_address){.address = *address};
	return more;
}

static int
grow(struct listeners_address *a, unsigned count)
{
	int *fds;
	int err;

	if (a->count >= count)
		return E_OK;
	fds = reallocarray(a->fds, count, sizeof(int));
	if (fds == NULL) {
		errno = ENOMEM;
		return E_NOMEM;
	}
	a->fds = fds;
	while (a->count < count) {
		err = bind_socket(&a->address, true, &a->fds[a->count]);
		if (err != E_OK)
			return err;
		a->count++;
	}
	return E_OK;
}

int
listeners_adopt(struct listeners *ls, int fd, bool given)
{
	struct sockaddr_storage ss;
	struct listeners_address *a;
	struct sock_addr address;
	socklen_t size = sizeof(ss), int_size = sizeof(int);
	int type = 0, listening = 0, *fds;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_size) != 0 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) != 0 || !listening ||
	    getsockname(fd, (struct sockaddr *)&ss, &size) != 0 ||
	    sock_addr_from_sys((const struct sockaddr *)&ss, &address) != E_OK)
		return E_SYNTAX;
	a = find(ls, &address);
	if (a == NULL)
		a = add(ls, &address);
	else if (a->given != given)
		return E_EXISTS;
	fds = a != NULL ? reallocarray(a->fds, a->count + 1, sizeof(int)) : NULL;
	if (fds == NULL)
		return E_NOMEM;
	a->fds = fds;
	a->given = given;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return E_IO;
	a->fds[a->count++] = fd;
	a->listening = a->count;
	return E_OK;
}

int
listeners_describe(const struct listeners *ls, struct handover *h)
{
	int err = E_OK;

	for (unsigned i = 0; i < ls->count; i++)
		for (unsigned k = 0; err == E_OK && k < ls->addresses[i].listening; k++)
			err = handover_add(h, ls->addresses[i].fds[k], ls->addresses[i].given);
	return err;
}

static int
prepare_address(struct listeners *ls, const struct sock_addr *address, unsigned workers,
		bool patient)
{
	struct listeners_address *a = find(ls, address);

	if (a == NULL) {
		if (!own_port(ls, address->port) && probe_address(address, patient) != E_OK)
			return E_IO;
		a = add(ls, address);
	}
	if (a != NULL && a->given)
		return E_OK;
	return a != NULL ? grow(a, workers) : E_NOMEM;
}

static bool
wants(const struct conf *conf, const struct sock_addr *address)
{
	for (unsigned i = 0; i < conf->listeners_count; i++)
		if (sock_addr_eq(&conf->listeners[i].address, address))
			return true;
	return false;
}

/* The manager would keep such a socket open, and its clients would wait for ever. */
static int
refuse_unwanted(const struct listeners *ls, struct world *w)
{
	char text[SOCK_ADDR_TEXT];
	int result = E_OK;

	for (unsigned i = 0; i < ls->count; i++) {
		const struct listeners_address *a = &ls->addresses[i];

		if (!a->given || wants(w->conf, &a->address))
			continue;
		result = E_SYNTAX;
		conf_error_add(w->conf, &w->errors, 0, "listeners",
			       "the service manager holds a socket at %s, which no listener has; "
			       "add it, or take it out of the socket unit",
			       sock_addr_text(&a->address, text, sizeof(text)));
	}
	return result;
}

int
listeners_prepare(struct listeners *ls, struct world *w, bool patient)
{
	const struct conf *conf = w->conf;
	char key[64], text[SOCK_ADDR_TEXT];
	int result = refuse_unwanted(ls, w), err;

	for (unsigned i = 0; i < conf->listeners_count; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		err = prepare_address(ls, &l->address, conf->workers, patient);
		if (err == E_OK)
			continue;
		result = err;
		snprintf(key, sizeof(key), "listeners[%u].address", i);
		conf_error_add(w->conf, &w->errors, l->line, key, "cannot listen on %s: %s",
			       sock_addr_text(&l->address, text, sizeof(text)), strerror(errno));
	}
	return result;
}

static void
drop_address(struct listeners *ls, unsigned i)
{
	struct listeners_address *a = &ls->addresses[i];

	for (unsigned k = 0; k < a->count; k++)
		close(a->fds[k]);
	free(a->fds);
	*a = ls->addresses[--ls->count];
}

void
listeners_rollback(struct listeners *ls)
{
	for (unsigned i = ls->count; i-- > 0;) {
		struct listeners_address *a = &ls->addresses[i];

		while (a->count > a->listening)
			sock_close(&a->fds[--a->count]);
		if (a->count == 0)
			drop_address(ls, i);
	}
}

static void
listen_all(struct listeners_address *a)
{
	char text[SOCK_ADDR_TEXT];

	for (; a->listening < a->count; a->listening++)
		if (listen(a->fds[a->listening], BACKLOG) != 0)
			log_error(NULL, "cannot listen on %s: %s",
				  sock_addr_text(&a->address, text, sizeof(text)), strerror(errno));
}

void
listeners_commit(struct listeners *ls, const struct world *w)
{
	for (unsigned i = ls->count; i-- > 0;) {
		if (wants(w->conf, &ls->addresses[i].address))
			listen_all(&ls->addresses[i]);
		else
			drop_address(ls, i);
	}
}

void
listeners_close(struct listeners *ls)
{
	while (ls->count > 0)
		drop_address(ls, ls->count - 1);
	free(ls->addresses);
	ls->addresses = NULL;
}

unsigned
listeners_of_slot(const struct listeners *ls, const struct world *w,
		  const struct sock_addr *address, unsigned slot, int *ret_fds, unsigned size)
{
	const struct listeners_address *a = find(ls, address);
	unsigned n = 0, count = 0;

	if (a != NULL)
		count = w->live ? a->listening : a->count;
	if (count > 0 && slot >= count && a->given) {
		if (size > 0)
			ret_fds[0] = a->fds[slot % count];
		return 1;
	}
	for (unsigned i = slot; i < count; i += w->conf->workers, n++)
		if (n < size)
			ret_fds[n] = a->fds[i];
	return n;
}

bool
listeners_is_shared(const struct listeners *ls, const struct world *w,
		    const struct sock_addr *address)
{
	const struct listeners_address *a = find(ls, address);

	return a != NULL && a->given && a->count < w->conf->workers;
}
