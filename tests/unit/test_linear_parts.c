/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_linear_parts.c: the further parts of composite linears. Each is what its factors give when they are applied one after
 * another, bit for bit, and what f64 says within rounding; threads, batch, tier and grouping change no bit; empty parts are no parts. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/rng.h"
#include "nn/transform.h"

#define ROWS 331
#define COLS 256
#define RANK 96
#define PICK 64
#define MAXT 300
#define PANELS ((ROWS + 15) / 16)
#define SLOTS 3

static float    w[ROWS * COLS], a[ROWS * RANK], b[RANK * COLS], s[ROWS * PICK], x[MAXT * COLS], value[ROWS], bias[ROWS], scale[COLS];
static uint32_t pick[PICK], perm[COLS], at[PANELS + 1];
static uint16_t col[PANELS * SLOTS * 16];
static float    val[PANELS * SLOTS * 16];
static uint8_t  code[6][ROWS * COLS * 4];
static const struct pare_entries sparse = { ROWS, COLS, PANELS * SLOTS, false, false, (const uint8_t *)at, (const uint8_t *)col, (const uint8_t *)val };

static struct pare_job *job_of(uint32_t threads, int tier)
{
    struct pare_job_settings js;
    struct pare_job *j;

    pare_job_settings_default(&js);
    js.n_threads = threads;
    js.max_tier = tier;
    assert_int_equal(pare_job_create(&j, &js, NULL), 0);
    return j;
}

static void draw(float *v, uint64_t n, uint64_t seed, float by)
{
    for (uint64_t i = 0; i < n; i++) v[i] = pare_rng_normal(seed, PARE_RNG_TEST, i) * by;
}

static int setup(void **state)
{
    (void)state;
    draw(w, ROWS * COLS, 1, 0.05f);
    draw(a, ROWS * RANK, 2, 0.05f);
    draw(b, RANK * COLS, 3, 0.05f);
    draw(s, ROWS * PICK, 4, 0.05f);
    draw(x, MAXT * COLS, 5, 1.0f);
    draw(value, ROWS, 6, 1.0f);
    draw(bias, ROWS, 7, 1.0f);
    draw(val, PANELS * SLOTS * 16, 8, 1.0f);
    for (int i = 0; i < PICK; i++) pick[i] = (uint32_t)((i * 37 + 11) % COLS);
    for (int i = 0; i < COLS; i++) {
        perm[i] = (uint32_t)((i * 101 + 7) % COLS);
        scale[i] = 0.25f + pare_rng_f32(9, PARE_RNG_TEST, (uint64_t)i);
    }
    for (uint32_t p = 0; p <= PANELS; p++) at[p] = p * SLOTS;
    for (uint32_t i = 0; i < PANELS * SLOTS * 16; i++) {
        col[i] = (uint16_t)(pare_rng_u64(10, PARE_RNG_TEST, i) % COLS);
        if (i % 7 == 0 || i / 16 / SLOTS * 16 + i % 16 >= ROWS) col[i] = 0, val[i] = 0;
    }
    return 0;
}

/* Encodes a matrix into buffer k. */
static struct pare_matrix matrix(int k, enum pare_type type, const float *v, uint64_t rows, uint64_t cols)
{
    struct pare_matrix m = { .type = pare_dtype_of(type), .n_rows = rows, .n_cols = cols, .rows = code[k] };

    assert_true(pare_dtype_row_bytes(m.type, cols, &m.row_stride));
    for (uint64_t r = 0; r < rows; r++) m.type->encode(code[k] + r * m.row_stride, v + r * cols, cols, NULL);
    return m;
}

static void bind_base(struct pare_linear *l, enum pare_type type, enum pare_act_mode mode, struct pare_job *job)
{
    struct pare_matrix m = matrix(0, type, w, ROWS, COLS);

    assert_int_equal(pare_linear_bind(l, m.type, m.rows, m.row_stride, ROWS, COLS, mode, job, NULL), 0);
}

