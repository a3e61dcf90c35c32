/*
 * The keys of sparkgw.yaml: one table that the loader, the printer (sparkgwd -T), the sample and
 * the manual page come from or are checked against. Constant data, any process.
 *
 * A row's path names the key from the top: "log.level", "clusters[].drivers[].weight". A block
 * (map) or list stands before its keys; the order is the order of printing.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/str.h"

enum schema_type {
	SCHEMA_MAP,	 /* keys of its own */
	SCHEMA_LIST,	 /* of maps */
	SCHEMA_STRS,	 /* list of what `item` says */
	SCHEMA_U32,	 /* min to max */
	SCHEMA_DURATION, /* milliseconds in a uint64_t */
	SCHEMA_SIZE,	 /* bytes in a uint64_t */
	SCHEMA_BOOL,	 /* true or false */
	SCHEMA_ENUM,	 /* one of words; the value is its place among them */
	SCHEMA_ADDRESS,	 /* struct sock_addr, from address:port */
	SCHEMA_NAME,	 /* the rest are struct str: 1 to 63 bytes of A-Z a-z 0-9 . _ - */
	SCHEMA_TEXT,	 /* 1 to 255 bytes without control characters */
	SCHEMA_PATH,	 /* made absolute, from the folder of the file */
	SCHEMA_HOST,	 /* host name, made lower case */
	SCHEMA_PATTERN,	 /* the same, or "*." and a host name */
	SCHEMA_HOSTPORT, /* host:port, the host a name or an address */
	SCHEMA_HEADER,	 /* name of a header, lower case */
	SCHEMA_URL,	 /* https://, or http:// to a loopback host */
};

#define SCHEMA_NOWHERE SIZE_MAX /* of an offset: there is no such field */

struct schema_row {
	const char *path;
	enum schema_type type;
	enum schema_type item; /* SCHEMA_STRS */
	const char *unit;      /* what a number counts, or NULL */
	const char *fallback;  /* the default as it would be written; NULL: the key stays absent */
	bool required;
	uint64_t min, max; /* numbers, durations, sizes */
	const char *words; /* SCHEMA_ENUM: the words; else words allowed besides: "auto" */
	const char *types; /* words of the key `type` beside it: only blocks of these have this key;
			      NULL: all */
	const char *help;
	size_t at;	 /* the field, in the struct of the block that holds the key */
	size_t count_at; /* lists */
	size_t has_at;	 /* maps: the bool beside, or SCHEMA_NOWHERE: always there */
	size_t line_at;	 /* maps, lists: the line, in the struct of the new block */
	size_t size;	 /* lists: of one element */
};

extern const struct schema_row schema_rows[];
extern const size_t schema_count;

const struct schema_row *schema_find(const char *path); /* NULL */
/* "tls.key" for the path "listeners[].tls.key" below "listeners" (NULL: the top); NULL when it is
 * not below. */
const char *schema_below(const struct schema_row *block, const char *path);
/* The next row below `block` (NULL: the top) after `row` (NULL: the first one); NULL at the end. */
const struct schema_row *schema_next(const struct schema_row *block, const struct schema_row *row);
const char *schema_leaf(const struct schema_row *); /* the last word of the path */
/* The row `type` beside a row that has `types`. */
const struct schema_row *schema_type_row(const struct schema_row *);
/* False: the block whose struct is `base` is of a type that does not have this key. */
bool schema_applies(const struct schema_row *, const void *base);
/* Of words with blanks between: the place of one, -1 when it is not there; the one at a place. */
int schema_word(const char *words, struct str word);
struct str schema_word_at(const char *words, unsigned place);
/* The key that somebody who wrote `key` in `block` may have meant: of the same block, or the full
 * path of the same word elsewhere. NULL when nothing is near. */
const char *schema_nearest(const struct schema_row *block, struct str key);
const char *schema_type_text(const struct schema_row *); /* "duration", "list of names" */
/* "1 to 256", "100ms to 1h", "one of: text json"; "" when there are none. Returns buf. */
const char *schema_bounds_text(const struct schema_row *, char *buf, size_t size);
