/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_tc.c: the trellis-coded types. Layout: type_tc.c; what a code means: trellis.h.
 *
 * The codes are the best path (enc_wide.h) for a scale d, and d is the best one for the codes of a first path over part of the row; where
 * the whole row asks for quite another scale, again. A row
 * is a ring, so where it begins must suit where it ends: a short path across the seam, free at both ends, says which codes stand there,
 * and the long one is held to them. Long rows are cut: a piece is followed LOOK columns further than it is used, after which the
 * rest of the row no longer asks for other codes. */
#include <string.h>

#include "base/checked.h"
#include "tensor/dtype.h"
#include "tensor/enc_put.h"
#include "tensor/enc_wide.h"
#include "tensor/encode.h"
#include "tensor/trellis.h"

enum { WINDOW = PARE_ENC_PATH, LOOK = 16, SAMPLE = 128, ROUNDS = 3, STATES = 1 << PARE_TRELLIS_BITS, BLOCK = PARE_TRELLIS_BLOCK };
#define FAR 1024.0f /* in the unit of values, which end at 127: weights further away ask for the same code */

/* A row as a ring of n places. */
struct ring {
    const struct pare_trellis *t;
    const struct pare_enc_wide *wide;
    const float *src, *importance;
    uint64_t cols, n;
    struct pare_enc_unit u;
    float    d;           /* in the scaled domain */
    uint8_t *codes;       /* bytes of the row's codes */
    struct pare_enc_path path;
};

/* Values of the states, by newest code and history. They are the same for every row of a type. */
static const float *values_of(const struct pare_trellis *t)
{
    static _Thread_local _Alignas(64) float value[STATES];
    static _Thread_local const struct pare_trellis *of;
    const int k = t->bits, n = STATES >> k;

    for (int s = 0; s < STATES && of != t; s++) {
        uint8_t code[8];
        unsigned w[3];

        for (int i = 0; i < 8; i++) code[7 - i] = (uint8_t)((i * k < PARE_TRELLIS_BITS ? s >> i * k : 0) & ((1 << k) - 1));
        pare_trellis_window(k, code + 7, 1, w);
        value[(s & ((1 << k) - 1)) * n + (s >> k)] = (float)pare_trellis_value(t, w);
    }
    of = t;
    return value;
}

static uint64_t column_of(const struct ring *r, uint64_t place) { return 4 * (place % (r->n / 4)) + place / (r->n / 4); }

static void put_field(uint8_t *q, unsigned at, unsigned mask, unsigned v) { *q = (uint8_t)((*q & ~(mask << at)) | v << at); }

static void put_code(const struct ring *r, uint64_t place, unsigned code)
{
    const uint64_t col = column_of(r, place);
    uint8_t *q = r->codes + col / BLOCK * (uint64_t)(4 * r->t->bits) + col % 4;
    const unsigned j = (unsigned)(col % BLOCK / 4);

    if (r->t->bits == 4) {
        put_field(q + j / 2 * 4, 4 * (j % 2), 15, code);
        return;
    }
    put_field(q + j / 4 * 4, 2 * (j % 4), 3, code & 3);
    if (r->t->bits == 3) put_field(q + 8, j, 1, code >> 2);
}

/* The last codes of `code` as a history. */
static int history_of(const struct ring *r, const uint8_t *end)
{
    int k = r->t->bits, h = 0;

    for (int i = 0; i < PARE_TRELLIS_BITS / k - 1; i++) h |= end[-1 - i] << k * i;
    return h;
}

/* Puts places [from, from + n) of the ring into the path. Columns behind the row weigh nothing. */
static void load(struct ring *r, uint64_t from, int n)
{
    const float over = r->d != 0.0f ? 1.0f / r->d : 0.0f;

    r->path.n = n;
    for (int i = 0; i < n; i++) {
        const uint64_t col = column_of(r, (from + (uint64_t)i) % r->n);
        float y = 0.0f, w = 0.0f;

        if (col < r->cols) {
            y = r->src[col] * r->u.up * over;
            y = y > FAR ? FAR : y < -FAR ? -FAR : y;
            w = r->u.weighted ? (float)((double)r->importance[col] * r->u.w_up) : 1.0f;
            w = w > 0x1p-20f ? w : 0x1p-20f;
        }
        r->path.y[i] = y;
        r->path.w[i] = w;
    }
}

struct fit {
    double g, h; /* sums of w x value and w value^2 */
};

