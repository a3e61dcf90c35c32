/*
 * For tests of h2/: a peer that sends any bytes, made of frames or not, over one end of a socket
 * whose other end is a server or client of duo.h. What comes back is counted, frame by frame.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raw {
	int fd;
	uint8_t *in;
	size_t have, parsed;
	unsigned frames[256];	/* received, by type; 255: others */
	unsigned acks, pings;	/* SETTINGS and PING with ACK */
	unsigned rst, rst_code; /* and the last code */
	unsigned goaways;
	uint32_t goaway_code, goaway_last;
	char goaway_words[64];
	bool eof;
};

void raw_open(struct raw *, int fd); /* frames from fd are counted while the loop runs */
void raw_drop(struct raw *);
void raw_bytes(struct raw *, const void *p, size_t n); /* runs the loop when the socket is full */
void raw_frame(struct raw *, uint8_t type, uint8_t flags, uint32_t id, const void *p, size_t n);
void raw_hello(struct raw *);		  /* preface, SETTINGS and the ACK of the server's */
void raw_read(struct raw *);		  /* what is there now */
void raw_turn(struct raw *, unsigned ms); /* lets the other end work, then reads */
size_t raw_request(uint8_t *to,
		   const char *path); /* a header block for a POST; returns its length */
