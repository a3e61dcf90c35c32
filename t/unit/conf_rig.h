/*
 * For tests of conf/: a configuration from text and from files that exist only here, its errors as
 * they are printed, and whether what is printed loads to the same.
 */
#pragma once
#include "conf/conf.h"

#define N(a)		    (sizeof(a) / sizeof((a)[0]))
#define EXPECT_STR(s, text) cr_expect(str_eq(s, STR(text)), "%.*s", STR_ARG(s))

/* Two lines that make a whole configuration; what a case adds begins at line 3. */
#define BASE "listeners: [{address: \"127.0.0.1:15003\"}]\nauth: {required: false}\n"

extern struct conf *conf; /* of the last rig_load() */
extern struct conf_error *errors;

int rig_load(const char *text); /* as /t/gw.yaml */
const char *rig_errors(void);	/* all of them, a line each, without the file's name */
/* It is refused with just these errors, and no secret is in them. */
void rig_refuses(const char *text, const char *wanted);
/* It loads; printed and loaded again all values are equal. conf is the second one afterwards. */
void rig_print_and_load(const char *text);
void rig_teardown(void);
