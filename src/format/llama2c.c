/* SPDX-License-Identifier: Apache-2.0
 * src/format/llama2c.c: reads the .bin files of llama2.c: version 0 (seven int32, then f32 arrays of all layers together),
 * version 1 ("ak42", f32, 256 byte header) and version 2 (the same header, matrices as int8 with f32 scales of groups).
 * Tensors get Hugging Face names and c->config what a config.json would say. q and k rows lie as llama2.c turns them, with
 * the two values of a pair adjacent: "pare_rope_interleaved": true says so. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"

#define MAGIC 0x616b3432u /* "ak42" read as a number, so the file begins with the bytes 32 34 6b 61 */
#define HEAD_V0 28u
#define HEAD_V12 256u

struct head {
    int      version;
    int32_t  dim, hidden, layers, heads, kv_heads, vocab, seq;
    int32_t  group;  /* version 2 */
    bool     shared; /* the output matrix is the embedding */
};

static bool plausible(const struct head *h)
{
    return h->dim >= 1 && h->dim <= PARE_MAX_WIDTH && h->hidden >= 1 && h->hidden <= PARE_MAX_WIDTH && h->layers >= 1 &&
           h->layers <= PARE_MAX_LAYERS && h->heads >= 1 && h->heads <= h->dim && h->dim % h->heads == 0 && h->kv_heads >= 1 &&
           h->kv_heads <= h->heads && h->heads % h->kv_heads == 0 && h->vocab >= 1 && h->vocab <= PARE_MAX_VOCAB && h->seq >= 1 &&
           h->seq <= PARE_MAX_SEQ;
}

static void read_sizes(struct head *h, const uint8_t *p)
{
    h->dim = (int32_t)pare_le32(p);
    h->hidden = (int32_t)pare_le32(p + 4);
    h->layers = (int32_t)pare_le32(p + 8);
    h->heads = (int32_t)pare_le32(p + 12);
    h->kv_heads = (int32_t)pare_le32(p + 16);
    h->vocab = (int32_t)pare_le32(p + 20);
    h->seq = (int32_t)pare_le32(p + 24);
}

/* Version 0 has no magic; a negative vocabulary says that the output matrix is its own. */
static bool read_v0(struct head *h, const uint8_t *p)
{
    *h = (struct head){ .shared = true };
    read_sizes(h, p);
    if (h->vocab < 0 && h->vocab != INT32_MIN) {
        h->vocab = -h->vocab;
        h->shared = false;
    }
    return plausible(h);
}

static int probe(const char *path, bool is_dir, const uint8_t *head, size_t n)
{
    struct head h;

    (void)path;
    if (is_dir || n < 4) return 0;
    if (pare_le32(head) == MAGIC) return 1;
    return n >= HEAD_V0 && read_v0(&h, head);
}

static int read_head(struct head *h, const struct pare_map *m, struct pare_diag *diag)
{
    struct pare_cursor cur = { .base = m->base, .size = m->size, .diag = diag };
    const uint8_t     *p;

    if (m->size < 4 || pare_le32(m->base) != MAGIC) {
        if (m->size < HEAD_V0 || !read_v0(h, m->base)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, NULL, "the header does not make sense");
        return PARE_OK;
    }
    *h = (struct head){ 0 };
    p = pare_cursor_take(&cur, HEAD_V12, "the header");
    if (p == NULL) return cur.err;
    h->version = (int)(pare_le32(p + 4) & 0xffff);
    if (pare_le32(p + 4) != 1 && pare_le32(p + 4) != 2)
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, 4, NULL, "llama2.c version %" PRIu32 "; versions 0, 1 and 2 are read", pare_le32(p + 4));
    read_sizes(h, p + 8);
    if (!plausible(h)) PARE_FAIL_AT(diag, PARE_E_CORRUPT, 8, NULL, "the sizes in the header do not make sense");
    if (p[36] > 1) PARE_FAIL_AT(diag, PARE_E_CORRUPT, 36, "shared_classifier", "must be 0 or 1, is %u", p[36]);
    h->shared = p[36] == 1;
    if (h->version == 1) return PARE_OK;
    h->group = (int32_t)pare_le32(p + 37);
    if (h->group < 1 || h->dim % h->group != 0)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, 37, "group_size", "%" PRId32 " does not divide the width %" PRId32, h->group, h->dim);
    return PARE_OK;
}

