/*
 * One configuration and the TLS contexts made from it.
 *
 * Process: supervisor. In: the configuration file, certificates and keys. Out: what the children
 * inherit by fork.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include "daemon/world.h"
#include "lib/panic.h"
#include "lib/tls.h"

#define WORLD_MAGIC	0x3012d1u
#define RESERVE		64u /* descriptors for the store, the log, the channels, a reload */
#define CONNECTIONS_MIN 16u

/* A client's connection needs a second descriptor at the driver's side in the worst case. */
static void
fit_connections(struct world *w)
{
	struct conf *conf = w->conf;
	uint64_t reserve = RESERVE + (uint64_t)conf->listeners_count * conf->workers;
	struct rlimit lim;
	uint64_t room;

	w->connections_wanted = conf->limit_connections;
	if (getrlimit(RLIMIT_NOFILE, &lim) != 0 || lim.rlim_cur == RLIM_INFINITY)
		return;
	room = lim.rlim_cur > reserve ? (lim.rlim_cur - reserve) / 2 : 0;
	if (room >= conf->limit_connections)
		return;
	if (room < CONNECTIONS_MIN) {
		conf_error_add(conf, &w->errors, 0, "limits.connections",
			       "only %llu files may be open; raise the limit (LimitNOFILE=, "
			       "ulimit -n) to %llu",
			       (unsigned long long)lim.rlim_cur,
			       (unsigned long long)(reserve + 2ull * conf->limit_connections));
		return;
	}
	conf->limit_connections = (uint32_t)room;
}

static SSL_CTX *
context_of(const struct world *w, const struct sock_addr *address)
{
	for (unsigned i = 0; w != NULL && i < w->conf->listeners_count; i++)
		if (sock_addr_eq(&w->conf->listeners[i].address, address))
			return w->listener_tls[i];
	return NULL;
}

static void
build_listener(struct world *w, const struct world *previous, unsigned i)
{
	const struct conf_listener *l = &w->conf->listeners[i];
	const struct tls_server_files files = {
		.certificate = l->tls.certificate,
		.key = l->tls.key,
		.client_ca = l->tls.client_ca,
	};
	char key[64], words[512] = "";
	int err;

	err = tls_server_ctx(&files, context_of(previous, &l->address), &w->listener_tls[i], words,
			     sizeof(words));
	if (err == E_OK)
		return;
	snprintf(key, sizeof(key), "listeners[%u].tls", i);
	conf_error_add(w->conf, &w->errors, l->tls.line, key, "%s",
		       words[0] != '\0' ? words : err_text(err));
}

static void
build_cluster(struct world *w, unsigned i)
{
	const struct conf_cluster *c = &w->conf->clusters[i];
	const struct tls_client_files files = {
		.ca = c->tls.ca,
		.certificate = c->tls.certificate,
		.key = c->tls.key,
	};
	char key[64], words[512] = "";
	int err;

	err = tls_client_ctx(&files, &w->driver_tls[i], words, sizeof(words));
	if (err == E_OK)
		return;
	snprintf(key, sizeof(key), "clusters[%u].tls", i);
	conf_error_add(w->conf, &w->errors, c->tls.line, key, "%s",
		       words[0] != '\0' ? words : err_text(err));
}

static int
build_contexts(struct world *w, const struct world *previous)
{
	const struct conf *conf = w->conf;

	/* one more than needed: calloc(0) may answer NULL */
	w->listener_tls = calloc(conf->listeners_count + 1, sizeof(SSL_CTX *));
	w->driver_tls = calloc(conf->clusters_count + 1, sizeof(SSL_CTX *));
	if (w->listener_tls == NULL || w->driver_tls == NULL)
		return E_NOMEM;
	for (unsigned i = 0; i < conf->listeners_count; i++)
		if (conf->listeners[i].has_tls)
			build_listener(w, previous, i);
	for (unsigned i = 0; i < conf->clusters_count; i++)
		if (conf->clusters[i].has_tls)
			build_cluster(w, i);
	return E_OK;
}

/* The lock, the segment and the store of the running processes are in these folders. */
static void
refuse_moves(struct world *w, const struct conf *before)
{
	if (!str_eq(w->conf->state_dir, before->state_dir))
		conf_error_add(w->conf, &w->errors, 0, "state_dir",
			       "cannot be changed by a reload: stop and start the gateway");
	if (!str_eq(w->conf->run_dir, before->run_dir))
		conf_error_add(w->conf, &w->errors, 0, "run_dir",
			       "cannot be changed by a reload: stop and start the gateway");
}

int
world_load(const char *path, const struct world *previous, unsigned generation, struct world **ret)
{
	struct world *w = calloc(1, sizeof(*w));
	int err;

	if (w == NULL)
		return E_NOMEM;
	*w = (struct world){.magic = WORLD_MAGIC, .refs = 1, .generation = generation};
	err = conf_load(path, &w->conf, &w->errors);
	if (w->conf == NULL) {
		world_unref(&w);
		return E_NOMEM;
	}
	*ret = w;
	if (err != E_OK)
		return err;
	if (previous != NULL)
		refuse_moves(w, previous->conf);
	fit_connections(w);
	err = build_contexts(w, previous);
	if (err == E_OK && w->errors != NULL)
		err = E_SYNTAX;
	return err;
}

struct world *
world_ref(struct world *w)
{
	CHECK_MAGIC(w, WORLD_MAGIC);
	w->refs++;
	return w;
}

void
world_unref(struct world **pw)
{
	struct world *w = *pw;

	if (w == NULL)
		return;
	CHECK_MAGIC(w, WORLD_MAGIC);
	ASSERT(w->refs > 0);
	*pw = NULL;
	if (--w->refs > 0)
		return;
	for (unsigned i = 0; w->listener_tls != NULL && i < w->conf->listeners_count; i++)
		SSL_CTX_free(w->listener_tls[i]);
	for (unsigned i = 0; w->driver_tls != NULL && i < w->conf->clusters_count; i++)
		SSL_CTX_free(w->driver_tls[i]);
	free(w->listener_tls);
	free(w->driver_tls);
	conf_free(&w->conf);
	w->magic = 0;
	free(w);
}
