/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense.h: plain decoders (attention and one MLP in every layer). What tells the families apart is data: a const
 * struct of traits, a table of names, and a function that reads what only this family's config says. */
#ifndef PARE_MODEL_DENSE_H
#define PARE_MODEL_DENSE_H

#include "model/arch.h"
#include "model/bind.h"
#include "nn/rope.h"

enum pare_norm_kind { PARE_NORM_RMS, PARE_NORM_LAYER };

/* Where the norms of a layer stand. Post norms of a sublayer's output (Gemma 2, OLMo 2) are separate flags. */
enum pare_block_kind {
    PARE_BLOCK_SEQ,      /* x += attn(norm(x)); x += mlp(norm(x)) */
    PARE_BLOCK_PARALLEL, /* x += attn(norm_a(x)) + mlp(norm_b(x)); norm_b missing: the same rows */
    PARE_BLOCK_AFTER     /* x = norm(x + attn(x)); x = norm(x + mlp(x)) (OPT 350M) */
};

enum pare_qk_norm {
    PARE_QKN_NONE,
    PARE_QKN_HEAD,  /* weight [dk], each head by itself */
    PARE_QKN_HEADS, /* weight [heads * dk], each head by itself */
    PARE_QKN_WIDTH  /* weight [heads * dk], over the whole width */
};

/* How Hugging Face's folder fuses query, key and value rows. GGUF's attn_qkv is always query | key | value. */
enum pare_qkv_fusion {
    PARE_QKV_SEPARATE,
    PARE_QKV_CONCAT,   /* query | key | value */
    PARE_QKV_BY_GROUP  /* for each key-value head: its query heads, key, value (GPT-NeoX, BLOOM, Falcon) */
};

/* Which layers are rotated, and by which table. */
enum pare_rope_rule {
    PARE_ROPE_ALL,
    PARE_ROPE_WINDOWED,    /* only layers with a window, when there are any (Cohere 2, EXAONE 4) */
    PARE_ROPE_FOURTH_NOT,  /* not every fourth (SmolLM 3) */
    PARE_ROPE_TWO_TABLES   /* layers with a window have a table of their own (Gemma 3, OLMo 3) */
};

enum pare_rope_use { PARE_ROPE_NONE, PARE_ROPE_GLOBAL, PARE_ROPE_LOCAL };

struct pare_dense_traits {
    enum pare_norm_kind  norm;
    enum pare_block_kind block;
    enum pare_act        act;
    enum pare_qkv_fusion fusion;
    enum pare_qk_norm    qk_norm;
    float norm_add;          /* Hugging Face's norm weights are kept minus this (Gemma: 1); GGUF's never are */
    float norm_eps;          /* when the config is silent */
    bool  no_pre_norm;       /* sublayers read x itself */
    bool  post_norm;         /* outputs of sublayers are normed before they are added */
    bool  bare_norm;         /* norms have no weights (OLMo) */
    bool  plain_mlp;         /* up, act, down; else act(gate) * up */
    bool  fused_gate_up;     /* gate and up are one matrix, gate first */
    bool  conv1d;            /* linear weights of the layers are stored [in, out] */
    bool  rope;              /* rotary positions */
    enum pare_rope_rule rope_rule;
    uint32_t pattern;        /* where the config has a window and no list: every pattern-th layer has none; 0: all have it */
    bool  pairs_hf;          /* rotary pairs are (2 i, 2 i + 1) in Hugging Face's order, else (i, i + half) */
    bool  pairs_gguf;        /* the same in GGUF's order; pairs_gguf without pairs_hf: query and key rows are permuted */
    bool  qk_norm_late;      /* query and key norms come after the rotation */
    bool  qk_layernorm;      /* ... are layer norms, not RMS */
    bool  alibi, alibi_bf16;
    bool  embd_norm;         /* the embedding is normed */
    bool  positions;         /* learned position table ... */
    uint32_t pos_offset;     /* ... whose row for position p is p + pos_offset */
    bool  mla;               /* low-rank queries and keys (MiniCPM 3) */
    bool  scale_embd_sqrt;   /* embedding times sqrt(n_embd) (Gemma) */
    uint32_t head_dim;       /* default; 0: n_embd / n_head */
    uint32_t n_head, n_head_kv, n_vocab, max_ctx; /* when the config is silent (Gemma 3's image folders) */
    const char *ffn_norm_role; /* GGUF's word for the norm before the MLP; NULL: ffn_norm */
    double rope_base;        /* default; 0: 10000 */
    double rotary_part;      /* default share of a head that is rotated; 0: 1 */
    bool  need_qkv_bias;     /* queries, keys and values must have biases */
};