static void bind_low_rank(struct pare_linear *l, enum pare_type ta, enum pare_type tb, enum pare_act_mode mode, struct pare_job *job)
{
    int                k = l->n_parts > 1 ? 4 : 1; /* a second one has buffers of its own: linears borrow them */
    struct pare_matrix ma = matrix(k, ta, a, ROWS, RANK), mb = matrix(k == 1 ? 2 : 5, tb, b, RANK, COLS);

    assert_int_equal(pare_linear_low_rank(l, &ma, &mb, mode, job, NULL), 0);
}

static void bind_columns(struct pare_linear *l, enum pare_type t, enum pare_act_mode mode, struct pare_job *job)
{
    struct pare_matrix m = matrix(3, t, s, ROWS, PICK);

    assert_int_equal(pare_linear_columns(l, &m, pick, mode, job, NULL), 0);
}

/* y[n][rows] with exactly the scratch that is forecast. */
static float *apply_to(const struct pare_linear *l, const float *in, uint32_t n, struct pare_job *job)
{
    float   *y = malloc((size_t)n * l->rows * sizeof *y + 4);
    void    *scratch = malloc(pare_linear_scratch(n, l->cols, pare_job_threads(job), l->input != NULL) + pare_linear_inner_scratch(l, n));
    struct pare_linear_out out = { l, y, l->rows };

    pare_linear_apply(&out, 1, in, l->cols, n, scratch, job);
    free(scratch);
    return y;
}

static float *apply(const struct pare_linear *l, uint32_t n, struct pare_job *job) { return apply_to(l, x, n, job); }

static const enum pare_type types[] = { PARE_F32, PARE_F16, PARE_BF16, PARE_Q8_0, PARE_Q4_0, PARE_PQ3, PARE_PQ5 };
#define N_TYPES (sizeof types / sizeof *types)

/* A (B x): the two products one after another. */
static void low_rank(void **state)
{
    struct pare_job *job = job_of(2, -1);
    static double    hx[17][RANK];

    (void)state;
    for (int t = 0; t < 17; t++)
        for (int c = 0; c < RANK; c++) {
            hx[t][c] = 0;
            for (int j = 0; j < COLS; j++) hx[t][c] += (double)b[c * COLS + j] * (double)x[t * COLS + j];
        }
    for (int mode = 0; mode < 2; mode++)
        for (size_t i = 0; i < N_TYPES; i++)
            for (size_t k = 0; k < N_TYPES; k++) {
                struct pare_linear l = { 0 }, la = { 0 }, lb = { 0 };
                struct pare_matrix ma = matrix(1, types[i], a, ROWS, RANK), mb = matrix(2, types[k], b, RANK, COLS);
                float *y, *h, *z, norm = 0, err = 0;

                bind_low_rank(&l, types[i], types[k], (enum pare_act_mode)mode, job);
                assert_int_equal(pare_linear_bind(&la, ma.type, ma.rows, ma.row_stride, ROWS, RANK, (enum pare_act_mode)mode, job, NULL), 0);
                assert_int_equal(pare_linear_bind(&lb, mb.type, mb.rows, mb.row_stride, RANK, COLS, (enum pare_act_mode)mode, job, NULL), 0);
                y = apply(&l, 17, job);
                h = apply(&lb, 17, job);
                z = apply_to(&la, h, 17, job);
                assert_memory_equal(y, z, 17 * ROWS * sizeof *y);
                for (int t = 0; t < 17; t++)
                    for (int r = 0; r < ROWS; r++) {
                        double sum = 0;
                        for (int c = 0; c < RANK; c++) sum += (double)a[r * RANK + c] * hx[t][c];
                        norm += (float)(sum * sum);
                        err += (float)((sum - (double)y[t * ROWS + r]) * (sum - (double)y[t * ROWS + r]));
                    }
                /* f32 to rounding; quantized factors to their rounding, which at 3 bits is a sixth each */
                if (!(err / norm < (i + k == 0 ? 1e-10f : i < 3 && k < 3 ? 1e-4f : 0.09f))) fail_msg("types %zu, %zu: relative error %g", i, k, (double)(err / norm));
                free(y);
                free(h);
                free(z);
                pare_linear_free(&l);
                pare_linear_free(&la);
                pare_linear_free(&lb);
            }
    pare_job_destroy(&job);
}

