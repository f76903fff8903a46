/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_linear.c: composite linears against sums in f64, and the promise that threads, batch, tier and grouping change
 * no bit. */
#include "fixture.h"

#include <math.h>

#include "base/rng.h"
#include "nn/linear.h"

#define ROWS 331 /* not a multiple of a panel or a tile */
#define COLS 256
#define MAXT 130

static float   w[ROWS * COLS], x[MAXT * COLS], bias[ROWS];
static uint8_t rows_of[PARE_TYPE_COUNT][ROWS * COLS * 4];

static struct pare_job *job_of(uint32_t threads, int tier)
{
    struct pare_job_settings s;
    struct pare_job *j;

    pare_job_settings_default(&s);
    s.n_threads = threads;
    s.max_tier = tier;
    assert_int_equal(pare_job_create(&j, &s, NULL), 0);
    return j;
}

static int setup(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < ROWS * COLS; i++) w[i] = pare_rng_normal(1, PARE_RNG_TEST, i) * 0.05f;
    for (uint64_t i = 0; i < MAXT * COLS; i++) x[i] = pare_rng_normal(2, PARE_RNG_TEST, i);
    for (uint64_t i = 0; i < ROWS; i++) bias[i] = pare_rng_normal(3, PARE_RNG_TEST, i);
    return 0;
}

/* The matrix in a storage type, encoded once; returns the row stride. */
static uint64_t encoded(enum pare_type type, const uint8_t **rows)
{
    const struct pare_dtype *t = pare_dtype_of(type);
    uint64_t bytes = 0;

    assert_true(pare_dtype_row_bytes(t, COLS, &bytes));
    for (uint64_t r = 0; r < ROWS; r++) t->encode(rows_of[type] + r * bytes, w + r * COLS, COLS, NULL);
    *rows = rows_of[type];
    return bytes;
}

static void bind(struct pare_linear *l, enum pare_type type, enum pare_act_mode mode, bool with_bias, struct pare_job *job)
{
    const uint8_t *rows;
    uint64_t       stride = encoded(type, &rows);

    assert_int_equal(pare_linear_bind(l, pare_dtype_of(type), rows, stride, ROWS, COLS, mode, job, NULL), 0);
    if (with_bias) l->bias = bias;
}

/* y[n][ROWS] of one linear, scratch of exactly the promised size. */
static float *apply(const struct pare_linear *l, uint32_t n, struct pare_job *job)
{
    float *y = malloc((size_t)n * ROWS * sizeof *y + 4);
    void  *scratch = malloc(pare_linear_scratch(n, COLS, pare_job_threads(job), false));
    struct pare_linear_out out = { l, y, ROWS };

    pare_linear_apply(&out, 1, x, COLS, n, scratch, job);
    free(scratch);
    return y;
}

/* What the activations become, by the header's recipe. */
static void rounded_row(double *out, const float *row)
{
    for (int b = 0; b < COLS; b += 32) {
        float amax = 0;

        for (int i = 0; i < 32; i++) amax = fmaxf(amax, fabsf(row[b + i]));
        for (int i = 0; i < 32; i++) out[b + i] = amax == 0 ? 0 : (double)(amax / 127.0f) * nearbyint((double)(row[b + i] * (127.0f / amax)));
    }
}

static void right(void **state)
{
    static const enum pare_type types[] = { PARE_F32, PARE_F16, PARE_BF16, PARE_Q8_0, PARE_Q4_0, PARE_Q4_K, PARE_Q6_K };
    struct pare_job *job = job_of(2, -1);
    float  row[COLS];
    double xr[COLS];

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        for (int mode = 0; mode < 2; mode++) {
            struct pare_linear l = { 0 };
            const struct pare_dtype *t = pare_dtype_of(types[i]);
            bool   int8 = mode == PARE_ACT_INT8 && (t->caps & PARE_DT_QUANT);
            float *y;

            bind(&l, types[i], (enum pare_act_mode)mode, true, job);
            assert_int_equal(l.part[0].kind, int8 ? PARE_PART_PACKED : t->caps & PARE_DT_QUANT ? PARE_PART_DECODED : PARE_PART_FLOAT);
            y = apply(&l, 5, job);
            for (int tok = 0; tok < 5; tok++) {
                if (int8) rounded_row(xr, x + tok * COLS);
                else for (int c = 0; c < COLS; c++) xr[c] = x[tok * COLS + c];
                for (uint64_t r = 0; r < ROWS; r++) {
                    double s = bias[r];
                    uint64_t bytes;

                    pare_dtype_row_bytes(t, COLS, &bytes);
                    t->decode(row, rows_of[types[i]] + r * bytes, COLS);
                    for (int c = 0; c < COLS; c++) s += row[c] * xr[c];
                    if (!(fabs(y[(uint64_t)tok * ROWS + r] - s) < 1e-5)) fail_msg("%s mode %d row %d: %g, want %g", t->name, mode, (int)r, (double)y[(uint64_t)tok * ROWS + r], s);
                }
            }
            free(y);
            l.bias = NULL;
            pare_linear_free(&l);
        }
    pare_job_destroy(&job);
}

