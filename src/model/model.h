/* SPDX-License-Identifier: Apache-2.0
 * src/model/model.h: an arch (one row per family) bound to weights. A model is a list of units (embedding, layers, head) with
 * the tensors they read; running the list is the forward pass. A unit can be loaded, run and dropped alone, so calibration of
 * a model larger than memory, layer skipping and step caches share one seam. */
#ifndef PARE_MODEL_MODEL_H
#define PARE_MODEL_MODEL_H

#include "format/checkpoint.h"
#include "format/writer.h"
#include "nn/linear.h"
#include "store/kv.h"

struct pare_model;
struct pare_fold;

/* How the rows of a bound weight come out of the file's rows. Applied when the weight is loaded. */
enum pare_row_order {
    PARE_ROWS_PLAIN,
    PARE_ROWS_SLICE,      /* the segments of the slot, one after another, picked out of a fused matrix */
    PARE_ROWS_TRANSPOSED  /* the file holds [in, out] (GPT-2's Conv1D) */
};

/* Row r of a segment (r < rows) is row row0 + (r / run) * stride + r % run of the file: runs of `run` rows, one every `stride`.
 * A query, key, value matrix that is fused head by head is three segments. */
#define PARE_MAX_SEGS 3
struct pare_row_seg { uint64_t row0, run, stride, rows; };

/* A tensor that a unit reads. Matrices that are multiplied (is_linear) are what fit compresses; the others (norms, biases,
 * position tables) are small and are written as they are. Elements of a vector count as its rows for order and permutation. */
struct pare_transform;
struct pare_slot {
    const char        *role;      /* "attn_q", "ffn_down", "attn_norm", ...: GGUF's words without ".weight" */
    char               name[96];  /* name in files that we write: "blk.0.attn_q.weight" */
    char               source[160]; /* name in the checkpoint it comes from; "" for values that come from the config (given) */
    struct pare_weight weight;
    const struct pare_fold *fold;  /* exact operations on the rows as they are read (model/fold.h), or NULL */
    const float       *given;      /* [cols] values computed from the config (rotary factors), else NULL; the model owns them */
    enum pare_row_order order;
    struct pare_row_seg seg[PARE_MAX_SEGS]; /* SLICE */
    uint32_t           n_segs;
    uint32_t           n_dims;             /* 1: a vector (rows == 1), 2: a matrix, in written files */
    uint64_t           rows, cols;         /* as bound */
    float              out_add;            /* added to each value on writing (GGUF keeps 1 + w where Hugging Face keeps w) */
    bool               is_linear;
    bool               is_embedding;       /* read row by row as a table */
    bool               tied;               /* one tensor, two slots: EMBED's (is_embedding) and HEAD's (is_linear too), both named
                                              token_embd.weight. Writers write it once; HEAD's slot decides the type */
    bool               permute_out;        /* written file wants rotary pairs adjacent: rows of each head are permuted on writing */
    uint32_t           permute_heads;
    struct pare_transform *transform;      /* of weight.parts, owned while loaded; NULL: none, or a sibling's */
    struct pare_linear *lin;               /* where it is bound when loaded (is_linear), else NULL */
    float            **vec;                /* where the f32 vector is kept (norms, biases), else NULL */
};

enum pare_unit_kind { PARE_UNIT_EMBED, PARE_UNIT_LAYER, PARE_UNIT_HEAD };
struct pare_unit {
    enum pare_unit_kind kind;
    uint32_t          index;      /* layer number for LAYER */
    struct pare_slot *slot;
    uint32_t          n_slots;
    bool              loaded;
};

/* An observer sees the input rows of each linear (role of the slot) in a fixed order, on the calling thread. */
struct pare_observer {
    void (*see)(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n);
    void *user;
};

/* One mutable timeline. */
struct pare_session {
    struct pare_kv_cache *kv;
    uint32_t len;                 /* positions stored */
};

/* Rows of tokens from several sessions, mixed. Rows of one session stand in increasing position, from its len on. */
struct pare_batch {
    uint32_t n;
    const int32_t  *token;            /* [n] */
    const uint32_t *pos;              /* [n] */
    struct pare_session *const *session; /* [n] */
};

