/* SPDX-License-Identifier: Apache-2.0 */
#include "model/bind.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/status.h"

/* The words of Llama's folders, which most later families repeat. */
static const struct pare_role_name common[] = {
    { "token_embd", "model.embed_tokens" },
    { "output_norm", "model.norm" },
    { "output", "lm_head" },
    { "attn_norm", ".input_layernorm" },
    { "attn_q", ".self_attn.q_proj" },
    { "attn_k", ".self_attn.k_proj" },
    { "attn_v", ".self_attn.v_proj" },
    { "attn_output", ".self_attn.o_proj" },
    { "attn_q_norm", ".self_attn.q_norm" },
    { "attn_k_norm", ".self_attn.k_norm" },
    { "ffn_norm", ".post_attention_layernorm" },
    { "ffn_gate", ".mlp.gate_proj" },
    { "ffn_up", ".mlp.up_proj" },
    { "ffn_down", ".mlp.down_proj" },
    { "attn_q_a", ".self_attn.q_a_proj" },
    { "attn_q_b", ".self_attn.q_b_proj" },
    { "attn_q_a_norm", ".self_attn.q_a_layernorm" },
    { "attn_kv_a_mqa", ".self_attn.kv_a_proj_with_mqa" },
    { "attn_kv_b", ".self_attn.kv_b_proj" },
    { "attn_kv_a_norm", ".self_attn.kv_a_layernorm" },
    { NULL, NULL }
};

/* The nth name of a role; a family may list several (its folders changed over time). */
static const char *lookup(const struct pare_role_name *t, const char *role, uint32_t nth)
{
    for (; t != NULL && t->role != NULL; t++)
        if (strcmp(t->role, role) == 0 && nth-- == 0) return t->hf;
    return NULL;
}

/* Writes prefix (with '#' replaced by the layer), name and suffix. False when it does not fit. */
static bool spell(char *out, size_t size, const char *prefix, uint32_t index, const char *name, const char *suffix)
{
    size_t n = 0;

    for (const char *p = prefix; *p != '\0'; p++) {
        int k = *p == '#' ? snprintf(out + n, size - n, "%" PRIu32, index) : snprintf(out + n, size - n, "%c", *p);
        if (k < 0 || (size_t)k >= size - n) return false;
        n += (size_t)k;
    }
    return (size_t)snprintf(out + n, size - n, "%s%s", name, suffix) < size - n;
}

static bool hf_name(const struct pare_binder *b, char *out, size_t size, const char *role, uint32_t nth, const char *suffix)
{
    const char *hf = lookup(b->names->own, role, nth);

    if (hf == NULL && nth == 0) hf = lookup(common, role, 0);
    if (hf == NULL) hf = role;
    return spell(out, size, *hf == '.' ? b->names->layer : "", b->u->index, hf, suffix);
}

static bool gguf_name(const struct pare_binder *b, char *out, size_t size, const char *role, const char *suffix)
{
    return spell(out, size, b->u->kind == PARE_UNIT_LAYER ? "blk.#." : "", b->u->index, role, suffix);
}

/* Published folders differ in the outermost word: GPT-2 and BLOOM come without "transformer.", OPT without "model.", the text
 * half of image models with "language_model" before or inside. */
static int find_hf(struct pare_binder *b, const char *name, char *source, size_t size, struct pare_weight *w)
{
    static const char *const put[] = { "", "language_model.", "model.language_model.", "base_model." };
    const char              *rest;

    for (size_t i = 0; i < sizeof put / sizeof *put; i++) {
        /* "model.language_model." replaces "model." */
        const char *tail = i == 2 && strncmp(name, "model.", 6) == 0 ? name + 6 : name;
        if ((size_t)snprintf(source, size, "%s%s", put[i], tail) >= size) continue;
        PARE_FORWARD(pare_weight_find(w, b->m->ckpt, source, b->diag));
        if (w->type != NULL) return PARE_OK;
    }
    rest = strncmp(name, "transformer.", 12) == 0 ? name + 12 : strncmp(name, "model.", 6) == 0 ? name + 6 : NULL;
    if (rest != NULL) {
        snprintf(source, size, "%s", rest);
        PARE_FORWARD(pare_weight_find(w, b->m->ckpt, source, b->diag));
        if (w->type != NULL) return PARE_OK;
    }
    snprintf(source, size, "%s", name);
    return PARE_OK;
}