/* S x[index]: the product with rows of picked columns. */
static void columns(void **state)
{
    struct pare_job *job = job_of(2, -1);
    static float     picked[17 * PICK];

    (void)state;
    for (int t = 0; t < 17; t++)
        for (int i = 0; i < PICK; i++) picked[t * PICK + i] = x[t * COLS + pick[i]];
    for (int mode = 0; mode < 2; mode++)
        for (size_t i = 0; i < N_TYPES; i++) {
            struct pare_linear l = { 0 }, ls = { 0 };
            struct pare_matrix m = matrix(3, types[i], s, ROWS, PICK);
            float *y, *z;

            assert_int_equal(pare_linear_begin(&l, ROWS, COLS, NULL), 0);
            bind_columns(&l, types[i], (enum pare_act_mode)mode, job);
            assert_int_equal(pare_linear_bind(&ls, m.type, m.rows, m.row_stride, ROWS, PICK, (enum pare_act_mode)mode, job, NULL), 0);
            y = apply(&l, 17, job);
            z = apply_to(&ls, picked, 17, job);
            assert_memory_equal(y, z, 17 * ROWS * sizeof *y);
            free(y);
            free(z);
            pare_linear_free(&l);
            pare_linear_free(&ls);
        }
    pare_job_destroy(&job);
}

static void sparse_and_const(void **state)
{
    struct pare_job *job = job_of(2, -1);

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct pare_linear l = { 0 };
        float *y;

        assert_int_equal(pare_linear_begin(&l, ROWS, COLS, NULL), 0);
        assert_int_equal(kind == 0 ? pare_linear_sparse(&l, &sparse, NULL) : pare_linear_const(&l, value, kind == 2, NULL), 0);
        y = apply(&l, 9, job);
        for (int t = 0; t < 9; t++)
            for (int r = 0; r < ROWS; r++) {
                double want = kind == 1 ? (double)value[r] : 0, sum = 0;

                for (int c = 0; c < COLS; c++) sum += (double)x[t * COLS + c];
                if (kind == 2) want = (double)value[r] * sum;
                for (int k = 0; kind == 0 && k < SLOTS; k++) {
                    int i = (r / 16 * SLOTS + k) * 16 + r % 16;
                    want += (double)val[i] * (double)x[t * COLS + col[i]];
                }
                if (!(fabs((double)y[t * ROWS + r] - want) <= 1e-5 * (1 + fabs(want)))) fail_msg("kind %d: %g, want %g", kind, (double)y[t * ROWS + r], want);
            }
        free(y);
        pare_linear_free(&l);
    }
    pare_job_destroy(&job);
}

/* All kinds behind a transform of all steps. */
static void everything(struct pare_linear *l, struct pare_transform **t, enum pare_act_mode mode, struct pare_job *job)
{
    memset(l, 0, sizeof *l);
    assert_int_equal(pare_transform_create(t, COLS, NULL), 0);
    assert_int_equal(pare_transform_scale(*t, scale, NULL), 0);
    assert_int_equal(pare_transform_permute(*t, perm, NULL), 0);
    assert_int_equal(pare_transform_random_signs(*t, 5, NULL), 0);
    assert_int_equal(pare_transform_hadamard(*t, 64, NULL), 0);
    assert_int_equal(pare_transform_permute(*t, perm, NULL), 0);
    bind_base(l, PARE_Q4_0, mode, job);
    bind_low_rank(l, PARE_Q8_0, PARE_F16, mode, job);
    bind_columns(l, PARE_PQ5, mode, job);
    assert_int_equal(pare_linear_sparse(l, &sparse, NULL), 0);
    assert_int_equal(pare_linear_const(l, value, true, NULL), 0);
    assert_int_equal(pare_linear_const(l, value, false, NULL), 0);
    bind_low_rank(l, PARE_F32, PARE_PQ3, mode, job);
    l->input = &(*t)->input;
    l->bias = bias;
}

static void close_everything(struct pare_linear *l, struct pare_transform **t)
{
    l->bias = NULL;
    pare_linear_free(l);
    pare_transform_destroy(t);
}

