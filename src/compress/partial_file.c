/* SPDX-License-Identifier: Apache-2.0
 * src/compress/partial_file.c: partly binary matrices as bits, the lowest of a byte first:
 *     40 bits    number of salient weights
 *      5 bits    k
 *     mask       for each salient weight in row order: g = binary weights since the last one; g >> k ones, a zero, the k low bits of g
 *     signs      a bit for each binary weight, 1: +
 *     values     8 bits for each salient weight
 *     scales     f16: mu and alpha of each run of each row, then a scale of each row
 * Gaps of a tenth of all weights cost about half a bit a weight, a map of bits a whole one. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/partial_binary.h"

#define HEADER 45

/* Writes where there is a buffer, counts in any case. */
struct writer { struct pare_buf *buf; uint64_t bits; uint8_t byte; };

static void put(struct writer *w, uint64_t v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        w->byte |= (uint8_t)((v >> i & 1) << (w->bits & 7));
        if ((++w->bits & 7) == 0) {
            if (w->buf != NULL) pare_buf_add(w->buf, &w->byte, 1);
            w->byte = 0;
        }
    }
}

static void put_mask(struct writer *w, const struct pare_partial *p, uint32_t k)
{
    uint64_t gap = 0;

    for (uint64_t i = 0; i < p->rows * p->cols; i++) {
        if (!p->salient[i]) {
            gap++;
            continue;
        }
        for (uint64_t q = gap >> k; q > 0; q--) put(w, 1, 1);
        put(w, 0, 1);
        put(w, gap, k);
        gap = 0;
    }
}

static uint64_t mask_bits(const struct pare_partial *p, uint32_t k)
{
    uint64_t gap = 0, bits = 0;

    for (uint64_t i = 0; i < p->rows * p->cols; i++) {
        if (!p->salient[i]) gap++;
        else bits += (gap >> k) + 1 + k, gap = 0;
    }
    return bits;
}

int pare_partial_pack(const struct pare_partial *p, struct pare_buf *buf, struct pare_partial_size *size, struct pare_diag *diag)
{
    struct writer w = { .buf = buf };
    uint64_t cells = p->rows * p->cols, best = UINT64_MAX;
    uint32_t k = 0;

    for (uint32_t i = 0; i < 32; i++) { /* the sum falls, then rises */
        uint64_t bits = mask_bits(p, i);

        if (bits >= best) break;
        best = bits;
        k = i;
    }
    *size = (struct pare_partial_size){ .mask = HEADER + best, .signs = cells - p->n_salient, .values = 8 * p->n_salient,
                                        .scales = 16 * p->rows * (2 * (uint64_t)p->n_runs + 1) };
    if (buf == NULL) return PARE_OK;
    put(&w, p->n_salient, 40);
    put(&w, k, 5);
    put_mask(&w, p, k);
    for (uint64_t i = 0; i < cells; i++)
        if (!p->salient[i]) put(&w, p->code[i] > 0, 1);
    for (uint64_t i = 0; i < cells; i++)
        if (p->salient[i]) put(&w, (uint8_t)p->code[i], 8);
    for (uint64_t i = 0; i < p->rows * p->n_runs; i++) {
        put(&w, pare_f32_to_f16(p->mu[i]), 16);
        put(&w, pare_f32_to_f16(p->alpha[i]), 16);
    }
    for (uint64_t r = 0; r < p->rows; r++) put(&w, pare_f32_to_f16(p->scale[r]), 16);
    if ((w.bits & 7) != 0) pare_buf_add(buf, &w.byte, 1);
    return buf->failed ? PARE_NOMEM(diag) : PARE_OK;
}

/* Bits beyond the end read as 0 and are remembered. */
struct reader { const uint8_t *at; uint64_t pos, end; bool over; };

static uint64_t get(struct reader *r, uint32_t n)
{
    uint64_t v = 0;

    for (uint32_t i = 0; i < n; i++, r->pos++) {
        if (r->pos >= r->end) {
            r->over = true;
            return 0;
        }
        v |= (uint64_t)(r->at[r->pos / 8] >> (r->pos & 7) & 1) << i;
    }
    return v;
}

static bool get_mask(struct reader *r, struct pare_partial *p, uint64_t n)
{
    uint64_t cells = p->rows * p->cols, at = 0;
    uint32_t k = (uint32_t)get(r, 5);

    p->n_salient = n;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t q = 0;

        while (get(r, 1) == 1)
            if (++q > cells) return false;
        q = (q << k) + get(r, k);
        if (r->over || q >= cells - at) return false;
        at += q;
        p->salient[at++] = 1;
        if (at == cells && i + 1 < n) return false;
    }
    return true;
}

int pare_partial_unpack(struct pare_partial *p, uint64_t rows, uint64_t cols, uint32_t run, const uint8_t *bytes, uint64_t n, struct pare_diag *diag)
{
    struct reader r = { .at = bytes, .end = n <= UINT64_MAX / 8 ? n * 8 : 0 };
    uint64_t salient, cells;
    int rc;

    memset(p, 0, sizeof *p);
    /* Every weight takes a bit at least, so nothing larger than the bytes is allocated. */
    PARE_FAIL_IF(diag, cols == 0 || rows > r.end / cols, PARE_E_CORRUPT, "%llu bytes are too few for %llu x %llu weights", (unsigned long long)n,
                 (unsigned long long)rows, (unsigned long long)cols);
    cells = rows * cols;
    salient = get(&r, 40);
    PARE_FAIL_IF(diag, salient > cells, PARE_E_CORRUPT, "%llu salient weights of %llu", (unsigned long long)salient, (unsigned long long)cells);
    PARE_FORWARD(pare_partial_shape(p, rows, cols, run, diag));
    rc = get_mask(&r, p, salient) ? PARE_OK : PARE_ERR(diag, PARE_E_CORRUPT, "the mask does not fit its matrix");
    for (uint64_t i = 0; i < cells && rc == PARE_OK; i++)
        if (!p->salient[i]) p->code[i] = get(&r, 1) ? 1 : -1;
    for (uint64_t i = 0; i < cells && rc == PARE_OK; i++)
        if (p->salient[i]) p->code[i] = (int8_t)(uint8_t)get(&r, 8);
    for (uint64_t i = 0; i < p->rows * p->n_runs && rc == PARE_OK; i++) {
        p->mu[i] = pare_f16_to_f32((uint16_t)get(&r, 16));
        p->alpha[i] = pare_f16_to_f32((uint16_t)get(&r, 16));
    }
    for (uint64_t i = 0; i < rows && rc == PARE_OK; i++) p->scale[i] = pare_f16_to_f32((uint16_t)get(&r, 16));
    if (rc == PARE_OK && r.over) rc = PARE_ERR(diag, PARE_E_CORRUPT, "the matrix ends after %llu bytes", (unsigned long long)n);
    if (rc < 0) pare_partial_free(p);
    return rc;
}