static int find(struct pare_binder *b, const char *role, const char *suffix, struct pare_slot *s)
{
    char     hf[160];
    uint32_t nth = 0;

    memset(&s->weight, 0, sizeof s->weight);
    if (b->from_gguf) {
        if (!gguf_name(b, s->source, sizeof s->source, role, suffix)) return PARE_NOMEM(b->diag);
        PARE_FORWARD(pare_weight_find(&s->weight, b->m->ckpt, s->source, b->diag));
    }
    do {
        PARE_FAIL_IF(b->diag, !hf_name(b, hf, sizeof hf, role, nth, suffix), PARE_E_UNSUPPORTED, "tensor name of %s is too long", role);
        if (!b->from_gguf) PARE_FORWARD(find_hf(b, hf, s->source, sizeof s->source, &s->weight));
    } while (s->weight.type == NULL && lookup(b->names->own, role, ++nth) != NULL);
    if (b->to_gguf) {
        if (!gguf_name(b, s->name, sizeof s->name, role, suffix)) return PARE_NOMEM(b->diag);
        return PARE_OK;
    }
    PARE_FAIL_IF(b->diag, strlen(hf) >= sizeof s->name, PARE_E_UNSUPPORTED, "tensor name %s is too long", hf);
    memcpy(s->name, hf, strlen(hf) + 1);
    return PARE_OK;
}

void pare_bind_unit(struct pare_binder *b, uint32_t u, enum pare_unit_kind kind, uint32_t index)
{
    b->u = &b->m->units[u];
    b->u->kind = kind;
    b->u->index = index;
    b->cap = 0;
}

bool pare_bind_has(struct pare_binder *b, const char *role, const char *suffix)
{
    struct pare_slot s;

    if (b->rc < 0) return false;
    memset(&s, 0, sizeof s);
    b->rc = find(b, role, suffix != NULL ? suffix : ".weight", &s);
    return b->rc == 0 && s.weight.type != NULL;
}

static struct pare_slot *append(struct pare_binder *b)
{
    if (b->u->n_slots == b->cap) {
        uint32_t          cap = b->cap != 0 ? b->cap * 2 : 16;
        struct pare_slot *p = pare_realloc_array(b->u->slot, cap, sizeof *p);

        if (p == NULL) {
            b->rc = PARE_NOMEM(b->diag);
            return NULL;
        }
        b->u->slot = p;
        b->cap = cap;
    }
    memset(&b->u->slot[b->u->n_slots], 0, sizeof *b->u->slot);
    return &b->u->slot[b->u->n_slots];
}

/* Shapes must be exactly those of the config: what does not fit is another model than the config says. */
static int check_shape(struct pare_binder *b, const struct pare_slot *s, const struct pare_want *w)
{
    const struct pare_weight *x = &s->weight;
    uint64_t                  rows, cols;

    if (w->rows == 0) {
        uint64_t want = w->file_rows != 0 ? w->file_rows : w->cols;
        if (x->rows <= UINT64_MAX / (x->cols + 1) && x->rows * x->cols == want) return PARE_OK;
        pare_diag_file(b->diag, b->m->ckpt->path);
        pare_diag_where(b->diag, s->source);
        PARE_FAIL(b->diag, PARE_E_CORRUPT, "has %" PRIu64 " x %" PRIu64 " values, the config says %" PRIu64, x->rows, x->cols,
                  want);
    }
    rows = w->seg != NULL ? w->file_rows : w->rows;
    cols = w->cols;
    if (w->transposed ? (x->rows == cols && x->cols == rows) : (x->rows == rows && x->cols == cols)) return PARE_OK;
    pare_diag_file(b->diag, b->m->ckpt->path);
    pare_diag_where(b->diag, s->source);
    PARE_FAIL(b->diag, PARE_E_CORRUPT, "is %" PRIu64 " x %" PRIu64 ", the config says %" PRIu64 " x %" PRIu64, x->rows, x->cols,
              w->transposed ? cols : rows, w->transposed ? rows : cols);
}

