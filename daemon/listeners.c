/*
 * The listening sockets, made before the forks and kept over reloads.
 *
 * Process: supervisor (which never accepts). In: addresses of a configuration. Out: descriptors for
 * workers.
 */
#include <errno.h>
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

/* Our own sockets on the wildcard address, or beside it, would look like a stranger's to the probe.
 */
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
	return a != NULL ? grow(a, workers) : E_NOMEM;
}

int
listeners_prepare(struct listeners *ls, struct world *w, bool patient)
{
	const struct conf *conf = w->conf;
	char key[64], text[SOCK_ADDR_TEXT];
	int result = E_OK, err;

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
		bool wanted = false;

		for (unsigned k = 0; k < w->conf->listeners_count; k++)
			wanted |= sock_addr_eq(&w->conf->listeners[k].address,
					       &ls->addresses[i].address);
		if (wanted)
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
	for (unsigned i = slot; i < count; i += w->conf->workers, n++)
		if (n < size)
			ret_fds[n] = a->fds[i];
	return n;
}
