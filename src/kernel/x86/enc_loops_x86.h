/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/x86/enc_loops_x86.h: the inner loops of the encoders on sixteen lanes, operation by operation those of
 * tensor/enc_loops.c. Include once a tier, after v16_*.h, which must have v_gather (table[(int)y], y within the table). */
#ifndef PARE_KERNEL_X86_ENC_LOOPS_H
#define PARE_KERNEL_X86_ENC_LOOPS_H

#include "tensor/enc_lanes.h"
#include "tensor/enc_loops.h"

V16 v16 enc_round(v16 y) { return v_sub(v_add(y, v_set1(12582912.0f)), v_set1(12582912.0f)); }

V16 v16 enc_levels(const struct pare_enc_book *b, v16 x, float inv)
{
    if (b->table) {
        v16 y = v_add(v_mul(x, v_set1(2.0f * inv)), v_set1(256.0f));

        return v_gather(b->near, v_min(v_max(y, v_set1(0.0f)), v_set1(511.0f)));
    }
    return enc_round(v_min(v_max(v_mul(x, v_set1(inv)), v_set1(b->lo)), v_set1(b->hi)));
}

static struct pare_enc_fit enc_probe(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale)
{
    const v16 s = v_set1(scale), zero = v_set1(0.0f);
    v16       e = zero, g = zero, h = zero;
    float     inv = pare_enc_inverse(scale), t[4];

    for (int j = 0; j < n; j += 16) {
        v16 xv = v_load(x + j), wv = v_load(w + j), level = enc_levels(b, xv, inv);
        v16 r = v_sub(xv, v_mul(s, level)), wr = v_mul(wv, r), wl = v_mul(wv, level);

        e = v_add(e, v_mul(wr, r));
        g = v_add(g, v_mul(wr, level));
        h = v_add(h, v_mul(wl, level));
    }
    _mm_storeu_ps(t, v_tree4(e, g, h, zero));
    return (struct pare_enc_fit){ t[0], t[1], t[2] };
}

static float enc_error(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale)
{
    const v16 s = v_set1(scale);
    v16       e = v_set1(0.0f);
    float     inv = pare_enc_inverse(scale);

    for (int j = 0; j < n; j += 16) {
        v16 xv = v_load(x + j), r = v_sub(xv, v_mul(s, enc_levels(b, xv, inv)));

        e = v_add(e, v_mul(v_mul(v_load(w + j), r), r));
    }
    return v_tree(e);
}

V16 v16 enc_codes(const struct pare_enc_line *l, v16 x, float inv, float top)
{
    return enc_round(v_min(v_max(v_mul(v_sub(x, v_set1(l->base)), v_set1(inv)), v_set1(0.0f)), v_set1(top)));
}

static struct pare_enc_line_fit enc_line_probe(const struct pare_enc_line *l, const float *x, const float *w, int n, float top)
{
    const v16 s = v_set1(l->scale), base = v_set1(l->base), zero = v_set1(0.0f);
    v16       e = zero, gq = zero, g1 = zero, hqq = zero, hq = zero, h1 = zero;
    float     inv = pare_enc_inverse(l->scale), t[8];

    for (int j = 0; j < n; j += 16) {
        v16 xv = v_load(x + j), wv = v_load(w + j), q = enc_codes(l, xv, inv, top);
        v16 r = v_sub(xv, v_add(v_mul(s, q), base)), wr = v_mul(wv, r), wq = v_mul(wv, q);

        e = v_add(e, v_mul(wr, r));
        gq = v_add(gq, v_mul(wr, q));
        g1 = v_add(g1, wr);
        hqq = v_add(hqq, v_mul(wq, q));
        hq = v_add(hq, wq);
        h1 = v_add(h1, wv);
    }
    _mm_storeu_ps(t, v_tree4(e, gq, g1, hqq));
    _mm_storeu_ps(t + 4, v_tree4(hq, h1, zero, zero));
    return (struct pare_enc_line_fit){ t[0], t[1], t[2], t[3], t[4], t[5] };
}

static float enc_line_error(const struct pare_enc_line *l, const float *x, const float *w, int n, float top)
{
    const v16 s = v_set1(l->scale), base = v_set1(l->base);
    v16       e = v_set1(0.0f);
    float     inv = pare_enc_inverse(l->scale);

    for (int j = 0; j < n; j += 16) {
        v16 xv = v_load(x + j), r = v_sub(xv, v_add(v_mul(s, enc_codes(l, xv, inv, top)), base));

        e = v_add(e, v_mul(v_mul(v_load(w + j), r), r));
    }
    return v_tree(e);
}

#endif
