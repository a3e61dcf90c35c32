/*
 * Size classes of 64 bytes up to 1 KiB; a head of 16 bytes before each piece says which. A class
 * keeps at most KEEP pieces; larger pieces, and those beyond, are malloc's.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "h2/mem.h"
#include "lib/panic.h"

#define STEP	64u
#define CLASSES 16u /* up to 1 KiB */
#define KEEP	512u
#define LARGE	0xffffffffu
#define PAGED	0xfffffffeu
#define PAGE	4096u
#define SLOT	(5 * PAGE) /* a frame of 16 KiB, its head and ours */
#define SLOTS	64u	   /* of one mapping */

#if defined(__SANITIZE_ADDRESS__) || defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

union piece {
	struct {
		uint32_t class;
		size_t size; /* what the caller may use */
	};
	union piece *next;
	max_align_t align;
};

static union piece *free_slots;
static union piece *lists[CLASSES];
static unsigned kept[CLASSES];

/* Mappings are kept for good: connections come again. A slot that nobody has used yet stays
 * untouched. */
static union piece *
take_slot(void)
{
	static char *fresh, *fresh_end;
	union piece *p = free_slots;

	if (p != NULL) {
		free_slots = p->next;
		return p;
	}
	if (fresh == fresh_end) {
		fresh = mmap(NULL, (size_t)SLOT * SLOTS, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (fresh == MAP_FAILED) {
			fresh = fresh_end = NULL;
			return NULL;
		}
		fresh_end = fresh + (size_t)SLOT * SLOTS;
	}
	p = (union piece *)(void *)fresh;
	fresh += SLOT;
	return p;
}

static void
give_slot(union piece *p)
{
	(void)madvise(p, SLOT, MADV_DONTNEED);
	p->next = free_slots;
	free_slots = p;
}

static void *
take(size_t size, void *user)
{
	uint32_t class = size == 0 ? 0 : (uint32_t)((size - 1) / STEP);
	union piece *p;

	(void)user;
	if (size > STEP * CLASSES)
		class = size > 2 * PAGE && size <= SLOT - sizeof *p ? PAGED : LARGE;
	if (class == PAGED) {
		p = take_slot();
		if (p == NULL)
			return NULL;
	} else if (class != LARGE && lists[class] != NULL) {
		p = lists[class];
		lists[class] = p->next;
		kept[class]--;
	} else {
		p = malloc(sizeof *p + (class == LARGE ? size : (class + 1) * (size_t)STEP));
		if (p == NULL)
			return NULL;
	}
	p->class = class;
	p->size = class >= PAGED ? size : (class + 1) * (size_t)STEP;
	return p + 1;
}

static void
give(void *at, void *user)
{
	union piece *p = at;

	(void)user;
	if (p == NULL)
		return;
	p--;
	uint32_t class = p->class;
	ASSERT(class >= PAGED || class < CLASSES);
	if (class == PAGED) {
		give_slot(p);
		return;
	}
	if (class == LARGE || kept[class] >= KEEP) {
		free(p);
		return;
	}
	p->next = lists[class];
	lists[class] = p;
	kept[class]++;
}

static void *
take_zeroed(size_t count, size_t size, void *user)
{
	if (size != 0 && count > SIZE_MAX / size)
		return NULL;
	void *p = take(count * size, user);
	return p != NULL ? memset(p, 0, count * size) : NULL;
}

static void *
change(void *at, size_t size, void *user)
{
	union piece *old = at;

	if (old == NULL)
		return take(size, user);
	if (size <= old[-1].size && old[-1].class < PAGED)
		return at;
	void *p = take(size, user);
	if (p == NULL)
		return NULL;
	memcpy(p, at, size < old[-1].size ? size : old[-1].size);
	give(at, user);
	return p;
}

nghttp2_mem *
mem_small(void)
{
	static nghttp2_mem mem = {NULL, take, give, take_zeroed, change};

	return SANITIZED ? NULL : &mem;
}

void
mem_trim(void)
{
	for (unsigned i = 0; i < CLASSES; i++) {
		while (lists[i] != NULL) {
			union piece *p = lists[i];

			lists[i] = p->next;
			free(p);
		}
		kept[i] = 0;
	}
}
