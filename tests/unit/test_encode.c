/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_encode.c: the encoders against exhaustive search, published error limits, the errors of the public encoders
 * (tests/golden/encode), and properties that any encoder must have. Errors are computed here, in double, from decoded rows. */
#include "fixture.h"

#include "base/job.h"
#include "kernel/enc_tiers.h"

#include <jansson.h>
#include <math.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tensor/dtype.h"

static const enum pare_type all[] = { PARE_Q4_0, PARE_Q4_1, PARE_Q5_0,   PARE_Q5_1,   PARE_Q8_0, PARE_Q2_K, PARE_Q3_K,
                                      PARE_Q4_K, PARE_Q5_K, PARE_Q6_K,   PARE_IQ4_NL, PARE_IQ4_XS, PARE_PQ2, PARE_PQ2H,
                                      PARE_PQ3,  PARE_PQ3H, PARE_PQ4,    PARE_PQ5,    PARE_PQ6,   PARE_TC2,  PARE_TC3,
                                      PARE_TC4 };
enum { N_ALL = sizeof all / sizeof *all, WIDE = 4096 };

static float normal(uint64_t seed, uint64_t i) { return pare_rng_normal(seed, PARE_RNG_TEST, i); }

/* Positive, mean 1, spread like mean squares of activations: the square of a normal number and a floor. */
static float weight(uint64_t seed, uint64_t i)
{
    float z = normal(seed ^ 0x77, i);

    return 0.02f + z * z;
}

/* A row through the encoder and the decoder; bytes past its end must stay. */
static void round_trip(const struct pare_dtype *t, float *out, const float *x, uint64_t cols, const float *w)
{
    uint64_t bytes;
    uint8_t *buf;

    assert_true(pare_dtype_row_bytes(t, cols, &bytes));
    buf = pare_malloc(bytes + 9);
    assert_non_null(buf);
    memset(buf, 0xa5, bytes + 9);
    t->encode(buf + 1, x, cols, w); /* not aligned on purpose */
    assert_int_equal(buf[0], 0xa5);
    for (int i = 0; i < 8; i++) assert_int_equal(buf[1 + bytes + (uint64_t)i], 0xa5);
    t->decode(out, buf + 1, cols);
    pare_free(buf);
}

static double error_of(const float *x, const float *y, const float *w, uint64_t n)
{
    double sum = 0.0;

    for (uint64_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)y[i];

        sum += (w != NULL ? (double)w[i] : 1.0) * d * d;
    }
    return sum;
}

/* ---- against exhaustive search -------------------------------------------------------------------------------------------- */

/* The least error of a block of 32 over every half-precision scale within a factor of 1.6 around the useful ones. */
static double exhaustive(const float *x, const float *w, const int *level, int n_level)
{
    double top = 0.0, best = INFINITY;
    int ext = -level[0] > level[n_level - 1] ? -level[0] : level[n_level - 1];

    for (int i = 0; i < 32; i++) top = fabs((double)x[i]) > top ? fabs((double)x[i]) : top;
    uint16_t lo = pare_f32_to_f16((float)(top / ext / 1.6)), hi = pare_f32_to_f16((float)(top / ext * 1.6));
    for (uint32_t h = lo; h <= hi; h++)
        for (int sign = -1; sign <= 1; sign += 2) {
            double d = sign * (double)pare_f16_to_f32((uint16_t)h), sum = 0.0;
            int c;

            for (int i = 0; i < 32 && sum < best; i++) {
                double y = (double)x[i] / d;

                for (c = 0; c < n_level - 1 && 2.0 * y > level[c] + level[c + 1]; c++) {}
                sum += (w != NULL ? (double)w[i] : 1.0) * ((double)x[i] - d * level[c]) * ((double)x[i] - d * level[c]);
            }
            best = sum < best ? sum : best;
        }
    return best;
}

