/*
 * Accepting connections from the listeners' sockets of this worker.
 */
#pragma once

struct worker;

void accept_start(struct worker *); /* after GO */
void accept_stop(struct worker *);  /* the sockets stay open: a successor accepts from them */
