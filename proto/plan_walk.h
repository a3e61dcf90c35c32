/*
 * A walk through the messages on the way to a plan's SQL text, fed with bytes split anywhere: one
 * stack of messages, one table of what leads where. Private to proto/plan.
 *
 * A message that is given again, or replaced by another member of its oneof, is treated as parsers
 * do: the same member is merged, another one makes what was found before it void.
 */
#pragma once
#include "proto/plan.h"

#define PLAN_OPERATION_MAX 64

enum plan_node {
	NODE_NONE, /* passed over */
	/* messages */
	NODE_EXECUTE,
	NODE_ANALYZE,
	NODE_OF_OPERATION, /* ReattachExecute, ReleaseExecute */
	NODE_HOLDS_PLAN,   /* a Plan is its field 1 */
	NODE_PLAN,
	NODE_COMMAND,
	NODE_SQL_COMMAND,
	NODE_RELATION,
	NODE_INPUT, /* a Relation is its field 1 */
	NODE_SOURCE, /* a Relation is its field 2 */
	NODE_SQL,
	NODE_COMPRESSED,
	/* texts and bytes */
	NODE_OPERATION_TEXT,
	NODE_SQL_TEXT,
	NODE_DATA,
};

struct plan_sql {
	char *text;
	size_t kept, cap;
	uint64_t length;
	bool whole;
	EVP_MD_CTX *digest;
	uint8_t sha256[32];
};
struct plan_frame {
	uint64_t left; /* bytes of the message not yet seen, without those of messages in it */
	uint32_t last; /* the member that leads on, as far as one came */
	enum plan_node node;
};

struct plan_walk;
struct plan_data_ops { /* for who takes compressed data */
	void (*begin)(struct plan_walk *);
	void (*bytes)(struct plan_walk *, const uint8_t *, size_t);
	void (*end)(struct plan_walk *);
};

struct plan_walk {
	struct arena *arena;
	struct plan_kit *kit;
	const struct plan_data_ops *data; /* NULL: compressed data is passed over */
	unsigned depth;		       /* messages open; 0: done */
	enum plan_node leaf;	       /* the text or bytes under way */
	uint64_t leaf_left;
	uint8_t tag[16];
	uint8_t tag_len, operation_len;
	bool broken;
	const char *kind, *command;
	uint64_t op_type, codec; /* of compressed data */
	char operation[PLAN_OPERATION_MAX];
	struct plan_sql sql;
	struct plan_frame stack[PLAN_DEPTH];
};

/* total: bytes of the message; UINT64_MAX: not known. */
void plan_walk_init(struct plan_walk *, struct arena *, struct plan_kit *, enum plan_node root,
		    uint64_t total);
void plan_walk_feed(struct plan_walk *, const uint8_t *p, size_t n);
void plan_walk_clear(struct plan_walk *); /* what is not the arena's */
