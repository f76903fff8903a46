/* SPDX-License-Identifier: Apache-2.0
 * src/compress/rewrite.c: declares all tensors of an output, then makes and writes them one by one. */
#include "compress/rewrite.h"

#include <string.h>

#include "base/mem.h"
#include "base/json.h"
#include "base/status.h"
#include "compress/composite.h"
#include "compress/make.h"
#include "compress/pack_rows.h"
#include "format/parts.h"

#define CHUNK_FLOATS (1u << 18) /* 1 MB of f32 rows at a time, whatever the tensor's size */
#define PACK_ALIGN 4096u         /* panels begin on a page, so that advice for one tensor concerns no other */

/* Vectors in f32, as every reader wants them. A matrix that is only added (learned positions) keeps its own float type. */
const struct pare_dtype *pare_rest_type(const struct pare_slot *s)
{
    const struct pare_dtype *t = s->weight.type;

    if (s->n_dims == 2 && t != NULL && (t->caps & PARE_DT_FLOAT) && (t->caps & PARE_DT_WRITE)) return t;
    return pare_dtype_of(PARE_F32);
}

uint64_t pare_plan_bytes(const struct pare_targets *ts, const uint32_t *pick)
{
    uint64_t sum = 0, b = 0;

    for (uint32_t i = 0; i < ts->n; i++) sum += ts->t[i].cand[pick[i]].bytes;
    for (uint32_t i = 0; i < ts->n_rest; i++)
        if (pare_dtype_bytes(pare_rest_type(ts->rest[i]), ts->rest[i]->rows, ts->rest[i]->cols, &b)) sum += b;
    return sum;
}

static bool begins(const char *s, const char *prefix) { return strncmp(s, prefix, strlen(prefix)) == 0; }

/* Metadata of a GGUF original goes over as it is, but for what no longer holds. */
static int copy_metadata(const struct pare_rewrite *r, struct pare_writer *w, struct pare_diag *diag)
{
    const struct pare_checkpoint *c = r->ckpt;

    for (uint64_t i = 0; i < c->n_kv; i++) {
        const char *k = c->kv[i].key;
        if (begins(k, "split.") || strcmp(k, "pare.plan") == 0 || strcmp(k, "pare.tensors") == 0 || strcmp(k, PARE_PARTS_KEY) == 0) continue;
        if (strcmp(k, "general.file_type") == 0 || strcmp(k, "general.quantization_version") == 0) continue;
        if (strcmp(k, "general.alignment") == 0) continue;
        PARE_FORWARD(pare_writer_kv_copy(w, &c->kv[i], diag));
    }
    return PARE_OK;
}

static bool packs(const struct pare_rewrite *r, uint32_t i) { return r->pack != NULL && r->pack[i] == PARE_PACK_YES; }

static const struct pare_composite_maker *maker_of(const struct pare_rewrite *r, uint32_t i) { return r->ts->t[i].cand[r->pick[i]].maker; }

/* A transform that is said to be a sibling's is written with this weight too where the sibling, as it is picked, has another one. */
static int settle_input(const struct pare_rewrite *r, struct pare_composite *c, struct pare_diag *diag)
{
    const char *of = c->input_of;

    if (of == NULL) return PARE_OK;
    c->input_of = NULL;
    for (uint32_t i = 0; i < r->ts->n; i++) {
        struct pare_composite o;

        if (strcmp(r->ts->t[i].name, of) != 0 || maker_of(r, i) == NULL) continue;
        PARE_FORWARD(maker_of(r, i)->make(maker_of(r, i), &r->ts->t[i], true, &o, NULL, diag));
        if (o.input != NULL && o.input_of == NULL && pare_transform_same(o.input, c->input)) c->input_of = r->ts->t[i].name;
        pare_composite_free(&o);
    }
    return PARE_OK;
}

/* The composite of target i in the order of written files. */
static int make(const struct pare_rewrite *r, uint32_t i, bool shape, struct pare_composite *out, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_composite_maker *m = maker_of(r, i);
    struct pare_composite              c;
    int                                rc = m->make(m, &r->ts->t[i], shape, &c, job, diag);

    if (rc == PARE_OK) {
        rc = settle_input(r, &c, diag);
        if (rc == PARE_OK) rc = pare_composite_out_order(out, &c, r->ts->t[i].slot, diag);
        pare_composite_free(&c);
    }
    if (rc < 0) pare_diag_where(diag, r->ts->t[i].name);
    return rc;
}

