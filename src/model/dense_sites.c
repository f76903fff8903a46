/* SPDX-License-Identifier: Apache-2.0
 * src/model/dense_sites.c: the sites of plain decoders. Tensors are found by where they are bound, not by name. */
#include <string.h>

#include "base/mem.h"
#include "base/status.h"
#include "model/dense.h"
#include "model/fold.h"
#include "model/sites.h"

struct finder {
    struct pare_sites       *s;
    struct pare_model       *m;
    struct pare_dense       *d;
    struct pare_unit        *u;
    uint32_t                 unit;
    struct pare_dense_layer *l;
};

static struct pare_slot *of_linear(const struct finder *f, const struct pare_linear *l)
{
    for (uint32_t i = 0; i < f->u->n_slots; i++)
        if (f->u->slot[i].lin == l) return &f->u->slot[i];
    return NULL;
}

static struct pare_slot *of_vector(const struct finder *f, float *const *v)
{
    for (uint32_t i = 0; i < f->u->n_slots; i++)
        if (f->u->slot[i].vec == v) return &f->u->slot[i];
    return NULL;
}

static void read_by(const struct finder *f, struct pare_site *site, struct pare_linear *l)
{
    struct pare_slot *s = of_linear(f, l);

    if (s == NULL || site->n_to == PARE_SITE_TO) return;
    site->to_bias[site->n_to] = of_vector(f, &l->bias);
    site->shifts = site->shifts && site->to_bias[site->n_to] != NULL;
    site->to[site->n_to++] = s;
}

static struct pare_site_rows rows_of(const struct finder *f, struct pare_linear *l, uint64_t row0, uint64_t n)
{
    return (struct pare_site_rows){ of_linear(f, l), of_vector(f, &l->bias), row0, n };
}

static struct pare_site *norm_site(struct finder *f, float **w, float **b, uint64_t width)
{
    const struct pare_dense_cfg *c = &f->d->c;
    struct pare_site            *x = &f->s->site[f->s->n];

    *x = (struct pare_site){ .kind = PARE_SITE_NORM, .unit = f->unit, .own = width, .width = width, .share = 1, .scales = true };
    x->norm = of_vector(f, w);
    x->norm_bias = b == NULL ? NULL : of_vector(f, b);
    x->norm_add = c->gguf ? 0 : c->t.norm_add;
    x->shifts = x->norm_bias != NULL;
    if (x->norm == NULL) return NULL;
    f->s->n++;
    return x;
}

static void attention_readers(const struct finder *f, struct pare_site *x)
{
    struct pare_linear *all[] = { &f->l->qkv, &f->l->q, &f->l->k, &f->l->v, &f->l->q_a, &f->l->kv_a };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) read_by(f, x, all[i]);
}

static void mlp_readers(const struct finder *f, struct pare_site *x)
{
    struct pare_linear *all[] = { &f->l->gate_up, &f->l->gate, &f->l->up };

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) read_by(f, x, all[i]);
}

/* Norms in front of the halves. Norms behind a sum or an output have no matrix that alone reads them. */
static void norms(struct finder *f)
{
    const struct pare_dense_cfg *c = &f->d->c;
    struct pare_dense_layer     *l = f->l;
    struct pare_site            *x;

    if (c->t.no_pre_norm || c->t.block == PARE_BLOCK_AFTER || c->t.bare_norm) return;
    x = norm_site(f, &l->attn_norm, &l->attn_norm_b, c->n_embd);
    if (x != NULL) attention_readers(f, x);
    if (x != NULL && of_vector(f, &l->ffn_norm) == NULL) mlp_readers(f, x);
    if (of_vector(f, &l->ffn_norm) != NULL) {
        x = norm_site(f, &l->ffn_norm, &l->ffn_norm_b, c->n_embd);
        if (x != NULL) mlp_readers(f, x);
    }
    if (!c->t.mla) return;
    if (c->q_rank != 0 && (x = norm_site(f, &l->q_a_norm, NULL, c->q_rank)) != NULL) read_by(f, x, &l->q_b);
    if ((x = norm_site(f, &l->kv_a_norm, NULL, c->kv_rank)) != NULL) read_by(f, x, &l->kv_b);
}

