/*
 * For tests of lib/io: two ends in one loop that send each other a pattern, clear or over TLS with
 * certificates made on the spot. What an end sees is counted in its struct.
 */
#pragma once
#include <stdbool.h>
#include "lib/io.h"
#include "lib/tls.h"
#include "t/unit/certs.h"

#define AHEAD 65536 /* bytes produced before they are sent */

struct end {
	struct io io;
	unsigned ups, broken, writables;
	int why;
	size_t got, sent, to_send;
	bool wrong;	   /* the bytes are not the pattern */
	size_t most;	   /* waiting at once */
	uint8_t seed;	   /* of what is sent */
	struct end *other; /* whose seed is expected */
	unsigned rekeys;
	void (*hook)(struct end *); /* with every piece */
};

extern struct loop *loop;
extern struct end a, b; /* server and client of the tests with one pair */
extern const struct io_ops rig_calls;

void rig_start(void);
void rig_drop(void);	  /* closes both; asserts that no block of the pool is left */
void rig_start_tls(void); /* and makes the certificates */
void rig_drop_tls(void);

/* ca -> good (spark.test, 127.0.0.1), expired, user; other -> stranger; locked has a password */
SSL_CTX *rig_server_ctx(const char *name, const char *client_ca);
SSL_CTX *rig_client_ctx(const char *ca, const char *name);

void rig_sockets(int fds[2], int room); /* room: kernel buffers, 0 as they are */
void rig_open_pair(struct end *server, struct end *client, int fds[2], SSL_CTX *server_tls,
		   SSL_CTX *client_tls, const char *name);
/* a and b; takes the contexts over. */
void rig_connect_pair(SSL_CTX *server_tls, SSL_CTX *client_tls, const char *name);

uint8_t rig_pattern(uint8_t seed, size_t at);
void rig_produce(struct end *);		   /* sends on, as the socket allows */
void rig_exchange(size_t up, size_t down); /* so much between b and a, all of it right */

/* Runs the loop until the condition holds; false after ms. */
bool rig_run(bool (*condition)(void), uint64_t ms);
bool rig_both_up(void);
bool rig_both_broken(void);
bool rig_all_arrived(void);
