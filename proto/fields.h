/*
 * Rules about header fields: which names and values are legal, which are hop-by-hop, which the
 * gateway sets itself (RFC 9110, RFC 9113 section 8.2, gRPC PROTOCOL-HTTP2). nghttp2 lets more pass
 * than it should. Pure.
 */
#pragma once
#include <stdbool.h>
#include "lib/str.h"

/* The ones somebody asks for; the rest are FIELD_OTHER. */
enum field_name {
	FIELD_OTHER,
	FIELD_METHOD,
	FIELD_SCHEME,
	FIELD_AUTHORITY,
	FIELD_PATH,
	FIELD_STATUS,
	FIELD_CONTENT_TYPE,
	FIELD_TE,
	FIELD_HOST,
	FIELD_AUTHORIZATION,
	FIELD_AUTHENTICATION,
	FIELD_GRPC_TIMEOUT,
	FIELD_GRPC_ENCODING,
	FIELD_GRPC_STATUS,
	FIELD_GRPC_MESSAGE,
	FIELD_GRPC_STATUS_DETAILS,
	FIELD_CONTENT_LENGTH,
	FIELD_COOKIE,
	FIELD_TRACEPARENT,
	FIELD_TRACESTATE,
	FIELD_OPERATION_ID,
	FIELD_HOP_BY_HOP,
};

enum field_name fields_name(struct str name); /* lower-case names only, as HTTP/2 has them */

/* "/x/y" or longer: printable ASCII without '#', '?', "..", "//" and a final '/'. */
bool fields_path_ok(struct str path);
/* host[:port], no user info. */
bool fields_authority_ok(struct str authority);
/* The host of an authority, without port, brackets or a final dot. */
struct str fields_authority_host(struct str authority);

/* What follows "Bearer " (any case, one blank) when there is anything, or STR_NONE. */
struct str fields_bearer(struct str value);
/* Letters, digits and -._~+/, then any number of '=' (RFC 6750 2.1). */
bool fields_token_ok(struct str token);

/*
 * True when a request header goes on to the driver as it is; the gateway sets te, content-type,
 * timeout and authorization itself.
 */
bool fields_forward_request(enum field_name);
bool fields_forward_response(enum field_name); /* headers and trailers of the driver */
