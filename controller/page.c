/*
 * Pages of the session table, in the controller: rows of the store come in, JSON goes out.
 */
#include "controller/page.h"

#include "proto/uuid.h"

/* One answer looks at no more than this many rows, a thousand in each read transaction, so that a
 * filter that matches little cannot hold the process. The asker goes on at `next`. */
#define STEP_ROWS 1000u
#define STEPS	  10u

struct page {
	struct view *view;
	const struct query *query;
	json_t *rows;
	unsigned seen; /* in this transaction */
	bool more;
	struct session_key last; /* its user points into user_bytes */
	char user_bytes[SESSION_USER_MAX];
	bool has_last;
};

static json_t *
show_session(struct view *v, const struct session_key *key, const struct session *s)
{
	const struct registry_driver *d = registry_driver(v->registry, s->driver_id);
	char id[UUID_TEXT];

	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:I}", "id",
			 uuid_text(key->id, id), "user", view_text(key->user), "team",
			 view_text(s->team), "env", view_text(s->env), "cluster",
			 view_text(s->cluster), "driver",
			 d != NULL ? view_text(d->name) : json_null(), "state",
			 sessions_state_name(s->state), "created_ms", (json_int_t)s->created_ms,
			 "seen_ms", (json_int_t)s->seen_ms);
}

static int
visit_session(void *arg, const struct session_key *key, const struct session *s)
{
	struct page *p = arg;

	if (p->has_last && memcmp(p->last.id, key->id, 16) == 0 && str_eq(p->last.user, key->user))
		return 0;
	if (p->seen == STEP_ROWS || json_array_size(p->rows) == p->query->limit) {
		p->more = true;
		return 1;
	}
	p->seen++;
	memcpy(p->last.id, key->id, 16);
	memcpy(p->user_bytes, key->user.p, key->user.n);
	p->last.user = (struct str){p->user_bytes, key->user.n};
	p->has_last = true;
	if (query_wants(p->query, key->user, s->team))
		json_array_append_new(p->rows, show_session(p->view, key, s));
	return 0;
}

static int
step(struct page *p)
{
	int err = db_read_begin(p->view->db);

	if (err == 0) {
		p->seen = 0;
		p->more = false;
		err = sessions_scan(p->view->db, p->has_last ? &p->last : NULL, visit_session, p);
	}
	db_read_end(p->view->db);
	return err;
}

int
page_sessions(struct view *v, const struct query *q, json_t **ret)
{
	struct page p = {.view = v, .query = q};
	char cursor[QUERY_CURSOR];
	int err = view_refresh(v);

	if (err != 0)
		return err;
	p.rows = json_array();
	p.last = q->after;
	p.has_last = q->has_after;
	for (unsigned i = 0; err == 0 && i < STEPS; i++) {
		err = step(&p);
		if (!p.more || json_array_size(p.rows) == q->limit)
			break;
	}
	if (err != 0) {
		json_decref(p.rows);
		return err;
	}
	*ret = view_wrap(p.rows);
	json_object_set_new(*ret, "next",
			    p.more ? json_string(query_cursor(&p.last, cursor)) : json_null());
	return 0;
}
