/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/attn_walk.h: what the parts of the attention walk share: attn_walk.c goes over chunks, pages and segments, attn_page.c
 * scores a page and adds its values, attn_state.c keeps and joins the running states. */
#ifndef PARE_KERNEL_ATTN_WALK_H
#define PARE_KERNEL_ATTN_WALK_H

#include "kernel/gemmq.h"
#include "kernel/vec_tiers.h"

/* The running state of one row: of the chunk in work, and of all chunks before it. */
struct pare_attn_query {
    const struct pare_attn_row *r;
    uint64_t lo, hi;         /* visible positions [lo, hi) */
    float    m, l;           /* running maximum and sum of the chunk */
    float    all_m, all_l;   /* of what was joined; all_l is 0 while there is nothing */
};

struct pare_attn_walk {
    const struct pare_attn     *a;
    const struct pare_vec      *v;
    const struct pare_attn_ops *ops;
    uint32_t n;
    uint64_t lo, hi;             /* positions that some row sees */
    uint64_t k_tile, v_tile;     /* bytes of a tile; v_tile is 0 for floats */
    bool     scale_last;         /* nothing comes between scaling the scores and their maximum: one pass does both */
    struct pare_attn_query *q;   /* [n] */
    float  **out;                /* [n] where the chunk's values are summed */
    float   *spare;              /* [n][wide] for chunks after the first */
    float   *x;                  /* [n][dk] queries side by side */
    float   *s;                  /* [n][PAGE] scores of a page, then probabilities */
    float   *some;               /* [n][PAGE] scores of whole panels of which only some are wanted */
    float   *page;               /* [PAGE][wide] keys or values of a page, decoded */
    uint64_t wide;
    struct pare_qact qx;         /* queries in int8, for quantized keys */
};

/* Positions of segment seg within [lo, hi): the first in *first, their number returned. */
uint32_t pare_attn_cut(const struct pare_kv_seg *seg, uint64_t lo, uint64_t hi, uint64_t *first);

/* Scores of positions [p, p + n) of segment seg, which lie in the page at base, into w->s. */
void pare_attn_scores(const struct pare_attn_walk *w, const struct pare_kv_seg *seg, uint64_t base, uint64_t p, uint32_t n);
/* Adds the values of the same positions, times the probabilities in w->s, to what each row sees of them. */
void pare_attn_values(const struct pare_attn_walk *w, const struct pare_kv_seg *seg, uint64_t base, uint64_t p, uint32_t n);

/* For each row whose bit is set in seen: raises the running maximum to at least m[r], rescales what was summed, and sets sub[r] to what
 * is subtracted from scores. */
void pare_attn_raise(const struct pare_attn_walk *w, uint32_t seen, const float *m, float *sub);
/* Starts a chunk, and puts its state to what was joined before. */
void pare_attn_open_chunk(const struct pare_attn_walk *w);
void pare_attn_close_chunk(const struct pare_attn_walk *w);
/* Result of row r after the last chunk. */
void pare_attn_finish(const struct pare_attn_walk *w, uint32_t r);

#endif
