/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/target.h"

#include <stdatomic.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/status.h"
#include "compress/composite.h"
#include "compress/method.h"
#include "kernel/enc_tiers.h"
#include "model/fold.h"

static struct pare_target *find(struct pare_targets *ts, const char *name)
{
    for (uint32_t i = 0; i < ts->n; i++)
        if (strcmp(ts->t[i].name, name) == 0) return &ts->t[i];
    return NULL;
}

static bool in_rest(const struct pare_targets *ts, const char *name)
{
    for (uint32_t i = 0; i < ts->n_rest; i++)
        if (strcmp(ts->rest[i]->name, name) == 0) return true;
    return false;
}

/* A slot joins the target of its name (tied weights are read in two places), or opens one, or is kept as it is. */
static void add_slot(struct pare_targets *ts, const struct pare_unit *of, uint32_t unit, struct pare_slot *s)
{
    struct pare_target *t = find(ts, s->name);

    if (!s->is_linear && !s->is_embedding) {
        if (!in_rest(ts, s->name)) {
            ts->rest[ts->n_rest++] = s;
            ts->params += s->rows * s->cols;
        }
        return;
    }
    if (t == NULL) {
        t = &ts->t[ts->n++];
        *t = (struct pare_target){ .name = s->name, .unit = unit, .slot = s, .of = of, .rows = s->rows, .cols = s->cols };
        ts->params += s->rows * s->cols;
    }
    if (s->is_embedding && t->table == NULL) t->table = s; /* the EMBED unit's slot comes first; a tied head looks nothing up */
    if (s->is_linear && s->lin != NULL) {
        t->multiplied = true;
        t->unit = unit;
        t->slot = s;
        t->of = of;
    }
}

int pare_targets_create(struct pare_targets *ts, struct pare_model *m, struct pare_diag *diag)
{
    uint32_t n_units = pare_model_info_of(m)->n_units, n = 0;

    memset(ts, 0, sizeof *ts);
    for (uint32_t u = 0; u < n_units; u++) n += pare_model_unit(m, u)->n_slots;
    ts->t = pare_zalloc(n + 1u, sizeof *ts->t);
    ts->rest = pare_zalloc(n + 1u, sizeof *ts->rest);
    if (ts->t == NULL || ts->rest == NULL) {
        pare_targets_free(ts);
        return PARE_NOMEM(diag);
    }
    for (uint32_t u = 0; u < n_units; u++) {
        struct pare_unit *unit = pare_model_unit(m, u);
        for (uint32_t i = 0; i < unit->n_slots; i++) add_slot(ts, unit, u, &unit->slot[i]);
    }
    return PARE_OK;
}

void pare_targets_free(struct pare_targets *ts)
{
    for (uint32_t i = 0; i < ts->n; i++) {
        pare_free(ts->t[i].importance);
    }
    pare_inputs_free(&ts->head);
    pare_free(ts->t);
    pare_free(ts->rest);
    memset(ts, 0, sizeof *ts);
}

/* A list that names no type at all (but methods, say) allows every type. */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    bool   types = false;

    if (list == NULL) return true;
    for (const char *p = list; *p != '\0';) {
        size_t len = strcspn(p, ",");
        char   one[24] = { 0 };
        if (len == n && strncasecmp(p, name, n) == 0) return true;
        if (len < sizeof one) memcpy(one, p, len);
        types = types || pare_dtype_by_name(one) != NULL;
        p += len + (p[len] == ',');
    }
    return !types;
}

bool pare_target_is_source(const struct pare_target *t, const struct pare_dtype *type)
{
    const struct pare_slot *s = t->slot;

    return s->fold == NULL && s->weight.type == type && s->weight.foreign == NULL && s->order == PARE_ROWS_PLAIN &&
           (s->weight.data != NULL || s->weight.panels.data != NULL) && s->weight.parts == NULL;
}

/* Parts stay as they are where the base keeps its type, but in files for other engines, which know none. */
static bool keeps_parts(const struct pare_target *t, const struct pare_dtype *d, bool portable)
{
    return t->slot->weight.parts != NULL && !portable && d == t->slot->weight.type;
}

