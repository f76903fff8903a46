/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/roofline.h"

#include <stdio.h>
#include <string.h>

#include "base/status.h"

const uint32_t pare_roof_columns[PARE_ROOF_POINTS] = { 1, 4, 8, 16, 32, 256 };

/* ---- the shape of a model ---- */

static double part_bytes(const struct pare_slot *s, bool *packed)
{
    double bytes = 0;

    *packed = false;
    for (uint32_t p = 0; p < s->lin->n_parts; p++) {
        const struct pare_part *part = &s->lin->part[p];

        if (part->kind == PARE_PART_PACKED) {
            *packed = true;
            bytes += (double)pare_packed_bytes(&part->packed);
        } else {
            bytes += (double)(part->row_stride * s->rows);
        }
    }
    return bytes;
}

static int add_linear(struct pare_roof_shape *s, const struct pare_slot *slot, bool head, struct pare_diag *diag)
{
    struct pare_roof_linear l = { .rows = slot->rows, .cols = slot->cols, .count = 1, .type = slot->weight.type, .is_head = head };

    l.bytes = part_bytes(slot, &l.packed);
    l.stores_kv = strcmp(slot->role, "attn_k") == 0 || strcmp(slot->role, "attn_v") == 0;
    snprintf(l.role, sizeof l.role, "%s", slot->role);
    for (uint32_t i = 0; i < s->n_linear; i++) {
        struct pare_roof_linear *o = &s->linear[i];
        if (strcmp(o->role, l.role) != 0 || o->rows != l.rows || o->cols != l.cols || o->type != l.type || o->packed != l.packed) continue;
        o->count++;
        return PARE_OK;
    }
    PARE_FAIL_IF(diag, s->n_linear == PARE_ROOF_LINEARS, PARE_E_UNSUPPORTED, "the model has more than %d kinds of matrices", PARE_ROOF_LINEARS);
    s->linear[s->n_linear++] = l;
    return PARE_OK;
}

static int add_attn(struct pare_roof_shape *s, const struct pare_kv_shape *kv, uint64_t out_cols, struct pare_diag *diag)
{
    struct pare_roof_attn a = { 1, 0, kv->n_head_kv, kv->dk, kv->dv };

    if (kv->dv == 0 || out_cols == 0) return PARE_OK;
    a.heads = (uint32_t)(out_cols / kv->dv);
    for (uint32_t i = 0; i < s->n_attn; i++)
        if (s->attn[i].heads == a.heads && s->attn[i].heads_kv == a.heads_kv && s->attn[i].dk == a.dk && s->attn[i].dv == a.dv) {
            s->attn[i].count++;
            return PARE_OK;
        }
    PARE_FAIL_IF(diag, s->n_attn == PARE_ROOF_ATTN, PARE_E_UNSUPPORTED, "the model has more than %d kinds of attention", PARE_ROOF_ATTN);
    s->attn[s->n_attn++] = a;
    return PARE_OK;
}

int pare_roof_shape_of(struct pare_roof_shape *s, struct pare_model *m, struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(m);

    *s = (struct pare_roof_shape){ .embd = info->n_embd, .vocab = info->n_vocab, .layers = info->n_layers };
    for (uint32_t u = 0; u < info->n_units; u++) {
        struct pare_unit *unit = pare_model_unit(m, u);
        uint64_t          out_cols = 0;

        for (uint32_t i = 0; i < unit->n_slots; i++) {
            struct pare_slot *t = &unit->slot[i];

            if (t->is_embedding && !t->tied) s->embed_bytes += (double)t->rows * (double)t->weight.row_bytes;
            if (strcmp(t->role, "attn_output") == 0) out_cols = t->cols;
            if (strcmp(t->role, "ffn_down") == 0 && t->cols > s->ffn) s->ffn = t->cols;
            if (!t->is_linear || t->lin == NULL) continue;
            PARE_FORWARD(add_linear(s, t, unit->kind == PARE_UNIT_HEAD, diag));
        }
        if (unit->kind == PARE_UNIT_LAYER) PARE_FORWARD(add_attn(s, &info->kv_shape[unit->index], out_cols, diag));
    }
    return PARE_OK;
}

/* ---- counting ---- */

static double pieces(const struct pare_roof_work *w)
{
    double n = (double)w->batch * w->tokens;

    return w->piece == 0 || n <= w->piece ? 1 : (double)(((uint64_t)n + w->piece - 1) / w->piece);
}

/* Positions that all new tokens of one sequence look at together: each sees the past and itself and those between. */
static double looked_at(const struct pare_roof_work *w)
{
    double t = w->tokens;

    return (t * (double)w->past + t * (t + 1) / 2) * w->kv_keep;
}

static struct pare_roof_op *start(struct pare_roof_op *op, uint32_t *n, const char *name, enum pare_roof_kind kind, uint32_t count)
{
    struct pare_roof_op *o = &op[(*n)++];

    *o = (struct pare_roof_op){ .kind = kind, .count = count };
    snprintf(o->name, sizeof o->name, "%s", name);
    return o;
}

