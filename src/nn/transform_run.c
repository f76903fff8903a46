/* SPDX-License-Identifier: Apache-2.0
 * src/nn/transform_run.c: input transforms on rows: on the inputs of a linear while the model runs, and on weights that are folded. A row
 * goes through all steps before the next one is begun: it stays in the first cache. */
#include <string.h>

#include "base/job.h"
#include "kernel/vec.h"
#include "nn/transform.h"

/* y may be x. */
static void permute(const struct pare_step *s, float *y, const float *x, uint64_t n)
{
    if (y != x) {
        for (uint64_t i = 0; i < n; i++) y[i] = x[s->perm[i]];
        return;
    }
    for (uint64_t i = 0; i < n; i++) { /* in place, cycle by cycle: c <- perm[c] <- .. <- the first */
        uint32_t c = s->cycle[i] & ~PARE_CYCLE_END;
        float    first = y[c];

        for (; !(s->cycle[i] & PARE_CYCLE_END); i++) {
            uint32_t next = s->cycle[i + 1] & ~PARE_CYCLE_END;
            y[c] = y[next];
            c = next;
        }
        y[c] = first;
    }
}

/* The inverse, in place: the cycle's values go the other way. */
static void unpermute(const struct pare_step *s, float *y, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        float    held = y[s->cycle[i] & ~PARE_CYCLE_END];
        uint64_t first = i;

        while (!(s->cycle[i] & PARE_CYCLE_END)) {
            uint32_t next = s->cycle[++i] & ~PARE_CYCLE_END;
            float    was = y[next];
            y[next] = held;
            held = was;
        }
        y[s->cycle[first] & ~PARE_CYCLE_END] = held;
    }
}

static void forward(const struct pare_transform *t, int tier, float *y, const float *x)
{
    const struct pare_vec *vk = pare_vec_for(tier);

    if (t->n_steps == 0 && y != x) memcpy(y, x, t->cols * sizeof *y);
    for (uint32_t i = 0; i < t->n_steps; i++, x = y) {
        const struct pare_step *s = &t->step[i];

        switch (s->kind) {
        case PARE_STEP_SCALE: case PARE_STEP_SIGNS: vk->mul(y, x, s->scale, t->cols); break;
        case PARE_STEP_PERMUTE: permute(s, y, x, t->cols); break;
        case PARE_STEP_HADAMARD: pare_hadamard_run(&s->had, tier, y, x, t->cols, false); break;
        }
    }
}

/* T^-T = S_n^-T .. S_1^-T: orthogonal steps are their own inverse transpose. */
static void fold(const struct pare_transform *t, int tier, float *w)
{
    for (uint32_t i = 0; i < t->n_steps; i++) {
        const struct pare_step *s = &t->step[i];

        switch (s->kind) {
        case PARE_STEP_SCALE: for (uint64_t c = 0; c < t->cols; c++) w[c] /= s->scale[c]; break;
        case PARE_STEP_SIGNS: pare_vec_for(tier)->mul(w, w, s->scale, t->cols); break;
        case PARE_STEP_PERMUTE: permute(s, w, w, t->cols); break;
        case PARE_STEP_HADAMARD: pare_hadamard_run(&s->had, tier, w, w, t->cols, false); break;
        }
    }
}

static void unfold(const struct pare_transform *t, int tier, float *w)
{
    for (uint32_t i = t->n_steps; i-- > 0;) {
        const struct pare_step *s = &t->step[i];

        switch (s->kind) {
        case PARE_STEP_SCALE: case PARE_STEP_SIGNS: pare_vec_for(tier)->mul(w, w, s->scale, t->cols); break;
        case PARE_STEP_PERMUTE: unpermute(s, w, t->cols); break;
        case PARE_STEP_HADAMARD: pare_hadamard_run(&s->had, tier, w, w, t->cols, true); break;
        }
    }
}

struct rows_job {
    const struct pare_transform *t;
    enum { FORWARD, FOLD, UNFOLD } what;
    int          tier;
    float       *y;
    const float *x;
    uint64_t     ldy, ldx, n, each;
};

static void rows_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    const struct rows_job *j = ctx;
    uint64_t               to = (chunk + 1) * j->each < j->n ? (chunk + 1) * j->each : j->n;

    (void)worker;
    for (uint64_t r = chunk * j->each; r < to; r++) {
        if (j->what == FORWARD) forward(j->t, j->tier, j->y + r * j->ldy, j->x + r * j->ldx);
        else (j->what == FOLD ? fold : unfold)(j->t, j->tier, j->y + r * j->ldy);
    }
}

static void run(struct rows_job *j, struct pare_job *job)
{
    j->tier = job != NULL ? job->tier : pare_cpu_best_tier();
    j->each = j->n <= 4 ? j->n : j->n > (1u << 20) ? j->n >> 18 : 4; /* few rows: waking the team costs more than the work */
    if (j->n != 0) pare_team_run(job != NULL ? job->team : NULL, (uint32_t)((j->n + j->each - 1) / j->each), rows_chunk, j);
}

void pare_transform_input(const struct pare_input *in, float *dst, uint64_t ld_dst, const float *x, uint64_t ldx, uint32_t n, struct pare_job *job)
{
    struct rows_job j = { .t = in->ctx, .what = FORWARD, .y = dst, .x = x, .ldy = ld_dst, .ldx = ldx, .n = n };

    run(&j, job);
}

void pare_transform_rows(const struct pare_transform *t, float *x, uint64_t ld, uint64_t n, struct pare_job *job)
{
    struct rows_job j = { .t = t, .what = FORWARD, .y = x, .x = x, .ldy = ld, .ldx = ld, .n = n };

    run(&j, job);
}

void pare_transform_fold(const struct pare_transform *t, float *w, uint64_t ld, uint64_t n, struct pare_job *job)
{
    struct rows_job j = { .t = t, .what = FOLD, .y = w, .ldy = ld, .n = n };

    run(&j, job);
}

void pare_transform_unfold(const struct pare_transform *t, float *w, uint64_t ld, uint64_t n, struct pare_job *job)
{
    struct rows_job j = { .t = t, .what = UNFOLD, .y = w, .ldy = ld, .n = n };

    run(&j, job);
}