static void block_scales(void **state)
{
    static const int iq4[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
    static const struct { enum pare_type type; int lo, n, blocks; } set[] = {
        { PARE_Q4_0, -8, 16, 40 }, { PARE_Q5_0, -16, 32, 30 }, { PARE_Q8_0, -127, 255, 6 }, { PARE_IQ4_NL, 0, 16, 40 }
    };

    (void)state;
    for (size_t k = 0; k < sizeof set / sizeof *set; k++)
        for (int weighted = 0; weighted <= 1; weighted++) {
            const struct pare_dtype *t = pare_dtype_of(set[k].type);
            double ours = 0.0, least = 0.0, worst = 0.0;
            int level[255];

            for (int c = 0; c < set[k].n; c++) level[c] = set[k].lo != 0 ? set[k].lo + c : iq4[c];
            for (int b = 0; b < set[k].blocks; b++) {
                float x[32], y[32], w[32];

                for (int i = 0; i < 32; i++) {
                    x[i] = 0.03f * normal(k + 1, (uint64_t)(32 * b + i));
                    w[i] = weight(k + 9, (uint64_t)(32 * b + i));
                }
                round_trip(t, y, x, 32, weighted ? w : NULL);
                double e = error_of(x, y, weighted ? w : NULL, 32), f = exhaustive(x, weighted ? w : NULL, level, set[k].n);
                ours += e;
                least += f;
                worst = e / f > worst ? e / f : worst;
            }
            print_message("%-7s weighted %d: sum %.4f x the exhaustive minimum, worst block %.3f x\n", t->name, weighted,
                          ours / least, worst);
            assert_true(ours <= 1.01 * least);
            assert_true(worst <= 1.10);
        }
}

/* With d (and dmin) as the encoder chose them, no other whole-number scale (and minimum) of a group is noticeably better. The
 * integer view says what was chosen; codes are made anew here for every alternative. */
static double least_of_group(const struct pare_pack_traits *p, const float *x, int n, double d, double dmin, int s_lo, int s_hi,
                             int m_hi)
{
    int n_level = 1 << p->bits;
    double best = INFINITY;

    for (int s = s_lo; s <= s_hi; s++)
        for (int m = 0; m <= m_hi; m++) {
            double sum = 0.0, scale = d * s, base = -dmin * m;

            for (int i = 0; i < n && sum < best; i++) {
                double least = INFINITY;

                if (p->lut == NULL && scale != 0.0) {
                    double c = nearbyint(((double)x[i] - base) / scale - p->offset);

                    c = c < 0.0 ? 0.0 : c > n_level - 1 ? n_level - 1 : c;
                    double r = (double)x[i] - base - scale * (c + p->offset);
                    least = r * r;
                } else {
                    for (int c = 0; c < n_level; c++) {
                        double r = (double)x[i] - base - scale * (p->lut != NULL ? p->lut[c] : c + p->offset);

                        least = r * r < least ? r * r : least;
                    }
                }
                sum += least;
            }
            best = sum < best ? sum : best;
        }
    return best;
}

static void sub_scales(void **state)
{
    static const struct { enum pare_type type; int s_lo, s_hi, m_hi; } set[] = {
        { PARE_Q2_K, 0, 15, 15 },    { PARE_Q3_K, -32, 31, 0 },  { PARE_Q4_K, 0, 63, 63 },    { PARE_Q5_K, 0, 63, 63 },
        { PARE_Q6_K, -128, 127, 0 }, { PARE_IQ4_XS, -32, 31, 0 }, { PARE_PQ2, -127, 127, 0 }, { PARE_PQ2H, -127, 127, 0 },
        { PARE_PQ3, -127, 127, 0 },  { PARE_PQ3H, -127, 127, 0 }, { PARE_PQ4, -127, 127, 0 }, { PARE_PQ5, -127, 127, 0 },
        { PARE_PQ6, -127, 127, 0 },
    };
    enum { N = 512 };
    static uint8_t buf[N * 2], idx[N], m[N / 16];
    static int8_t s[N / 16];
    float x[N], y[N], d[N / 32], dmin[N / 32];

    (void)state;
    for (int i = 0; i < N; i++) x[i] = 0.05f * normal(3, (uint64_t)i) * (i / 64 % 3 == 1 ? 0.4f : 1.0f);
    for (size_t k = 0; k < sizeof set / sizeof *set; k++) {
        const struct pare_dtype *t = pare_dtype_of(set[k].type);
        int group = t->pack.group, super = t->pack.super != 0 ? t->pack.super : N;
        struct pare_unpacked u = { idx, s, m, d, dmin };
        double ours = 0.0, least = 0.0;

        t->encode(buf, x, N, NULL);
        t->decode(y, buf, N);
        t->unpack(&u, buf, N);
        for (int g = 0; g < N / group; g++) {
            int at = g * group / super;

            ours += error_of(x + g * group, y + g * group, NULL, (uint64_t)group);
            least += least_of_group(&t->pack, x + g * group, group, (double)d[at], t->pack.has_min ? (double)dmin[at] : 0.0,
                                    set[k].s_lo, set[k].s_hi, set[k].m_hi);
        }
        print_message("%-7s %.4f x the best sub-scales\n", t->name, ours / least);
        assert_true(ours <= 1.03 * least);
    }
}

/* ---- against published limits --------------------------------------------------------------------------------------------- */

/* The limits, the data and the measure of ggml's own test of its formats. */
static void published_limits(void **state)
{
    static float x[WIDE], y[WIDE];

    (void)state;
    for (int i = 0; i < WIDE; i++) x[i] = 0.1f + 2.0f * cosf((float)i);
    for (int k = 0; k < N_ALL; k++) {
        const struct pare_dtype *t = pare_dtype_of(all[k]);
        double limit = t->pack.bits == 2 ? 0.0075 : t->pack.bits == 3 ? 0.004 : 0.002, got;

        round_trip(t, y, x, WIDE, NULL);
        got = sqrt(error_of(x, y, NULL, WIDE)) / WIDE;
        print_message("%-7s %.6f of %.4f\n", t->name, got, limit);
        assert_true(got <= limit);
    }
}

/* A tensor of the demo model as f32 (bf16 in the file): rows [row0, row0 + n). */
static float *demo_rows(const char *name, uint64_t row0, uint64_t n, uint64_t *cols)
{
    struct pare_diag diag = { 0 };
    json_int_t dim0, dim1, from, to;
    const char *dtype;
    uint8_t *file;
    size_t len;

    assert_int_equal(pare_read_file("data/demo-llama/model.safetensors", 1u << 30, &file, &len, &diag), 0);
    json_t *head = json_loadb((const char *)file + 8, pare_le64(file), 0, NULL);
    assert_int_equal(json_unpack(json_object_get(head, name), "{s:s, s:[I,I], s:[I,I]}", "dtype", &dtype, "shape", &dim0, &dim1,
                                 "data_offsets", &from, &to), 0);
    assert_string_equal(dtype, "BF16");
    assert_true((int64_t)(row0 + n) <= dim0);
    *cols = (uint64_t)dim1;
    float *x = pare_alloc_array(n * *cols, sizeof *x);
    assert_non_null(x);
    const uint8_t *p = file + 8 + pare_le64(file) + from + 2 * row0 * *cols;
    for (uint64_t i = 0; i < n * *cols; i++) x[i] = pare_bf16_to_f32(pare_le16(p + 2 * i));
    json_decref(head);
    pare_free(file);
    return x;
}

/* Each line of the table: type, tensor, first row, rows, weighted (0, 1), the public encoder's error. Ours must be below. */
static void public_encoders(void **state)
{
    FILE *f = fopen("tests/golden/encode/public-errors.tsv", "r");
    char line[256], type[16], tensor[96];
    unsigned long row0, rows;
    double theirs, sum = 0.0;
    int weighted, n = 0;

    (void)state;
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%15s %95s %lu %lu %d %lg", type, tensor, &row0, &rows, &weighted, &theirs), 6);
        const struct pare_dtype *t = pare_dtype_by_name(type);
        uint64_t cols;
        float *x = demo_rows(tensor, row0, rows, &cols), *y = pare_alloc_array(cols, 4), *w = pare_alloc_array(cols, 4);
        double ours = 0.0;

        for (uint64_t c = 0; c < cols; c++) w[c] = weight(1, c);
        for (uint64_t r = 0; r < rows; r++) {
            round_trip(t, y, x + r * cols, cols, weighted ? w : NULL);
            ours += error_of(x + r * cols, y, weighted ? w : NULL, cols);
        }
        if (ours > theirs) print_error("%s: ours %.6e\n", line, ours);
        assert_true(ours <= theirs);
        sum += ours / theirs;
        n++;
        pare_free(x);
        pare_free(y);
        pare_free(w);
    }
    fclose(f);
    assert_true(n >= 40);
    print_message("mean of ours / public over %d lines: %.3f\n", n, sum / n);
}