/* Where the next array begins. */
struct layout {
    struct pare_checkpoint *c;
    const struct head      *h;
    struct pare_diag       *diag;
    uint64_t                at;
};

/* Appends one array of the file as a tensor; name NULL: skipped. rows 0: one dimension. */
static int add(struct layout *l, const char *name, enum pare_type type, uint64_t rows, uint64_t cols, int part)
{
    struct pare_tensor tmp = { .name = name, .type = pare_dtype_of(type), .part = part }, *t;

    tmp.n_dims = rows == 0 ? 1 : 2;
    tmp.dims[0] = rows == 0 ? cols : rows;
    tmp.dims[1] = rows == 0 ? 0 : cols;
    PARE_FORWARD(pare_tensor_shape(&tmp, false, l->at, l->diag));
    PARE_FORWARD(pare_tensor_place(&tmp, l->c, 0, l->at, l->diag));
    l->at += tmp.bytes; /* inside the file, so it cannot wrap */
    if (name == NULL) return PARE_OK;
    t = pare_checkpoint_push(l->c, name, strlen(name));
    if (t == NULL) return PARE_NOMEM(l->diag);
    tmp.name = t->name;
    *t = tmp;
    return PARE_OK;
}

/* A matrix: f32, or int8 values and then one f32 for each group of them. */
static int add_matrix(struct layout *l, const char *name, uint64_t rows, uint64_t cols)
{
    char     scales[PARE_MAX_NAME_LEN];
    uint64_t n = rows * cols; /* both at most 2^26 */

    if (l->h->version != 2) return add(l, name, PARE_F32, rows, cols, PARE_FOREIGN_NONE);
    if (n % (uint64_t)l->h->group != 0)
        PARE_FAIL_AT(l->diag, PARE_E_CORRUPT, 37, name, "groups of %" PRId32 " do not divide its %" PRIu64 " values", l->h->group, n);
    PARE_FORWARD(add(l, name, PARE_I8, rows, cols, PARE_FOREIGN_INT8_FLAT));
    snprintf(scales, sizeof scales, "%s_scale", name);
    return add(l, scales, PARE_F32, 0, n / (uint64_t)l->h->group, PARE_FOREIGN_PIECE);
}

/* The same array of every layer, one after another. */
static int add_layers(struct layout *l, const char *what, uint64_t rows, uint64_t cols)
{
    char name[PARE_MAX_NAME_LEN];

    for (int32_t i = 0; i < l->h->layers; i++) {
        snprintf(name, sizeof name, "model.layers.%" PRId32 ".%s.weight", i, what);
        if (rows == 0)
            PARE_FORWARD(add(l, name, PARE_F32, 0, cols, PARE_FOREIGN_NONE));
        else
            PARE_FORWARD(add_matrix(l, name, rows, cols));
    }
    return PARE_OK;
}

static int add_attention(struct layout *l)
{
    uint64_t dim = (uint64_t)l->h->dim, kv = dim / (uint64_t)l->h->heads * (uint64_t)l->h->kv_heads;

    PARE_FORWARD(add_layers(l, "self_attn.q_proj", dim, dim));
    PARE_FORWARD(add_layers(l, "self_attn.k_proj", kv, dim));
    PARE_FORWARD(add_layers(l, "self_attn.v_proj", kv, dim));
    return add_layers(l, "self_attn.o_proj", dim, dim);
}

static int add_mlp(struct layout *l)
{
    uint64_t dim = (uint64_t)l->h->dim, hidden = (uint64_t)l->h->hidden;

    PARE_FORWARD(add_layers(l, "mlp.gate_proj", hidden, dim));
    PARE_FORWARD(add_layers(l, "mlp.down_proj", dim, hidden));
    return add_layers(l, "mlp.up_proj", hidden, dim);
}