/* "pare.parts", where there is something to say. */
static int declare_entries(const struct pare_rewrite *r, struct pare_writer *w, struct pare_diag *diag)
{
    json_t *doc = json_object();
    char   *text = NULL;
    int     rc = doc == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint32_t i = 0; i < r->ts->n && rc == PARE_OK; i++) {
        struct pare_composite c;

        if (maker_of(r, i) == NULL) continue;
        if (r->ts->t[i].table != NULL) {
            pare_diag_where(diag, r->ts->t[i].name);
            rc = PARE_ERR(diag, PARE_E_USAGE, "an embedding table cannot have parts");
            continue;
        }
        rc = make(r, i, true, &c, NULL, diag);
        if (rc < 0) continue;
        rc = pare_composite_entry(&c, r->ts->t[i].name, doc, diag);
        pare_composite_free(&c);
    }
    if (rc == PARE_OK && json_object_size(doc) != 0) {
        text = pare_json_canonical(doc);
        rc = text == NULL ? PARE_NOMEM(diag) : pare_writer_kv_str(w, PARE_PARTS_KEY, text, strlen(text), diag);
    }
    pare_free(text);
    json_decref(doc);
    return rc;
}

/* The tensor of the weight itself, or (base false) those beside it. */
static int declare_composite(const struct pare_rewrite *r, struct pare_writer *w, uint32_t i, bool base, struct pare_diag *diag)
{
    struct pare_composite c;
    int                   rc = make(r, i, true, &c, NULL, diag);

    if (rc < 0) return rc;
    rc = (base ? pare_composite_declare_base : pare_composite_declare_parts)(&c, w, r->ts->t[i].name, packs(r, i), diag);
    pare_composite_free(&c);
    return rc;
}

static int declare(const struct pare_rewrite *r, struct pare_writer *w, struct pare_diag *diag)
{
    if (r->ckpt->n_kv != 0) {
        PARE_FORWARD(copy_metadata(r, w, diag));
    } else {
        PARE_FORWARD(pare_model_emit_gguf(r->model, w, diag));
        if (r->tok != NULL) PARE_FORWARD(pare_tokenizer_emit_gguf(r->tok, w, diag));
    }
    PARE_FORWARD(pare_writer_kv_u32(w, "general.quantization_version", 2, diag));
    if (r->plan_text != NULL)
        PARE_FORWARD(pare_writer_kv_str(w, "pare.plan", r->plan_text, strlen(r->plan_text), diag));
    PARE_FORWARD(declare_entries(r, w, diag));
    for (uint32_t i = 0; i < r->ts->n; i++) {
        if (!packs(r, i)) continue;
        PARE_FORWARD(pare_writer_kv_u32(w, "general.alignment", PACK_ALIGN, diag));
        break;
    }
    for (uint32_t i = 0; i < r->ts->n; i++) {
        const struct pare_target *t = &r->ts->t[i];
        uint64_t                  dims[2] = { t->rows, t->cols };
        if (maker_of(r, i) != NULL) {
            PARE_FORWARD(declare_composite(r, w, i, true, diag));
            continue;
        }
        PARE_FORWARD((packs(r, i) ? pare_writer_declare_packed : pare_writer_declare)(w, t->name, t->cand[r->pick[i]].type, 2, dims, diag));
    }
    for (uint32_t i = 0; i < r->ts->n_rest; i++) {
        const struct pare_slot *s = r->ts->rest[i];
        uint64_t                dims[2] = { s->rows, s->cols };
        PARE_FORWARD(pare_writer_declare(w, s->name, pare_rest_type(s), s->n_dims, s->n_dims == 1 ? &dims[1] : dims, diag));
    }
    for (uint32_t i = 0; i < r->ts->n; i++)
        if (maker_of(r, i) != NULL) PARE_FORWARD(declare_composite(r, w, i, false, diag));
    return pare_writer_layout(w, diag);
}

/* Rows made at a time; whole panels of them where they are packed. */
static uint64_t chunk_rows(const struct pare_target *t, bool pack)
{
    uint64_t n = CHUNK_FLOATS / t->cols + 1;

    return !pack ? n : n < PARE_PANEL ? PARE_PANEL : n / PARE_PANEL * PARE_PANEL;
}

/* Makes the rows of a target chunk by chunk and, where pack says so, panels of them; w NULL: only to see whether they turn back,
 * which *keeps says then. */