static void values(struct finder *f)
{
    const struct pare_dense_cfg *c = &f->d->c;
    uint64_t                     q = (uint64_t)c->n_head * c->dk, k = (uint64_t)c->n_head_kv * c->dk, v = (uint64_t)c->n_head_kv * c->dv;
    bool                         fused = of_linear(f, &f->l->qkv) != NULL;
    struct pare_site            *x = &f->s->site[f->s->n];
    struct pare_site_qk         *qk = &f->s->qk[f->s->n_qk];

    if (c->t.mla) return;
    *x = (struct pare_site){ .kind = PARE_SITE_VALUE, .unit = f->unit, .own = v, .width = (uint64_t)c->n_head * c->dv, .head = c->dv,
                             .share = c->n_head / c->n_head_kv, .scales = c->clip == 0 };
    x->from = fused ? rows_of(f, &f->l->qkv, q + k, v) : rows_of(f, &f->l->v, 0, v);
    read_by(f, x, &f->l->o);
    x->shifts = false;
    if (x->from.slot != NULL && x->n_to == 1) f->s->n++;
    *qk = (struct pare_site_qk){ .unit = f->unit, .exact = c->clip == 0 && c->t.qk_norm == PARE_QKN_NONE };
    qk->q = fused ? rows_of(f, &f->l->qkv, 0, q) : rows_of(f, &f->l->q, 0, q);
    qk->k = fused ? rows_of(f, &f->l->qkv, q, k) : rows_of(f, &f->l->k, 0, k);
    if (qk->q.slot != NULL && qk->k.slot != NULL) f->s->n_qk++;
}

static void hidden(struct finder *f)
{
    const struct pare_dense_cfg *c = &f->d->c;
    struct pare_site            *x = &f->s->site[f->s->n];

    /* A factor passes ReLU where it is positive; callers that want signs look at gate. */
    *x = (struct pare_site){ .kind = PARE_SITE_HIDDEN, .unit = f->unit, .own = c->n_ff, .width = c->n_ff, .share = 1,
                             .scales = !c->t.plain_mlp };
    if (c->t.plain_mlp) {
        x->from = rows_of(f, &f->l->up, 0, c->n_ff);
    } else if (c->t.fused_gate_up && of_linear(f, &f->l->gate_up) != NULL) {
        x->gate = rows_of(f, &f->l->gate_up, 0, c->n_ff);
        x->from = rows_of(f, &f->l->gate_up, c->n_ff, c->n_ff);
    } else {
        x->gate = rows_of(f, &f->l->gate, 0, c->n_ff);
        x->from = rows_of(f, &f->l->up, 0, c->n_ff);
    }
    read_by(f, x, &f->l->down);
    x->shifts = false;
    if (x->from.slot != NULL && x->n_to == 1 && (c->t.plain_mlp || x->gate.slot != NULL)) f->s->n++;
}

/* --- the residual stream --------------------------------------------------------------------------------------------------- */

static void put(struct pare_slot **list, uint32_t *n, struct pare_slot *s)
{
    if (s != NULL) list[(*n)++] = s;
}

static void residual_layer(struct finder *f)
{
    struct pare_residual    *r = &f->s->res;
    struct pare_dense_layer *l = f->l;
    struct pare_linear      *read[] = { &l->qkv, &l->q, &l->k, &l->v, &l->q_a, &l->kv_a, &l->gate_up, &l->gate, &l->up };
    struct pare_linear      *write[] = { &l->o, &l->down };
    float                  **vec[] = { &l->attn_norm, &l->attn_norm_b, &l->ffn_norm, &l->ffn_norm_b, &l->attn_post_norm, &l->ffn_post_norm };

    for (size_t i = 0; i < sizeof read / sizeof *read; i++) put(r->read, &r->n_read, of_linear(f, read[i]));
    for (size_t i = 0; i < sizeof write / sizeof *write; i++) {
        put(r->write, &r->n_write, of_linear(f, write[i]));
        put(r->write, &r->n_write, of_vector(f, &write[i]->bias));
    }
    for (size_t i = 0; i < sizeof vec / sizeof *vec; i++) put(r->vec, &r->n_vec, of_vector(f, vec[i]));
}

static void residual_ends(struct finder *f)
{
    struct pare_residual *r = &f->s->res;
    struct pare_dense    *d = f->d;

    f->u = &f->m->units[0];
    put(r->table, &r->n_table, d->embd_slot);
    put(r->table, &r->n_table, d->pos_slot);
    put(r->vec, &r->n_vec, of_vector(f, &d->embd_norm));
    put(r->vec, &r->n_vec, of_vector(f, &d->embd_norm_b));
    f->u = &f->m->units[f->m->info.n_units - 1];
    put(r->vec, &r->n_vec, of_vector(f, &d->out_norm));
    put(r->vec, &r->n_vec, of_vector(f, &d->out_norm_b));
    put(r->read, &r->n_read, of_linear(f, &d->head));
    f->s->head = rows_of(f, &d->head, 0, d->c.n_vocab);
}