/* ---- importance ----------------------------------------------------------------------------------------------------------- */

static void importance(void **state)
{
    enum { N = 512, ROWS = 24 };
    float x[N], w[N], plain[N], weighted[N];

    (void)state;
    for (int k = 0; k < N_ALL; k++) {
        const struct pare_dtype *t = pare_dtype_of(all[k]);
        double own[2] = { 0 }, other[2] = { 0 }, before = 0.0, after = 0.0;

        for (int r = 0; r < ROWS; r++) {
            for (int i = 0; i < N; i++) {
                x[i] = 0.02f * normal((uint64_t)(10 + r), (uint64_t)i);
                w[i] = weight((uint64_t)(40 + r), (uint64_t)i);
            }
            round_trip(t, plain, x, N, NULL);
            round_trip(t, weighted, x, N, w);
            own[0] += error_of(x, plain, NULL, N);
            other[0] += error_of(x, weighted, NULL, N);
            own[1] += error_of(x, weighted, w, N);
            other[1] += error_of(x, plain, w, N);
            for (int i = 0; i < N; i++) w[i] = i % 32 == r ? 1000.0f : 1.0f; /* one column of each group is what matters */
            round_trip(t, weighted, x, N, w);
            for (int i = r; i < N; i += 32) {
                before += pow((double)x[i] - (double)plain[i], 2.0);
                after += pow((double)x[i] - (double)weighted[i], 2.0);
            }
        }
        /* Each encoding is the better one for the objective it was made for, and a column that matters is met more closely. */
        assert_true(own[0] < other[0]);
        assert_true(own[1] < other[1]);
        assert_true(after < 0.5 * before);
        /* All weights equal, whatever their size, and all zero, are the same as none. */
        for (int scale = -60; scale <= 60; scale += 30) {
            for (int i = 0; i < N; i++) w[i] = ldexpf(1.0f, scale);
            round_trip(t, weighted, x, N, w);
            assert_memory_equal(weighted, plain, sizeof plain);
        }
        memset(w, 0, sizeof w);
        round_trip(t, weighted, x, N, w);
        assert_memory_equal(weighted, plain, sizeof plain);
    }
}

