/*
 * For tests of what the controller shows: a segment and a state folder of a gateway that does not
 * run.
 */
#pragma once
#include "controller/view.h"
#include "shm/procs.h"

#define RIG_NOBODY 0x7ffffffeu /* above the kernel's limit: never a process */

extern struct view rig_view;
extern char rig_dir[64];

void rig_open(void);
void rig_close(void); /* removes the folder with what the tests make there */

/* A process of this kind, which is us. */
struct procs_row *rig_enter(unsigned index, enum proc_kind, unsigned generation, unsigned restarts);
