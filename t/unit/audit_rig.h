/*
 * For tests of keeper/audit_file: a file that is written in the scratch folder, the judgement of
 * the verifier about it, and the text of a file, to be changed by hand. One file at a time; a test
 * may put another one into rig.file.
 */
#pragma once
#include "ctl/audit_verify.h"
#include "keeper/audit_file.h"
#include "t/unit/scratch.h"

#define RIG_TEXT (1 << 20)

struct audit_rig {
	struct loop *loop;
	struct ledger ledger;
	struct metrics_keeper metrics;
	struct audit_file *file;
	unsigned synced_count;
	_Atomic int sync_errno; /* what fdatasync() says, instead of doing it */
};
extern struct audit_rig rig;
extern const uint8_t rig_key[CHAIN_KEY];

void rig_make(void); /* the folder, the loop and the file */
void rig_drop(void);
struct audit_file *rig_open(const char *state_dir);

void rig_add_lines(unsigned count); /* to the batch that was begun */
int rig_write_lines(unsigned count);
void rig_rotate(void); /* and the sealed file has its name */

const char *rig_live(void);
const char *rig_sealed(unsigned n); /* the n-th sealed file, by name; "" when there is none */
struct audit_verdict rig_verify(const char *path);

/* ---- the text of a file, to be changed ---- */

extern char rig_text[RIG_TEXT];
extern size_t rig_text_n;

void rig_load(const char *path);
void rig_save(const char *path);
char *rig_line_at(unsigned n); /* from 1 */