/* A column without weight may be lost altogether: the others must be met as if it were not there. */
static void ignored_outlier(void **state)
{
    enum { N = 256 };
    float x[N], y[N], clean[N], w[N];

    (void)state;
    for (int k = 0; k < N_ALL; k++) {
        const struct pare_dtype *t = pare_dtype_of(all[k]);

        for (int i = 0; i < N; i++) {
            x[i] = normal(5, (uint64_t)i);
            w[i] = i % 32 == 7 ? 0.0f : 1.0f;
        }
        round_trip(t, clean, x, N, w);
        double without = error_of(x, clean, w, N);
        for (int i = 7; i < N; i += 32) x[i] = i % 64 == 7 ? 300.0f : -300.0f;
        round_trip(t, y, x, N, w);
        assert_true(error_of(x, y, w, N) <= 1.05 * without);
    }
}

/* ---- odd rows ------------------------------------------------------------------------------------------------------------- */

static void odd_rows(void **state)
{
    enum { N = 512 };
    float x[N], y[N];

    (void)state;
    for (int k = 0; k < N_ALL; k++) {
        const struct pare_dtype *t = pare_dtype_of(all[k]);

        memset(x, 0, sizeof x);
        round_trip(t, y, x, N, NULL);
        for (int i = 0; i < N; i++) assert_true(y[i] == 0.0f);
        for (int sign = -1; sign <= 1; sign += 2) { /* all equal: one level is enough */
            for (int i = 0; i < N; i++) x[i] = (float)sign * 0.0371f;
            round_trip(t, y, x, N, NULL);
            for (int i = 0; i < N && t->pack.trellis == NULL; i++) assert_true(fabsf(y[i] - x[i]) <= 0.01f * fabsf(x[i]));
        }
        memset(x, 0, sizeof x); /* one huge weight among zeros */
        x[77] = 900.0f;
        round_trip(t, y, x, N, NULL);
        /* tables of four and eight values have none near zero, and pay for the 31 zeros beside it */
        /* ... and tc2 has one scale for all 512, and hits 0 no better than other values */
        double share = t->type == PARE_TC2 ? 0.9 : t->pack.lut == NULL && t->pack.trellis == NULL ? 0.001 : t->pack.bits == 2 ? 0.3 : t->pack.bits == 3 ? 0.08 : 0.01;
        assert_true(error_of(x, y, NULL, N) <= share * 900.0 * 900.0);
        for (int e = -149; e <= 127; e += 4) { /* every order of magnitude; halves reach from 6e-8 to 65504 */
            for (int i = 0; i < N; i++) x[i] = ldexpf(normal(6, (uint64_t)i) / 8.0f, e);
            round_trip(t, y, x, N, NULL);
            double power = error_of(x, (const float[N]){ 0 }, NULL, N), e2 = error_of(x, y, NULL, N);
            for (int i = 0; i < N; i++) assert_true(isfinite(y[i]) && fabsf(y[i]) <= fabsf(ldexpf(2.0f, e > -140 ? e : -20)));
            assert_true(e2 <= power * 1.0001);
            if (e >= -2 && e <= 16) assert_true(e2 <= 0.15 * power);
        }
    }
}