static void same_bits(void **state)
{
    static const uint32_t  ns[] = { 1, 2, 3, 7, 8, 9, 33, 97, 289, MAXT };
    struct pare_job       *one = job_of(1, -1);
    struct pare_transform *t;
    struct pare_linear     l;
    float *base, *y;

    (void)state;
    for (int mode = 0; mode < 2; mode++) {
        everything(&l, &t, (enum pare_act_mode)mode, one);
        base = apply(&l, MAXT, one);
        for (int tier = PARE_TIER_BASE; tier <= PARE_TIER_VNNI; tier++)
            for (uint32_t threads = 1; threads <= 4; threads++) {
                struct pare_job *job = job_of(threads, tier);

                for (size_t i = 0; i < sizeof ns / sizeof *ns; i++) {
                    if (tier == PARE_TIER_BASE && (ns[i] > 9 || threads > 2)) continue;
                    y = apply(&l, ns[i], job);
                    if (memcmp(y, base, (size_t)ns[i] * ROWS * sizeof *y) != 0) fail_msg("tier %d, %u threads, %u tokens: other bits", tier, threads, ns[i]);
                    free(y);
                }
                pare_job_destroy(&job);
            }
        free(base);
        close_everything(&l, &t);
    }
    pare_job_destroy(&one);
}

/* Linears with one transform, with another and with none in one call: what each gives alone. */
static void grouped(void **state)
{
    struct pare_job       *job = job_of(3, -1);
    struct pare_transform *t[2];
    struct pare_linear     l[4] = { 0 };
    float *y = malloc(4 * 20 * ROWS * sizeof *y);
    struct pare_linear_out out[4];
    uint64_t need = pare_linear_scratch(20, COLS, 3, true);
    void *scratch;

    (void)state;
    everything(&l[0], &t[0], PARE_ACT_INT8, job);
    everything(&l[2], &t[1], PARE_ACT_INT8, job);
    bind_base(&l[1], PARE_Q4_0, PARE_ACT_INT8, job);
    bind_columns(&l[1], PARE_Q8_0, PARE_ACT_INT8, job);
    l[1].input = l[0].input;
    bind_base(&l[3], PARE_F32, PARE_ACT_INT8, job);
    bind_low_rank(&l[3], PARE_Q8_0, PARE_Q8_0, PARE_ACT_INT8, job);
    for (int i = 0; i < 4; i++) {
        out[i] = (struct pare_linear_out){ &l[i], y + i * 20 * ROWS, ROWS };
        need += pare_linear_inner_scratch(&l[i], 20);
    }
    scratch = malloc(need);
    pare_linear_apply(out, 4, x, COLS, 20, scratch, job);
    for (int i = 0; i < 4; i++) {
        float *alone = apply(&l[i], 20, job);

        assert_memory_equal(out[i].y, alone, 20 * ROWS * sizeof *y);
        free(alone);
    }
    close_everything(&l[0], &t[0]);
    close_everything(&l[2], &t[1]);
    pare_linear_free(&l[1]);
    pare_linear_free(&l[3]);
    free(y);
    free(scratch);
    pare_job_destroy(&job);
}

/* Rank 0, no columns, no slots, an empty chain: the plain linear. */
static void neutral(void **state)
{
    static const uint32_t  zero[PANELS + 1];
    const struct pare_entries none = { ROWS, COLS, 0, false, false, (const uint8_t *)zero, NULL, NULL };
    struct pare_job       *job = job_of(2, -1);
    struct pare_transform *t;
    struct pare_linear     l = { 0 }, plain = { 0 };
    struct pare_matrix     m0 = { .type = pare_dtype_of(PARE_F32), .n_rows = ROWS, .rows = code[1] }, mb = { .type = pare_dtype_of(PARE_F32), .n_cols = COLS, .rows = code[1] };
    float *y, *z;

    (void)state;
    bind_base(&plain, PARE_Q4_0, PARE_ACT_INT8, job);
    bind_base(&l, PARE_Q4_0, PARE_ACT_INT8, job);
    assert_int_equal(pare_linear_low_rank(&l, &m0, &mb, PARE_ACT_INT8, job, NULL), 0);
    assert_int_equal(pare_linear_columns(&l, &m0, NULL, PARE_ACT_INT8, job, NULL), 0);
    assert_int_equal(pare_linear_sparse(&l, &none, NULL), 0);
    assert_int_equal(l.n_parts, 1);
    assert_int_equal(pare_transform_create(&t, COLS, NULL), 0);
    l.input = &t->input;
    y = apply(&l, 20, job);
    z = apply(&plain, 20, job);
    assert_memory_equal(y, z, 20 * ROWS * sizeof *y);
    free(y);
    free(z);
    pare_linear_free(&l);
    pare_linear_free(&plain);
    pare_transform_destroy(&t);
    pare_job_destroy(&job);
}

