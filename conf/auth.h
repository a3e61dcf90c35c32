/*
 * Who vouches for users: one block of auth.providers as a struct, in the arena of the configuration
 * like the others (types.h). Which field belongs to which type is in the schema; those of other
 * types are zero.
 */
#pragma once
#include <stdint.h>
#include "lib/str.h"

enum conf_provider_type {
	PROVIDER_STATIC,
	PROVIDER_OIDC,	      /* signed by somebody else */
	PROVIDER_PAT,	      /* personal access tokens, kept in the store */
	PROVIDER_SERVICE,     /* signed by the gateway itself */
	PROVIDER_CERTIFICATE, /* a client certificate */
};
enum conf_san { SAN_URI, SAN_DNS, SAN_EMAIL };

struct conf_token { /* a line of tokens_file: "TOKEN USER [GROUP,GROUP]" */
	struct str token, user; /* the token is a secret */
	struct str *groups;
	unsigned groups_count;
};
struct conf_subject {	  /* what a machine may do */
	struct str match; /* of the whole subject, see pattern.h */
	struct str user;  /* STR_NONE: the subject itself */
	struct str team;
	struct str *envs;
	unsigned envs_count;
};
struct conf_provider {
	struct str name;
	enum conf_provider_type type;
	struct str tokens_file; /* static */
	struct conf_token *tokens;
	unsigned tokens_count;
	struct str issuer; /* oidc, service */
	struct str *audience;
	unsigned audience_count;	/* at least 1 for both */
	struct str jwks_url, jwks_file; /* oidc; neither: found by the issuer's own description */
	struct str jwks;		/* content of jwks_file, checked */
	struct str ca;			/* PEM, for https to the provider; absolute */
	uint64_t refresh_ms;
	struct str claim_user, claim_groups, claim_name;
	struct conf_subject *subjects; /* oidc, certificate; the first match counts; none listed:
					  claims alone */
	unsigned subjects_count;
	enum conf_san san; /* certificate */
	unsigned line;
};
