/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_block.c: the search among the halves next to a block's ideal scale, or line. */
#include "tensor/enc_block.h"

#include <math.h>

#include "tensor/dtype.h"

enum { LANES = PARE_ENC_WIDE, BLOCK = 32, NEAR = 3 };

/* Loads blocks from src on, at most sixteen of them; k: their exponents, 0 for lanes without a block. Returns how many. */
static int load(struct pare_enc_groups *at, int *k, const float *src, const float *importance, uint64_t cols)
{
    float x[BLOCK * LANES], w[BLOCK * LANES];
    int n = cols < BLOCK * LANES ? (int)(cols / BLOCK) : LANES;

    for (int b = 0; b < LANES; b++) {
        const float *imp = importance != NULL ? importance + BLOCK * b : NULL;

        k[b] = 0;
        if (b >= n) continue;
        struct pare_enc_unit u = pare_enc_unit_of(src + BLOCK * b, imp, BLOCK);

        k[b] = u.k;
        pare_enc_load(&u, x + BLOCK * b, w + BLOCK * b, src + BLOCK * b, imp, BLOCK, BLOCK, BLOCK);
    }
    pare_enc_spread(at, x, w, n, BLOCK);
    return n;
}

/* The half `step` bit patterns from h, of the same sign, which is the order of magnitude; h itself where there is none. */
static uint16_t beside(uint16_t h, int step)
{
    int size = (h & 0x7fff) + step;

    return size < 0 || size > 0x7bff ? h : (uint16_t)((h & 0x8000) | size);
}

static void scale_of_blocks(const struct pare_enc_wide *wide, struct pare_enc_scales *j, const int *k, float *d, uint16_t *bits)
{
    float e[LANES], least[LANES], try_d[LANES];
    uint16_t centre[LANES], try_bits[LANES];

    wide->scale_ideal(j);
    for (int b = 0; b < LANES; b++) d[b] = pare_enc_f16(j->want[b], k[b], &centre[b]), bits[b] = centre[b];
    wide->scale_errors(j, d, least);
    for (int step = -NEAR; step <= NEAR; step++) {
        if (step == 0) continue;
        for (int b = 0; b < LANES; b++) {
            try_bits[b] = j->want[b] != 0.0f ? beside(centre[b], step) : centre[b];
            try_d[b] = pare_enc_scaled_by(pare_f16_to_f32(try_bits[b]), -k[b]);
        }
        wide->scale_errors(j, try_d, e);
        for (int b = 0; b < LANES; b++)
            if (e[b] < least[b]) least[b] = e[b], d[b] = try_d[b], bits[b] = try_bits[b];
    }
}

void pare_enc_scale_blocks(const struct pare_enc_book *book, uint64_t bytes, pare_enc_block_writer *write, uint8_t *dst,
                           const float *src, uint64_t cols, const float *importance)
{
    const struct pare_enc_wide *wide = pare_enc_wide_now();
    struct pare_enc_scales j = { .book = book };
    float d[LANES], at[BLOCK * LANES];
    uint16_t bits[LANES];
    int k[LANES];

    for (uint64_t c = 0; c < cols; c += BLOCK * LANES) {
        int n = load(&j.at, k, src + c, importance != NULL ? importance + c : NULL, cols - c);

        scale_of_blocks(wide, &j, k, d, bits);
        wide->scale_codes(&j, d, at);
        for (int b = 0; b < n; b++, dst += bytes) {
            struct pare_enc_block out = { .d_bits = bits[b] };

            for (int i = 0; i < BLOCK; i++) out.code[i] = pare_enc_code_at(book, at[LANES * i + b]);
            write(dst, &out);
        }
    }
}

/* The neighbouring halves of the scale, each with the base that suits it. */
static void line_of_blocks(const struct pare_enc_wide *wide, struct pare_enc_lines *j, const int *k, float *d, float *m,
                           uint16_t *d_bits, uint16_t *m_bits)
{
    float e[LANES], least[LANES], try_d[LANES], try_m[LANES];
    uint16_t db[LANES], mb[LANES];
    struct pare_enc_line_sums sums;

    wide->line_ideal(j);
    for (int b = 0; b < LANES; b++) {
        d[b] = pare_enc_f16(j->scale[b], k[b], &d_bits[b]);
        m[b] = pare_enc_f16(j->base[b], k[b], &m_bits[b]);
    }
    wide->line_errors(j, d, m, least);
    for (int i = -2; i <= 2; i++) {
        for (int b = 0; b < LANES; b++) try_d[b] = pare_enc_f16(j->scale[b] * (1.0f + 0x1p-11f * (float)i), k[b], &db[b]);
        wide->line_sums(j, try_d, j->base, &sums);
        for (int b = 0; b < LANES; b++)
            try_m[b] = pare_enc_f16(j->base[b] + (j->h1[b] > 0.0f ? sums.g1[b] / j->h1[b] : 0.0f), k[b], &mb[b]);
        wide->line_errors(j, try_d, try_m, e);
        for (int b = 0; b < LANES; b++)
            if (e[b] < least[b]) least[b] = e[b], d[b] = try_d[b], m[b] = try_m[b], d_bits[b] = db[b], m_bits[b] = mb[b];
    }
}

void pare_enc_line_blocks(int bits, uint64_t bytes, pare_enc_block_writer *write, uint8_t *dst, const float *src, uint64_t cols,
                          const float *importance)
{
    const struct pare_enc_wide *wide = pare_enc_wide_now();
    struct pare_enc_lines j = { .bits = bits, .base_hi = INFINITY };
    float d[LANES], m[LANES], code[BLOCK * LANES];
    uint16_t d_bits[LANES], m_bits[LANES];
    int k[LANES];

    for (uint64_t c = 0; c < cols; c += BLOCK * LANES) {
        int n = load(&j.at, k, src + c, importance != NULL ? importance + c : NULL, cols - c);

        line_of_blocks(wide, &j, k, d, m, d_bits, m_bits);
        wide->line_codes(&j, d, m, code);
        for (int b = 0; b < n; b++, dst += bytes) {
            struct pare_enc_block out = { .d_bits = d_bits[b], .m_bits = m_bits[b] };

            for (int i = 0; i < BLOCK; i++) out.code[i] = (uint8_t)(int)code[LANES * i + b];
            write(dst, &out);
        }
    }
}
