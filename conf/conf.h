/*
 * The configuration: loading, checking, printing. The supervisor loads it, children inherit it by
 * fork; the controller loads the same text from a memory file. The structs are in types.h.
 */
#pragma once
#include "conf/types.h"
#include "lib/buf.h"

/*
 * Loads and checks everything, also files it names (certificates and keys readable and matching are
 * left to the one who builds the TLS contexts; files of tokens and key sets are read here). All errors are
 * collected, not only the first; they live in *ret's arena, so free that also after a failure.
 * E_SYNTAX, E_IO, E_NOMEM.
 */
int conf_load(const char *path, struct conf **ret, struct conf_error **ret_errors) MUST_CHECK;
/* The same from memory; `path` is where relative names start and what errors are printed with. */
int conf_load_text(const char *path, struct str text, struct conf **ret,
		   struct conf_error **ret_errors) MUST_CHECK;
void conf_free(struct conf **); /* cleanses secrets */
/* Adds an error found later (a certificate that does not load). */
void conf_error_add(struct conf *, struct conf_error **list, unsigned line, const char *key,
		    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* "file:line:column: key: words" and a newline; returns the length as snprintf does. */
int conf_error_text(const struct conf *, const struct conf_error *, char *buf, size_t size);

/* The effective configuration as YAML that loads to the same (sparkgwd -T), without secrets. */
int conf_print(const struct conf *, struct buf *out) MUST_CHECK;
struct conf_cluster *conf_cluster(const struct conf *, struct str name); /* NULL */
struct conf_team *conf_team(const struct conf *, struct str name);	 /* NULL */
