/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/sparse_make.c: sparse matrices from dense ones. A panel is written twice: first without memory, to learn its size. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "kernel/sparse_layout.h"

#define IMAGE_MAGIC 0x31535250u /* "PRS1" */
#define IMAGE_HEAD 64u
#define SLACK 64u

/* What a panel is made from. */
struct source {
    const float    *w;     /* [rows][cols] */
    const uint64_t *keep;
    uint64_t        words;
    uint8_t        *line;  /* [16] encoded rows (q8_0) */
    uint64_t        stride;
    float          *row;   /* [cols] */
    const struct pare_group4 *g;
};

/* Counts, and writes where there is memory. */
struct out { uint8_t *base; uint64_t used; };
static void put(struct out *o, const void *p, uint64_t n)
{
    if (o->base != NULL) memcpy(o->base + o->used, p, n);
    o->used += n;
}
static void put16(struct out *o, uint16_t v) { put(o, (uint8_t[2]){ (uint8_t)v, (uint8_t)(v >> 8) }, 2); }
static void put32(struct out *o, uint32_t v) { put(o, (uint8_t[4]){ (uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24) }, 4); }
static void put64(struct out *o, uint64_t v)
{
    put32(o, (uint32_t)v);
    put32(o, (uint32_t)(v >> 32));
}
static void align(struct out *o)
{
    const uint64_t to = pare_sparse_up64(o->used);

    if (o->base != NULL) memset(o->base + o->used, 0, to - o->used);
    o->used = to;
}

static bool kept(const struct pare_sparse *s, const struct source *in, uint64_t r, uint64_t c)
{
    return r < s->rows && (in->keep[r * in->words + c / 64] >> (c % 64) & 1) != 0;
}
static float weight(const struct pare_sparse *s, const struct source *in, uint64_t r, uint64_t c) { return in->w[r * s->cols + c]; }

static void put_value(struct out *o, enum pare_type type, float v)
{
    if (type == PARE_F16) put16(o, pare_f32_to_f16(v));
    else put32(o, pare_f32_bits(v));
}

/* The pairs of a tile, sixteen positions before their sixteen values. */
static void put_pairs(const struct pare_sparse *s, const struct source *in, uint64_t r0, uint64_t c0, uint64_t end, uint32_t up, struct out *o)
{
    uint64_t i = c0 << 4;

    for (uint32_t n = 0; n < up; n += 16) {
        uint16_t value[16] = { 0 };

        for (uint32_t k = 0; k < 16; k++, i++) {
            while (i < end << 4 && !kept(s, in, r0 + i % 16, i / 16)) i++;
            put16(o, i < end << 4 ? (uint16_t)(i - (c0 << 4)) : PARE_SPARSE_VOID);
            if (i < end << 4) value[k] = pare_f32_to_f16(weight(s, in, r0 + i % 16, i / 16));
        }
        for (uint32_t k = 0; k < 16; k++) put16(o, value[k]);
    }
}

static void make_tiled(const struct pare_sparse *s, const struct source *in, uint32_t panel, struct out *o)
{
    const uint64_t r0 = (uint64_t)panel * 16;

    for (int pass = 0; pass < 2; pass++) {
        for (uint64_t c0 = 0; c0 < s->cols; c0 += PARE_SPARSE_TILE) {
            const uint64_t end = s->cols - c0 < PARE_SPARSE_TILE ? s->cols : c0 + PARE_SPARSE_TILE;
            uint32_t       n = 0, up;

            for (uint64_t i = (c0 << 4); i < end << 4; i++) n += kept(s, in, r0 + i % 16, i / 16);
            up = (n + 15) & ~15u;
            if (pass == 0) {
                put32(o, up);
                continue;
            }
            put_pairs(s, in, r0, c0, end, up, o);
        }
        if (pass == 0) align(o);
    }
}

static void make_mask_float(const struct pare_sparse *s, const struct source *in, uint32_t panel, struct out *o)
{
    const uint64_t r0 = (uint64_t)panel * 16;

    for (uint64_t c = 0; c < s->cols; c++) {
        uint32_t m = 0;

        for (uint32_t r = 0; r < 16; r++) m |= (uint32_t)kept(s, in, r0 + r, c) << r;
        put16(o, (uint16_t)m);
    }
    align(o);
    for (uint64_t c = 0; c < s->cols; c++)
        for (uint32_t r = 0; r < 16; r++)
            if (kept(s, in, r0 + r, c)) put_value(o, s->type, weight(s, in, r0 + r, c));
}

