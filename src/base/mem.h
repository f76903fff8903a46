/* SPDX-License-Identifier: Apache-2.0
 * src/base/mem.h: the only place that allocates. Sizes that come from a file are checked by the caller against the bytes
 * present before they get here. A failing-allocation mode serves the tests; a guard makes allocation in the token loop fatal. */
#ifndef PARE_BASE_MEM_H
#define PARE_BASE_MEM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pare/common.h>

#define PARE_ALIGN 64 /* one cache line, one zmm register */

/* pare_malloc returns n bytes aligned to 16, or NULL. n == 0 gives a valid pointer. Free with pare_free. */
void *pare_malloc(size_t n);
/* pare_zalloc is pare_malloc with zeros; count * size is overflow-checked. */
void *pare_zalloc(size_t count, size_t size);
/* pare_calloc_array is pare_malloc of count * size, overflow-checked, not zeroed. */
void *pare_alloc_array(size_t count, size_t size);
void *pare_realloc_array(void *p, size_t count, size_t size);
/* pare_aligned returns n bytes aligned to PARE_ALIGN, or NULL; release with pare_aligned_free. Large blocks come from
 * mmap, zeroed and advised for huge pages, and go back to the system when freed. */
void *pare_aligned(size_t n);
void pare_aligned_free(void *p);
char *pare_strdup(const char *s);
char *pare_strndup(const char *s, size_t n);

/* Gives freed memory back to the system where the C library keeps it: after parsing large documents. */
void pare_mem_trim(void);

/* Test hooks: fail the nth allocation from now (1 = next), 0 = never; count of live blocks; fatal guard. */
void pare_mem_fail_after(uint64_t n);
uint64_t pare_mem_live(void);
uint64_t pare_mem_count(void);       /* allocations ever made */
void pare_mem_guard(const char *what); /* non-NULL: from now any allocation aborts with this name; NULL: off. Thread-local */

/* A growable byte buffer with a maximum. Start: {.max = LIMIT}. Once failed, it stays failed and empty. */
struct pare_buf {
    uint8_t *data;
    size_t   len, cap, max;
    bool     failed; /* out of memory or over max; data was freed */
};
bool pare_buf_reserve(struct pare_buf *b, size_t extra);
bool pare_buf_add(struct pare_buf *b, const void *p, size_t n);
bool pare_buf_str(struct pare_buf *b, const char *s);
bool pare_buf_printf(struct pare_buf *b, const char *fmt, ...) PARE_PRINTF(2, 3);
/* pare_buf_cstr returns the content, zero-terminated, still owned by b; NULL when failed. */
const char *pare_buf_cstr(struct pare_buf *b);
/* pare_buf_take hands the zero-terminated content to the caller (pare_free) and empties b; NULL when failed. */
char *pare_buf_take(struct pare_buf *b);
void pare_buf_free(struct pare_buf *b);

/* A bump arena of a fixed size: all or nothing, freed at once. Returned blocks are PARE_ALIGN-aligned. */
struct pare_arena {
    uint8_t *base;
    size_t   size, used, peak;
};
bool pare_arena_init(struct pare_arena *a, size_t size);
/* pare_arena_alloc returns n bytes or NULL when the arena is full. Never calls the system. */
void *pare_arena_alloc(struct pare_arena *a, size_t n);
void pare_arena_reset(struct pare_arena *a, size_t to); /* to: an earlier value of used */
void pare_arena_free(struct pare_arena *a);
static inline size_t pare_arena_round(size_t n) { return (n + (PARE_ALIGN - 1)) & ~(size_t)(PARE_ALIGN - 1); }

#endif
