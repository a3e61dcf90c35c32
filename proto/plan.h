/*
 * What was run: kind of plan, command, SQL text and operation id of a request, found in its bytes
 * while they pass. Nothing is kept but the beginning of the SQL text; split anywhere, the same is
 * found. Pure; fuzzed. Source of the numbers: apache/spark base.proto, commands.proto,
 * relations.proto (3.4 to 4.3).
 *
 * Read are ExecutePlan, AnalyzePlan, ReattachExecute, ReleaseExecute. SQL is looked for in a
 * SqlCommand, in a root relation, and down the inputs of relations that have one (show, limit,
 * filter ...) and of commands that write; of a join, the left side. What protobuf says of fields
 * given twice, the last one counts, holds here, too: one cannot hide behind a first SQL text.
 *
 * A compressed plan (4.1+) is inflated and walked, not kept: window up to PLAN_WINDOW, output up to
 * PLAN_INFLATED, at most PLAN_AT_ONCE and kit->credit bytes in one process, and of one sender half as
 * many and its quota's; beyond, or when it cannot be inflated, its kind is "compressed". A plan that cannot be read is "malformed"; the walk
 * ends where that shows.
 */
#pragma once
#include <openssl/evp.h>
#include <stdbool.h>
#include "lib/arena.h"
#include "proto/methods.h"

#define PLAN_DEPTH    96 /* messages in messages; deeper ones are passed over */
#define PLAN_WINDOW   (8u << 20)
#define PLAN_INFLATED ((uint64_t)64 << 20)
#define PLAN_AT_ONCE  4
#define PLAN_SQL_MAX  ((size_t)16 << 10)

/* Of one process; the caller's. */
struct plan_kit {
	EVP_MD *sha256;
	size_t sql_bytes;  /* of SQL texts, this much is kept; at most PLAN_SQL_MAX */
	bool sql;	   /* false: SQL is not looked at */
	unsigned inflating; /* plans under way that are being inflated */
	uint64_t credit;   /* bytes that may yet be inflated; the caller adds as time goes by */
};

/* What one sender of plans may use of it, so that others' plans are looked into, too. */
struct plan_quota {
	unsigned inflating; /* at most half of PLAN_AT_ONCE */
	uint64_t credit;
};

struct plan_found {
	const char *kind;     /* "relation", "command", "compressed", "malformed"; NULL: no plan */
	const char *command;  /* the command's type, or what AnalyzePlan asks for; NULL */
	struct str operation; /* STR_NONE, or at most 64 bytes */
	struct str sql;	      /* its beginning; whole characters if it was UTF-8 */
	uint64_t sql_length;  /* of the whole text */
	bool has_sql, compressed;
	uint8_t sha256[32]; /* of the whole text */
};

struct plan;

/* Of a message of `total` bytes. NULL: not a method with a plan or an operation, or no memory. */
struct plan *plan_new(struct arena *, struct plan_kit *, enum method_id, uint64_t total);
/* Before it is fed; stands longer than the plan. */
void plan_set_quota(struct plan *, struct plan_quota *);
void plan_feed(struct plan *, const uint8_t *bytes, size_t n);
/* What is known by now; stands as long as the arena. */
void plan_found(const struct plan *, struct plan_found *ret);
void plan_free(struct plan **); /* what is not the arena's; before the arena goes */