/* Rows of the panel as q8_0 bytes, zeros in place of what is gone; absent rows are all 0. */
static void encode_rows(const struct pare_sparse *s, const struct source *in, uint32_t panel)
{
    for (uint32_t r = 0; r < 16; r++) {
        const uint64_t row = (uint64_t)panel * 16 + r;

        if (row >= s->rows) {
            memset(in->line + r * in->stride, 0, in->stride);
            continue;
        }
        for (uint64_t c = 0; c < s->cols; c++) in->row[c] = kept(s, in, row, c) ? weight(s, in, row, c) : 0;
        pare_dtype_of(PARE_Q8_0)->encode(in->line + r * in->stride, in->row, s->cols, NULL);
    }
}
/* d and code of a q8_0 row: blocks of an f16 and 32 codes. */
static uint16_t block_d(const struct source *in, uint32_t r, uint64_t b) { return pare_le16(in->line + r * in->stride + b * 34); }
static uint8_t code_at(const struct source *in, uint32_t r, uint64_t c) { return in->line[r * in->stride + c / 32 * 34 + 2 + c % 32]; }

static void make_mask_q8(const struct pare_sparse *s, const struct source *in, uint32_t panel, struct out *o)
{
    const uint64_t r0 = (uint64_t)panel * 16;

    if (o->base != NULL) encode_rows(s, in, panel);
    for (uint64_t b = 0; b < s->cols / 32; b++) {
        for (uint32_t r = 0; r < 16; r++) put16(o, o->base != NULL ? block_d(in, r, b) : 0);
        for (uint32_t j = 0; j < 8; j++) {
            uint64_t m = 0;

            for (uint32_t i = 0; i < 64; i++) m |= (uint64_t)kept(s, in, r0 + i / 4, b * 32 + j * 4 + i % 4) << i;
            put64(o, m);
        }
    }
    align(o);
    for (uint64_t q = 0; q < s->cols / 4; q++)
        for (uint32_t i = 0; i < 64; i++)
            if (kept(s, in, r0 + i / 4, q * 4 + i % 4)) put(o, &(uint8_t){ o->base != NULL ? code_at(in, i / 4, q * 4 + i % 4) ^ 0x80 : 0 }, 1);
}

/* The kept columns of four neighbours, the later place free where fewer than two stay. */
static void two_of_four(const struct pare_sparse *s, const struct source *in, uint64_t row, uint64_t c, uint8_t pos[2], bool have[2])
{
    uint32_t n = 0;

    pos[0] = pos[1] = 0;
    have[0] = have[1] = false;
    for (uint8_t i = 0; i < 4; i++)
        if (kept(s, in, row, c + i)) {
            pos[n] = i;
            have[n++] = true;
        }
}

static void make_n24(const struct pare_sparse *s, const struct source *in, uint32_t panel, struct out *o)
{
    if (o->base == NULL) {
        o->used += s->cols / 32 * PARE_SPARSE_N24_BLOCK;
        return;
    }
    encode_rows(s, in, panel);
    for (uint64_t b = 0; b < s->cols / 32; b++) {
        uint8_t pos[64] = { 0 }, code[256] = { 0 };

        for (uint32_t r = 0; r < 16; r++) put16(o, block_d(in, r, b));
        for (uint32_t r = 0; r < 16; r++)
            for (uint32_t g = 0; g < 8; g++) {
                const uint64_t c = b * 32 + g * 4;
                const uint32_t v = g / 2, at = 4 * r + 2 * (g % 2);
                uint8_t        p[2];
                bool           have[2];

                two_of_four(s, in, (uint64_t)panel * 16 + r, c, p, have);
                for (uint32_t k = 0; k < 2; k++) {
                    pos[at + k] |= (uint8_t)(p[k] << (2 * v));
                    if (have[k]) code[v * 64 + at + k] = code_at(in, r, c + p[k]);
                }
            }
        put(o, pos, sizeof pos);
        put(o, code, sizeof code);
    }
}

