/* SPDX-License-Identifier: Apache-2.0
 * src/kernel/gemmq.h: quantized weights times int8 activations. One packed form for all batch sizes: 16 output rows are
 * interleaved into a panel, so one accumulator lane belongs to one output and batch 1, 2..8 and many follow the same recipe
 * (tensor/dtype.h): the same bits for a token alone or in a batch, on every tier. ref/ is the definition.
 *
 * Activations: blocks of 32 columns; amax = max |x|; d = amax / 127 rounded to 22 bits; q = nearest-even(x * (127 / amax)), all 0 when
 * amax == 0. From 2^110 on amax counts as infinite (gemmq_layout.h). The row is padded with zeros to a multiple of 32. */
#ifndef PARE_KERNEL_GEMMQ_H
#define PARE_KERNEL_GEMMQ_H

#include "tensor/dtype.h"

#define PARE_PANEL 16

/* n activation rows of k columns; kp = k rounded up to 32. Blocks lie in the order that kernels read them: runs of PARE_QRUN blocks
 * (1024 columns), in each run row after row. So a few rows of one run are a few kilobytes side by side at distances that compilers know.
 * The arrays lie in one block of pare_qact_bytes; blocks past kp are there and hold anything. */
#define PARE_QRUN 32
struct pare_qact {
    uint32_t n, k, kp;
    uint32_t stride; /* rows of a run: n, or more where these are some rows of a larger batch */
    int8_t  *q;      /* [block][32] */
    float   *d;      /* [block] */
    float   *lift;   /* [block] -PARE_LIFT * d: what kernels take off again, exact */
    int32_t *sum16;  /* [block][2] sums of q over 16 columns: correction for unsigned codes */
    float   *s16;    /* [block][2] d * (float)sum16: what minima of groups of 16 multiply */
    float   *s32;    /* [block] d * (float)(sum over 32): what minima of groups of 32 multiply */
};
/* Index of block b (columns 32 b ..) of row t. */
static inline uint64_t pare_qact_block(const struct pare_qact *a, uint64_t t, uint64_t b)
{
    return (b / PARE_QRUN * a->stride + t) * PARE_QRUN + b % PARE_QRUN;
}
uint64_t pare_qact_bytes(uint32_t n, uint64_t k);
/* Lays the arrays out in mem (PARE_ALIGN-aligned, pare_qact_bytes long). */
void pare_qact_init(struct pare_qact *a, void *mem, uint32_t n, uint64_t k);
/* Rows [t0, t1) of a as a batch of their own; the memory stays a's. */
struct pare_qact pare_qact_rows(const struct pare_qact *a, uint32_t t0, uint32_t t1);

/* Version of the panels' layout (gemmq_layout.h), as packed files name it. */
#define PARE_PACK_LAYOUT 1

/* A packed matrix [rows, cols]; rows are padded to whole panels with zero weights. */
struct pare_packed {
    const struct pare_dtype *type;  /* the standard type it came from */
    uint64_t rows, cols;
    uint32_t n_panels;
    uint64_t panel_bytes;           /* multiple of 64 */
    uint8_t *data;                  /* 64-byte aligned; owned by whoever allocated or mapped it, never written once packed */
};
/* Sets type, rows, cols, n_panels, panel_bytes (data NULL). False when the type is not packable (no PARE_DT_QUANT). */
bool pare_packed_shape(struct pare_packed *p, const struct pare_dtype *t, uint64_t rows, uint64_t cols);
static inline uint64_t pare_packed_bytes(const struct pare_packed *p) { return (uint64_t)p->n_panels * p->panel_bytes; }
/* Bytes of scratch that pare_pack_panel needs. */
uint64_t pare_pack_scratch(const struct pare_dtype *t, uint64_t cols);
/* Packs panel `panel` from up to 16 consecutive rows (encoded, row_stride bytes apart); n_rows < 16 only in the last one. */
void pare_pack_panel(const struct pare_packed *p, uint32_t panel, const uint8_t *rows, uint64_t row_stride, uint32_t n_rows, void *scratch);

/* Turns rows [row0, row0 + n) back into the bytes they were packed from, row_stride bytes apart. p->data may hold anything and lie
 * anywhere. The rows are the original ones, bit for bit, unless a type keeps bytes that its values do not tell (struct
 * pare_dtype.repack): who packs for keeps compares, with pare_panel_keeps. scratch: pare_pack_scratch bytes. */
void pare_unpack_rows(const struct pare_packed *p, uint64_t row0, uint64_t n, uint8_t *rows, uint64_t row_stride, void *scratch);
/* Decodes row `row` to p->cols floats: what the type's decode makes of the row turned back. Allocates nothing, p->data as above. */
void pare_unpack_decode(const struct pare_packed *p, uint64_t row, float *dst);
/* True when a packed panel turns back into exactly the rows it was made from. line: a row of bytes. */
bool pare_panel_keeps(const struct pare_packed *p, uint32_t panel, const uint8_t *rows, uint64_t row_stride, uint32_t n_rows,
                      uint8_t *line, void *scratch);

struct pare_gemmq {
    int tier;
    /* Quantizes rows [r0, r1) of x (ldx floats apart) into a. */
    void (*quantize)(const struct pare_qact *a, const float *x, uint64_t ldx, uint32_t r0, uint32_t r1);
    /* y[t * ldy + r] for r in panels [p0, p1) (only rows < w->rows are stored) and t in [t0, t1). */
    void (*gemm)(float *y, uint64_t ldy, const struct pare_packed *w, const struct pare_qact *a, uint32_t p0, uint32_t p1,
                 uint32_t t0, uint32_t t1);
    /* The same for all queries of a over a tile of keys (kernel/kv_tile.h) of type t: y[i * ldy + position], panels [p0, p1). */
    void (*scores)(float *y, uint64_t ldy, const uint8_t *tile, enum pare_type t, const struct pare_qact *a, uint32_t p0, uint32_t p1);
    /* How many tokens one call should get at least for good reuse of the unpacked weights (chunking hint). */
    uint32_t token_tile;
    const char *(*describe)(enum pare_type t); /* name of the kernel chosen for a type, for doctor and bench */
};
/* The table of a tier (enum pare_cpu_tier), clamped to what this machine has. Never NULL. */
const struct pare_gemmq *pare_gemmq_for(int tier);

/* Limits of this machine, measured now with n threads of the team (about seconds in all): int8 multiply-add operations a
 * second (2 per multiply-add) of the tier's dot instruction, f32 FMA flops, DRAM read bytes a second. */
struct pare_team;
struct pare_limits { double int8_ops, f32_flops, read_bytes; };
void pare_measure_limits(struct pare_limits *out, struct pare_team *team, int tier, double seconds);
/* Bytes a second when `bytes` are read again and again: what a model of that size gets from the cache level that holds it (4 MB at
 * least, what memory allows at most). 0: no memory to measure with. */
double pare_measure_read(struct pare_team *team, int tier, uint64_t bytes, double seconds);

#endif
