/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/unpacked.c: f32 values from the integer view, a group at a time. */
#include "tensor/unpacked.h"

/* Fixed lengths let the compiler unroll and vectorise; n is 16 or 32 except in the last group of a row of any width. */
static inline void affine(float *restrict dst, const uint8_t *restrict idx, unsigned n, int offset, float dw)
{
    for (unsigned j = 0; j < n; j++) dst[j] = dw * (float)(idx[j] + offset);
}

static inline void affine_min(float *restrict dst, const uint8_t *restrict idx, unsigned n, int offset, float dw, float mw)
{
    for (unsigned j = 0; j < n; j++) dst[j] = dw * (float)(idx[j] + offset) + mw;
}

/* Few values, many columns: multiply the table once. */
static inline void table(float *restrict dst, const uint8_t *restrict idx, unsigned n, const int8_t *lut, unsigned size, float dw)
{
    float v[16];

    for (unsigned i = 0; i < size; i++) v[i] = dw * (float)lut[i];
    for (unsigned j = 0; j < n; j++) dst[j] = v[idx[j]];
}

void pare_decode_group(const struct pare_pack_traits *p, float *dst, const uint8_t *idx, unsigned n, float dw, float mw)
{
    if (p->lut != NULL) {
        table(dst, idx, n, p->lut, 1u << p->bits, dw);
    } else if (p->has_min) {
        if (n == 32) affine_min(dst, idx, 32, p->offset, dw, mw);
        else if (n == 16) affine_min(dst, idx, 16, p->offset, dw, mw);
        else affine_min(dst, idx, n, p->offset, dw, mw);
    } else {
        if (n == 32) affine(dst, idx, 32, p->offset, dw);
        else if (n == 16) affine(dst, idx, 16, p->offset, dw);
        else affine(dst, idx, n, p->offset, dw);
    }
}

void pare_decode_blocks(const struct pare_dtype *t, float *dst, const void *src, uint64_t cols)
{
    const struct pare_pack_traits *p = &t->pack;
    const uint8_t *in = src;
    uint8_t idx[256], m[16] = { 0 };
    int8_t s[16];
    float d[8], dmin[8] = { 0 };
    const struct pare_unpacked u = { .idx = idx, .s = s, .m = m, .d = d, .dmin = dmin };

    while (cols > 0) {
        unsigned n = cols < 256 ? (unsigned)cols : 256;

        t->unpack(&u, in, n);
        for (unsigned c = 0, g = 0; c < n; c += p->group, g++) {
            unsigned k = c / p->super;
            pare_decode_group(p, dst + c, idx + c, p->group, d[k] * (float)s[g], -(dmin[k] * (float)m[g]));
        }
        in += (uint64_t)(n / t->block) * t->block_bytes;
        dst += n;
        cols -= n;
    }
}
