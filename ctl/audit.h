/*
 * Commands about audit files. They read the files themselves and ask no gateway.
 */
#pragma once
#include "ctl/ask.h"

enum ask_result audit_verify(const struct wish *); /* REFUSED: something is wrong in them */
enum ask_result audit_tail(const struct wish *);   /* with --follow until it is killed */