/* Three parts: a float one, a packed one, a decoded one. */
static void composite(struct pare_linear *l, struct pare_job *job)
{
    memset(l, 0, sizeof *l);
    bind(l, PARE_Q4_0, PARE_ACT_INT8, false, job);
    bind(l, PARE_F16, PARE_ACT_INT8, false, job);
    bind(l, PARE_Q8_0, PARE_ACT_F32, true, job);
}

static void same_bits(void **state)
{
    static const uint32_t ns[] = { 1, 2, 3, 7, 33, 97, MAXT };
    struct pare_job   *one = job_of(1, -1);
    struct pare_linear l;
    float *base, *y;

    (void)state;
    composite(&l, one);
    base = apply(&l, MAXT, one);
    for (int tier = PARE_TIER_BASE; tier <= PARE_TIER_VNNI; tier++)
        for (uint32_t threads = 1; threads <= 4; threads++) {
            struct pare_job *job = job_of(threads, tier);

            for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
                if (tier == PARE_TIER_BASE && ns[i] > 33) continue;
                y = apply(&l, ns[i], job);
                if (memcmp(y, base, (size_t)ns[i] * ROWS * sizeof *y) != 0) fail_msg("tier %d, %u threads, %u tokens: other bits", tier, threads, ns[i]);
                free(y);
            }
            pare_job_destroy(&job);
        }
    free(base);
    l.bias = NULL;
    pare_linear_free(&l);
    pare_job_destroy(&one);
}

/* Parts are added in their order, then the bias. */
static void sum_of_parts(void **state)
{
    static const enum pare_type types[] = { PARE_Q4_0, PARE_F16, PARE_Q8_0 };
    struct pare_job   *job = job_of(2, -1);
    struct pare_linear l, p;
    float *y, *sum = NULL;

    (void)state;
    composite(&l, job);
    y = apply(&l, 9, job);
    for (int i = 0; i < 3; i++) {
        float *yi;

        memset(&p, 0, sizeof p);
        bind(&p, types[i], i == 2 ? PARE_ACT_F32 : PARE_ACT_INT8, false, job);
        yi = apply(&p, 9, job);
        if (sum == NULL) sum = yi;
        else {
            for (int j = 0; j < 9 * ROWS; j++) sum[j] += yi[j];
            free(yi);
        }
        pare_linear_free(&p);
    }
    for (int j = 0; j < 9 * ROWS; j++) sum[j] += bias[j % ROWS];
    assert_memory_equal(y, sum, 9 * ROWS * sizeof *y);
    free(y);
    free(sum);
    l.bias = NULL;
    pare_linear_free(&l);
    pare_job_destroy(&job);
}

/* Several linears in one region give what each gives alone, in place of a wider output too. */
static void grouped(void **state)
{
    struct pare_job   *job = job_of(3, -1);
    struct pare_linear l[3] = { 0 };
    float *y = malloc(20 * 3 * (ROWS + 5) * sizeof *y);
    struct pare_linear_out out[3];
    void *scratch = malloc(pare_linear_scratch(20, COLS, 3, false));

    (void)state;
    bind(&l[0], PARE_F32, PARE_ACT_INT8, false, job);
    bind(&l[1], PARE_Q4_K, PARE_ACT_INT8, true, job);
    bind(&l[2], PARE_Q6_K, PARE_ACT_F32, false, job);
    memset(y, 0x5a, 20 * 3 * (ROWS + 5) * sizeof *y);
    for (int i = 0; i < 3; i++) out[i] = (struct pare_linear_out){ &l[i], y + i * (ROWS + 5), 3 * (ROWS + 5) };
    pare_linear_apply(out, 3, x, COLS, 20, scratch, job);
    for (int i = 0; i < 3; i++) {
        float *alone = apply(&l[i], 20, job);

        for (int t = 0; t < 20; t++) {
            assert_memory_equal(y + (t * 3 + i) * (ROWS + 5), alone + t * ROWS, ROWS * sizeof *y);
            for (int c = 0; c < 20; c++) assert_int_equal(((uint8_t *)(y + (t * 3 + i) * (ROWS + 5) + ROWS))[c], 0x5a);
        }
        free(alone);
        l[i].bias = NULL;
        pare_linear_free(&l[i]);
    }
    free(y);
    free(scratch);
    pare_job_destroy(&job);
}

