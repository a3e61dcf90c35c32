/*
 * One configuration and the TLS contexts made from it.
 *
 * Process: supervisor. In: the configuration file, certificates and keys. Out: what the children
 * inherit by fork.
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include "daemon/world.h"
#include "lib/log.h"
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
refuse_tls(struct world *w, const char *list, unsigned i, unsigned line, const char *words)
{
	char key[64];

	snprintf(key, sizeof(key), "%s[%u].tls", list, i);
	conf_error_add(w->conf, &w->errors, line, key, "%s", words);
}

/* wrong: as of tls_server_ctx(). */
static void
refuse_pair(struct world *w, unsigned i, unsigned wrong, const char *words)
{
	const struct conf_tls *tls = &w->conf->listeners[i].tls;
	char key[64];

	if (wrong == 0) {
		refuse_tls(w, "listeners", i, tls->line, words);
		return;
	}
	snprintf(key, sizeof(key), "listeners[%u].tls.more[%u]", i, wrong - 1);
	conf_error_add(w->conf, &w->errors, tls->more[wrong - 1].line, key, "%s", words);
}

static int
build_listener(struct world *w, const struct world *previous, unsigned i)
{
	const struct conf_listener *l = &w->conf->listeners[i];
	struct tls_pair *more = calloc((size_t)l->tls.more_count + 1, sizeof(*more));
	const struct tls_server_files files = {
		.certificate = l->tls.certificate,
		.key = l->tls.key,
		.client_ca = l->tls.client_ca,
		.more = more,
		.more_count = l->tls.more_count,
	};
	SSL_CTX *before = context_of(previous, &l->address);
	char words[512];
	unsigned wrong;

	if (more == NULL)
		return E_NOMEM;
	for (unsigned k = 0; k < l->tls.more_count; k++)
		more[k] = (struct tls_pair){l->tls.more[k].certificate, l->tls.more[k].key};
	if (tls_server_ctx(&files, before, &w->listener_tls[i], &wrong, words, sizeof(words)) !=
	    E_OK)
		refuse_pair(w, i, wrong, words);
	free(more);
	return E_OK;
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
	char words[512];

	if (tls_client_ctx(&files, &w->driver_tls[i], words, sizeof(words)) != E_OK)
		refuse_tls(w, "clusters", i, c->tls.line, words);
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
		if (conf->listeners[i].has_tls && build_listener(w, previous, i) != E_OK)
			return E_NOMEM;
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

/* Words, no refusal: who makes keys and mounts folders is often not who runs the gateway. */
static void
warn_of_mode(struct str path, mode_t unwanted, const char *advice)
{
	struct stat st;

	if (path.p != NULL && stat(path.p, &st) == 0 && (st.st_mode & unwanted) != 0)
		log_warn(NULL, "%s has mode %04o: %s", path.p, (unsigned)st.st_mode & 07777,
			 advice);
}

void
world_warn(const struct world *w)
{
	static const char key[] = "a private key that others may read; do chmod o= on it";
	static const char folder[] = "others may replace what is in it; do chmod o-w on it";
	const struct conf *conf = w->conf;

	if (conf->limit_connections < w->connections_wanted)
		log_warn(NULL,
			 "limits.connections lowered from %u to %u: too few files may be open",
			 w->connections_wanted, conf->limit_connections);
	warn_of_mode(conf->state_dir, S_IWOTH, folder);
	warn_of_mode(conf->run_dir, S_IWOTH, folder);
	for (unsigned i = 0; i < conf->listeners_count; i++) {
		const struct conf_tls *tls = &conf->listeners[i].tls;

		warn_of_mode(tls->key, S_IRWXO, key);
		for (unsigned k = 0; k < tls->more_count; k++)
			warn_of_mode(tls->more[k].key, S_IRWXO, key);
	}
	for (unsigned i = 0; i < conf->clusters_count; i++)
		warn_of_mode(conf->clusters[i].tls.key, S_IRWXO, key);
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
