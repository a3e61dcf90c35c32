/*
 * The audit file as text: lines of JSON, each chained to the one before it, and a seal at the end.
 *
 *	{"seq":1,"time":…,"kind":"file",…,"previous":SEAL,"chain":C1}	the first line of a file
 *	{"seq":2,"time":…,"kind":"rpc",…,"chain":C2}
 *	{"records":2,"first_seq":1,"last_seq":2,"first":T1,"last":T2,"chain":C2,"seal":S}
 *
 * C(n) is the first half of SHA-256 over C(n-1), as its 32 characters (zeros before the first
 * line), and the line up to the comma before "chain". S is HMAC-SHA-256 under the key over its line
 * up to the comma before "seal". Numbers go on over files; "previous" repeats the seal of the file
 * before.
 *
 * Written by the keeper; read by it, by the controller and by sparkgwctl. No file is touched here.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

#define CHAIN_HEX	 32 /* characters of a chain value */
#define CHAIN_TAIL	 (10 + CHAIN_HEX + 3) /* ,"chain":"…"} and a newline */
#define CHAIN_SEAL_HEX	 64
#define CHAIN_SEAL_TAIL	 (9 + CHAIN_SEAL_HEX + 3)
#define CHAIN_KEY	 32
#define CHAIN_KEY_NAME	 "audit"     /* in state_dir/keys */
#define CHAIN_FOLDER	 "audit"     /* of state_dir */
#define CHAIN_FILE	 "audit.log" /* the one that is being written */
#define CHAIN_NAME_MAX	 64

struct chain;

struct chain *chain_new(void); /* NULL when out of memory */
void chain_free(struct chain **);
/* The value of the last line, or zeros. */
const char *chain_value(const struct chain *);
void chain_set(struct chain *, const char value[CHAIN_HEX]); /* NULL: zeros */

/* The line's text up to where "chain" comes, and what comes there; the chain has moved on. */
void chain_add(struct chain *, const char *line, size_t n, char ret_tail[CHAIN_TAIL]);
void chain_seal(const uint8_t key[CHAIN_KEY], const char *line, size_t n,
		char ret_tail[CHAIN_SEAL_TAIL]);

/* A line taken apart, with or without its newline. */
struct chain_line {
	bool is_seal;
	struct str text;	 /* up to the comma before "chain" or "seal" */
	struct str value;	 /* of "chain", or of "seal" */
	uint64_t seq, records;	 /* records: of a seal; seq then is its last */
	uint64_t first_seq;	 /* of a seal */
	struct str time;	 /* of a record; of a seal its last */
	struct str first, chain; /* of a seal */
};
int chain_parse(struct str line, struct chain_line *ret) MUST_CHECK; /* E_SYNTAX */
/* A text member of a line as this program writes them, at the top level; not unescaped. */
struct str chain_member(struct str line, const char *name);

/* "audit-20261122T101112Z-000000000001.log": by its first record. E_SYNTAX: not such a name. */
void chain_file_name(struct str first_time, uint64_t first_seq, char ret[CHAIN_NAME_MAX]);
int chain_file_seq(const char *name, uint64_t *ret_first_seq) MUST_CHECK;
