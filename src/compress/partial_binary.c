/* SPDX-License-Identifier: Apache-2.0
 * src/compress/partial_binary.c: which weights are salient, and the column loop. Sixteen rows go through the columns together; a run takes
 * what earlier columns fed back by one matrix product, whose recipe is the same in every tier (kernel/vec.h). */
#include "compress/partial_binary.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/status.h"
#include "compress/method.h"
#include "kernel/vec.h"

enum { LANES = 16, RUN = 128 };

static float f16(float x) { return pare_f16_to_f32(pare_f32_to_f16(x)); }

static int check(const float *w, uint64_t rows, uint64_t cols, struct pare_diag *diag)
{
    for (uint64_t i = 0; i < rows * cols; i++)
        PARE_FAIL_IF(diag, !(fabsf(w[i]) <= 60000.0f), PARE_E_CORRUPT, "row %llu, column %llu is not a number that a half holds",
                     (unsigned long long)(i / cols), (unsigned long long)(i % cols));
    return PARE_OK;
}

/* The want-th largest of n different keys, 0 < want <= n; key is put in another order. */
static uint64_t nth_largest(uint64_t *key, uint64_t n, uint64_t want)
{
    uint64_t lo = 0, hi = n - 1;

    while (lo < hi) { /* Hoare's selection with the middle key: rows of scores are in no particular order */
        uint64_t pivot = key[lo + (hi - lo) / 2], i = lo, j = hi;

        for (;;) {
            uint64_t t;

            while (key[i] > pivot) i++;
            while (key[j] < pivot) j--;
            if (i >= j) break;
            t = key[i];
            key[i++] = key[j];
            key[j--] = t;
        }
        if (want - 1 <= j) hi = j;
        else lo = j + 1;
    }
    return key[want - 1];
}

/* Score above, place below: all keys differ, and of equal scores the first comes first. The bits of floats that are not negative order as
 * the floats do. */
static uint64_t key_of(float v, const float *weight, uint64_t c, uint64_t place)
{
    return (uint64_t)pare_f32_bits(weight != NULL ? v * v * weight[c] : fabsf(v)) << 32 | (uint32_t)~place;
}

/* Marks the share of the run's columns [c0, c1) with the largest scores. key: [rows * run]. */
static void mark_run(struct pare_partial *p, uint64_t *key, const float *w, const float *weight, double share, uint64_t c0, uint64_t c1)
{
    uint64_t n = (c1 - c0) * p->rows, want = (uint64_t)(share * (double)n + 0.5), least, i = 0;

    if (want == 0) return;
    for (uint64_t r = 0; r < p->rows; r++)
        for (uint64_t c = c0; c < c1; c++, i++) key[i] = key_of(w[r * p->cols + c], weight, c, i);
    least = nth_largest(key, n, want);
    i = 0;
    for (uint64_t r = 0; r < p->rows; r++)
        for (uint64_t c = c0; c < c1; c++, i++) p->salient[r * p->cols + c] = key_of(w[r * p->cols + c], weight, c, i) >= least;
    p->n_salient += want;
}

static int mark(struct pare_partial *p, const float *w, const float *weight, double share, struct pare_diag *diag)
{
    uint64_t *key;

    PARE_FAIL_IF(diag, p->rows * p->run > UINT32_MAX, PARE_E_LIMIT, "%llu rows are too many", (unsigned long long)p->rows);
    key = pare_alloc_array(p->rows * p->run, sizeof *key);
    if (key == NULL) return PARE_NOMEM(diag);
    for (uint64_t c = 0; c < p->cols; c += p->run) mark_run(p, key, w, weight, share, c, c + p->run < p->cols ? c + p->run : p->cols);
    pare_free(key);
    return PARE_OK;
}

static void row_scales(struct pare_partial *p, const float *w)
{
    for (uint64_t r = 0; r < p->rows; r++) {
        float top = 0;

        for (uint64_t c = 0; c < p->cols; c++)
            if (p->salient[r * p->cols + c] && fabsf(w[r * p->cols + c]) > top) top = fabsf(w[r * p->cols + c]);
        p->scale[r] = f16(top / 127.0f);
    }
}