static int walk_target(const struct pare_rewrite *r, struct pare_writer *w, uint32_t i, bool pack, bool *keeps, float *tmp,
                       struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_target *t = &r->ts->t[i];
    const struct pare_dtype  *type = t->cand[r->pick[i]].type;
    struct pare_pack_rows     k = { 0 };
    uint64_t                  row_bytes, step = chunk_rows(t, pack);
    uint8_t                  *code;
    int                       rc = PARE_OK;

    (void)pare_dtype_row_bytes(type, t->cols, &row_bytes);
    code = pare_aligned(step * row_bytes);
    if (code == NULL) return PARE_NOMEM(diag);
    *keeps = true;
    if (pack) rc = pare_pack_rows_open(&k, type, t->cols, step, job, diag);
    for (uint64_t at = 0; at < t->rows && rc == PARE_OK && *keeps; at += step) {
        uint64_t n = t->rows - at < step ? t->rows - at : step;
        rc = pare_target_encode(t, type, at, n, true, code, tmp, job, diag);
        if (rc == PARE_OK && pack) *keeps = pare_pack_rows(&k, code, n);
        if (rc < 0 || w == NULL || !*keeps) continue;
        rc = pack ? pare_writer_data(w, i, k.p.data, pare_packed_bytes(&k.p), diag) : pare_writer_data(w, i, code, n * row_bytes, diag);
    }
    if (t->slot->weight.tensor != NULL) pare_checkpoint_advise(r->ckpt, t->slot->weight.tensor, PARE_DONTNEED);
    if (pack) pare_pack_rows_close(&k);
    pare_aligned_free(code);
    return rc;
}

static int write_target(const struct pare_rewrite *r, struct pare_writer *w, uint32_t i, float *tmp, struct pare_job *job,
                        struct pare_diag *diag)
{
    bool keeps;

    PARE_FORWARD(walk_target(r, w, i, packs(r, i), &keeps, tmp, job, diag));
    if (keeps) return PARE_OK;
    pare_diag_where(diag, r->ts->t[i].name);
    PARE_FAIL(diag, PARE_E_CORRUPT, "packed rows do not turn back: the source changed while it was read");
}

static int write_rest(const struct pare_rewrite *r, struct pare_writer *w, uint32_t i, float *tmp, struct pare_diag *diag)
{
    const struct pare_slot  *s = r->ts->rest[i];
    const struct pare_dtype *type = pare_rest_type(s);
    uint64_t                 row_bytes, step = CHUNK_FLOATS / s->cols + 1;
    uint8_t                 *code;
    int                      rc = PARE_OK;

    (void)pare_dtype_row_bytes(type, s->cols, &row_bytes);
    code = pare_aligned(row_bytes);
    if (code == NULL) return PARE_NOMEM(diag);
    for (uint64_t at = 0; at < s->rows && rc == PARE_OK; at += step) {
        uint64_t n = s->rows - at < step ? s->rows - at : step;
        rc = pare_slot_out_rows(s, at, n, tmp, diag);
        for (uint64_t k = 0; k < n && rc == PARE_OK; k++) {
            type->encode(code, tmp + k * s->cols, s->cols, NULL);
            rc = pare_writer_data(w, r->ts->n + i, code, row_bytes, diag);
        }
    }
    pare_aligned_free(code);
    return rc;
}

static bool all_done(const struct pare_writer *w, uint32_t i, uint64_t at, uint32_t n)
{
    bool done = pare_writer_done(w, i);

    for (uint32_t k = 0; k < n; k++) done = done && pare_writer_done(w, at + k);
    return done;
}

/* Base and parts of target i, whose parts are tensors *at on; *at moves behind them. */
static int write_composite(const struct pare_rewrite *r, struct pare_writer *w, uint32_t i, uint64_t *at, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_composite c;
    uint32_t              n;
    int                   rc = make(r, i, true, &c, NULL, diag);

    if (rc < 0) return rc;
    n = pare_composite_n_tensors(&c);
    pare_composite_free(&c);
    if (!all_done(w, i, *at, n)) {
        rc = make(r, i, false, &c, job, diag);
        if (rc < 0) return rc;
        rc = pare_composite_n_tensors(&c) == n ? PARE_OK : PARE_ERR(diag, PARE_E_USAGE, "a composite is not the one that was declared");
        if (rc == PARE_OK) rc = pare_composite_write_base(&c, w, i, packs(r, i), job, diag);
        if (rc == PARE_OK) rc = pare_composite_write_parts(&c, w, *at, packs(r, i), job, diag);
        pare_composite_free(&c);
        if (rc < 0) pare_diag_where(diag, r->ts->t[i].name);
    }
    *at += n;
    return rc;
}

