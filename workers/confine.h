/*
 * What a worker may ask of the kernel from READY on: a seccomp filter made by hand. No file is opened,
 * nothing is run, forked, traced, bound or listened on; sockets are TCP only, so that drivers can be
 * reached and nothing else can. Keys lie in its memory, but their files are out of its reach.
 *
 * A call that is not allowed answers EPERM and is counted: a rule that is missing shall not take a
 * gateway down at night. Nothing of it depends on a library. x86-64 and aarch64.
 */
#pragma once
#include "lib/err.h"

/* For the rest of the process's life. E_STATE: not on this machine, or not with the sanitizers, which
 * ask for more; E_IO with errno: the kernel does not want to. */
int confine(void) MUST_CHECK;
/* Calls refused since then, and the number of the last one. */
unsigned confine_refused(long *ret_last);