/* Mean and mean distance of the binary weights of a run: t are the weights as they stand now. */
static void binary_scales(float *mu, float *alpha, const float *t, const uint8_t *salient, uint64_t n)
{
    double sum = 0, dist = 0;
    uint64_t count = 0;

    for (uint64_t c = 0; c < n; c++)
        if (!salient[c]) sum += (double)t[c], count++;
    *mu = count > 0 ? f16((float)(sum / (double)count)) : 0;
    for (uint64_t c = 0; c < n; c++)
        if (!salient[c]) dist += fabs((double)t[c] - (double)*mu);
    *alpha = count > 0 ? f16((float)(dist / (double)count)) : 0;
}

static float round_one(struct pare_partial *p, uint64_t r, uint64_t c, float t)
{
    uint64_t at = r * p->cols + c, run = r * p->n_runs + c / p->run;
    float s = p->scale[r], v;

    if (!p->salient[at]) {
        p->code[at] = t >= p->mu[run] ? 1 : -1;
        return p->mu[run] + (float)p->code[at] * p->alpha[run];
    }
    v = s > 0 ? t / s : 0;
    v = v < -127.0f ? -127.0f : v > 127.0f ? 127.0f : v;
    p->code[at] = (int8_t)((v + 12582912.0f) - 12582912.0f);
    return (float)p->code[at] * s;
}

struct lanes {
    const float *w;  /* [16][cols] */
    float *err;      /* [16][cols] original minus rounded */
    float *fed;      /* [16][run] the weights with what earlier runs fed back */
    float *now;      /* [run] of one row, with this run's feedback too */
};

/* The weight at c as its turn sees it: run holds what came from before c0, err what the columns from c0 on add. */
static float fed(const struct pare_feedback *f, const float *err, float run, uint64_t c0, uint64_t c)
{
    if (f != NULL)
        for (uint64_t j = c0; j < c; j++) run += err[j] * f->ut[c * f->n + j];
    return run;
}

/* Columns [c0, c1) of n rows from row0 on, one run. f NULL: no feedback. */
static void round_run(struct pare_partial *p, const struct pare_feedback *f, const struct pare_vec *vk, struct lanes *l, uint64_t row0, uint32_t n,
                      uint64_t c0, uint64_t c1)
{
    uint64_t cols = p->cols, width = c1 - c0;

    memset(l->fed, 0, LANES * (uint64_t)p->run * sizeof *l->fed);
    if (f != NULL && c0 > 0) vk->gemm_f32(l->fed, p->run, f->ut + c0 * cols, cols * sizeof(float), l->err, cols, c0, 0, width, n);
    for (uint32_t i = 0; i < n; i++) {
        float *t = l->fed + i * (uint64_t)p->run, *err = l->err + i * cols;
        const float *w = l->w + i * cols;
        uint64_t r = row0 + i, run = r * p->n_runs + c0 / p->run;

        /* Errors are counted from the original weights, so what a column becomes hangs on all between: scales come from a pass in which
         * this run's columns are not rounded. */
        for (uint64_t c = c0; c < c1; c++) {
            t[c - c0] += w[c];
            l->now[c - c0] = fed(f, err, t[c - c0], c0, c);
            err[c] = w[c] - l->now[c - c0];
        }
        binary_scales(&p->mu[run], &p->alpha[run], l->now, p->salient + r * cols + c0, width);
        for (uint64_t c = c0; c < c1; c++) err[c] = w[c] - round_one(p, r, c, fed(f, err, t[c - c0], c0, c));
    }
}

static int round_all(struct pare_partial *p, const float *w, const struct pare_feedback *f, const struct pare_vec *vk, struct pare_diag *diag)
{
    struct lanes l = { .err = pare_alloc_array(LANES * p->cols, sizeof(float)), .fed = pare_alloc_array(LANES * (uint64_t)p->run, sizeof(float)),
                       .now = pare_alloc_array(p->run, sizeof(float)) };
    int rc = l.err == NULL || l.fed == NULL || l.now == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint64_t r = 0; r < p->rows && rc == PARE_OK; r += LANES) {
        uint32_t n = p->rows - r < LANES ? (uint32_t)(p->rows - r) : LANES;

        l.w = w + r * p->cols;
        for (uint64_t c = 0; c < p->cols; c += p->run) round_run(p, f, vk, &l, r, n, c, c + p->run < p->cols ? c + p->run : p->cols);
    }
    pare_free(l.err);
    pare_free(l.fed);
    pare_free(l.now);
    return rc;
}

