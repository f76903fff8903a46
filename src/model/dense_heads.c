/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_heads.c: how the attention of a layer is cut into jobs. A job is a run of rows (consecutive positions of one
 * session) times some heads of a group, as many as one call takes; where that gives few jobs and the context is long, times one chunk
 * of the context. Heads are outside: what the runs of a session read of one head stays in the second cache. Only speed depends on it. */
#include <string.h>

#include "base/job.h"
#include "model/dense.h"

struct attend {
    const struct pare_dense_run       *r;
    const struct pare_dense_layer_cfg *lc;
    uint32_t n_runs, run_rows; /* rows of a run at most */
    uint32_t heads, parts;     /* heads of a job, jobs of a group */
    uint32_t chunk0, chunks;   /* chunks worked on apart; chunks is 0 when a job goes over the whole context */
};

/* The first position that the query at pos sees. */
static uint32_t first_seen(const struct attend *t, uint32_t pos)
{
    return t->lc->window != 0 && pos >= t->lc->window ? pos - t->lc->window + 1 : 0;
}

static float *part_of(const struct attend *t, uint32_t i, uint32_t h, uint32_t chunk)
{
    const struct pare_dense_cfg *c = &t->r->d->c;

    return t->r->w->part + (((uint64_t)i * t->lc->n_head + h) * t->chunks + chunk) * (2 + c->dv);
}

static struct pare_attn_row row_of(const struct attend *t, uint32_t i, uint32_t h)
{
    const struct pare_dense_run *r = t->r;
    const struct pare_dense_cfg *c = &r->d->c;

    return (struct pare_attn_row){ .q = r->w->qkv + (uint64_t)i * pare_dense_qkv_width(r) + (uint64_t)h * c->dk,
                                   .out = r->w->att + ((uint64_t)i * t->lc->n_head + h) * c->dv, .pos = r->b->pos[i],
                                   .alibi_slope = r->d->slope != NULL ? r->d->slope[h] : 0.0f };
}

static void attend_job(void *ctx, uint32_t job, uint32_t worker)
{
    const struct attend         *t = ctx;
    const struct pare_dense_run *r = t->r;
    const struct pare_dense_cfg *c = &r->d->c;
    const uint32_t               chunk = t->chunks != 0 ? job % t->chunks : 0, rest = t->chunks != 0 ? job / t->chunks : job;
    uint32_t                     per_head = t->n_runs * t->parts, kv_head = rest / per_head, run = rest % per_head / t->parts;
    uint32_t                     group = t->lc->n_head / t->lc->n_head_kv, h0 = kv_head * group + rest % t->parts * t->heads;
    uint32_t                     h1 = h0 + t->heads < (kv_head + 1) * group ? h0 + t->heads : (kv_head + 1) * group, n = 0;
    uint32_t                     i0 = r->w->run[run], i1 = run + 1 < t->n_runs ? r->w->run[run + 1] : r->n;
    uint32_t                     from = first_seen(t, r->b->pos[i0]), to = r->b->pos[i1 - 1] + 1;
    const struct pare_kv_cache  *kv = r->b->session[i0]->kv;
    struct pare_kv_seg          *seg = r->w->seg + (uint64_t)worker * r->w->max_seg;
    struct pare_attn_row         row[PARE_ATTN_ROWS];
    struct pare_attn             a;

    if (t->chunks != 0) {
        uint32_t start = (t->chunk0 + chunk) * PARE_ATTN_CHUNK;

        if (from < start) from = start;
        if (to > start + PARE_ATTN_CHUNK) to = start + PARE_ATTN_CHUNK;
    }
    memset(&a, 0, sizeof a);
    a.seg = seg;
    a.n_seg = pare_kv_segments(kv, r->u->index, kv_head, from, to, seg, r->w->max_seg);
    a.k_type = a.v_type = pare_kv_type(kv);
    a.mm = pare_gemmq_for(pare_job_tier(r->job));
    a.dk = c->dk;
    a.dv = c->dv;
    a.window = t->lc->window;
    a.causal = true;
    a.scale = t->lc->scale;
    a.softcap = c->softcap;
    a.alibi_bf16 = r->d->slope != NULL && c->t.alibi_bf16;
    for (uint32_t i = i0; i < i1; i++)
        for (uint32_t h = h0; h < h1; h++) {
            row[n] = row_of(t, i, h);
            if (t->chunks != 0) row[n].part = part_of(t, i, h, chunk);
            n++;
        }
    r->vk->attention_rows(row, n, &a, r->w->attn_scratch + worker * r->w->attn_stride);
}