static void make_wide(const struct pare_sparse *s, const struct source *in, uint32_t panel, struct out *o)
{
    const uint64_t r0 = (uint64_t)panel * 16;

    for (uint64_t j = 0; j < 16; j++) {
        uint32_t n = 0;

        for (uint64_t c = j; c < s->cols; c += 16) n += kept(s, in, r0, c);
        put32(o, n);
    }
    for (uint64_t j = 0; j < 16; j++)
        for (uint64_t c = j; c < s->cols; c += 16)
            if (kept(s, in, r0, c)) put16(o, (uint16_t)(c / 16));
    align(o);
    for (uint64_t j = 0; j < 16; j++)
        for (uint64_t c = j; c < s->cols; c += 16)
            for (uint64_t r = r0; kept(s, in, r0, c) && r < r0 + 16; r++) put_value(o, s->type, r < s->rows ? weight(s, in, r, c) : 0);
}

static void make_group(const struct pare_sparse *s, const struct source *in, uint32_t panel, struct out *o)
{
    const struct pare_group4 *g = in->g;
    const uint64_t            n = s->cols / 16, r0 = (uint64_t)panel * 16, r1 = s->rows - r0 < 16 ? s->rows : r0 + 16;

    for (uint64_t r = r0; r < r0 + 16; r++) put16(o, r < r1 ? g->d[r] : 0);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t m = 0;

        for (uint64_t r = r0; r < r1; r++) m |= (uint32_t)(g->keep[r * n + i] != 0) << (r - r0);
        put16(o, (uint16_t)m);
    }
    align(o);
    for (uint64_t i = 0; i < n; i++) {
        for (uint64_t r = r0; r < r1; r++)
            if (g->keep[r * n + i]) put16(o, (uint16_t)(g->scale[r * n + i] | g->zero[r * n + i] << 12));
        for (uint64_t h = 0; h < 2; h++)
            for (uint64_t r = r0; r < r1; r++) {
                const uint8_t *c = g->code + r * s->cols + i * 16 + 4 * h;

                for (uint64_t k = 0; g->keep[r * n + i] && k < 4; k++) put(o, &(uint8_t){ (uint8_t)(c[k] | c[8 + k] << 4) }, 1);
            }
    }
}

static void make_panel(const struct pare_sparse *s, const struct source *in, uint32_t panel, struct out *o)
{
    switch (s->kind) {
    case PARE_SPARSE_TILED: make_tiled(s, in, panel, o); break;
    case PARE_SPARSE_MASK: (s->type == PARE_Q8_0 ? make_mask_q8 : make_mask_float)(s, in, panel, o); break;
    case PARE_SPARSE_N24: make_n24(s, in, panel, o); break;
    case PARE_SPARSE_GROUP: make_group(s, in, panel, o); break;
    case PARE_SPARSE_WIDE: make_wide(s, in, panel, o); break;
    case PARE_SPARSE_KINDS: break;
    }
    align(o);
}

/* One block: header, at, data. */
static int make_image(struct pare_sparse *s, const struct source *in, struct pare_diag *diag)
{
    const uint64_t data = pare_sparse_up64(IMAGE_HEAD + (s->n_panels + 1ull) * sizeof *s->at);
    struct out     o = { 0 };

    for (uint32_t p = 0; p < s->n_panels; p++) make_panel(s, in, p, &o);
    s->bytes = data + o.used;
    s->image = pare_aligned(s->bytes + SLACK);
    if (s->image == NULL) return PARE_ERR(diag, PARE_E_NOMEM, "no memory for %" PRIu64 " bytes of a sparse matrix", s->bytes);
    memset(s->image, 0, data);
    memset(s->image + s->bytes, 0, SLACK);
    memcpy(s->image, (uint64_t[5]){ IMAGE_MAGIC, (uint64_t)s->kind | (uint64_t)s->type << 32, s->rows, s->cols, s->kept }, 40);
    s->at = (uint64_t *)(void *)(s->image + IMAGE_HEAD);
    s->data = s->image + data;
    o = (struct out){ s->data, 0 };
    for (uint32_t p = 0; p < s->n_panels; p++) {
        s->at[p] = o.used;
        make_panel(s, in, p, &o);
    }
    s->at[s->n_panels] = o.used;
    return PARE_OK;
}

