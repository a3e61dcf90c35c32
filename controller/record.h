/*
 * Administrative acts, on their way into the audit file.
 *
 * Told to the keeper when their outcome is known, whatever it was. Nobody waits for it; that one
 * could not be recorded is logged.
 */
#pragma once
#include "controller/asks.h"

/* what: "driver drain a/one"; by: as in the log; why: it was refused, NULL: it was done. Bytes that
 * are no UTF-8 and what is too long are left out. */
void record_act(struct asks *, const char *what, const char *by, const char *why);
