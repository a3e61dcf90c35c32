/*
 * A store that speaks S3: a file put into it as gzip, and a look at what is there. One transfer at a
 * time.
 *
 *	measuring: the file is compressed once to know its size and SHA-256, a slice each turn of
 *	the loop; PUT: it is compressed again, as the store takes it; HEAD: is it there, all of it?
 *
 * Requests are signed by libcurl (AWS Signature Version 4); the payload's hash is part of that. The
 * keys come from their files each time, and stay in memory as long as the transfer lasts.
 */
#pragma once
#include "conf/types.h"
#include "lib/loop.h"

struct store;

/* err: 0: the store has it; E_IO, E_SYNTAX: the file is at fault; E_DENIED: the store refused, or a
 * file of keys cannot be read; E_TIMEOUT, E_TLS, E_CLOSED: the way there. Words about it, valid
 * until the callback returns. */
typedef void store_done(void *arg, int err, const char *words);

/* NULL: out of memory. */
struct store *store_new(const struct conf_ship *, struct loop *, store_done *done, void *arg);
void store_free(struct store **); /* ends what runs without a word */

/* Takes fd over. `done` comes later, once, unless it is ended before. */
void store_put(struct store *, int fd, const char *object);
void store_end(struct store *); /* nothing runs: fine */