static int check(const struct pare_sparse *s, const struct source *in, struct pare_diag *diag)
{
    static const char *const names[] = { "tiled", "mask", "2:4", "group", "wide" };
    const bool is_float = s->type == PARE_F32 || s->type == PARE_F16;
    const bool suits = s->kind == PARE_SPARSE_TILED ? s->type == PARE_F16 : s->kind == PARE_SPARSE_MASK ? is_float || s->type == PARE_Q8_0
                     : s->kind == PARE_SPARSE_N24 ? s->type == PARE_Q8_0 : s->kind == PARE_SPARSE_WIDE ? is_float : false;

    PARE_FAIL_IF(diag, !suits, PARE_E_USAGE, "%s matrices of type %s do not exist", names[s->kind], pare_dtype_of(s->type)->name);
    PARE_FAIL_IF(diag, s->type == PARE_Q8_0 && s->cols % 32 != 0, PARE_E_USAGE, "rows of %" PRIu64 " weights do not suit q8_0", s->cols);
    for (uint64_t r = 0; r < s->rows; r++)
        for (uint64_t c = 0; c < s->cols; c++) {
            PARE_FAIL_IF(diag, s->kind == PARE_SPARSE_WIDE && r % 16 != 0 && kept(s, in, r, c) != kept(s, in, r / 16 * 16, c), PARE_E_USAGE,
                         "row %" PRIu64 " keeps other columns than the 16 it stands with", r);
            if (s->kind != PARE_SPARSE_N24 || c % 4 != 3) continue;
            PARE_FAIL_IF(diag, kept(s, in, r, c) + kept(s, in, r, c - 1) + kept(s, in, r, c - 2) + kept(s, in, r, c - 3) > 2, PARE_E_USAGE,
                         "more than 2 of 4 weights stay in row %" PRIu64 ", column %" PRIu64, r, c - 3);
        }
    return PARE_OK;
}

static int check_shape(const struct pare_sparse *s, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, s->cols == 0 || s->cols >= 1u << 20 || s->rows > UINT32_MAX - 16u, PARE_E_USAGE, "a sparse matrix of %" PRIu64 " x %" PRIu64 " is too large", s->rows, s->cols);
    return PARE_OK;
}

int pare_sparse_make(struct pare_sparse *s, enum pare_sparse_kind kind, enum pare_type type, const float *w, uint64_t rows, uint64_t cols,
                     const uint64_t *keep, uint64_t words, struct pare_diag *diag)
{
    struct source in = { .w = w, .keep = keep, .words = words };
    int           rc;

    *s = (struct pare_sparse){ .kind = kind, .type = type, .rows = rows, .cols = cols, .n_panels = (uint32_t)((rows + 15) / 16) };
    PARE_FORWARD(check_shape(s, diag));
    PARE_FORWARD(check(s, &in, diag));
    for (uint64_t r = 0; r < rows; r++)
        for (uint64_t c = 0; c < cols; c++) s->kept += kept(s, &in, r, c);
    if (type == PARE_Q8_0) {
        in.stride = cols / 32 * 34;
        in.line = pare_malloc(16 * in.stride);
        in.row = pare_alloc_array(cols, sizeof *in.row);
    }
    rc = type == PARE_Q8_0 && (in.line == NULL || in.row == NULL) ? PARE_NOMEM(diag) : make_image(s, &in, diag);
    pare_free(in.line);
    pare_free(in.row);
    if (rc < 0) pare_sparse_free(s);
    return rc;
}

int pare_sparse_make_group(struct pare_sparse *s, const struct pare_group4 *g, struct pare_diag *diag)
{
    struct source in = { .g = g };

    *s = (struct pare_sparse){ .kind = PARE_SPARSE_GROUP, .type = PARE_Q4_0, .rows = g->rows, .cols = g->cols, .n_panels = (uint32_t)((g->rows + 15) / 16) };
    PARE_FORWARD(check_shape(s, diag));
    PARE_FAIL_IF(diag, g->cols % 32 != 0, PARE_E_USAGE, "rows of %" PRIu64 " weights have no whole blocks of 32", g->cols);
    for (uint64_t i = 0; i < g->rows * (g->cols / 16); i++) {
        s->kept += g->keep[i] != 0;
        PARE_FAIL_IF(diag, g->keep[i] && (g->scale[i] > 4095 || g->zero[i] > 15), PARE_E_USAGE, "group %" PRIu64 " has a scale or zero that does not fit", i);
    }
    return make_image(s, &in, diag);
}