/* Our own types take any width; a group cut short is encoded for the columns it has. */
static void any_width(void **state)
{
    static const uint64_t width[] = { 1, 2, 15, 16, 17, 31, 33, 40, 576, 1000, 4095 };
    static float x[WIDE], y[WIDE];

    (void)state;
    for (int i = 0; i < WIDE; i++) x[i] = 0.04f * normal(8, (uint64_t)i);
    for (int k = 0; k < N_ALL; k++) {
        const struct pare_dtype *t = pare_dtype_of(all[k]);

        for (size_t j = 0; j < sizeof width / sizeof *width && t->caps & PARE_DT_ANYWIDTH; j++) {
            static const double limit[7] = { 0, 0, 0.13, 0.032, 0.0075, 0.0025, 0.0007 };

            double power = error_of(x, (const float[WIDE]){ 0 }, NULL, width[j]);

            round_trip(t, y, x, width[j], NULL);
            assert_true(error_of(x, y, NULL, width[j]) <= limit[t->pack.bits] * power);
        }
    }
}

/* ---- determinism ---------------------------------------------------------------------------------------------------------- */

static void same_bytes(void **state)
{
    enum { N = 512, ROWS = 8, MOST = 4 * N };
    static float x[ROWS][N], w[N];
    static uint8_t first[ROWS][MOST], second[ROWS][MOST];

    (void)state;
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < N; i++) x[r][i] = normal((uint64_t)r + 60, (uint64_t)i);
    for (int i = 0; i < N; i++) w[i] = weight(2, (uint64_t)i);
    for (int k = 0; k < N_ALL; k++) {
        const struct pare_dtype *t = pare_dtype_of(all[k]);
        uint64_t bytes;

        assert_true(pare_dtype_row_bytes(t, N, &bytes));
        memset(first, 0x00, sizeof first); /* what lay at dst before must not matter */
        memset(second, 0xff, sizeof second);
        for (int r = 0; r < ROWS; r++) t->encode(first[r], x[r], N, r % 2 ? w : NULL);
        for (int r = ROWS - 1; r >= 0; r--) t->encode(second[r], x[r], N, r % 2 ? w : NULL);
        for (int r = 0; r < ROWS; r++) assert_memory_equal(first[r], second[r], bytes);
    }
}