static int keep_parts(struct pare_candidate *c, const struct pare_target *t, struct pare_diag *diag)
{
    struct pare_composite shape;

    c->maker = &pare_composite_keep;
    PARE_FORWARD(c->maker->make(c->maker, t, true, &shape, NULL, diag));
    c->bytes = pare_composite_bytes(&shape);
    c->resident = pare_composite_resident(&shape);
    pare_composite_free(&shape);
    return PARE_OK;
}

static bool suits(const struct pare_dtype *d, const struct pare_target *t, bool portable, const char *list)
{
    uint64_t row;

    if (!pare_dtype_row_bytes(d, t->cols, &row)) return false;
    if (portable && !(d->caps & PARE_DT_STANDARD)) return false;
    if (d == t->slot->weight.type) return (d->caps & PARE_DT_WRITE) || pare_target_is_source(t, d) || keeps_parts(t, d, portable);
    if (!(d->caps & PARE_DT_WRITE) || !(d->caps & PARE_DT_QUANT)) return false;
    return listed(list, d->name);
}

int pare_targets_candidates(struct pare_targets *ts, bool portable, const char *list, struct pare_diag *diag)
{
    PARE_FORWARD(pare_methods_check(list, diag));
    for (uint32_t i = 0; i < ts->n; i++) {
        struct pare_target *t = &ts->t[i];
        t->n_cand = 0;
        for (int k = 0; k < PARE_TYPE_COUNT && t->n_cand < PARE_MAX_CANDIDATES; k++) {
            const struct pare_dtype *d = pare_dtype_of((enum pare_type)k);
            struct pare_candidate   *c = &t->cand[t->n_cand];
            if (!suits(d, t, portable, list)) continue;
            *c = (struct pare_candidate){ .type = d };
            PARE_FAIL_IF(diag, !pare_dtype_bytes(d, t->rows, t->cols, &c->bytes), PARE_E_LIMIT, "tensor too large");
            c->resident = t->multiplied ? pare_linear_bytes(d, t->rows, t->cols, PARE_ACT_INT8) : 0;
            if (c->resident == 0) c->resident = c->bytes; /* used in place from the mapped file */
            if (keeps_parts(t, d, portable)) PARE_FORWARD(keep_parts(c, t, diag));
            t->n_cand++;
        }
        if (t->n_cand == 0) {
            pare_diag_where(diag, t->name);
            PARE_FAIL(diag, PARE_E_USAGE, "none of the allowed types suits rows of %llu weights", (unsigned long long)t->cols);
        }
    }
    return PARE_OK;
}

bool pare_target_feeds(const struct pare_target *t, uint32_t c)
{
    const struct pare_dtype *d = t->cand[c].type;

    return t->cand[c].maker == NULL && t->feedback && t->multiplied && (d->caps & PARE_DT_QUANT) && d->encode != NULL && d->repack != NULL &&
           d->pack.trellis == NULL && !pare_target_is_source(t, d); /* codes of a trellis hang together: none can answer alone */
}

double pare_target_ridge(const struct pare_target *t)
{
    const double most = 0.95;
    double       p = t->lookup < most ? t->lookup : most;

    return t->table == NULL || !(p > 0) ? 0 : p / (1 - p);
}

struct encode_job {
    const struct pare_target *t;
    const struct pare_dtype  *type;
    const struct pare_enc_wide *wide;
    float                    *rows;        /* f32, [n][cols] */
    uint8_t                  *dst;
    uint64_t                  row0, n, row_bytes;
    bool                      out, decode; /* decode: rows are still to be read */
    atomic_bool               failed;
};

#define ENCODE_ROWS 4

static int read_rows(const struct encode_job *e, uint64_t from, uint64_t n, struct pare_diag *diag)
{
    return (e->out ? pare_slot_out_rows : pare_slot_rows)(e->t->slot, e->row0 + from, n, e->rows + from * e->t->cols, diag);
}

/* The first of n numbers that is not finite; n where there is none. */
static uint64_t first_bad(const float *x, uint64_t n)
{
    uint64_t i = 0;

    for (; i + 64 <= n; i += 64) {
        int32_t bad = 0;

        for (int j = 0; j < 64; j++) bad |= !(x[i + (uint64_t)j] - x[i + (uint64_t)j] == 0);
        if (bad) break;
    }
    while (i < n && x[i] - x[i] == 0) i++;
    return i;
}

