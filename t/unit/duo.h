/*
 * For tests of h2/: a server and a client in one loop, joined by a socket, or one of them against
 * raw bytes of the test (raw.h). What a stream sees is counted in its struct; what the server does
 * with a request is said by its path.
 */
#pragma once
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include "h2/h2.h"

#define DUO_STREAMS 1024

struct duo_stream {
	struct h2_stream s;
	struct arena *arena;
	bool server, echo;
	bool hold;	    /* bytes are not credited */
	char path[64];	    /* server */
	char status[16];    /* client: :status */
	char grpc[16];	    /* client: grpc-status */
	size_t got, held;   /* bytes received; those not credited */
	size_t to_send;	    /* bytes still to be put into the stream */
	size_t sent_offset; /* of what was put in */
	bool trailers;	    /* end with trailers, not with END_STREAM */
	bool ending;
	bool wrong; /* the bytes received are not those sent */
	unsigned headers, trailer_blocks, ends, closed, stalled;
	uint32_t code;
};

struct duo {
	struct loop *loop;
	struct h2 server, client;
	bool server_here, client_here;	       /* opened, and closed() has not come */
	unsigned server_closed, client_closed; /* calls */
	int server_why, client_why;
	unsigned client_up, turned_away, settings;
	struct duo_stream streams[DUO_STREAMS]; /* of both sides, in the order of opening */
	unsigned count;
	bool refuse_open;
};

extern struct duo duo;
extern struct h2_limits duo_server_limits, duo_client_limits;

void duo_setup(void); /* a fresh loop, nothing connected */
void duo_drop(void);  /* closes what is open; asserts that no block of the pool is left */

void duo_pair(void);			/* both ends over a Unix socket pair */
void duo_pair_fds(int fds[2]);		/* such a pair, non-blocking */
void duo_tcp_fds(int fds[2], int room); /* over loopback TCP; room: kernel buffers, 0 as they are */
void duo_open_server(int fd);
void duo_open_client(int fd);

/* Opens a stream; `body` bytes follow, then its end. */
struct duo_stream *duo_request(const char *path, size_t body);
struct duo_stream *duo_request_open(const char *path); /* the body is the test's business */
void duo_send(struct duo_stream *, size_t n);	       /* n bytes of the pattern, as room allows */
void duo_begin(struct duo_stream *);		       /* response headers only */
void duo_answer(struct duo_stream *, size_t body); /* response, body, trailers "grpc-status: 0" */
void duo_credit(struct duo_stream *);		   /* for all that was held, and no more holding */
struct duo_stream *duo_served(unsigned n);	   /* the n-th stream the server was given */

/* Runs the loop until the condition holds; false after ms. */
bool duo_until(bool (*done)(void), uint64_t ms);
void duo_run(uint64_t ms);
bool duo_all_closed(void); /* no stream is open */
bool duo_ended(void);	   /* both connections are closed */
