/*
 * state_dir/audit: the folder, the newest sealed file in it, and what an audit file begins and ends
 * with. Blocks on the disk, as the keeper may.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/err.h"
#include "shm/chain.h"

#define AUDIT_STAMP 32

struct audit_ends {
	uint64_t size; /* up to the end of the last whole line */
	uint64_t half; /* bytes behind it: of a line that was never finished */
	bool sealed;   /* its last line is a seal */
	uint64_t first_seq, last_seq; /* 0: no record */
	char first_time[AUDIT_STAMP], last_time[AUDIT_STAMP];
	char chain[CHAIN_HEX + 1];     /* of the last record */
	char seal[CHAIN_SEAL_HEX + 1]; /* when sealed */
};

/* Makes it if it is not there (mode 0750). E_FULL, E_IO with errno. */
int audit_folder_open(const char *state_dir, int *ret_fd) MUST_CHECK;
int audit_folder_ends(int fd, struct audit_ends *ret) MUST_CHECK; /* E_IO, E_NOMEM */
/* The ends of the sealed file with the highest numbers. E_NOT_FOUND. */
int audit_folder_newest(int folder, struct audit_ends *ret) MUST_CHECK;
/* Removes sealed files that were sealed before that moment; the newest one stays, and with `shipped`
 * what the store does not have yet. How many. */
unsigned audit_folder_remove(int folder, uint64_t before_ms, bool shipped);
int audit_folder_err(void); /* errno as one of ours */
/* All of it, there. E_FULL, E_IO with errno. */
int audit_folder_write(int fd, const uint8_t *p, size_t n, uint64_t at) MUST_CHECK;
