/*
 * How many of each the shared segment holds. A change is a new version of its file (segment.c).
 */
#pragma once

#define SEGMENT_PROCS	  512  /* process rows */
#define SEGMENT_DRIVERS	  1024 /* driver slots */
#define SEGMENT_COUNTERS  512  /* counter slots, one per process row; likewise what row.h lists */
#define SEGMENT_PROVIDERS 32   /* providers of tokens in a configuration */
#define SEGMENT_PAIRS	  256  /* pairs of team and env that are told apart in metrics */