/* Below about this many multiply-adds a second thread comes too late to help (waking it costs some microseconds). */
#define ALONE (1u << 17)
#define JOBS_A_THREAD 6 /* enough that a thread which lost its core is not waited for long */

static void find_runs(struct attend *t)
{
    const struct pare_batch *b = t->r->b;
    uint32_t                *run = t->r->w->run;

    t->n_runs = 0;
    for (uint32_t i = 0; i < t->r->n; i++) {
        bool goes_on = i > 0 && b->session[i] == b->session[i - 1] && b->pos[i] == b->pos[i - 1] + 1;

        if (!goes_on || i - run[t->n_runs - 1] == t->run_rows) run[t->n_runs++] = i;
    }
}

/* Keys that all rows look at; *chunk0 and *chunks cover them. */
static uint64_t count_keys(struct attend *t, uint32_t *chunks)
{
    uint64_t keys = 0;
    uint32_t lo = UINT32_MAX, hi = 0;

    for (uint32_t i = 0; i < t->r->n; i++) {
        uint32_t pos = t->r->b->pos[i], from = first_seen(t, pos);

        keys += pos + 1 - from;
        if (from < lo) lo = from;
        if (pos > hi) hi = pos;
    }
    t->chunk0 = lo / PARE_ATTN_CHUNK;
    *chunks = hi / PARE_ATTN_CHUNK - t->chunk0 + 1;
    return keys;
}

static void join(const struct attend *t)
{
    const struct pare_dense_run *r = t->r;
    const struct pare_dense_cfg *c = &r->d->c;

    for (uint32_t i = 0; i < r->n; i++)
        for (uint32_t h = 0; h < t->lc->n_head; h++) {
            struct pare_attn_row row = row_of(t, i, h);

            r->vk->attention_join(&row, c->dv, part_of(t, i, h, 0), 2 + c->dv, t->chunks);
        }
}

void pare_dense_heads(const struct pare_dense_run *r)
{
    const struct pare_dense_cfg *c = &r->d->c;
    const struct pare_dense_layer_cfg *lc = pare_dense_layer_of(r);
    uint32_t                     threads = pare_job_threads(r->job), group = lc->n_head / lc->n_head_kv, chunks, jobs;
    struct attend                t = { .r = r, .lc = lc, .heads = group < PARE_ATTN_ROWS ? group : PARE_ATTN_ROWS };
    uint64_t                     keys = count_keys(&t, &chunks);
    bool                         alone = threads == 1 || keys * lc->n_head * (c->dk + c->dv) <= ALONE;

    if (!alone && chunks > 1 && (uint64_t)r->n * chunks <= r->w->max_part && r->n * lc->n_head_kv < JOBS_A_THREAD * threads) t.chunks = chunks;
    while (t.chunks == 0 && t.heads > 1 && r->n * (lc->n_head / t.heads) < threads) t.heads = (t.heads + 1) / 2;
    t.parts = (group + t.heads - 1) / t.heads;
    t.run_rows = PARE_ATTN_ROWS / t.heads;
    find_runs(&t);
    jobs = t.n_runs * lc->n_head_kv * t.parts * (t.chunks != 0 ? t.chunks : 1);
    if (alone)
        for (uint32_t i = 0; i < jobs; i++) attend_job(&t, i, 0);
    else
        pare_team_run(r->job->team, jobs, attend_job, &t);
    if (t.chunks != 0) join(&t);
}