/* Adds the first n columns of the path as it was chosen, history `from` before them. */
static void add_fit(const struct ring *r, struct fit *f, int from, int n)
{
    const int k = r->t->bits, count = STATES >> k;
    int h = from;

    for (int i = 0; i < n; i++) {
        const double v = (double)r->path.value[r->path.code[i] * count + h], w = (double)r->path.w[i];

        f->g += w * (double)r->path.y[i] * v;
        f->h += w * v * v;
        h = (h << k | r->path.code[i]) & (count - 1);
    }
}

/* Chooses places [from, end), history `before` before them and `to` behind them (-1: any), and writes the codes where `write`. */
static void cover(struct ring *r, uint64_t from, uint64_t end, int before, int to, bool write, struct fit *f)
{
    while (from < end) {
        const bool last = end - from <= WINDOW;
        const int n = last ? (int)(end - from) : WINDOW, used = last ? n : WINDOW - LOOK;

        load(r, from, n);
        r->path.from = before;
        r->path.to = last ? to : -1;
        r->wide->path(&r->path);
        if (f != NULL) add_fit(r, f, before, used);
        for (int i = 0; i < used && write; i++) put_code(r, from + (uint64_t)i, r->path.code[i]);
        before = history_of(r, r->path.code + used);
        from += (uint64_t)used;
    }
}

/* The history before place 0, the last codes being chosen with the first ones in view. */
static int seam(struct ring *r)
{
    load(r, r->n - LOOK, 2 * LOOK);
    r->path.from = r->path.to = -1;
    r->wide->path(&r->path);
    return history_of(r, r->path.code + LOOK);
}

/* Weighted root mean square in the scaled domain. */
static float spread(const struct ring *r)
{
    double sum = 0.0, w_sum = 0.0;

    for (uint64_t c = 0; c < r->cols; c++) {
        const double x = (double)(r->src[c] * r->u.up), w = r->u.weighted ? (double)r->importance[c] * r->u.w_up : 1.0;

        sum += w * x * x;
        w_sum += w;
    }
    return w_sum > 0.0 ? (float)__builtin_sqrt(sum / w_sum) : 0.0f;
}

static void begin(struct ring *r, const struct pare_trellis *t, void *dst, const float *src, uint64_t cols, const float *importance)
{
    r->t = t;
    r->wide = pare_enc_wide_now();
    r->src = src;
    r->importance = importance;
    r->cols = cols;
    r->n = (cols + BLOCK - 1) / BLOCK * BLOCK;
    r->u = pare_enc_unit_of(src, importance, cols);
    r->codes = (uint8_t *)dst + 2;
    r->path.bits = t->bits;
    r->path.value = values_of(t);
}

static void encode(const struct pare_trellis *t, void *dst, const float *src, uint64_t cols, const float *importance)
{
    struct fit f = { 0.0, 0.0 };
    struct ring r;
    uint16_t bits;
    float d;
    int before;

    begin(&r, t, dst, src, cols, importance);
    pare_enc_put16(dst, 0);
    memset(r.codes, 0, r.n / BLOCK * (uint64_t)(4 * t->bits));
    if (r.n == 0) return;
    r.d = pare_enc_f16(spread(&r) / t->unit, r.u.k, &bits);
    if (r.d == 0.0f) return;
    before = seam(&r);
    cover(&r, 0, r.n < SAMPLE ? r.n : SAMPLE, before, -1, false, &f);
    if (f.h > 0.0 && f.g > 0.0) r.d = pare_enc_f16((float)((double)r.d * (f.g / f.h)), r.u.k, &bits);
    d = r.d;
    for (int round = 0; round < ROUNDS; round++) {
        r.d = d;
        if (r.d == 0.0f) return;
        f = (struct fit){ 0.0, 0.0 };
        cover(&r, 0, r.n, before, before, true, &f);
        if (!(f.h > 0.0) || !(f.g > 0.0)) return;
        d = pare_enc_f16((float)((double)r.d * (f.g / f.h)), r.u.k, &bits);
        if (f.g < 1.03 * f.h && f.h < 1.03 * f.g) break;
    }
    /* the smallest halves lie far apart: where the nearest one is worse than 0, the row is 0 */
    if ((double)d < 2.0 * (double)r.d * (f.g / f.h)) pare_enc_put16(dst, bits);
}

#define ENCODE(tag)                                                                                                    \
    void pare_encode_##tag(void *dst, const float *src, uint64_t cols, const float *importance)                        \
    {                                                                                                                  \
        encode(&pare_trellis_##tag, dst, src, cols, importance);                                                       \
    }
ENCODE(tc2)
ENCODE(tc3)
ENCODE(tc4)
