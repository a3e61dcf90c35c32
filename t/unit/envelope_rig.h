/*
 * For tests of proto/envelope: pieces to build requests of, and runs of them against the plain
 * reference of t/fuzz/envelope_ref.h. The verified user is "verified", named "Ann".
 */
#pragma once
#include "t/fuzz/envelope_ref.h"

#define S  "00112233-4455-6677-8899-aabbccddeeff"
#define S2 "ffffffff-4455-6677-8899-aabbccddeeff"
#define F1 "\x0a\x24" S /* field 1 */
#define ALICE      \
	"\x0a\x05" \
	"alice" /* user_id, inside field 2 */
#define BOB        \
	"\x0a\x03" \
	"bob"
#define NAME       \
	"\x12\x01" \
	"n"
#define F2 "\x12\x07" ALICE
#define PLAN       \
	"\x1a\x04" \
	"plan" /* field 3 */
#define TYPE       \
	"\x22\x02" \
	"py" /* field 4 */
#define EXT            \
	"\xba\x3e\x03" \
	"ext" /* field 999 */

#define L(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
#define N(rows) (sizeof(rows) / sizeof(rows)[0])

/* Rules of feeding; ctx is a size_t. */
size_t rig_always(void *ctx); /* pieces of *ctx bytes */
size_t rig_split(void *ctx);  /* first a piece of *ctx bytes, then the rest */

struct ref_run rig_feed(struct str in, size_t (*next)(void *), size_t arg, struct buf *out);
/* Fed so, it comes to the same end as `want`, with the same bytes. */
void rig_same(struct str in, size_t (*next)(void *), size_t arg, const struct ref_run *want,
	      const struct buf *bytes);
/* Compares with the reference; then every `step`th split with the unsplit run. */
struct ref_run rig_compare(struct str in, size_t step);

void rig_add_message(struct buf *, struct str body); /* with its prefix */
/* Field `number` with n bytes of filling; more than one byte of tag and length. */
void rig_add_filling(struct buf *, uint32_t number, size_t n);