int pare_partial_shape(struct pare_partial *p, uint64_t rows, uint64_t cols, uint32_t run, struct pare_diag *diag)
{
    uint64_t cells;

    if (run == 0) run = RUN;
    if (run > cols) run = (uint32_t)cols;
    PARE_FAIL_IF(diag, rows == 0 || cols == 0 || !pare_mul_u64(rows, cols, &cells), PARE_E_USAGE, "a matrix without rows or columns");
    *p = (struct pare_partial){ .rows = rows, .cols = cols, .run = run, .n_runs = (uint32_t)(cols / run + (cols % run != 0)) };
    p->salient = pare_zalloc(cells, 1);
    p->code = pare_zalloc(cells, 1);
    p->mu = pare_zalloc(rows * p->n_runs, sizeof(float));
    p->alpha = pare_zalloc(rows * p->n_runs, sizeof(float));
    p->scale = pare_zalloc(rows, sizeof(float));
    if (p->salient != NULL && p->code != NULL && p->mu != NULL && p->alpha != NULL && p->scale != NULL) return PARE_OK;
    pare_partial_free(p);
    return PARE_NOMEM(diag);
}

int pare_partial_create(struct pare_partial *p, const float *w, uint64_t rows, uint64_t cols, const struct pare_feedback *f,
                        const struct pare_partial_settings *s, struct pare_job *job, struct pare_diag *diag)
{
    int rc;

    memset(p, 0, sizeof *p);
    PARE_FAIL_IF(diag, !(s->share >= 0 && s->share <= 1) || (f != NULL && (f->n != cols || f->order != NULL)), PARE_E_USAGE,
                 "a share of %g salient weights, or feedback of another matrix", s->share);
    PARE_FORWARD(check(w, rows, cols, diag));
    PARE_FORWARD(pare_partial_shape(p, rows, cols, s->run, diag));
    rc = mark(p, w, f != NULL && !s->by_size ? f->importance : NULL, s->share, diag);
    if (rc == PARE_OK) {
        row_scales(p, w);
        rc = round_all(p, w, s->no_feedback ? NULL : f, pare_vec_for(job->tier), diag);
    }
    if (rc < 0) pare_partial_free(p);
    return rc;
}

void pare_partial_free(struct pare_partial *p)
{
    pare_free(p->salient);
    pare_free(p->code);
    pare_free(p->mu);
    pare_free(p->alpha);
    pare_free(p->scale);
    memset(p, 0, sizeof *p);
}

void pare_partial_decode(const struct pare_partial *p, float *w)
{
    for (uint64_t r = 0; r < p->rows; r++)
        for (uint64_t c = 0; c < p->cols; c++) {
            uint64_t at = r * p->cols + c, run = r * p->n_runs + c / p->run;

            w[at] = p->salient[at] ? (float)p->code[at] * p->scale[r] : p->mu[run] + (float)p->code[at] * p->alpha[run];
        }
}

static const struct pare_method_option partial_options[] = {
    { "share", "number", "0 .. 1", "0.1", "share of weights that keep 8 bits; 1: all of them" },
    { "run", "int", "1 .. columns", "128", "columns that compete for it and share the binary scales" },
    { "by_size", "bool", "", "false", "score |w| instead of w^2 / [H^-1]" },
};
const struct pare_method pare_method_pb_llm = {
    .id = "pb-llm", .module = "compress/partial_binary", .title = "Salient weights in 8 bits, all others one bit each, with error feedback.",
    .source = "PB-LLM, arXiv 2310.00034", .stage = PARE_STAGE_ROUND, .guarantee = "bounded",
    .neutral = "share 1: the 8-bit matrix exactly", .tested = "tests/method/test_pb_llm.c",
    .acceptance = "a tenth salient: perplexity at most a fifth of plain binarization's, lower than rounding to nearest with the same mask, falling with the share; the "
                  "column loop equals the textbook's; product equals the decoded one to 1e-4; signs and values take at most 1.8 bits a weight",
    .measured = "demo-llama, original 195: perplexity 260 at 0.10 (round to nearest 312, plain binary 1489, binary with feedback 493), 299, 221, 207 at 0.05, 0.20, "
                "0.30; by |w| 243; 1.70 bits of codes, 0.48 of mask, 2.48 in all. SmolLM2-135M, original 42: 1.0e5 at 0.10 (round to nearest 4.0e5, plain binary "
                "2.7e6), 1.3e6, 2543, 352 at 0.05, 0.20, 0.30; by |w| 3.3e5",
    PARE_OPTIONS(partial_options),
};