static void residual_limits(struct finder *f)
{
    const struct pare_dense_cfg *c = &f->d->c;
    struct pare_residual        *r = &f->s->res;

    if (c->n_embd_in != c->n_embd) r->no_rotation = r->no_order = r->no_sign = "the embedding has another width than the layers";
    else if (c->t.norm == PARE_NORM_LAYER) r->no_rotation = r->no_sign = "layer norms subtract the mean, which a rotation moves";
    else if (c->t.block == PARE_BLOCK_AFTER) r->no_rotation = "norms stand on the residual stream itself";
    else if (c->t.post_norm) r->no_rotation = "norms behind the halves have gains of their own";
    else if (c->t.embd_norm) r->no_rotation = "the embedding is normed";
}

static int allocate(struct pare_sites *s, const struct pare_model *m, struct pare_diag *diag)
{
    uint32_t slots = 0;

    for (uint32_t u = 0; u < m->info.n_units; u++) slots += m->units[u].n_slots;
    s->site = pare_zalloc((uint64_t)m->info.n_layers * 6 + 2, sizeof *s->site);
    s->qk = pare_zalloc(m->info.n_layers + 1u, sizeof *s->qk);
    s->res.read = pare_zalloc(slots, sizeof *s->res.read);
    s->res.write = pare_zalloc(slots, sizeof *s->res.write);
    s->res.table = pare_zalloc(slots, sizeof *s->res.table);
    s->res.vec = pare_zalloc(slots, sizeof *s->res.vec);
    if (s->site != NULL && s->qk != NULL && s->res.read != NULL && s->res.write != NULL && s->res.table != NULL && s->res.vec != NULL)
        return PARE_OK;
    pare_sites_free(s);
    return PARE_NOMEM(diag);
}

int pare_sites_of(struct pare_sites *s, struct pare_model *m, struct pare_diag *diag)
{
    struct finder f = { .s = s, .m = m, .d = m->own };

    memset(s, 0, sizeof *s);
    if (m->arch->ops != &pare_dense_ops)
        PARE_FAIL(diag, PARE_E_UNSUPPORTED, "the structure of family %s is not known to rewrites", m->arch->name);
    PARE_FORWARD(allocate(s, m, diag));
    s->res.n = m->info.n_embd;
    s->n_head = f.d->c.n_head;
    s->n_head_kv = f.d->c.n_head_kv;
    s->dk = f.d->c.dk;
    s->dv = f.d->c.dv;
    s->rotary = f.d->c.t.rope ? f.d->c.rotary : 0;
    s->pairs = f.d->c.pairs;
    s->tied = f.d->c.tied;
    for (uint32_t i = 0; i < m->info.n_layers; i++) {
        f.unit = i + 1;
        f.u = &m->units[i + 1];
        f.l = &f.d->layer[i];
        norms(&f);
        values(&f);
        hidden(&f);
        residual_layer(&f);
    }
    residual_ends(&f);
    residual_limits(&f);
    /* The final norm and the head, where the head's matrix is its own. */
    f.unit = m->info.n_units - 1;
    if (!s->tied && f.d->c.t.block != PARE_BLOCK_AFTER && f.d->c.n_embd_in == f.d->c.n_embd) {
        struct pare_site *x = norm_site(&f, &f.d->out_norm, &f.d->out_norm_b, s->res.n);

        if (x != NULL) read_by(&f, x, &f.d->head);
    }
    return PARE_OK;
}

void pare_sites_free(struct pare_sites *s)
{
    pare_free(s->site);
    pare_free(s->qk);
    pare_free(s->res.read);
    pare_free(s->res.write);
    pare_free(s->res.table);
    pare_free(s->res.vec);
    memset(s, 0, sizeof *s);
}

int pare_model_untie(struct pare_model *m, struct pare_diag *diag)
{
    struct pare_dense *d = m->own;
    struct pare_unit  *last;

    if (m->arch->ops != &pare_dense_ops)
        PARE_FAIL(diag, PARE_E_UNSUPPORTED, "the structure of family %s is not known to rewrites", m->arch->name);
    if (!d->c.tied) return PARE_OK;
    PARE_FAIL_IF(diag, !d->to_gguf, PARE_E_UNSUPPORTED, "family %s is written with its own config, which says that head and table are one",
                 m->arch->name);
    last = &m->units[m->info.n_units - 1];
    for (uint32_t i = 0; i < last->n_slots; i++) {
        struct pare_slot *s = &last->slot[i];

        if (s->lin != &d->head) continue;
        s->role = "output";
        memcpy(s->name, "output.weight", sizeof "output.weight");
        s->is_embedding = s->tied = false;
    }
    d->embd_slot->tied = false;
    d->c.tied = false;
    return PARE_OK;
}
