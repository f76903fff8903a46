/* SPDX-License-Identifier: Apache-2.0
 * src/eval/roofline.h: what one pass of a model must compute and move, operator by operator, and how long a machine of known peaks
 * takes for it at least. After LLM-Viewer (Yuan et al., arXiv 2402.16363), with its slips S1..S12 mended (compression-facts 7.2): head
 * sizes and widths are read from the model, grouped heads load their own keys only, gated layers count their own width, the head
 * counts batch and factor 2, and every operator has the peak of the kernel that really runs it. Pure arithmetic: nothing is measured
 * here (roofline_probe.h does). */
#ifndef PARE_EVAL_ROOFLINE_H
#define PARE_EVAL_ROOFLINE_H

#include "kernel/gemmq.h"
#include "model/model.h"

/* A matrix that is multiplied, and how many of its kind there are in the model. */
struct pare_roof_linear {
    char     role[32];
    uint64_t rows, cols;
    uint32_t count;
    double   bytes;                 /* of its weights, as the kernel reads them */
    const struct pare_dtype *type;
    bool     packed;                /* multiplied with int8 activations; else in f32 */
    bool     stores_kv;             /* attn_k, attn_v: the result goes to the cache, not to memory of activations */
    bool     is_head;               /* rows of logits only */
};
struct pare_roof_attn { uint32_t count, heads, heads_kv, dk, dv; };

#define PARE_ROOF_LINEARS 96
#define PARE_ROOF_ATTN 8
struct pare_roof_shape {
    struct pare_roof_linear linear[PARE_ROOF_LINEARS];
    uint32_t n_linear;
    struct pare_roof_attn attn[PARE_ROOF_ATTN]; /* layers of equal heads are counted together */
    uint32_t n_attn;
    uint64_t embd, ffn, vocab;
    uint32_t layers;
    double   embed_bytes;           /* of the table, 0 when the head is the same tensor (S6) */
};

/* One pass: `batch` sequences that each hold `past` positions and get `tokens` new ones (1: decode). */
struct pare_roof_work {
    uint32_t batch, tokens;
    uint64_t past;
    double   act_bytes;             /* of an activation element: 4 here */
    double   kv_bytes;              /* of a cached element: 2 for f16, 34/32 for q8_0 */
    double   kv_keep;               /* share of the positions that is stored and looked at; 1: all (S9) */
    uint32_t logits;                /* rows of logits a sequence: 1 in generation */
    bool     fused;                 /* attention never writes its scores to memory */
    uint32_t tile_rows;             /* queries of one head that share a read of the keys (S11) */
    uint32_t piece;                 /* tokens for which the weights are read once; 0: all */
};

enum pare_roof_kind { PARE_ROOF_LINEAR, PARE_ROOF_ATTEND, PARE_ROOF_GATE, PARE_ROOF_PLAIN };

/* One application of one operator. */
struct pare_roof_op {
    char     name[32];
    enum pare_roof_kind kind;
    uint32_t count;                 /* in a pass */
    double   ops;                   /* two for a multiply-add */
    double   load_weight, load_act, store_act, load_kv, store_kv; /* bytes */
    double   weights;               /* elements that are unpacked, once for each piece */
    double   columns, width;        /* vectors that go through it, elements of each */
    const struct pare_dtype *type;  /* NULL: no weights */
    bool     packed, parallel;      /* int8 peak; one region of all threads */
};
#define PARE_ROOF_OPS (PARE_ROOF_LINEARS + PARE_ROOF_ATTN * 3 + 8)

/* The shape of a loaded model. PARE_E_UNSUPPORTED when it has more kinds of matrices than the table holds. */
int pare_roof_shape_of(struct pare_roof_shape *s, struct pare_model *m, struct pare_diag *diag);
/* Fills op [PARE_ROOF_OPS]; returns their number. */
uint32_t pare_roof_count(const struct pare_roof_shape *s, const struct pare_roof_work *w, struct pare_roof_op *op);
/* Bytes that an operator moves in one application. */
double pare_roof_bytes(const struct pare_roof_op *op);
/* Memory to run: weights (table and head once if tied), cache and the largest layer's activations (S6). */
double pare_roof_memory(const struct pare_roof_shape *s, const struct pare_roof_work *w);

/* Seconds that one weight of a type costs when it lies in the cache, for 1, 4, 8, 16, 32 and 256 vectors at once: unpacking and multiplying,
 * measured. It is added to the time of the bytes: the unpack term. */
#define PARE_ROOF_POINTS 6
extern const uint32_t pare_roof_columns[PARE_ROOF_POINTS];
struct pare_roof_cost {
    const struct pare_dtype *type;
    bool   packed;
    double weight_s[PARE_ROOF_POINTS];
};
struct pare_roof_machine {
    double int8_ops, f32_flops;     /* a second, all threads */
    double read_bytes;              /* a second, from where the weights of this model lie (its size decides the level) */
    bool   cached;                  /* these bytes come from a cache: reading them overlaps with arithmetic */
    double sync_s;                  /* of one parallel region */
    /* What the plain roofline leaves out; 0: left out. Of one thread, but for call_s. */
    double call_s;                  /* of one product beyond its weights */
    double quant_s;                 /* of an activation element that is rounded for the int8 kernels */
    double attend_s[2];             /* of an operation of attention, for one token and for many */
    double gate_s;                  /* of an element of the activation function */
    uint32_t threads;
    struct pare_roof_cost cost[16];
    uint32_t n_cost;
};
struct pare_roof_time {
    double seconds;                 /* of the pass: sum over operators, none overlap */
    double memory_s, compute_s;     /* sums of the two bounds, each alone */
    double plain_s;                 /* the same with the machine's peaks only: no unpacking, no synchronisation */
    bool   memory_bound;            /* the larger part of `seconds` is spent in operators whose bytes are the bound */
};
/* Seconds of one application; *memory: bytes are its bound. */
double pare_roof_op_seconds(const struct pare_roof_machine *m, const struct pare_roof_op *op, bool *memory);
struct pare_roof_time pare_roof_predict(const struct pare_roof_machine *m, const struct pare_roof_op *op, uint32_t n);
/* Sequences at which decoding stops being bound by memory: the least batch whose compute bound exceeds its memory bound; 0: none up to
 * max. */
uint32_t pare_roof_crossover(const struct pare_roof_machine *m, const struct pare_roof_shape *s, const struct pare_roof_work *w, uint32_t max);

#endif
