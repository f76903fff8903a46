/* SPDX-License-Identifier: Apache-2.0
 * src/nn/transform.c: chains of input transforms: how they are made. What they do to rows is in transform_run.c. */
#include "nn/transform.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"

static void free_step(struct pare_step *s)
{
    pare_free(s->scale);
    pare_free(s->perm);
    pare_free(s->cycle);
    pare_hadamard_free(&s->had);
    memset(s, 0, sizeof *s);
}

int pare_transform_create(struct pare_transform **out, uint64_t cols, struct pare_diag *diag)
{
    struct pare_transform *t;

    *out = NULL;
    PARE_FAIL_IF(diag, cols == 0 || cols >= PARE_CYCLE_END, PARE_E_LIMIT, "a transform of %llu channels", (unsigned long long)cols);
    t = pare_zalloc(1, sizeof *t);
    if (t == NULL) return PARE_NOMEM(diag);
    t->cols = cols;
    t->input = (struct pare_input){ pare_transform_input, cols, t };
    *out = t;
    return PARE_OK;
}

void pare_transform_destroy(struct pare_transform **t)
{
    if (t == NULL || *t == NULL) return;
    for (uint32_t i = 0; i < (*t)->n_steps; i++) free_step(&(*t)->step[i]);
    pare_free(*t);
    *t = NULL;
}

static int new_step(struct pare_transform *t, enum pare_step_kind kind, struct pare_step **s, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, t->n_steps == PARE_MAX_STEPS, PARE_E_LIMIT, "a transform has more than %d steps", PARE_MAX_STEPS);
    *s = &t->step[t->n_steps];
    memset(*s, 0, sizeof **s);
    (*s)->kind = kind;
    return PARE_OK;
}

int pare_transform_scale(struct pare_transform *t, const float *scale, struct pare_diag *diag)
{
    struct pare_step *s = NULL;

    for (uint64_t i = 0; i < t->cols; i++) /* the reciprocal must be finite too: weights are divided by it */
        PARE_FAIL_IF(diag, !isfinite(scale[i]) || !isfinite(1.0f / scale[i]), PARE_E_CORRUPT, "scale %llu of an input transform is %g",
                     (unsigned long long)i, (double)scale[i]);
    PARE_FORWARD(new_step(t, PARE_STEP_SCALE, &s, diag));
    s->scale = pare_alloc_array(t->cols, sizeof *s->scale);
    if (s->scale == NULL) return PARE_NOMEM(diag);
    memcpy(s->scale, scale, t->cols * sizeof *scale);
    t->n_steps++;
    return PARE_OK;
}

/* Cycles of the map i <- perm[i], each from its lowest channel on. seen: a byte a channel, zero. */
static void make_cycles(uint32_t *cycle, const uint32_t *perm, uint8_t *seen, uint64_t n)
{
    uint64_t k = 0;

    for (uint64_t i = 0; i < n; i++) {
        if (seen[i]) continue;
        for (uint64_t c = i; !seen[c]; c = perm[c]) {
            seen[c] = 1;
            cycle[k++] = (uint32_t)c;
        }
        cycle[k - 1] |= PARE_CYCLE_END;
    }
}

int pare_transform_permute(struct pare_transform *t, const uint32_t *perm, struct pare_diag *diag)
{
    uint8_t          *seen = pare_zalloc(t->cols, 1);
    struct pare_step *s = NULL;
    int               rc = seen == NULL ? PARE_NOMEM(diag) : new_step(t, PARE_STEP_PERMUTE, &s, diag);

    for (uint64_t i = 0; i < t->cols && rc == PARE_OK; i++) {
        if (perm[i] >= t->cols || seen[perm[i]])
            rc = PARE_ERR(diag, PARE_E_CORRUPT, "a permutation names channel %u %s", perm[i], perm[i] >= t->cols ? "of too few" : "twice");
        else seen[perm[i]] = 1;
    }
    if (rc == PARE_OK) {
        s->perm = pare_alloc_array(t->cols, sizeof *s->perm);
        s->cycle = pare_alloc_array(t->cols, sizeof *s->cycle);
        if (s->perm == NULL || s->cycle == NULL) {
            free_step(s);
            rc = PARE_NOMEM(diag);
        }
    }
    if (rc == PARE_OK) {
        memcpy(s->perm, perm, t->cols * sizeof *perm);
        memset(seen, 0, t->cols);
        make_cycles(s->cycle, perm, seen, t->cols);
        t->n_steps++;
    }
    pare_free(seen);
    return rc;
}