struct pare_dense_layer_cfg {
    uint32_t           window; /* 0: sees everything before it */
    enum pare_rope_use rope;
    float              scale;  /* of q . k */
    uint32_t           n_head, n_head_kv, n_ff; /* the model's, unless the layer was cut (compress/surgery.h) */
};

struct pare_dense_cfg {
    struct pare_dense_traits t;
    uint32_t n_layers, n_vocab, n_embd, n_embd_in, n_head, n_head_kv, dk, dv, n_ff, max_ctx, window; /* heads and n_ff: the largest of all layers */
    uint32_t rotary;               /* rotated width of a head */
    bool     gguf;                 /* read from GGUF metadata */
    bool     pairs;                /* rotary pairs as this checkpoint keeps them */
    bool     tied;
    float    eps, softcap, final_softcap, clip, scale;
    float    embd_scale, residual_scale, logit_scale;
    uint32_t q_rank, kv_rank, dk_nope, dk_rope;  /* MLA */
    double   rope_base, rope_base_local;
    struct pare_rope_params rope;        /* of GLOBAL; LOCAL is plain with its own base unless local_scaled */
    bool     local_scaled;
    float   *rope_short, *rope_long;     /* [rotary / 2] owned; what rope points to */
    uint32_t n_rope_short, n_rope_long;
    struct pare_dense_layer_cfg *layer;  /* [n_layers] owned */
};

struct pare_dense_family {
    const char *gguf;                 /* architecture that written files carry; NULL: they carry pare.config */
    struct pare_dense_traits traits;
    struct pare_names names;
    /* What only this family's config.json says, after the common keys; may be NULL. */
    int (*config)(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag);
    /* The same for GGUF metadata; may be NULL. */
    int (*config_gguf)(struct pare_dense_cfg *c, const struct pare_checkpoint *k, struct pare_diag *diag);
    /* False when this config has something that the GGUF layout cannot say (then pare.config is written); may be NULL. */
    bool (*fits_gguf)(const struct pare_dense_cfg *c);
    /* Metadata beyond the common keys; may be NULL. */
    int (*emit)(const struct pare_dense_cfg *c, struct pare_writer *w, struct pare_diag *diag);
};

struct pare_dense_layer {
    float *attn_norm, *attn_norm_b, *attn_post_norm, *ffn_norm, *ffn_norm_b, *ffn_post_norm;
    float *q_norm, *k_norm, *q_norm_b, *k_norm_b, *q_a_norm, *kv_a_norm;
    struct pare_linear qkv, q, k, v, o, gate, up, gate_up, down, q_a, q_b, kv_a, kv_b;
};

struct pare_dense {
    struct pare_dense_cfg     c;
    const struct pare_dense_family *family;
    struct pare_slot         *embd_slot, *pos_slot;  /* in the EMBED unit: looked up row by row in the file */
    float                    *embd_norm, *embd_norm_b, *out_norm, *out_norm_b;
    struct pare_linear        embd_in, embd_out, head;   /* OPT's projections; the head */
    struct pare_dense_layer  *layer;                 /* [n_layers] */
    float                    *freq[2];               /* [rotary / 2] rotary frequencies of GLOBAL and LOCAL layers */
    float                     rope_scale[2];
    bool                      rope_used[2];
    float                    *slope;                 /* [n_head] ALiBi, or NULL */
    bool                      to_gguf;
    float                    *rope_factors;          /* [rotary / 2] for rope_freqs of written files, or NULL */
};

extern const struct pare_arch_ops pare_dense_ops;

/* Reads config.json (old and new spellings) or GGUF metadata into *c. Traits must be set. On failure what was allocated stays in
 * *c for pare_dense_cfg_free. */