struct pare_model_options {
    enum pare_act_mode act_mode;
    bool no_weights;     /* bind names only; units are loaded one by one by the caller */
    bool inputs;         /* room for input transforms is kept in working memory (struct pare_input); of itself where the file has some */
    uint32_t part_cols;  /* likewise room for parts that the caller binds: sum of ranks and picked columns of linears that go together */
    uint32_t n_ctx;      /* longest context that will be used: long rope scalings choose by it; 0: the model's maximum */
};

/* What callers may know of a model. */
struct pare_model_info {
    const char *arch;        /* family row: "llama", "qwen2", ... */
    uint32_t n_layers, n_vocab, n_embd, max_ctx;
    uint64_t params;         /* of the original */
    uint32_t n_units;
    const struct pare_kv_shape *kv_shape; /* [n_layers] */
    bool all_float;          /* every linear is stored in f32, f16 or bf16 */
    uint32_t n_ctx;          /* the context this model was created for: sessions may not be longer */
};

/* Parses the config, binds every name with strict shape checks, loads all units unless no_weights. The checkpoint must outlive
 * the model. */
int  pare_model_create(struct pare_model **out, struct pare_checkpoint *c, const struct pare_model_options *o, struct pare_job *job, struct pare_diag *diag);
void pare_model_destroy(struct pare_model **m);
const struct pare_model_info *pare_model_info_of(const struct pare_model *m);
struct pare_unit *pare_model_unit(struct pare_model *m, uint32_t u);

/* Loads the weights of a unit: float matrices in place from the map where the order allows, quantized packed. */
int  pare_unit_load(struct pare_model *m, uint32_t u, struct pare_job *job, struct pare_diag *diag);
void pare_unit_unload(struct pare_model *m, uint32_t u); /* frees and advises the mapped pages away */
uint64_t pare_unit_bytes(const struct pare_model *m, uint32_t u); /* forecast of what load allocates */

/* Rows [row0, row0 + n) of a slot, in bound order, as f32 (any storage, any row order). */
int  pare_slot_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag);
/* The same in the order of written files (permute_out applied). */
int  pare_slot_out_rows(const struct pare_slot *s, uint64_t row0, uint64_t n, float *dst, struct pare_diag *diag);

/* The bound row that row r of a written file comes from. */
uint64_t pare_slot_out_row(const struct pare_slot *s, uint64_t r);

/* Working memory for batches of at most n rows (activations, scores, scratch; without logits). */
struct pare_work;
uint64_t pare_work_bytes(const struct pare_model *m, uint32_t n_rows, uint32_t n_threads);
int  pare_work_create(struct pare_work **out, const struct pare_model *m, uint32_t n_rows, struct pare_job *job, struct pare_diag *diag);
void pare_work_destroy(struct pare_work **w);

/* Runs one unit on the residual stream x [n, n_embd]. EMBED fills x from tokens; LAYER appends keys and values of the rows to
 * their sessions (len is not advanced) and updates x; HEAD: use pare_head_logits. obs may be NULL. */
int  pare_unit_forward(struct pare_model *m, uint32_t u, const struct pare_batch *b, float *x, struct pare_work *w,
                       const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag);
/* logits [n, n_vocab] of residual rows x [n, n_embd]: final norm, head, scaling and cap. */
int  pare_head_logits(struct pare_model *m, const float *x, uint32_t n, float *logits, struct pare_work *w,
                      const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag);

/* The whole pass: embeds, runs all layers, gives logits [n_want, n_vocab] of the rows with want[i] != 0 (want NULL: the last row
 * only), and advances the sessions. Batches larger than the work's rows are cut into pieces: the result does not change. */
int  pare_model_forward(struct pare_model *m, const struct pare_batch *b, const uint8_t *want, float *logits,
                        struct pare_work *w, struct pare_job *job, struct pare_diag *diag);

int  pare_session_create(struct pare_session *s, const struct pare_model *m, enum pare_type kv_type, uint32_t max_len, uint32_t n_slots, struct pare_diag *diag);
void pare_session_free(struct pare_session *s);

/* Metadata of the model in GGUF words (general.architecture, <arch>.*), so that written files load here and elsewhere; families
 * that GGUF does not know keep their Hugging Face config under "pare.config". Tokenizer metadata is the token room's. */
int  pare_model_emit_gguf(const struct pare_model *m, struct pare_writer *w, struct pare_diag *diag);

#endif
