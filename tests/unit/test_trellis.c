/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_trellis.c: trellis codes. Rows read a second way, from the text of docs/own-types.md; the path search against every
 * path; what is left of normal numbers against the best scalar codes; columns chosen anew. */
#include "fixture.h"

#include <math.h>

#include "base/checked.h"
#include "base/job.h"
#include "base/mem.h"
#include "base/rng.h"
#include "kernel/enc_tiers.h"
#include "tensor/dtype.h"
#include "tensor/trellis.h"

static const enum pare_type type[] = { PARE_TC2, PARE_TC3, PARE_TC4 };
enum { N_TYPE = 3, MOST = 1024 };

static float normal(uint64_t seed, uint64_t i) { return pare_rng_normal(seed, PARE_RNG_TEST, i); }

static double error_of(const float *x, const float *y, uint64_t n)
{
    double sum = 0;

    for (uint64_t i = 0; i < n; i++) sum += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
    return sum;
}

/* ---- the description ---- */

/* Field f of `width` bits of the byte string that the words q[at], q[at + 4], ... are. */
static unsigned field(const uint8_t *q, unsigned width, unsigned f)
{
    return q[f * width / 8 * 4] >> f * width % 8 & ((1u << width) - 1);
}

static unsigned code_of(const uint8_t *row, unsigned bits, unsigned col)
{
    const uint8_t *q = row + 2 + col / 32 * 4 * bits + col % 4;
    unsigned step = col % 32 / 4;

    if (bits == 4) return field(q, 4, step);
    return field(q, 2, step) | (bits == 3 ? field(q + 8, 1, step) << 2 : 0u);
}

static void description(void **state)
{
    static uint8_t row[MOST];
    static float got[300];

    (void)state;
    for (int k = 0; k < N_TYPE; k++)
        for (unsigned cols = 1; cols <= 300; cols += cols < 70 ? 1 : 23) {
            const struct pare_dtype *t = pare_dtype_of(type[k]);
            const struct pare_trellis *tr = t->pack.trellis;
            unsigned bits = tr->bits, n = (cols + 31) / 32 * 32;
            uint64_t bytes;

            assert_true(pare_dtype_row_bytes(t, cols, &bytes));
            assert_int_equal(bytes, 2 + n * bits / 8);
            for (uint64_t i = 0; i < bytes; i++) row[i] = (uint8_t)pare_rng_u64(cols, PARE_RNG_TEST, i);
            row[1] &= 0xbf;
            t->decode(got, row, cols);
            for (unsigned c = 0; c < cols; c++) {
                unsigned w[6], place = c % 4 * (n / 4) + c / 4, num[3], h;

                for (unsigned i = 0; i < 6; i++) { /* codes of this place and of those before it on the ring */
                    unsigned p = (place + n - i) % n;

                    w[i] = code_of(row, bits, 4 * (p % (n / 4)) + p / (n / 4));
                }
                for (int i = 0; i < 3; i++) num[i] = bits == 4 ? w[i] : w[2 * i + 1] % 4 + 4 * (w[2 * i] % 4);
                if (bits == 3) num[2] = w[3] / 4 + w[2] / 4 * 2 + w[1] / 4 * 4 + w[0] / 4 * 8;
                h = (unsigned)(tr->mix[0][num[0]] ^ tr->mix[1][num[1]] ^ tr->mix[2][num[2]]);
                assert_true(got[c] == pare_f16_to_f32(pare_le16(row)) * (float)(tr->low[h % 16] + tr->high[h / 16]));
            }
        }
}

/* Values are bytes whose negatives are bytes; kernels add tc2's high values without a table. */
static void tables(void **state)
{
    (void)state;
    for (int k = 0; k < N_TYPE; k++) {
        const struct pare_trellis *t = pare_dtype_of(type[k])->pack.trellis;

        for (int i = 0; i < 256; i++) {
            int v = t->low[i & 15] + t->high[i >> 4];

            assert_true(v >= -127 && v <= 127);
        }
        for (int i = 0; i < 16 && t->bits == 2; i++) {
            assert_int_equal(t->high[i], t->high[0] + 16 * (i & 3));
            for (int j = 0; j < 3; j++) assert_true(t->mix[j][i] < 64);
        }
    }
}

/* ---- the search ---- */