static void encode_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct encode_job *e = ctx;
    struct pare_diag   unused = { 0 };
    uint64_t           from = (uint64_t)chunk * ENCODE_ROWS, to = from + ENCODE_ROWS < e->n ? from + ENCODE_ROWS : e->n, cols = e->t->cols;

    (void)worker;
    if ((e->decode && read_rows(e, from, to - from, &unused) < 0) || first_bad(e->rows + from * cols, (to - from) * cols) < (to - from) * cols) {
        atomic_store(&e->failed, true);
        return;
    }
    pare_enc_use(e->wide);
    for (uint64_t r = from; r < to; r++) e->type->encode(e->dst + r * e->row_bytes, e->rows + r * cols, cols, e->t->importance);
}

/* Reads the rows once more, in order, to name the first one that is wrong. */
static int why_failed(const struct encode_job *e, struct pare_diag *diag)
{
    uint64_t at;

    PARE_FORWARD(read_rows(e, 0, e->n, diag));
    at = first_bad(e->rows, e->n * e->t->cols);
    pare_diag_where(diag, e->t->slot->source);
    PARE_FAIL(diag, PARE_E_CORRUPT, "weight %llu of row %llu is not finite: the model is damaged",
              (unsigned long long)(at % e->t->cols), (unsigned long long)(e->row0 + at / e->t->cols));
}

/* Each row lies by itself: threads may read rows side by side. */
static bool rows_apart(const struct pare_slot *s)
{
    return s->vec == NULL && s->order != PARE_ROWS_TRANSPOSED && s->weight.parts == NULL && (s->fold == NULL || !s->fold->mixes);
}

int pare_target_encode(const struct pare_target *t, const struct pare_dtype *type, uint64_t row0, uint64_t n, bool out,
                       uint8_t *dst, float *tmp, struct pare_job *job, struct pare_diag *diag)
{
    struct encode_job e = { .t = t, .type = type, .wide = pare_enc_wide_for(job->tier), .rows = tmp, .dst = dst, .row0 = row0, .n = n,
                            .out = out, .decode = rows_apart(t->slot) };

    (void)pare_dtype_row_bytes(type, t->cols, &e.row_bytes);
    if (pare_target_is_source(t, type) && !(out && t->slot->permute_out)) return pare_weight_bytes(&t->slot->weight, row0, n, dst, diag);
    /* Rows of one kind are read where they are encoded, by all threads; the others lie across the file and are read at once. */
    if (!e.decode) PARE_FORWARD(read_rows(&e, 0, n, diag));
    pare_team_run(job->team, (uint32_t)((n + ENCODE_ROWS - 1) / ENCODE_ROWS), encode_chunk, &e);
    if (atomic_load(&e.failed)) return why_failed(&e, diag);
    return pare_job_check(job, diag);
}

static void read_chunk(void *ctx, uint32_t chunk, uint32_t worker)
{
    struct encode_job *e = ctx;
    struct pare_diag   unused = { 0 };
    uint64_t           from = (uint64_t)chunk * ENCODE_ROWS, to = from + ENCODE_ROWS < e->n ? from + ENCODE_ROWS : e->n, cols = e->t->cols;

    (void)worker;
    if ((e->decode && read_rows(e, from, to - from, &unused) < 0) || first_bad(e->rows + from * cols, (to - from) * cols) < (to - from) * cols)
        atomic_store(&e->failed, true);
}

int pare_target_floats(const struct pare_target *t, uint64_t row0, uint64_t n, float *dst, struct pare_job *job, struct pare_diag *diag)
{
    struct encode_job e = { .t = t, .rows = dst, .row0 = row0, .n = n, .decode = rows_apart(t->slot) };

    if (!e.decode) PARE_FORWARD(read_rows(&e, 0, n, diag));
    pare_team_run(job->team, (uint32_t)((n + ENCODE_ROWS - 1) / ENCODE_ROWS), read_chunk, &e);
    if (atomic_load(&e.failed)) return why_failed(&e, diag);
    return pare_job_check(job, diag);
}

void pare_weighted_error(const float *a, const float *b, const float *importance, uint64_t cols, double *err, double *norm)
{
    for (uint64_t i = 0; i < cols; i++) {
        double w = importance == NULL ? 1.0 : (double)importance[i], d = (double)a[i] - (double)b[i];
        *err += w * d * d;
        *norm += w * (double)a[i] * (double)a[i];
    }
}
