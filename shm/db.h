/*
 * The LMDB environment: sessions, registry, tokens, keys and settings live in it.
 *
 * Opened after the fork, once per process. The keeper is the only writer; workers, checker and
 * controller open read-only. No WRITEMAP, no NOSYNC: a commit is an fsync. Readers keep one reset
 * transaction and renew it for each look-up; nobody holds a transaction across a loop turn. The map
 * starts at 1 GiB; the writer grows it on MDB_MAP_FULL between transactions, all others (readers, and
 * a second keeper while one binary replaces another) follow on MDB_MAP_RESIZED.
 */
#pragma once
#include <lmdb.h>
#include <stdbool.h>
#include "lib/err.h"
#include "lib/str.h"

#define DB_SCHEMA  1u  /* in table `meta`; another number is E_VERSION and nothing is touched */
#define DB_READERS 544 /* a reader per process row, and some for tools */

/* Of a new map, and the least it ever is; 1 GiB. Tests make it small before they open. */
extern size_t db_map_bytes;

struct db;

/* dir must exist. writer: makes the tables and checks the schema. A reader gets E_NOT_FOUND while
 * there is no store yet: try again with a timer. max_readers: the first opener's counts (the
 * keeper's, DB_READERS); 0 asks for nothing. E_IO, E_FULL, E_VERSION, E_SYNTAX (not ours), E_NOMEM;
 * *ret_words (static or in an internal buffer until the next call) say more for the log. The writer
 * is expected to be the only one; should there be a second, the first commit waits for the other's.
 */
int db_open(const char *dir, bool writer, unsigned max_readers, struct db **ret,
	    const char **ret_words) MUST_CHECK;
void db_close(struct db **);

/* A store of an earlier version lacks the later ones until its writer makes them, at its start:
 * until then a reader finds them empty. */
enum db_table { DB_META, DB_REGISTRY, DB_SESSIONS, DB_TOKENS, DB_KEYS, DB_SETTINGS, DB_TABLES };

/* One read: begin renews the process's read transaction, end resets it. Nesting is a bug. Sticky:
 * after a failed begin, gets answer that error. Values point into the map and are valid until
 * db_read_end(). */
int db_read_begin(struct db *) MUST_CHECK;
/* E_NOT_FOUND, E_IO. */
int db_get(struct db *, enum db_table, struct str key, struct str *ret) MUST_CHECK;
/* In key order from the first key >= from; stops when visit answers non-zero. */
int db_scan(struct db *, enum db_table, struct str from,
	    int (*visit)(void *arg, struct str key, struct str value), void *arg) MUST_CHECK;
void db_read_end(struct db *);

/* Writing (keeper only): begin, put/del any number, commit. Sticky first error; commit answers it
 * and aborts. A full map is grown and E_AGAIN answered: play the batch again. A get inside sees the
 * batch; what it hands out ends with the next put or del, and a visitor of db_write_scan() must not
 * write. */
int db_write_begin(struct db *) MUST_CHECK;
void db_put(struct db *, enum db_table, struct str key, struct str value);
void db_del(struct db *, enum db_table, struct str key); /* absent is fine */
int db_write_get(struct db *, enum db_table, struct str key, struct str *ret) MUST_CHECK;
int db_write_scan(struct db *, enum db_table, struct str from,
		  int (*visit)(void *arg, struct str key, struct str value), void *arg) MUST_CHECK;
int db_commit(struct db *) MUST_CHECK; /* E_AGAIN, E_FULL (disk), E_IO */
void db_abort(struct db *);

int db_reader_check(struct db *); /* clears readers of dead processes; returns how many */
int db_entries(struct db *, enum db_table, uint64_t *ret) MUST_CHECK;
