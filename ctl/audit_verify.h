/*
 * Whether audit files are as the keeper left them (shm/chain.h): every line chained to the one
 * before, numbers without gaps, a seal that fits, and each file the successor of another.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"
#include "shm/chain.h"

struct audit_verdict { /* of a file */
	uint64_t records, first_seq, last_seq;
	bool sealed, seal_fits; /* fits: looked at, with the key */
	char previous[CHAIN_SEAL_HEX + 1], seal[CHAIN_SEAL_HEX + 1];
	/* the first thing that is wrong; line 0: the file as a whole; words "": nothing */
	uint64_t line, seq;
	char words[160];
};

/* key: NULL, and seals are not looked at. live: it may end anywhere. E_IO with errno, E_NOMEM; 0
 * also when something is wrong in it. */
int audit_verify_file(const char *path, const uint8_t *key, bool live,
		      struct audit_verdict *ret) MUST_CHECK;
/* Adds to the later one's words, if it is not the earlier one's successor. */
void audit_verify_order(const struct audit_verdict *earlier, struct audit_verdict *later);
/* The name says which number the file begins with. */
void audit_verify_name(const char *path, struct audit_verdict *);