/* Row r of a set that asks for trouble: usual weights, zeros, one value, tiny and huge ones, an outlier, halves of steps. */
static void trouble(float *x, uint64_t n, uint32_t r)
{
    for (uint64_t i = 0; i < n; i++) {
        float v = normal(90 + r, i);

        switch (r % 8) {
        case 0: case 1: break;
        case 2: v = 0; break;
        case 3: v = 0.37f; break;
        case 4: v *= 1e-38f; break;
        case 5: v *= 1e30f; break;
        case 6: v = i % 97 == 5 ? 300.0f : 0.01f * v; break;
        default: v = (float)((int)(i % 33) - 16) * 0.5f; break;
        }
        x[i] = v;
    }
}

/* Every tier's inner loops give the bytes of plain C. */
static void tiers(void **state)
{
    enum { N = 768, MOST = 4 * N };
    static float x[N], w[N];
    static uint8_t plain[MOST], fast[MOST];

    (void)state;
    for (uint32_t r = 0; r < 64; r++) {
        trouble(x, N, r);
        for (int i = 0; i < N; i++) w[i] = r % 3 == 0 && i % 5 == 0 ? 0.0f : weight(3 + r, (uint64_t)i);
        for (int k = 0; k < N_ALL; k++) {
            const struct pare_dtype *t = pare_dtype_of(all[k]);
            uint64_t bytes, cols = (t->caps & PARE_DT_ANYWIDTH) ? N - r % 40 : N;

            assert_true(pare_dtype_row_bytes(t, cols, &bytes));
            pare_enc_use(NULL);
            t->encode(plain, x, cols, r % 2 ? w : NULL);
            for (int tier = 1; tier <= pare_cpu_best_tier(); tier++) {
                pare_enc_use(pare_enc_wide_for(tier));
                t->encode(fast, x, cols, r % 2 ? w : NULL);
                if (memcmp(plain, fast, bytes) != 0) fail_msg("%s, row %u: tier %d gives other bytes than plain C", t->name, r, tier);
            }
            pare_enc_use(NULL);
        }
    }
}

/* Encoding what was decoded loses next to nothing more, and scaling a row by a power of two scales its code. */
static void again(void **state)
{
    enum { N = 1024 };
    static float x[N], y[N], z[N], four[N];

    (void)state;
    for (int i = 0; i < N; i++) x[i] = 0.5f * normal(70, (uint64_t)i);
    for (int i = 0; i < N; i++) four[i] = 4.0f * x[i];
    for (int k = 0; k < N_ALL; k++) {
        const struct pare_dtype *t = pare_dtype_of(all[k]);
        double once, step;

        round_trip(t, y, x, N, NULL);
        round_trip(t, z, y, N, NULL);
        once = error_of(x, y, NULL, N);
        step = error_of(y, z, NULL, N);
        print_message("%-7s second encoding adds %.4f of the first error\n", t->name, step / once);
        assert_true(step <= 0.10 * once);
        assert_true(error_of(x, z, NULL, N) <= 1.05 * once);
        round_trip(t, z, four, N, NULL);
        for (int i = 0; i < N && !(t->caps & PARE_DT_ANYWIDTH); i++) assert_true(z[i] == 4.0f * y[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_scales),    cmocka_unit_test(sub_scales), cmocka_unit_test(published_limits),
        cmocka_unit_test(public_encoders), cmocka_unit_test(importance), cmocka_unit_test(ignored_outlier),
        cmocka_unit_test(odd_rows),        cmocka_unit_test(any_width),  cmocka_unit_test(same_bytes),
        cmocka_unit_test(tiers),
        cmocka_unit_test(again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