/* Parts and transforms belong to a matrix that is multiplied as it lies: rows of a table are looked up, pieces of a fused matrix are bound
 * as weights of their own. */
static int check_parts(struct pare_binder *b, const struct pare_slot *s, const struct pare_want *w)
{
    if (s->weight.parts == NULL) return PARE_OK;
    if (w->lin != NULL && !w->table && !w->tied && w->seg == NULL && !w->transposed) return PARE_OK;
    pare_diag_file(b->diag, b->m->ckpt->path);
    pare_diag_where(b->diag, s->source);
    PARE_FAIL(b->diag, PARE_E_UNSUPPORTED, "has parts (pare.parts), which %s cannot have",
              w->table || w->tied ? "an embedding table" : w->lin == NULL ? "a vector" : "a fused or transposed matrix");
}

static bool missing(struct pare_binder *b, const struct pare_slot *s, const struct pare_want *w)
{
    if (w->optional) return false;
    pare_diag_file(b->diag, b->m->ckpt->path);
    pare_diag_where(b->diag, s->source);
    b->rc = PARE_ERR(b->diag, PARE_E_CORRUPT, "tensor is missing, family %s needs it", b->m->arch->name);
    return false;
}

/* The bias goes beside the weight under the same order and permutation. */
static bool bind_bias(struct pare_binder *b, const struct pare_want *w)
{
    struct pare_want v = { .role = w->role, .cols = w->rows, .vec = &w->lin->bias, .optional = !w->need_bias,
                           .seg = w->seg, .n_segs = w->n_segs, .file_rows = w->file_rows, .permute_heads = w->permute_heads,
                           .suffix = ".bias" };

    return pare_bind(b, &v) || !w->need_bias;
}

bool pare_bind(struct pare_binder *b, const struct pare_want *w)
{
    const char       *suffix = w->suffix != NULL ? w->suffix : ".weight";
    struct pare_slot *s;

    if (b->rc < 0 || (s = append(b)) == NULL) return false;
    if ((b->rc = find(b, w->role, suffix, s)) < 0) return false;
    if (s->weight.type == NULL) return missing(b, s, w);
    if ((b->rc = check_shape(b, s, w)) < 0) return false;
    if ((b->rc = check_parts(b, s, w)) < 0) return false;
    s->role = w->role;
    s->rows = w->rows != 0 ? w->rows : 1;
    s->cols = w->cols;
    s->n_dims = w->rows != 0 || w->vec_rows > 1 ? 2 : 1;
    if (w->vec_rows > 1) {
        s->rows = w->vec_rows;
        s->cols = w->cols / w->vec_rows;
    }
    if (w->seg != NULL) {
        s->order = PARE_ROWS_SLICE;
        s->n_segs = w->n_segs;
        memcpy(s->seg, w->seg, w->n_segs * sizeof *w->seg);
    } else if (w->transposed) {
        s->order = PARE_ROWS_TRANSPOSED;
    }
    s->is_linear = w->lin != NULL;
    s->is_embedding = w->table;
    s->tied = w->tied;
    s->permute_out = w->permute_heads != 0 && b->to_gguf;
    s->permute_heads = s->permute_out ? w->permute_heads : 0;
    s->out_add = b->to_gguf ? w->out_add : 0;
    s->lin = w->lin;
    s->vec = w->vec;
    b->u->n_slots++;
    if (w->lin != NULL && !w->no_bias) return bind_bias(b, w);
    return true;
}

void pare_bind_given(struct pare_binder *b, const char *role, const float *given, uint64_t n)
{
    struct pare_slot *s;

    if (b->rc < 0 || (s = append(b)) == NULL) return;
    s->role = role;
    s->rows = 1;
    s->cols = n;
    s->n_dims = 1;
    s->given = given;
    snprintf(s->name, sizeof s->name, "%s.weight", role);
    b->u->n_slots++;
}
