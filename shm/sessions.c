/*
 * Bindings as rows: key and value to bytes and back.
 *
 *	key	16 bytes of UUID | user id
 *	value	struct row (24 bytes, the machine's byte order) | cluster | team | env
 */
#include "lib/panic.h"
#include "shm/sessions.h"

#define ID_SIZE	 16
#define KEY_MAX	 (ID_SIZE + SESSION_USER_MAX)
#define ROW_SIZE sizeof(struct row)

struct row {
	uint8_t state, cluster_len, team_len, env_len;
	uint32_t driver_id;
	uint64_t created_ms, seen_ms;
};
_Static_assert(sizeof(struct row) == 24, "rows of the store");

struct visitor {
	int (*visit)(void *arg, const struct session_key *, const struct session *);
	void *arg;
};

const char *
sessions_state_name(unsigned state)
{
	switch (state) {
	case SESSION_BOUND: return "bound";
	case SESSION_LOST: return "lost";
	case SESSION_CLOSED: return "closed";
	default: return "invalid";
	}
}

static struct str
put_key(const struct session_key *key, char buf[KEY_MAX])
{
	ASSERT(key->user.n <= SESSION_USER_MAX);
	memcpy(buf, key->id, ID_SIZE);
	if (key->user.n > 0)
		memcpy(buf + ID_SIZE, key->user.p, key->user.n);
	return (struct str){buf, ID_SIZE + key->user.n};
}

static int
parse_key(struct str s, struct session_key *ret)
{
	if (s.n <= ID_SIZE || s.n > KEY_MAX)
		return E_SYNTAX;
	memcpy(ret->id, s.p, ID_SIZE);
	ret->user = (struct str){s.p + ID_SIZE, s.n - ID_SIZE};
	return 0;
}

static int
parse(struct str s, struct session *ret)
{
	struct row row;
	const char *p = s.p + ROW_SIZE;

	if (s.n < ROW_SIZE)
		return E_SYNTAX;
	memcpy(&row, s.p, ROW_SIZE);
	if (row.state < SESSION_BOUND || row.state > SESSION_CLOSED ||
	    s.n != ROW_SIZE + row.cluster_len + row.team_len + row.env_len)
		return E_SYNTAX;
	*ret = (struct session){
		.state = row.state,
		.driver_id = row.driver_id,
		.created_ms = row.created_ms,
		.seen_ms = row.seen_ms,
		.cluster = {p, row.cluster_len},
		.team = {p + row.cluster_len, row.team_len},
		.env = {p + row.cluster_len + row.team_len, row.env_len},
	};
	return 0;
}

static char *
add(char *p, struct str s)
{
	ASSERT(s.n <= SESSION_NAME_MAX);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p + s.n;
}

int
sessions_get(struct db *db, const struct session_key *key, struct session *ret)
{
	char buf[KEY_MAX];
	struct str value;
	int err = db_get(db, DB_SESSIONS, put_key(key, buf), &value);

	return err != 0 ? err : parse(value, ret);
}

int
sessions_write_get(struct db *db, const struct session_key *key, struct session *ret)
{
	char buf[KEY_MAX];
	struct str value;
	int err = db_write_get(db, DB_SESSIONS, put_key(key, buf), &value);

	return err != 0 ? err : parse(value, ret);
}

static int
visit_row(void *arg, struct str key, struct str value)
{
	const struct visitor *v = arg;
	struct session_key k;
	struct session s;

	if (parse_key(key, &k) != 0 || parse(value, &s) != 0)
		return 0;
	return v->visit(v->arg, &k, &s);
}

int
sessions_scan(struct db *db, const struct session_key *from,
	      int (*visit)(void *arg, const struct session_key *, const struct session *),
	      void *arg)
{
	char buf[KEY_MAX];
	struct visitor v = {visit, arg};

	return db_scan(db, DB_SESSIONS, from != NULL ? put_key(from, buf) : STR_NONE, visit_row,
		       &v);
}

int
sessions_write_scan(struct db *db, const struct session_key *from,
		    int (*visit)(void *arg, const struct session_key *, const struct session *),
		    void *arg)
{
	char buf[KEY_MAX];
	struct visitor v = {visit, arg};

	return db_write_scan(db, DB_SESSIONS, from != NULL ? put_key(from, buf) : STR_NONE,
			     visit_row, &v);
}

/* The strings may lie in the map, in this very row: they are copied before anything is written. */
void
sessions_put(struct db *db, const struct session_key *key, const struct session *s)
{
	char buf[KEY_MAX], value[ROW_SIZE + 3 * SESSION_NAME_MAX], *p = value + ROW_SIZE;
	const struct row row = {
		.state = (uint8_t)s->state,
		.cluster_len = (uint8_t)s->cluster.n,
		.team_len = (uint8_t)s->team.n,
		.env_len = (uint8_t)s->env.n,
		.driver_id = s->driver_id,
		.created_ms = s->created_ms,
		.seen_ms = s->seen_ms,
	};

	ASSERT(key->user.n > 0);
	memcpy(value, &row, ROW_SIZE);
	p = add(p, s->cluster);
	p = add(p, s->team);
	p = add(p, s->env);
	db_put(db, DB_SESSIONS, put_key(key, buf), (struct str){value, (size_t)(p - value)});
}

void
sessions_del(struct db *db, const struct session_key *key)
{
	char buf[KEY_MAX];

	db_del(db, DB_SESSIONS, put_key(key, buf));
}