static void count_linear(struct pare_roof_op *op, uint32_t *n, const struct pare_roof_linear *l, const struct pare_roof_work *w)
{
    struct pare_roof_op *o = start(op, n, l->role, PARE_ROOF_LINEAR, l->count);
    double               cols = l->is_head ? (double)w->batch * w->logits : (double)w->batch * w->tokens, again = l->is_head ? 1 : pieces(w);

    o->ops = 2.0 * (double)l->rows * (double)l->cols * cols;
    o->load_weight = l->bytes * again;
    o->load_act = (double)l->cols * cols * w->act_bytes;
    o->store_act = l->stores_kv ? 0 : (double)l->rows * cols * w->act_bytes;
    o->store_kv = l->stores_kv ? (double)l->rows * cols * w->kv_bytes * w->kv_keep : 0;
    o->weights = (double)l->rows * (double)l->cols;
    o->columns = cols;
    o->width = (double)l->cols;
    o->type = l->type;
    o->packed = l->packed;
    /* What reads the same rows is one parallel region (pare_linear_apply). */
    o->parallel = strcmp(l->role, "attn_k") != 0 && strcmp(l->role, "attn_v") != 0 && strcmp(l->role, "ffn_up") != 0;
}

#define ALONE 131072.0 /* multiply-adds below which one thread attends alone (src/model/dense_heads.c) */

static void count_attn(struct pare_roof_op *op, uint32_t *n, const struct pare_roof_attn *a, const struct pare_roof_work *w)
{
    double seen = looked_at(w) * w->batch, rows = (double)w->batch * w->tokens * a->heads;
    double positions = ((double)w->past + w->tokens) * w->kv_keep * w->batch;
    /* A run of queries reads the keys once; the average run ends in the middle of the new tokens. */
    double tile = w->tile_rows == 0 ? 1 : w->tile_rows, runs = w->tokens <= tile ? 1 : w->tokens / tile;
    double kv = w->tokens <= tile ? positions : (looked_at(w) / w->tokens) * w->batch * runs;
    struct pare_roof_op *o;

    if (w->fused) {
        o = start(op, n, "attention", PARE_ROOF_ATTEND, a->count);
        o->columns = w->tokens;
        o->ops = 2.0 * seen * a->heads * (a->dk + a->dv) + 5.0 * seen * a->heads;
        o->load_act = rows * a->dk * w->act_bytes;
        o->store_act = rows * a->dv * w->act_bytes; /* stored once: the tiled kernel keeps it until it is done */
        o->load_kv = kv * a->heads_kv * (a->dk + a->dv) * w->kv_bytes;
        o->parallel = seen * a->heads * (a->dk + a->dv) > ALONE;
        return;
    }
    o = start(op, n, "qk", PARE_ROOF_ATTEND, a->count);
    o->ops = 2.0 * seen * a->heads * a->dk;
    o->load_act = rows * a->dk * w->act_bytes;
    o->store_act = seen * a->heads * w->act_bytes;
    o->load_kv = positions * a->heads_kv * a->dk * w->kv_bytes;
    o = start(op, n, "softmax", PARE_ROOF_ATTEND, a->count);
    o->ops = 5.0 * seen * a->heads;
    o->load_act = o->store_act = seen * a->heads * w->act_bytes;
    o = start(op, n, "sv", PARE_ROOF_ATTEND, a->count);
    o->ops = 2.0 * seen * a->heads * a->dv;
    o->load_act = seen * a->heads * w->act_bytes;
    o->store_act = rows * a->dv * w->act_bytes;
    o->load_kv = positions * a->heads_kv * a->dv * w->kv_bytes;
}

/* Reads `loads` vectors an element and writes one. */
static void count_plain(struct pare_roof_op *op, uint32_t *n, const char *name, enum pare_roof_kind kind, uint32_t count, double ops, double loads,
                        double rows, double width, double act_bytes)
{
    struct pare_roof_op *o = start(op, n, name, kind, count);
    double               elements = rows * width;

    o->columns = rows;
    o->width = width;
    o->ops = ops * elements;
    o->load_act = loads * elements * act_bytes;
    o->store_act = elements * act_bytes;
}

uint32_t pare_roof_count(const struct pare_roof_shape *s, const struct pare_roof_work *w, struct pare_roof_op *op)
{
    double   rows = (double)w->batch * w->tokens;
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n_linear; i++) count_linear(op, &n, &s->linear[i], w);
    for (uint32_t i = 0; i < s->n_attn; i++) count_attn(op, &n, &s->attn[i], w);
    count_plain(op, &n, "norm", PARE_ROOF_PLAIN, 2 * s->layers + 1, 7, 1, rows, (double)s->embd, w->act_bytes);
    count_plain(op, &n, "add", PARE_ROOF_PLAIN, 2 * s->layers, 1, 2, rows, (double)s->embd, w->act_bytes);
    count_plain(op, &n, "gate", PARE_ROOF_GATE, s->layers, 2, 2, rows, (double)s->ffn, w->act_bytes);
    return n;
}

