/*
 * The pepper: 32 random bytes under which personal access tokens are digested before they are
 * stored, in state_dir/keys/pepper. Whoever reads the store without it cannot even try guesses.
 *
 * Made once by the supervisor, before the first fork; read by it for the workers, and by the
 * controller, which is a program of its own. Never changed: with another pepper no token is known
 * any more. Who has read it cleanses his copy.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/err.h"
#include "lib/str.h"

#define PEPPER_SIZE ((size_t)32)

/* Failures come with words for the operator, which name the file. E_IO (it is not there, or the
 * system refused), E_DENIED (open to others, no regular file), E_SYNTAX (of another size). */

/* Makes the folder (0700) and the file (0600) if they are missing; what is there is left as it is.
 * Two that do it at once end up with the same pepper, whole and on the disk. */
int pepper_make(struct str state_dir, bool *ret_made, char *words, size_t words_size) MUST_CHECK;
int pepper_read(struct str state_dir, uint8_t ret[PEPPER_SIZE], char *words,
		size_t words_size) MUST_CHECK;