int pare_transform_signs(struct pare_transform *t, const uint8_t *bits, struct pare_diag *diag)
{
    struct pare_step *s = NULL;

    PARE_FORWARD(new_step(t, PARE_STEP_SIGNS, &s, diag));
    s->scale = pare_alloc_array(t->cols, sizeof *s->scale);
    if (s->scale == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < t->cols; i++) s->scale[i] = (bits[i / 8] >> (i % 8) & 1) != 0 ? -1.0f : 1.0f;
    t->n_steps++;
    return PARE_OK;
}

int pare_transform_random_signs(struct pare_transform *t, uint64_t seed, struct pare_diag *diag)
{
    uint8_t *bits = pare_zalloc((t->cols + 7) / 8, 1);
    int      rc;

    if (bits == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < t->cols; i++) bits[i / 8] |= (uint8_t)((pare_rng_u64(seed, PARE_RNG_NOISE, i) >> 63) << (i % 8));
    rc = pare_transform_signs(t, bits, diag);
    pare_free(bits);
    return rc;
}

int pare_transform_hadamard(struct pare_transform *t, uint64_t block, struct pare_diag *diag)
{
    struct pare_step *s = NULL;

    if (block == 0) block = pare_hadamard_fits(t->cols) ? t->cols : pare_hadamard_block(t->cols);
    PARE_FAIL_IF(diag, t->cols % block != 0, PARE_E_UNSUPPORTED, "Hadamard blocks of %llu do not divide %llu channels", (unsigned long long)block,
                 (unsigned long long)t->cols);
    PARE_FORWARD(new_step(t, PARE_STEP_HADAMARD, &s, diag));
    PARE_FORWARD(pare_hadamard_init(&s->had, block, diag));
    t->n_steps++;
    return PARE_OK;
}

static int copy_signs(struct pare_transform *t, const float *sign, struct pare_diag *diag)
{
    struct pare_step *s = NULL;

    PARE_FORWARD(new_step(t, PARE_STEP_SIGNS, &s, diag));
    s->scale = pare_alloc_array(t->cols, sizeof *s->scale);
    if (s->scale == NULL) return PARE_NOMEM(diag);
    memcpy(s->scale, sign, t->cols * sizeof *sign);
    t->n_steps++;
    return PARE_OK;
}

int pare_transform_copy(struct pare_transform **out, const struct pare_transform *t, struct pare_diag *diag)
{
    int rc = pare_transform_create(out, t->cols, diag);

    for (uint32_t i = 0; i < t->n_steps && rc == PARE_OK; i++) {
        const struct pare_step *s = &t->step[i];
        switch (s->kind) {
        case PARE_STEP_SCALE: rc = pare_transform_scale(*out, s->scale, diag); break;
        case PARE_STEP_PERMUTE: rc = pare_transform_permute(*out, s->perm, diag); break;
        case PARE_STEP_SIGNS: rc = copy_signs(*out, s->scale, diag); break;
        case PARE_STEP_HADAMARD: rc = pare_transform_hadamard(*out, s->had.n, diag); break;
        }
    }
    if (rc < 0) pare_transform_destroy(out);
    return rc;
}

bool pare_transform_same(const struct pare_transform *a, const struct pare_transform *b)
{
    if (a->cols != b->cols || a->n_steps != b->n_steps) return false;
    for (uint32_t i = 0; i < a->n_steps; i++) {
        const struct pare_step *s = &a->step[i], *r = &b->step[i];

        if (s->kind != r->kind || s->had.n != r->had.n) return false;
        if (s->scale != NULL && memcmp(s->scale, r->scale, a->cols * sizeof *s->scale) != 0) return false;
        if (s->perm != NULL && memcmp(s->perm, r->perm, a->cols * sizeof *s->perm) != 0) return false;
    }
    return true;
}

uint64_t pare_step_bytes(enum pare_step_kind kind, uint64_t cols, uint64_t block)
{
    uint64_t k;

    switch (kind) {
    case PARE_STEP_SCALE: case PARE_STEP_SIGNS: return cols * sizeof(float);
    case PARE_STEP_PERMUTE: return 2 * cols * sizeof(uint32_t);
    case PARE_STEP_HADAMARD: break;
    }
    k = pare_hadamard_order(block);
    return k > 1 ? 2 * k * k * sizeof(float) : 0;
}

uint64_t pare_transform_bytes(const struct pare_transform *t)
{
    uint64_t sum = sizeof *t;

    for (uint32_t i = 0; i < t->n_steps; i++) sum += pare_step_bytes(t->step[i].kind, t->cols, t->step[i].had.n);
    return sum;
}
