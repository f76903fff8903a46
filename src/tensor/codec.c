/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/codec.c: the list of number formats, and tensors cut into groups. */
#include "tensor/codec.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "tensor/codec_private.h"

#define CODEC(name) &pare_codec_##name,
static const struct pare_codec *const rows[] = {
#include "tensor/codec_list.h"
};
#undef CODEC

const struct pare_codec *const *pare_codecs(uint32_t *n)
{
    *n = sizeof rows / sizeof *rows;
    return rows;
}

const struct pare_codec *pare_codec_by_name(const char *name)
{
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i]->name, name) == 0) return rows[i];
    return NULL;
}

/* How a shape is walked: a whole tensor is one row of one group. */
struct cut {
    uint64_t rows, cols, group, whole, tail; /* whole groups a row, columns of the last, shorter one */
};

static bool cut_of(const struct pare_codec *c, struct pare_codec_shape s, struct cut *k)
{
    uint64_t all;

    if (s.rows == 0 || s.cols == 0 || !pare_mul_u64(s.rows, s.cols, &all)) return false;
    if (c->group != 0 && s.group != 0 && s.group != c->group) return false;
    if (c->group == 0 && s.group == 0) return false;
    *k = (struct cut){ .rows = s.rows, .cols = s.cols, .group = c->group != 0 ? c->group : s.group };
    if (k->group == PARE_CODEC_TENSOR) *k = (struct cut){ .rows = 1, .cols = all, .group = all };
    if (k->group > k->cols) k->group = k->cols;
    k->whole = k->cols / k->group;
    k->tail = k->cols % k->group;
    return true;
}

bool pare_codec_bytes(const struct pare_codec *c, struct pare_codec_shape s, uint64_t *out)
{
    struct cut k;
    uint64_t   row, bytes;

    if (!cut_of(c, s, &k) || !pare_mul_u64(k.whole, c->head + pare_codec_code_bytes(c, k.group), &row)) return false;
    if (k.tail > 0 && !pare_add_u64(row, c->head + pare_codec_code_bytes(c, k.tail), &row)) return false;
    return pare_mul_u64(row, k.rows, &bytes) && pare_add_u64(bytes, c->front, out);
}

static uint8_t *encode_group(const struct pare_codec *c, uint8_t *dst, const float *x, uint64_t n, float front)
{
    uint16_t code[PARE_CODEC_PIECE];
    uint8_t  head[PARE_CODEC_HEAD] = { 0 };

    c->fit(c, head, x, n, front);
    if (c->head > 0) memcpy(dst, head, c->head);
    dst += c->head;
    for (uint64_t i = 0; i < n; i += PARE_CODEC_PIECE) {
        uint64_t m = n - i < PARE_CODEC_PIECE ? n - i : PARE_CODEC_PIECE;

        c->encode(c, code, x + i, m, head, front);
        pare_codec_pack(c, dst, code, m);
        dst += pare_codec_code_bytes(c, m);
    }
    return dst;
}

static const uint8_t *decode_group(const struct pare_codec *c, float *dst, const uint8_t *src, uint64_t n, float front)
{
    uint16_t       code[PARE_CODEC_PIECE];
    const uint8_t *head = src;

    src += c->head;
    for (uint64_t i = 0; i < n; i += PARE_CODEC_PIECE) {
        uint64_t m = n - i < PARE_CODEC_PIECE ? n - i : PARE_CODEC_PIECE;

        pare_codec_unpack(c, code, src, m);
        c->decode(c, dst + i, code, m, head, front);
        src += pare_codec_code_bytes(c, m);
    }
    return src;
}

void pare_codec_encode(const struct pare_codec *c, struct pare_codec_shape s, uint8_t *dst, const float *w)
{
    struct cut k;
    float      front = 0.0f;

    if (!cut_of(c, s, &k)) return;
    if (c->front_of != NULL) {
        uint32_t bits;

        front = c->front_of(c, pare_codec_amax(w, k.rows * k.cols));
        bits = pare_f32_bits(front);
        for (int b = 0; b < 4; b++) *dst++ = (uint8_t)(bits >> 8 * b);
    }
    for (uint64_t r = 0; r < k.rows; r++)
        for (uint64_t at = 0; at < k.cols; at += k.group)
            dst = encode_group(c, dst, w + r * k.cols + at, k.cols - at < k.group ? k.cols - at : k.group, front);
}

void pare_codec_decode(const struct pare_codec *c, struct pare_codec_shape s, float *dst, const uint8_t *src)
{
    struct cut k;
    float      front = 0.0f;

    if (!cut_of(c, s, &k)) return;
    if (c->front_of != NULL) front = pare_bits_f32(pare_le32(src));
    src += c->front;
    for (uint64_t r = 0; r < k.rows; r++)
        for (uint64_t at = 0; at < k.cols; at += k.group)
            src = decode_group(c, dst + r * k.cols + at, src, k.cols - at < k.group ? k.cols - at : k.group, front);
}

int pare_codec_round(const struct pare_codec *c, struct pare_codec_shape s, float *w, uint64_t *bytes, struct pare_diag *diag)
{
    uint64_t n;
    uint8_t *buf;

    PARE_FAIL_IF(diag, !pare_codec_bytes(c, s, &n), PARE_E_USAGE, "%s: groups of %" PRIu64 " in %" PRIu64 " x %" PRIu64 " do not suit it",
                 c->name, s.group, s.rows, s.cols);
    for (uint64_t i = 0; i < s.rows * s.cols; i++)
        PARE_FAIL_IF(diag, !isfinite(w[i]), PARE_E_CORRUPT, "%s: number %" PRIu64 " is not finite", c->name, i);
    buf = pare_malloc(n);
    if (buf == NULL) return PARE_NOMEM(diag);
    pare_codec_encode(c, s, buf, w);
    pare_codec_decode(c, s, w, buf);
    pare_free(buf);
    if (bytes != NULL) *bytes = n;
    return PARE_OK;
}
