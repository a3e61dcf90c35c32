/*
 * Memory for nghttp2's many small, short-lived pieces (streams, frames, header buffers): free lists
 * by size, per process. About a twentieth of the CPU of a small RPC went into malloc and free.
 * Sanitizer builds use malloc, so that nothing hides.
 */
#pragma once
#include <nghttp2/nghttp2.h>

nghttp2_mem *mem_small(void); /* NULL: the library's default */
void mem_trim(void);	      /* gives free pieces back; at exit */