static uint64_t tmp_floats(const struct pare_targets *ts)
{
    uint64_t max = 0;

    for (uint32_t i = 0; i < ts->n + ts->n_rest; i++) {
        uint64_t c = i < ts->n ? ts->t[i].cols : ts->rest[i - ts->n]->cols;
        if (c > max) max = c;
    }
    return CHUNK_FLOATS + PARE_PANEL * max;
}

int pare_rewrite_choose_pack(const struct pare_rewrite *r, uint8_t *pack, struct pare_job *job, struct pare_diag *diag)
{
    float *tmp = pare_aligned(tmp_floats(r->ts) * sizeof *tmp);
    int    rc = tmp == NULL ? PARE_NOMEM(diag) : PARE_OK;

    for (uint32_t i = 0; i < r->ts->n && rc == PARE_OK; i++) {
        const struct pare_target *t = &r->ts->t[i];
        const struct pare_dtype  *type = t->cand[r->pick[i]].type;
        struct pare_packed        p;
        bool                      keeps = true;

        pack[i] = PARE_PACK_NO;
        if (t->cand[r->pick[i]].maker != NULL) { /* encoded here, or written by us before: it turns back */
            if (t->multiplied && pare_packed_shape(&p, type, t->rows, t->cols)) pack[i] = PARE_PACK_YES;
            continue;
        }
        rc = pare_job_check(job, diag);
        pare_job_progress(job, "pack", (double)i / r->ts->n, t->name);
        if (!t->multiplied || !pare_packed_shape(&p, type, t->rows, t->cols)) continue;
        if (rc == PARE_OK && pare_target_is_source(t, type)) rc = walk_target(r, NULL, i, true, &keeps, tmp, job, diag);
        pack[i] = keeps ? PARE_PACK_YES : PARE_PACK_LOSES;
    }
    pare_aligned_free(tmp);
    return rc;
}

static int open_writer(const struct pare_rewrite *r, struct pare_writer **w, struct pare_diag *diag)
{
    const char **in = pare_alloc_array(r->ckpt->n_maps + 1u, sizeof *in);
    struct pare_writer_settings s = { .path = r->out, .inputs = in, .job_hash = r->job_hash, .resume = r->resume };
    int rc;

    if (in == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < r->ckpt->n_maps; i++) in[s.n_inputs++] = r->ckpt->maps[i].path;
    rc = pare_writer_create(w, &s, diag);
    pare_free(in);
    return rc;
}

/* --- targets that are rounded with error feedback -------------------------------------------------------------------------------------- */

struct fed {
    const struct pare_rewrite *r;
    struct pare_writer        *w;
};

/* Rows come in bound order and go out in the order of written files. */
static int write_fed(void *user, uint32_t i, const uint8_t *rows, uint64_t row_bytes, struct pare_diag *diag)
{
    const struct fed         *f = user;
    const struct pare_target *t = &f->r->ts->t[i];
    uint64_t                  step = CHUNK_FLOATS * sizeof(float) / row_bytes + 1;
    uint8_t                  *some;
    int                       rc = PARE_OK;

    if (pare_writer_done(f->w, i)) return PARE_OK;
    if (!t->slot->permute_out) return pare_writer_data(f->w, i, rows, row_bytes * t->rows, diag);
    some = pare_aligned(step * row_bytes);
    if (some == NULL) return PARE_NOMEM(diag);
    for (uint64_t at = 0; at < t->rows && rc == PARE_OK; at += step) {
        uint64_t n = t->rows - at < step ? t->rows - at : step;
        for (uint64_t k = 0; k < n; k++) memcpy(some + k * row_bytes, rows + pare_slot_out_row(t->slot, at + k) * row_bytes, row_bytes);
        rc = pare_writer_data(f->w, i, some, n * row_bytes, diag);
    }
    pare_aligned_free(some);
    return rc;
}

/* The unit at which such a target is made: a head that is the table too comes with the embedding (make.h). */
static uint32_t made_in(const struct pare_target *t) { return t->table != NULL ? 0 : t->unit; }