int  pare_dense_config_hf(struct pare_dense_cfg *c, const struct pare_dense_family *f, const json_t *j, const struct pare_checkpoint *k, struct pare_diag *diag);
int  pare_dense_config_gguf(struct pare_dense_cfg *c, const struct pare_dense_family *f, const struct pare_checkpoint *k, const char *arch, struct pare_diag *diag);
int  pare_dense_rope_hf(struct pare_dense_cfg *c, const json_t *j, struct pare_diag *diag);
int  pare_dense_cfg_check(const struct pare_dense_cfg *c, struct pare_diag *diag);
/* Allocates c->layer with the scale and widths; then windows by pattern (c->window, 0: none) and rotation by the family's rule. */
int  pare_dense_layers(struct pare_dense_cfg *c, struct pare_diag *diag);
void pare_dense_windows(struct pare_dense_cfg *c, uint32_t pattern);
void pare_dense_rope_rule(struct pare_dense_cfg *c);
void pare_dense_cfg_free(struct pare_dense_cfg *c);
/* Takes the largest heads and n_ff of all layers into c. */
void pare_dense_widest(struct pare_dense_cfg *c);
/* Members with alternative spellings: keys separated by '|', the first one present counts. */
int  pare_cfg_u32(const json_t *j, const char *keys, uint32_t max, uint32_t dflt, uint32_t *out, struct pare_diag *diag);
int  pare_cfg_f32(const json_t *j, const char *keys, double dflt, float *out, struct pare_diag *diag);
/* An activation by Hugging Face's name. */
int  pare_cfg_act(const char *name, enum pare_act *out, struct pare_diag *diag);

int  pare_dense_bind(struct pare_model *m, struct pare_dense *d, struct pare_diag *diag);
int  pare_dense_emit(const struct pare_model *m, struct pare_writer *w, struct pare_diag *diag);

/* The family's part of the working memory. */
struct pare_dense_work {
    float   *h;      /* [n, max(n_embd, n_embd_in)] normed rows */
    float   *h2;     /* [n, n_embd] second normed rows, outputs of sublayers */
    float   *qkv;    /* [n, n_head * dk + n_head_kv * (dk + dv)] */
    float   *low;    /* [n, q_rank + kv_rank + dk_rope] MLA */
    float   *kvb;    /* [n, n_head * (dk_nope + dv)] MLA */
    float   *att;    /* [n, n_head * dv] */
    float   *ff;     /* [n, 2 * n_ff] */
    float   *cs[2];  /* [n, rotary / 2, 2] cosines and sines */
    uint32_t *cs_pos; /* [n] positions that cs was made for */
    uint32_t cs_n;
    uint8_t *scratch;      /* of linears */
    uint8_t *attn_scratch; /* [threads] */
    uint64_t attn_stride;
    uint32_t *run;         /* [n] first rows of the runs that attention takes together */
    struct pare_kv_seg *seg; /* [threads, max_seg] */
    uint32_t max_seg;
    float   *part;         /* [max_part, n_head, 2 + dv] states of chunks that threads work on side by side */
    uint32_t max_part;
};

/* What the stages of a layer share. */
struct pare_dense_run {
    struct pare_model        *m;
    struct pare_dense        *d;
    const struct pare_unit   *u;
    struct pare_dense_work   *w;
    const struct pare_batch  *b;
    const struct pare_vec    *vk;
    struct pare_job          *job;
    const struct pare_observer *obs;
    float                    *x;
    uint32_t                  n;
};
static inline const struct pare_dense_layer_cfg *pare_dense_layer_of(const struct pare_dense_run *r) { return &r->d->c.layer[r->u->index]; }
static inline uint32_t pare_dense_qkv_width(const struct pare_dense_run *r)
{
    const struct pare_dense_layer_cfg *l = pare_dense_layer_of(r);

    return (l->n_head + l->n_head_kv) * r->d->c.dk + l->n_head_kv * r->d->c.dv;
}
/* w->att = attention of the queries in w->qkv over the sessions, which hold their own keys and values already. */
void pare_dense_heads(const struct pare_dense_run *r);
/* w->att = attention of in [n, n_embd] (before the output projection); appends keys and values. */
int  pare_dense_attend(const struct pare_dense_run *r, const float *in, struct pare_diag *diag);
/* y = l(x), with scratch; tells the observer. */
void pare_dense_linear(const struct pare_dense_run *r, const struct pare_linear *l, const float *x, uint64_t ldx, float *y, uint64_t ldy);
void pare_dense_norm_row(const struct pare_dense_run *r, float *y, const float *x, const float *w, const float *b, uint64_t n);

#endif
