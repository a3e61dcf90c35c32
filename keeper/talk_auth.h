/*
 * The part of talk.h about who may come in; talk.h includes it.
 *
 *	TOKEN         a new token; E_EXISTS when its id or its digest is another one's
 *	TOKEN_REVOKE  by id, and from now on refused; every worker is then told (REVOKED), again
 *		      each time this is asked
 *	TOKEN_USED    when it was used last; a worker says it at most once a minute per token; not
 *		      answered
 *	KEY           one public key of a set, out of nobody's sight yet
 *	KEYS          the set is whole: it becomes current. E_STATE when one of its keys is not
 *		      there: begin again with another set number. Of the current set: it was
 *		      fetched again and is still the same.
 *	ROLLOUT       the percentage that stands above the configuration's
 *	SECRET        writes a file of state_dir/keys (mode 0600), or with no bytes removes it.
 *		      E_DENIED when the folder is not ours to use.
 *
 * All others are answered with DONE, of count 1, when they are on the disk. Text is UTF-8 and
 * NUL-terminated; empty: none.
 */
#pragma once
#include "lib/msg.h"
#include "shm/keys.h"
#include "shm/sessions.h"
#include "shm/settings.h"
#include "shm/tokens.h"

#define KEEPER_SECRET_MAX      1500
#define KEEPER_SECRET_NAME_MAX 64

struct keeper_token { /* controller -> keeper */
	struct msg_head head;
	uint8_t digest[TOKEN_DIGEST];
	uint32_t type, envs_count;
	uint64_t expires_ms;
	char id[TOKEN_ID_MAX], user[SESSION_USER_MAX + 8], name[TOKEN_NAME_MAX];
	char team[SESSION_NAME_MAX], note[TOKEN_NOTE_MAX], envs[TOKEN_ENVS_MAX][SESSION_NAME_MAX];
};
struct keeper_token_revoke { /* controller -> keeper */
	struct msg_head head;
	char id[TOKEN_ID_MAX];
};
struct keeper_token_used { /* worker -> keeper */
	struct msg_head head;
	uint8_t digest[TOKEN_DIGEST];
};
struct keeper_revoked { /* keeper -> every worker */
	struct msg_head head;
	uint8_t digest[TOKEN_DIGEST];
	char id[TOKEN_ID_MAX];
};
struct keeper_public_key { /* KEY; controller -> keeper */
	struct msg_head head;
	uint64_t set; /* any number but one that was used for this provider before */
	char provider[KEYS_PROVIDER_MAX];
	uint32_t index, algs;	   /* index: 0 to the set's count less one */
	uint16_t kid_len, der_len; /* kid_len 0: none */
	uint8_t kid[KEYS_KID_MAX], der[KEYS_DER_MAX];
};
struct keeper_keys { /* controller -> keeper */
	struct msg_head head;
	uint64_t set, fetched_ms;
	char provider[KEYS_PROVIDER_MAX];
	uint8_t source[KEYS_SOURCE];
	uint32_t count, pad;
};
struct keeper_rollout { /* controller -> keeper */
	struct msg_head head;
	int32_t percent; /* 0 to 100; SETTINGS_UNSET */
};
struct keeper_secret { /* controller -> keeper; cleanse your copies */
	struct msg_head head;
	uint32_t len;
	char name[KEEPER_SECRET_NAME_MAX]; /* of 0-9 a-z - and ., which does not begin it */
	uint8_t bytes[KEEPER_SECRET_MAX];
};