/* The last unit that has such a target still to be written; UINT32_MAX: there is none. */
static uint32_t last_fed(const struct pare_rewrite *r, const struct pare_writer *w)
{
    uint32_t last = UINT32_MAX;

    for (uint32_t i = 0; i < r->ts->n && r->walk != NULL; i++)
        if (pare_target_feeds(&r->ts->t[i], r->pick[i]) && !pare_writer_done(w, i) && (last == UINT32_MAX || made_in(&r->ts->t[i]) > last))
            last = made_in(&r->ts->t[i]);
    return last;
}

static int write_kept(const struct pare_rewrite *r, struct pare_writer *w, struct pare_job *job, struct pare_diag *diag)
{
    struct fed f = { r, w };

    for (uint32_t i = 0; i < r->ts->n; i++) {
        uint64_t row_bytes;
        if (!pare_target_feeds(&r->ts->t[i], r->pick[i])) continue;
        (void)pare_dtype_row_bytes(r->ts->t[i].cand[r->pick[i]].type, r->ts->t[i].cols, &row_bytes);
        PARE_FORWARD(pare_job_check(job, diag));
        PARE_FORWARD(write_fed(&f, i, r->kept->rows[i], row_bytes, diag));
    }
    return PARE_OK;
}

static int write_all_fed(const struct pare_rewrite *r, struct pare_writer *w, struct pare_job *job, struct pare_diag *diag)
{
    struct fed       f = { r, w };
    struct pare_make m;
    uint32_t         last = last_fed(r, w), head = pare_model_info_of(r->model)->n_units - 1;
    int              rc;

    if (last == UINT32_MAX) return PARE_OK;
    if (r->kept != NULL && pare_kept_fits(r->kept, r->pick)) return write_kept(r, w, job, diag);
    rc = pare_make_open(&m, r->ts, r->pick, r->walk, r->calib, diag);
    m.made = write_fed;
    m.user = &f;
    for (uint32_t u = 0; u <= last && rc == PARE_OK; u++) {
        struct pare_stand_in end;
        rc = pare_walk_enter(r->walk, u, diag);
        if (rc == PARE_OK && u < head) rc = pare_make_unit(&m, u, NULL, NULL, diag);
        if (rc == PARE_OK && u == head) {
            rc = pare_make_head(&m, &end, diag);
            pare_stand_in_drop(&end);
        }
        pare_walk_leave(r->walk, u);
        pare_job_progress(job, "rewrite", (u + 1.0) / (last + 1.0), NULL);
    }
    pare_make_close(&m);
    return rc;
}

int pare_rewrite_run(const struct pare_rewrite *r, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_writer *w = NULL;
    uint32_t            n = r->ts->n + r->ts->n_rest;
    uint64_t            parts_at = n;
    float              *tmp = pare_aligned(tmp_floats(r->ts) * sizeof *tmp);
    int                 rc = tmp == NULL ? PARE_NOMEM(diag) : open_writer(r, &w, diag);

    pare_job_progress(job, "rewrite", 0, NULL);
    if (rc == PARE_OK) rc = declare(r, w, diag);
    for (uint32_t i = 0; i < n && rc == PARE_OK; i++) {
        rc = pare_job_check(job, diag);
        if (i < r->ts->n && r->walk != NULL && pare_target_feeds(&r->ts->t[i], r->pick[i])) continue;
        if (rc == PARE_OK && i < r->ts->n && maker_of(r, i) != NULL) rc = write_composite(r, w, i, &parts_at, job, diag);
        else if (rc == PARE_OK && !pare_writer_done(w, i))
            rc = i < r->ts->n ? write_target(r, w, i, tmp, job, diag) : write_rest(r, w, i - r->ts->n, tmp, diag);
        pare_job_progress(job, "rewrite", (i + 1.0) / n, NULL);
    }
    if (rc == PARE_OK) rc = write_all_fed(r, w, job, diag);
    if (rc == PARE_OK) rc = pare_writer_finish(w, diag);
    pare_writer_close(&w, rc == PARE_E_CANCELLED || rc == PARE_E_NOSPACE || rc == PARE_E_IO);
    pare_aligned_free(tmp);
    return rc;
}

int pare_rewrite_size(const struct pare_rewrite *r, uint64_t *bytes, struct pare_diag *diag)
{
    struct pare_writer_settings nothing = { .path = NULL };
    struct pare_writer         *w = NULL;
    int                         rc = pare_writer_create(&w, &nothing, diag);

    if (rc == PARE_OK) rc = declare(r, w, diag);
    if (rc == PARE_OK) *bytes = pare_writer_size(w);
    pare_writer_close(&w, false);
    return rc;
}
