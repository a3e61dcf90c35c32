/*
 * Bindings: (user, session id) -> driver. Table `sessions` of the store; key = 16 bytes of UUID,
 * then the user id's bytes.
 *
 * Writer: keeper. Readers: workers, one short read transaction per RPC; controller, whole scans in
 * bounded steps. A binding whose driver is lost, or which an administrator closed, stays as a mark
 * for SESSION_MARK_MS, so that every later RPC of that session is told the same and none is run
 * again elsewhere.
 */
#pragma once
#include <stdint.h>
#include "lib/str.h"
#include "shm/db.h"

#define SESSION_USER_MAX 256
#define SESSION_NAME_MAX 64 /* cluster, team, env; with the NUL where there is one */
#define SESSION_MARK_MS	 (15u * 60 * 1000)

enum session_state { SESSION_BOUND = 1, SESSION_LOST, SESSION_CLOSED };

struct session_key {
	uint8_t id[16];
	struct str user; /* 1 to SESSION_USER_MAX bytes */
};

struct session {
	enum session_state state;
	uint32_t driver_id;
	uint64_t created_ms, seen_ms;  /* wall clock */
	struct str cluster, team, env; /* into the map or the given buffer */
};

const char *sessions_state_name(unsigned state); /* "bound" "lost" "closed" */

/* Between db_read_begin() and db_read_end(). E_NOT_FOUND, E_SYNTAX (unreadable row), E_IO. A scan
 * goes in key order from the first key >= from (user may be empty there; NULL: from the start),
 * passes over unreadable rows and stops when visit answers non-zero; strings are valid within the
 * visit. */
int sessions_get(struct db *, const struct session_key *, struct session *ret) MUST_CHECK;
int sessions_scan(struct db *, const struct session_key *from,
		  int (*visit)(void *arg, const struct session_key *, const struct session *),
		  void *arg) MUST_CHECK;

/* Inside a write transaction of the keeper. */
int sessions_write_get(struct db *, const struct session_key *, struct session *ret) MUST_CHECK;
void sessions_put(struct db *, const struct session_key *, const struct session *);
void sessions_del(struct db *, const struct session_key *);
int sessions_write_scan(struct db *, const struct session_key *from,
			int (*visit)(void *arg, const struct session_key *, const struct session *),
			void *arg) MUST_CHECK;