#define REFUSED(code_, call)                                                                                            \
    do {                                                                                                               \
        uint64_t live_ = pare_mem_live();                                                                              \
        uint32_t n_ = l.n_parts;                                                                                       \
        pare_diag_clear(&d);                                                                                           \
        assert_int_equal(call, code_);                                                                                 \
        assert_true(d.text[0] != '\0');                                                                                \
        assert_int_equal(l.n_parts, n_);                                                                               \
        assert_int_equal(pare_mem_live(), live_);                                                                      \
    } while (0)

static void refuses(void **state)
{
    struct pare_job   *job = job_of(1, -1);
    struct pare_linear l = { 0 };
    struct pare_diag   d;
    struct pare_matrix ma = matrix(1, PARE_Q8_0, a, ROWS, RANK), mb = matrix(2, PARE_Q8_0, b, RANK, COLS), ms = matrix(3, PARE_Q8_0, s, ROWS, PICK), m;
    struct pare_entries sp = sparse;
    uint32_t           was = pick[3];

    (void)state;
    bind_base(&l, PARE_Q4_0, PARE_ACT_INT8, job);
    m = ma, m.n_cols = 32;
    REFUSED(PARE_E_CORRUPT, pare_linear_low_rank(&l, &m, &mb, PARE_ACT_INT8, job, &d));
    m = ma, m.n_rows = ROWS - 1;
    REFUSED(PARE_E_CORRUPT, pare_linear_low_rank(&l, &m, &mb, PARE_ACT_INT8, job, &d));
    m = mb, m.type = pare_dtype_of(PARE_I8);
    REFUSED(PARE_E_UNSUPPORTED, pare_linear_low_rank(&l, &ma, &m, PARE_ACT_INT8, job, &d));
    for (uint64_t fail = 1; fail < 6; fail++) { /* B's node, its scratch, its panels, A's */
        pare_mem_fail_after(fail);
        REFUSED(PARE_E_NOMEM, pare_linear_low_rank(&l, &ma, &mb, PARE_ACT_INT8, job, &d));
        pare_mem_fail_after(0);
    }
    pick[3] = COLS;
    REFUSED(PARE_E_CORRUPT, pare_linear_columns(&l, &ms, pick, PARE_ACT_INT8, job, &d));
    pick[3] = was;
    sp.rows = ROWS - 16;
    REFUSED(PARE_E_CORRUPT, pare_linear_sparse(&l, &sp, &d));
    sp = sparse, sp.cols = 10;
    REFUSED(PARE_E_CORRUPT, pare_linear_sparse(&l, &sp, &d));
    value[5] = NAN;
    REFUSED(PARE_E_CORRUPT, pare_linear_const(&l, value, false, &d));
    value[5] = 0;
    pare_linear_free(&l);
    assert_int_equal(pare_linear_begin(&l, RANK, 64, NULL), 0); /* a rank above the columns costs more than the matrix */
    m = matrix(1, PARE_F32, a, 80, RANK);
    ma = matrix(2, PARE_F32, b, RANK, 64);
    REFUSED(PARE_E_CORRUPT, pare_linear_low_rank(&l, &m, &ma, PARE_ACT_INT8, job, &d));
    pare_linear_free(&l);
    pare_job_destroy(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(low_rank), cmocka_unit_test(columns), cmocka_unit_test(sparse_and_const), cmocka_unit_test(same_bits),
                                        cmocka_unit_test(grouped), cmocka_unit_test(neutral), cmocka_unit_test(refuses) };

    return cmocka_run_group_tests(tests, setup, NULL);
}