static int add_all_v0(struct layout *l)
{
    uint64_t dim = (uint64_t)l->h->dim, half = dim / (uint64_t)l->h->heads / 2, vocab = (uint64_t)l->h->vocab;

    PARE_FORWARD(add(l, "model.embed_tokens.weight", PARE_F32, vocab, dim, PARE_FOREIGN_NONE));
    PARE_FORWARD(add_layers(l, "input_layernorm", 0, dim));
    PARE_FORWARD(add_attention(l));
    PARE_FORWARD(add_layers(l, "post_attention_layernorm", 0, dim));
    PARE_FORWARD(add_mlp(l));
    PARE_FORWARD(add(l, "model.norm.weight", PARE_F32, 0, dim, PARE_FOREIGN_NONE));
    if (half != 0) { /* tables of cosines and sines, which the run time computes */
        PARE_FORWARD(add(l, NULL, PARE_F32, (uint64_t)l->h->seq, half, PARE_FOREIGN_NONE));
        PARE_FORWARD(add(l, NULL, PARE_F32, (uint64_t)l->h->seq, half, PARE_FOREIGN_NONE));
    }
    return l->h->shared ? PARE_OK : add(l, "lm_head.weight", PARE_F32, vocab, dim, PARE_FOREIGN_NONE);
}

static int add_all_v12(struct layout *l)
{
    uint64_t dim = (uint64_t)l->h->dim, vocab = (uint64_t)l->h->vocab;

    PARE_FORWARD(add_layers(l, "input_layernorm", 0, dim));
    PARE_FORWARD(add_layers(l, "post_attention_layernorm", 0, dim));
    PARE_FORWARD(add(l, "model.norm.weight", PARE_F32, 0, dim, PARE_FOREIGN_NONE));
    PARE_FORWARD(add_matrix(l, "model.embed_tokens.weight", vocab, dim));
    PARE_FORWARD(add_attention(l));
    PARE_FORWARD(add_mlp(l));
    return l->h->shared ? PARE_OK : add_matrix(l, "lm_head.weight", vocab, dim);
}

static json_t *make_config(const struct head *h)
{
    /* llama2.c fixes the base of the rotation and the epsilon in its code; ids 1 and 2 are those of its tokenizer. */
    return json_pack("{s:[s], s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:s, s:f, s:f, s:b, s:i, s:i, s:s, s:b}", "architectures",
                     "LlamaForCausalLM", "model_type", "llama", "vocab_size", (int)h->vocab, "hidden_size", (int)h->dim,
                     "intermediate_size", (int)h->hidden, "num_hidden_layers", (int)h->layers, "num_attention_heads", (int)h->heads,
                     "num_key_value_heads", (int)h->kv_heads, "head_dim", (int)(h->dim / h->heads), "max_position_embeddings",
                     (int)h->seq, "hidden_act", "silu", "rms_norm_eps", 1e-5, "rope_theta", 10000.0, "tie_word_embeddings",
                     (int)h->shared, "bos_token_id", 1, "eos_token_id", 2, "torch_dtype", "float32", "pare_rope_interleaved", 1);
}

static int l2_open(struct pare_checkpoint *c, const char *path, struct pare_diag *diag)
{
    struct head   h;
    struct layout l = { .c = c, .h = &h, .diag = diag };

    PARE_FORWARD(pare_checkpoint_map(c, path, diag));
    PARE_FORWARD(read_head(&h, &c->maps[0], diag));
    l.at = h.version == 0 ? HEAD_V0 : HEAD_V12;
    PARE_FORWARD(h.version == 0 ? add_all_v0(&l) : add_all_v12(&l));
    if (l.at != c->maps[0].size)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, l.at, NULL, "%" PRIu64 " bytes after the last array", c->maps[0].size - l.at);
    c->config = make_config(&h);
    return c->config == NULL ? PARE_NOMEM(diag) : PARE_OK;
}

extern const struct pare_format pare_format_llama2c;
const struct pare_format pare_format_llama2c = { .name = "llama2c", .probe = probe, .open = l2_open };
