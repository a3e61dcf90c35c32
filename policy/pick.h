/*
 * One decision of the router under way: what is common to its parts (ask.c, router.c). Private to
 * policy/.
 */
#pragma once
#include "policy/teams.h"
#include "policy/wish.h"
#include "policy/words.h"

struct pick_said {	    /* what a client said for team or env */
	struct str name;    /* aliases resolved; empty: nothing */
	struct str written; /* as it came */
	bool in_header;	    /* or in the first Config call */
};

struct pick {
	const struct router_view *view;
	const struct conf *conf;
	const struct router_wish *wish;
	const struct identity *who;
	struct arena *arena;
	uint64_t key; /* of the session */
	struct router_trace *trace;
	struct router_refusal *refusal;
	struct pick_said team, env;
	struct str host; /* the one that a cluster lists, and that cluster */
	struct registry_cluster *at_host;
	struct router_choice choice;
};

/* words: NULL when there was no memory for them. Always E_DENIED. */
int pick_refuse(struct pick *, enum grpc_code, const char *words);

const char *pick_shown(struct pick *, struct str); /* a value out of a request */

/* What would have been accepted: the teams the identity belongs to, ... */
void pick_own_teams(struct pick *, struct words_list *);
const char *pick_own_text(struct pick *);
/* ... those of them whom the cluster serves, ... */
void pick_served_teams(struct pick *, const struct registry_cluster *, struct words_list *);
const char *pick_served_text(struct pick *, const struct registry_cluster *);
/* ... and the environments in which it finds clusters of the team. */
const char *pick_envs_text(struct pick *, struct str team);