double pare_roof_bytes(const struct pare_roof_op *o) { return o->load_weight + o->load_act + o->store_act + o->load_kv + o->store_kv; }

double pare_roof_memory(const struct pare_roof_shape *s, const struct pare_roof_work *w)
{
    double rows = (double)w->batch * w->tokens, sum = s->embed_bytes, widest = (double)s->embd;

    for (uint32_t i = 0; i < s->n_linear; i++) sum += s->linear[i].bytes * s->linear[i].count;
    for (uint32_t i = 0; i < s->n_attn; i++)
        sum += ((double)w->past + w->tokens) * w->kv_keep * w->batch * s->attn[i].count * s->attn[i].heads_kv * (s->attn[i].dk + s->attn[i].dv) * w->kv_bytes;
    widest += 2.0 * (double)s->ffn;
    return sum + rows * widest * w->act_bytes + (double)w->batch * w->logits * (double)s->vocab * w->act_bytes;
}

/* ---- time ---- */

/* Seconds of one weight for n vectors: straight lines between the measured points, the last one goes on. */
static double weight_seconds(const struct pare_roof_cost *c, double n)
{
    uint32_t i = 1;
    double   x0, x1;

    if (n <= pare_roof_columns[0]) return c->weight_s[0];
    while (i + 1 < PARE_ROOF_POINTS && n > pare_roof_columns[i]) i++;
    x0 = pare_roof_columns[i - 1];
    x1 = pare_roof_columns[i];
    return c->weight_s[i - 1] + (c->weight_s[i] - c->weight_s[i - 1]) * (n - x0) / (x1 - x0);
}

/* Seconds of arithmetic: as measured where it was measured (*measured: a product whose weights were unpacked), else at the peak. */
static double compute_seconds(const struct pare_roof_machine *m, const struct pare_roof_op *o, bool *measured)
{
    double peak = o->packed ? m->int8_ops : m->f32_flops, threads = m->threads > 1 && o->columns >= 4 ? m->threads : 1;

    *measured = false;
    if (o->kind == PARE_ROOF_ATTEND && m->attend_s[0] > 0)
        return o->ops * m->attend_s[o->columns > 1] / (o->parallel && m->threads > 1 ? m->threads : 1);
    if (o->kind == PARE_ROOF_GATE && m->gate_s > 0) return o->columns * o->width * m->gate_s / threads;
    for (uint32_t i = 0; i < m->n_cost && o->kind == PARE_ROOF_LINEAR; i++) {
        double extra = o->parallel ? m->call_s + (o->packed ? o->columns * o->width * m->quant_s / threads : 0) : 0;

        *measured = m->cost[i].type == o->type && m->cost[i].packed == o->packed;
        if (*measured) return o->weights * weight_seconds(&m->cost[i], o->columns) + extra;
    }
    return peak > 0 ? o->ops / peak : 0;
}

double pare_roof_op_seconds(const struct pare_roof_machine *m, const struct pare_roof_op *o, bool *memory)
{
    bool   measured;
    double compute = compute_seconds(m, o, &measured), bytes = m->read_bytes > 0 ? pare_roof_bytes(o) / m->read_bytes : 0;
    double larger = bytes > compute ? bytes : compute;

    *memory = bytes > compute;
    /* From memory, unpacking is added, not hidden: a core that waits for weights does little else, and the sum is what is measured
     * (tests/method/bench_roofline.c: the larger of both was 0.7 of it). From a cache the larger of both is nearer. */
    return (measured && !m->cached ? bytes + compute : larger) + (o->parallel ? m->sync_s : 0);
}

struct pare_roof_time pare_roof_predict(const struct pare_roof_machine *m, const struct pare_roof_op *op, uint32_t n)
{
    struct pare_roof_time t = { 0 };
    double                by_memory = 0;

    for (uint32_t i = 0; i < n; i++) {
        bool   memory, measured;
        double count = op[i].count, s = pare_roof_op_seconds(m, &op[i], &memory) * count;
        double bytes = m->read_bytes > 0 ? pare_roof_bytes(&op[i]) / m->read_bytes : 0;
        double peak = op[i].packed ? m->int8_ops : m->f32_flops, plain = peak > 0 ? op[i].ops / peak : 0;

        t.seconds += s;
        t.memory_s += bytes * count;
        t.compute_s += compute_seconds(m, &op[i], &measured) * count;
        t.plain_s += (bytes > plain ? bytes : plain) * count;
        if (memory) by_memory += s;
    }
    t.memory_bound = 2 * by_memory > t.seconds;
    return t;
}

uint32_t pare_roof_crossover(const struct pare_roof_machine *m, const struct pare_roof_shape *s, const struct pare_roof_work *w, uint32_t max)
{
    struct pare_roof_op op[PARE_ROOF_OPS];

    for (uint32_t b = 1; b <= max; b++) {
        struct pare_roof_work one = *w;
        struct pare_roof_time t;

        one.batch = b;
        t = pare_roof_predict(m, op, pare_roof_count(s, &one, op));
        if (t.compute_s > t.memory_s) return b;
    }
    return 0;
}
