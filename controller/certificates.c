/*
 * The ends of the listeners' certificates: paths of the configuration in, times out.
 */
#include "controller/certificates.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include "controller/view.h"
#include "lib/cert.h"
#include "lib/log.h"
#include "lib/panic.h"

#define CERTIFICATES_MAGIC 0x63657274u

struct certificates {
	unsigned magic, count;
	struct certificate list[];
};

/* Of the first certificate in the file, which is the one that is shown. */
static int
read_end(const char *path, uint64_t *ret)
{
	FILE *file = fopen(path, "re");
	X509 *x;
	int err = E_SYNTAX;

	if (file == NULL)
		return E_IO;
	x = PEM_read_X509(file, NULL, NULL, NULL);
	if (x != NULL)
		err = cert_expires_ms(x, ret);
	ERR_clear_error();
	X509_free(x);
	fclose(file);
	return err;
}

static void
add(struct certificates *c, const struct conf_listener *listener, struct str path)
{
	struct certificate *one = &c->list[c->count];
	int err;

	for (unsigned i = 0; i < c->count; i++)
		if (c->list[i].listener == &listener->address && str_eq(c->list[i].path, path))
			return;
	c->count++;
	*one = (struct certificate){.listener = &listener->address, .path = path};
	err = read_end(path.p, &one->expires_ms);
	if (err != 0)
		log_warn(NULL, "%s: it is not known when this certificate expires: %s", path.p,
			 err_text(err));
}

struct certificates *
certificates_read(const struct conf *conf)
{
	struct certificates *c;
	size_t count = 0;

	for (unsigned i = 0; i < conf->listeners_count; i++)
		count += 1 + conf->listeners[i].tls.more_count;
	c = calloc(1, sizeof(*c) + count * sizeof(struct certificate));
	if (c == NULL)
		return NULL;
	c->magic = CERTIFICATES_MAGIC;
	for (unsigned i = 0; i < conf->listeners_count; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (!l->has_tls)
			continue;
		add(c, l, l->tls.certificate);
		for (unsigned j = 0; j < l->tls.more_count; j++)
			add(c, l, l->tls.more[j].certificate);
	}
	return c;
}

void
certificates_free(struct certificates **certificates)
{
	if (*certificates == NULL)
		return;
	CHECK_MAGIC(*certificates, CERTIFICATES_MAGIC);
	(*certificates)->magic = 0;
	free(*certificates);
	*certificates = NULL;
}

unsigned
certificates_count(const struct certificates *c)
{
	CHECK_MAGIC(c, CERTIFICATES_MAGIC);
	return c->count;
}

const struct certificate *
certificates_get(const struct certificates *c, unsigned i)
{
	CHECK_MAGIC(c, CERTIFICATES_MAGIC);
	ASSERT(i < c->count);
	return &c->list[i];
}

void
certificates_show(const struct certificates *c, json_t *list)
{
	char listener[SOCK_ADDR_TEXT];

	CHECK_MAGIC(c, CERTIFICATES_MAGIC);
	for (unsigned i = 0; i < c->count; i++) {
		const struct certificate *one = &c->list[i];
		json_t *end = one->expires_ms != 0 ? json_integer((json_int_t)one->expires_ms)
						   : json_null();

		sock_addr_text(one->listener, listener, sizeof(listener));
		json_array_append_new(list, json_pack("{s:s, s:o, s:o}", "listener", listener,
						      "certificate", view_text(one->path),
						      "expires_ms", end));
	}
}
