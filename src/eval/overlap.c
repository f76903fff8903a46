/* SPDX-License-Identifier: Apache-2.0
 * Any passage of `run` bytes holds a whole block of run / 2 bytes that begins at a multiple of run / 2 in a: blocks of a are kept by
 * hash, b is looked at from every byte with a rolling hash, and what is found is stretched to both sides. */
#include "eval/overlap.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"

#define BASE 0x100000001b3u
#define NONE UINT32_MAX

struct table {
    uint32_t *head, *next; /* chains of blocks of a with the same low bits */
    uint64_t *hash;
    uint64_t  mask;
    uint32_t  n;
};

static uint64_t hash_of(const unsigned char *p, uint32_t n)
{
    uint64_t h = 0;

    for (uint32_t i = 0; i < n; i++) h = h * BASE + p[i] + 1;
    return h;
}

static int build(struct table *t, const unsigned char *a, size_t na, uint32_t block, struct pare_diag *diag)
{
    uint64_t size = 16;

    t->n = (uint32_t)(na / block);
    while (size < t->n) size *= 2;
    t->mask = size - 1;
    t->head = pare_alloc_array(size, sizeof *t->head);
    t->next = pare_alloc_array(t->n + 1u, sizeof *t->next);
    t->hash = pare_alloc_array(t->n + 1u, sizeof *t->hash);
    if (t->head == NULL || t->next == NULL || t->hash == NULL) return PARE_NOMEM(diag);
    memset(t->head, 0xff, size * sizeof *t->head);
    for (uint32_t i = 0; i < t->n; i++) {
        uint64_t h = hash_of(a + (uint64_t)i * block, block), at = pare_mix64(h) & t->mask;

        t->hash[i] = h;
        t->next[i] = t->head[at];
        t->head[at] = i;
    }
    return PARE_OK;
}

/* Chains of a text that repeats itself are cut: blocks that say nothing (blanks) may stand thousands of times. */
#define MOST 64

/* The longest passage around b[p, p + block) that also stands in a: its end; *from its begin. 0 when none of them is long enough. */
static size_t stretch(const struct table *t, uint64_t h, const unsigned char *a, size_t na, const unsigned char *b, size_t nb, size_t p,
                      uint32_t block, uint32_t run, size_t *from)
{
    size_t best = 0;
    int    tried = 0;

    for (uint32_t i = t->head[pare_mix64(h) & t->mask]; i != NONE && tried < MOST; i = t->next[i]) {
        size_t x = (size_t)i * block, lo = 0, hi = block;

        if (t->hash[i] != h || memcmp(a + x, b + p, block) != 0) continue;
        tried++;
        while (lo < x && lo < p && a[x - lo - 1] == b[p - lo - 1]) lo++;
        while (x + hi < na && p + hi < nb && a[x + hi] == b[p + hi]) hi++;
        if (lo + hi < run || p + hi <= best) continue;
        best = p + hi;
        *from = p - lo;
    }
    return best;
}

int pare_text_overlap(struct pare_overlap *o, const char *a, size_t na, const char *b, size_t nb, uint32_t run, struct pare_diag *diag)
{
    const unsigned char *ua = (const unsigned char *)a, *ub = (const unsigned char *)b;
    struct table         t = { 0 };
    uint32_t             block = run / 2;
    uint64_t             h, top = 1;
    size_t               covered = 0; /* bytes of b before this are counted */
    int                  rc;

    *o = (struct pare_overlap){ .same = na == nb && na > 0 && memcmp(a, b, na) == 0 };
    PARE_FAIL_IF(diag, run < 8, PARE_E_USAGE, "passages of %u bytes are too short to compare", run);
    PARE_FAIL_IF(diag, na / block >= NONE, PARE_E_LIMIT, "the text is too large to be compared");
    if (na < run || nb < run) return PARE_OK;
    if ((rc = build(&t, ua, na, block, diag)) == PARE_OK) {
        for (uint32_t i = 1; i < block; i++) top *= BASE;
        h = hash_of(ub, block);
        for (size_t p = 0;; p++) {
            size_t from = 0, end = p + block <= covered ? 0 : stretch(&t, h, ua, na, ub, nb, p, block, run, &from);

            if (end > covered) {
                if (o->bytes == 0) o->at = from;
                o->bytes += end - (from > covered ? from : covered);
                covered = end;
            }
            if (p + block >= nb) break;
            h = (h - top * (ub[p] + 1u)) * BASE + ub[p + block] + 1u;
        }
        o->share = (double)o->bytes / (double)nb;
    }
    pare_free(t.head);
    pare_free(t.next);
    pare_free(t.hash);
    return rc;
}
