/*
 * UUIDs as java.util.UUID.fromString and Python's uuid accept from the clients: 36 characters, any
 * version. Pure.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "lib/str.h"

#define UUID_TEXT 37

/* Canonical 8-4-4-4-12 hexadecimal form, either case. E_SYNTAX. */
int uuid_parse(struct str s, uint8_t ret[16]) MUST_CHECK;
const char *uuid_text(const uint8_t id[16], char buf[UUID_TEXT]); /* lower case; returns buf */
