/*
 * What is said to the keeper and what it answers; each a struct over lib/msg. The channels are made
 * by the supervisor, one per worker seat and one for the controller, and outlive every process.
 *
 *	BIND     insert if absent; the answer tells the binding that now stands (maybe
 *		 another's). Answered after the commit.
 *	TOUCH    last seen; not answered
 *	RELEASE  remove (ReleaseSession was answered OK); not answered
 *	LOST     mark as lost if it still is bound to this driver; not answered
 *	CLOSE    by an administrator: mark as closed; answered after the commit; the keeper
 *		 then tells every worker (CLOSED)
 *	DRAIN    wanted state of a driver; answered after the commit
 *	AUDIT    what an administrator did, for the audit file; answered when it is on the disk
 *	SHIPPED  the store has a sealed audit file; answered when that is written down
 *	TOKEN, TOKEN_REVOKE, TOKEN_USED, KEY, KEYS, ROLLOUT, SECRET    see talk_auth.h
 *
 * An asker that gets no answer within KEEPER_RESEND_MS asks once more (all are idempotent), and
 * gives up after KEEPER_WAIT_MS. Text is NUL-terminated.
 */
#pragma once
#include "keeper/talk_auth.h"
#include "lib/msg.h"
#include "shm/sessions.h"

#define KEEPER_RESEND_MS 1000
#define KEEPER_WAIT_MS	 4000

enum keeper_type {
	KEEPER_BIND = 1,
	KEEPER_BOUND,
	KEEPER_TOUCH,
	KEEPER_RELEASE,
	KEEPER_LOST,
	KEEPER_CLOSE,
	KEEPER_DRAIN,
	KEEPER_DONE,
	KEEPER_CLOSED,
	KEEPER_TOKEN,
	KEEPER_TOKEN_REVOKE,
	KEEPER_TOKEN_USED,
	KEEPER_REVOKED,
	KEEPER_KEY,
	KEEPER_KEYS,
	KEEPER_ROLLOUT,
	KEEPER_SECRET,
	KEEPER_AUDIT,
	KEEPER_SHIPPED
};

#define KEEPER_AUDIT_TEXT 1500

struct keeper_key {
	uint8_t id[16];
	uint16_t user_len;
	char user[SESSION_USER_MAX];
};

struct keeper_bind { /* worker -> keeper */
	struct msg_head head;
	struct keeper_key key;
	uint32_t driver_id;
	char cluster[SESSION_NAME_MAX], team[SESSION_NAME_MAX], env[SESSION_NAME_MAX];
};
struct keeper_bound { /* keeper -> worker, same head.id */
	struct msg_head head;
	/* enum err: E_OK, E_FULL (disk), E_IO, E_NOT_FOUND (the driver left the registry) */
	int32_t result;
	uint32_t state; /* enum session_state of what stands now */
	uint32_t driver_id;
	uint32_t pad;
	uint64_t created_ms;
};
struct keeper_note { /* TOUCH, RELEASE, LOST; worker -> keeper */
	struct msg_head head;
	struct keeper_key key;
	uint32_t driver_id; /* only if bound to it; 0: whichever */
	uint32_t pad;
	uint64_t created_ms; /* only if it is that binding; 0: whichever */
};
/* controller -> keeper; all sessions with this id, or the one of `user` when user_len > 0 */
struct keeper_close {
	struct msg_head head;
	struct keeper_key key;
};
struct keeper_drain { /* controller -> keeper */
	struct msg_head head;
	uint32_t drain; /* 1 drain, 0 undrain */
	char name[192];
};
struct keeper_done { /* keeper -> controller */
	struct msg_head head;
	int32_t result; /* E_NOT_FOUND, E_EXISTS (DRAIN: ambiguous), E_STATE, E_FULL, E_IO */
	uint32_t count; /* sessions that stand closed now; the driver's id; 1 */
};
struct keeper_audit { /* controller -> keeper */
	struct msg_head head;
	/* A JSON object, such as {"act":"driver drain","name":"a/one","by":"uid=0","done":true}.
	 * E_SYNTAX when it is none, or has a member of the keeper's own (time, seq, ...). */
	char text[KEEPER_AUDIT_TEXT];
};
struct keeper_shipped { /* controller -> keeper */
	struct msg_head head;
	char name[64]; /* of the file. E_DENIED, E_NOT_FOUND */
};
struct keeper_closed { /* keeper -> every worker */
	struct msg_head head;
	struct keeper_key key;
	uint32_t driver_id;
	uint32_t pad;
};