static void memory(void **state)
{
    struct pare_job   *job = job_of(2, -1);
    struct pare_linear l = { 0 };
    const uint8_t     *rows;
    uint64_t           stride = encoded(PARE_Q4_K, &rows), live = pare_mem_live(), before;
    struct pare_diag   d = { 0 };
    float *y;
    void  *scratch = malloc(pare_linear_scratch(4, COLS, 2, false));
    struct pare_linear_out out = { &l, NULL, ROWS };

    (void)state;
    for (uint64_t fail = 1; fail < 10; fail++) { /* every allocation may fail, and then nothing is kept */
        int rc;

        pare_diag_clear(&d);
        pare_mem_fail_after(fail);
        rc = pare_linear_bind(&l, pare_dtype_of(PARE_Q4_K), rows, stride, ROWS, COLS, PARE_ACT_INT8, job, &d);
        pare_mem_fail_after(0);
        if (rc == 0) break;
        assert_int_equal(rc, PARE_E_NOMEM);
        assert_int_equal(l.n_parts, 0);
        assert_int_equal(pare_mem_live(), live);
    }
    assert_int_equal(l.n_parts, 1);
    assert_int_equal(pare_mem_live(), live + 1);
    assert_int_equal(pare_linear_bytes(pare_dtype_of(PARE_Q4_K), ROWS, COLS, PARE_ACT_INT8), pare_packed_bytes(&l.part[0].packed) + PARE_ALIGN);
    assert_int_equal(pare_linear_bytes(pare_dtype_of(PARE_Q4_K), ROWS, COLS, PARE_ACT_F32), 0);
    assert_int_equal(pare_linear_bytes(pare_dtype_of(PARE_F16), ROWS, COLS, PARE_ACT_INT8), 0);
    /* Applying allocates nothing. */
    y = malloc(4 * ROWS * sizeof *y);
    out.y = y;
    before = pare_mem_count();
    pare_linear_apply(&out, 1, x, COLS, 4, scratch, job);
    assert_int_equal(pare_mem_count(), before);
    free(y);
    free(scratch);
    pare_linear_free(&l);
    assert_int_equal(pare_mem_live(), live);
    pare_linear_free(&l);
    pare_linear_free(NULL);
    pare_job_destroy(&job);
}

static void refuses(void **state)
{
    struct pare_job   *job = job_of(1, -1);
    struct pare_linear l = { 0 };
    struct pare_diag   d = { 0 };
    const uint8_t     *rows;
    uint64_t           stride = encoded(PARE_Q4_0, &rows);
    const struct pare_dtype *q4 = pare_dtype_of(PARE_Q4_0);

    (void)state;
    assert_int_equal(pare_linear_bind(&l, pare_dtype_of(PARE_I32), rows, 1024, 2, 256, PARE_ACT_INT8, job, &d), PARE_E_UNSUPPORTED);
    pare_diag_clear(&d);
    assert_int_equal(pare_linear_bind(&l, q4, rows, stride, ROWS, 250, PARE_ACT_INT8, job, &d), PARE_E_CORRUPT);
    pare_diag_clear(&d);
    assert_int_equal(pare_linear_bind(&l, q4, rows, stride - 1, ROWS, COLS, PARE_ACT_INT8, job, &d), PARE_E_USAGE);
    pare_diag_clear(&d);
    assert_int_equal(pare_linear_bind(&l, q4, rows, stride, UINT64_MAX / 2, COLS, PARE_ACT_INT8, job, &d), PARE_E_LIMIT);
    assert_int_equal(l.n_parts, 0);
    pare_diag_clear(&d);
    assert_int_equal(pare_linear_bind(&l, q4, rows, stride, ROWS, COLS, PARE_ACT_INT8, job, &d), 0);
    assert_int_equal(pare_linear_bind(&l, q4, rows, stride, ROWS - 1, COLS, PARE_ACT_INT8, job, &d), PARE_E_CORRUPT);
    for (int i = 1; i < PARE_MAX_PARTS; i++) assert_int_equal(pare_linear_bind(&l, q4, rows, stride, ROWS, COLS, PARE_ACT_INT8, job, NULL), 0);
    pare_diag_clear(&d);
    assert_int_equal(pare_linear_bind(&l, q4, rows, stride, ROWS, COLS, PARE_ACT_INT8, job, &d), PARE_E_LIMIT);
    pare_linear_free(&l);

    /* Panels of others must lie on cache lines, and are not freed with the linear. */
    static _Alignas(PARE_ALIGN) uint8_t panels[2 * PARE_ALIGN * 400];
    struct pare_packed p;
    assert_true(pare_packed_shape(&p, q4, 16, 64));
    assert_true(pare_packed_bytes(&p) + PARE_ALIGN <= sizeof panels);
    p.data = panels + 32;
    pare_diag_clear(&d);
    assert_int_equal(pare_linear_append_mapped(&l, &p, &d), PARE_E_USAGE);
    assert_int_equal(l.n_parts, 0);
    p.data = panels + PARE_ALIGN;
    assert_int_equal(pare_linear_append_mapped(&l, &p, &d), 0);
    assert_ptr_equal(l.part[0].packed.data, panels + PARE_ALIGN);
    assert_ptr_equal(p.data, panels + PARE_ALIGN);
    pare_linear_free(&l);
    pare_job_destroy(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right), cmocka_unit_test(same_bits), cmocka_unit_test(sum_of_parts), cmocka_unit_test(grouped),
        cmocka_unit_test(memory), cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