/* Least error of n columns over all codes, by recursion; a state is a window, its newest code lowest. */
static float values[1 << 12];
static double least(const struct pare_enc_path *p, int i, int state, double so_far, double bound)
{
    if (i == p->n) return p->to < 0 || (state & ((1 << (12 - p->bits)) - 1)) == p->to ? so_far : bound;
    for (int c = 0; c < 1 << p->bits; c++) {
        int s = (state << p->bits | c) & 4095;
        double r = (double)p->y[i] - (double)values[(s & ((1 << p->bits) - 1)) << (12 - p->bits) | s >> p->bits];
        double e = so_far + (double)p->w[i] * r * r;

        if (e < bound) bound = least(p, i + 1, s, e, bound);
    }
    return bound;
}

static double path_error(const struct pare_enc_path *p)
{
    double sum = 0;
    int state = p->from;

    for (int i = 0; i < p->n; i++) {
        state = (state << p->bits | p->code[i]) & 4095;
        double r = (double)p->y[i] - (double)values[(state & ((1 << p->bits) - 1)) << (12 - p->bits) | state >> p->bits];
        sum += (double)p->w[i] * r * r;
    }
    if (p->to >= 0) assert_int_equal(state & ((1 << (12 - p->bits)) - 1), p->to);
    return sum;
}

static void every_path(void **state)
{
    static struct pare_enc_path p, plain;

    (void)state;
    for (int i = 0; i < 1 << 12; i++) values[i] = 30.0f * normal(1, (uint64_t)i);
    p.value = values;
    for (int trial = 0; trial < 12; trial++) {
        p.bits = 2 + trial % 3;
        p.n = p.bits == 2 ? 7 : p.bits == 3 ? 5 : 4;
        p.from = (int)(pare_rng_u64(2, PARE_RNG_TEST, (uint64_t)trial) % (1u << (12 - p.bits)));
        p.to = trial % 2 ? (int)(pare_rng_u64(3, PARE_RNG_TEST, (uint64_t)trial) % (1u << (12 - p.bits))) : -1;
        for (int i = 0; i < p.n; i++) {
            p.y[i] = 30.0f * normal(4, (uint64_t)(8 * trial + i));
            p.w[i] = i == 2 ? 0.0f : fabsf(normal(5, (uint64_t)(8 * trial + i)));
        }
        double best = least(&p, 0, p.from, 0.0, 1e30);

        pare_enc_wide_for(0)->path(&p);
        assert_true(path_error(&p) <= best * (1 + 1e-4) + 1e-3); /* costs carry notes in their last bits */
        plain = p;
        for (int tier = 1; tier <= pare_cpu_best_tier(); tier++) {
            memset(p.code, 0xee, sizeof p.code);
            pare_enc_wide_for(tier)->path(&p);
            assert_memory_equal(p.code, plain.code, (size_t)p.n);
        }
    }
}

/* Mean squared error of normal numbers. The best scalar codes of 2, 3 and 4 bits (Lloyd 1957, Max 1960) leave 0.1175, 0.03454 and
 * 0.009497; no code at all less than 4^-bits. */
static void normal_numbers(void **state)
{
    static const double scalar[] = { 0.1175, 0.03454, 0.009497 };
    enum { COLS = 1024, ROWS = 12 };
    static float x[COLS], y[COLS];
    static uint8_t row[MOST];

    (void)state;
    pare_enc_use(pare_enc_wide_for(pare_cpu_best_tier()));
    for (int k = 0; k < N_TYPE; k++)
        for (int cols = 256; cols <= COLS; cols *= 4) {
            const struct pare_dtype *t = pare_dtype_of(type[k]);
            double err = 0, power = 0;

            for (int r = 0; r < ROWS * COLS / cols; r++) {
                for (int i = 0; i < cols; i++) x[i] = 0.02f * normal(7, (uint64_t)(r * cols + i));
                t->encode(row, x, (uint64_t)cols, NULL);
                t->decode(y, row, (uint64_t)cols);
                err += error_of(x, y, (uint64_t)cols);
                power += error_of(x, (const float[COLS]){ 0 }, (uint64_t)cols);
            }
            print_message("%s, rows of %d: %.5f, scalar %.5f\n", t->name, cols, err / power, scalar[k]);
            assert_true(err / power < 0.65 * scalar[k] && err / power > pow(4.0, -(double)t->pack.bits));
        }
    pare_enc_use(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(description), cmocka_unit_test(tables), cmocka_unit_test(every_path), cmocka_unit_test(normal_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
