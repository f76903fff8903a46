/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "base/mem.h"

#include <stddef.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static _Atomic uint64_t fail_in;  /* 0: off */
static _Atomic uint64_t live, total;
static _Thread_local const char *guard;

void pare_mem_trim(void)
{
#if defined(__GLIBC__)
    (void)malloc_trim(0);
#endif
}

void pare_mem_fail_after(uint64_t n) { atomic_store(&fail_in, n); }
uint64_t pare_mem_live(void) { return atomic_load(&live); }
uint64_t pare_mem_count(void) { return atomic_load(&total); }
void pare_mem_guard(const char *what) { guard = what; }

/* One question for all entry points: may this allocation go ahead? */
static bool admit(void)
{
    if (guard != NULL) {
        fprintf(stderr, "pare: allocation inside guarded section \"%s\"\n", guard);
        abort();
    }
    atomic_fetch_add_explicit(&total, 1, memory_order_relaxed);
    if (atomic_load_explicit(&fail_in, memory_order_relaxed) != 0 && atomic_fetch_sub(&fail_in, 1) == 1) return false;
    return true;
}

static void *counted(void *p)
{
    if (p != NULL) atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return p;
}

void *pare_malloc(size_t n) { return admit() ? counted(malloc(n ? n : 1)) : NULL; }

void *pare_zalloc(size_t count, size_t size)
{
    return admit() ? counted(calloc(count ? count : 1, size ? size : 1)) : NULL;
}

void *pare_alloc_array(size_t count, size_t size)
{
    size_t n;

    if (__builtin_mul_overflow(count, size, &n)) return NULL;
    return pare_malloc(n);
}

void *pare_realloc_array(void *p, size_t count, size_t size)
{
    size_t n;
    void  *q;

    if (__builtin_mul_overflow(count, size, &n) || !admit()) return NULL;
    q = realloc(p, n ? n : 1);
    if (p == NULL) counted(q);
    return q;
}

void pare_free(void *p)
{
    if (p != NULL) atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    free(p);
}

/* An aligned block remembers its size in the cache line before it, so that mapped ones can be unmapped. */
struct head {
    size_t mapped; /* 0: from aligned_alloc */
};
#define MAP_FROM ((size_t)1 << 20)
/* From where huge pages are asked for. One touched byte then costs 2 MB, which a small model's working memory should not pay. */
#define HUGE_FROM ((size_t)16 << 20)

void *pare_aligned(size_t n)
{
    size_t   all;
    uint8_t *p;

    if (__builtin_add_overflow(n, (size_t)(2 * PARE_ALIGN), &all) || !admit()) return NULL;
    all &= ~(size_t)(PARE_ALIGN - 1);
    if (all >= MAP_FROM) {
        p = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) return NULL;
        if (all >= HUGE_FROM) (void)madvise(p, all, MADV_HUGEPAGE); /* advice only: failure changes nothing */
        ((struct head *)(void *)p)->mapped = all;
    } else {
        p = aligned_alloc(PARE_ALIGN, all);
        if (p == NULL) return NULL;
        ((struct head *)(void *)p)->mapped = 0;
    }
    return (uint8_t *)counted(p) + PARE_ALIGN;
}

void pare_aligned_free(void *p)
{
    struct head *h;

    if (p == NULL) return;
    h = (struct head *)(void *)((uint8_t *)p - PARE_ALIGN);
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    if (h->mapped != 0)
        munmap(h, h->mapped);
    else
        free(h);
}

char *pare_strndup(const char *s, size_t n)
{
    char *p = pare_malloc(n + 1);

    if (p == NULL) return NULL;
    memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *pare_strdup(const char *s) { return pare_strndup(s, strlen(s)); }

bool pare_buf_reserve(struct pare_buf *b, size_t extra)
{
    size_t   need, cap;
    uint8_t *p;

    if (b->failed) return false;
    if (__builtin_add_overflow(b->len, extra, &need) || need > b->max || need + 1 == 0) goto fail;
    need += 1; /* room for a terminating zero */
    if (need <= b->cap) return true;
    cap = b->cap < 256 ? 256 : b->cap;
    while (cap < need) cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > b->max && b->max >= need - 1) cap = b->max + 1 > need ? b->max + 1 : need;
    p = pare_realloc_array(b->data, cap, 1);
    if (p == NULL) goto fail;
    b->data = p;
    b->cap = cap;
    return true;
fail:
    pare_buf_free(b);
    b->failed = true;
    return false;
}

bool pare_buf_add(struct pare_buf *b, const void *p, size_t n)
{
    if (!pare_buf_reserve(b, n)) return false;
    if (n != 0) memcpy(b->data + b->len, p, n);
    b->len += n;
    return true;
}

bool pare_buf_str(struct pare_buf *b, const char *s) { return pare_buf_add(b, s, strlen(s)); }

bool pare_buf_printf(struct pare_buf *b, const char *fmt, ...)
{
    va_list ap, again;
    int     n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !pare_buf_reserve(b, (size_t)n)) {
        va_end(again);
        return false;
    }
    vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
    va_end(again);
    b->len += (size_t)n;
    return true;
}

const char *pare_buf_cstr(struct pare_buf *b)
{
    if (!pare_buf_reserve(b, 0)) return NULL;
    b->data[b->len] = 0;
    return (const char *)b->data;
}

char *pare_buf_take(struct pare_buf *b)
{
    char *p;

    if (pare_buf_cstr(b) == NULL) return NULL;
    p = (char *)b->data;
    b->data = NULL;
    b->len = b->cap = 0;
    return p;
}

void pare_buf_free(struct pare_buf *b)
{
    pare_free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

bool pare_arena_init(struct pare_arena *a, size_t size)
{
    memset(a, 0, sizeof *a);
    a->base = pare_aligned(size ? size : 1);
    if (a->base == NULL) return false;
    a->size = size;
    return true;
}

void *pare_arena_alloc(struct pare_arena *a, size_t n)
{
    void  *p;
    size_t need = pare_arena_round(n);

    if (need < n || need > a->size - a->used) return NULL;
    p = a->base + a->used;
    a->used += need;
    if (a->used > a->peak) a->peak = a->used;
    return p;
}

void pare_arena_reset(struct pare_arena *a, size_t to) { a->used = to; }

void pare_arena_free(struct pare_arena *a)
{
    pare_aligned_free(a->base);
    memset(a, 0, sizeof *a);
}
