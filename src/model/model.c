/* SPDX-License-Identifier: Apache-2.0
 * src/model/model.c: from a checkpoint to a model, sessions, and the whole forward pass over the list of units. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/job.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "model/arch.h"

#define MAX_ROWS 65536u /* of one piece of a batch: keeps every size of the working memory far below 2^64 */

/* A GGUF of ours may carry the Hugging Face config of a family that GGUF does not know. */
static int own_config(struct pare_model *m, struct pare_diag *diag)
{
    struct pare_str s;

    PARE_FORWARD(pare_kv_str(m->ckpt, "pare.config", &s, diag));
    if (s.s == NULL) return PARE_OK;
    PARE_FORWARD(pare_json_load(&m->config, s.s, s.len, "pare.config", diag));
    m->owns_config = true;
    return PARE_OK;
}

static int find_arch(struct pare_model *m, struct pare_diag *diag)
{
    struct pare_str s;
    const char     *type = NULL;

    m->config = m->ckpt->config;
    if (m->config == NULL) PARE_FORWARD(own_config(m, diag));
    if (m->config != NULL) {
        PARE_FORWARD(pare_json_str(m->config, "model_type", NULL, &type, diag));
        PARE_FAIL_IF(diag, type == NULL, PARE_E_UNSUPPORTED, "config has no model_type");
        snprintf(m->type, sizeof m->type, "%s", type);
        m->arch = pare_arch_by_type(m->type);
    } else {
        PARE_FORWARD(pare_kv_str(m->ckpt, "general.architecture", &s, diag));
        PARE_FAIL_IF(diag, s.s == NULL, PARE_E_CORRUPT, "general.architecture is missing");
        snprintf(m->type, sizeof m->type, "%.*s", (int)(s.len < sizeof m->type ? s.len : sizeof m->type - 1), s.s);
        m->arch = pare_arch_by_gguf(m->type);
    }
    PARE_FAIL_IF(diag, m->arch == NULL, PARE_E_UNSUPPORTED, "model family \"%s\" is not known", m->type);
    return PARE_OK;
}

static void describe(struct pare_model *m)
{
    m->info.arch = m->arch->name;
    m->info.params = pare_checkpoint_params(m->ckpt);
    m->info.kv_shape = m->kv_shape;
    m->info.all_float = true;
    for (uint32_t u = 0; u < m->info.n_units; u++)
        for (uint32_t i = 0; i < m->units[u].n_slots; i++) {
            const struct pare_slot *s = &m->units[u].slot[i];
            if (s->is_linear && (s->weight.foreign != NULL || !(s->weight.type->caps & PARE_DT_FLOAT))) m->info.all_float = false;
        }
}

int pare_model_create(struct pare_model **out, struct pare_checkpoint *c, const struct pare_model_options *o, struct pare_job *job,
                      struct pare_diag *diag)
{
    struct pare_model *m = pare_zalloc(1, sizeof *m);
    int                rc;

    *out = NULL;
    if (m == NULL) return PARE_NOMEM(diag);
    m->ckpt = c;
    m->options = *o;
    if ((rc = find_arch(m, diag)) < 0) goto fail;
    if ((rc = m->arch->ops->open(m, diag)) < 0) goto fail;
    describe(m);
    for (uint32_t u = 0; !o->no_weights && u < m->info.n_units; u++) {
        pare_job_progress(job, "load", (double)u / m->info.n_units, NULL);
        if ((rc = pare_unit_load(m, u, job, diag)) < 0) goto fail;
    }
    *out = m;
    return PARE_OK;

fail:
    pare_diag_file(diag, c->path);
    pare_model_destroy(&m);
    return rc;
}

void pare_model_destroy(struct pare_model **mp)
{
    struct pare_model *m = mp != NULL ? *mp : NULL;

    if (m == NULL) return;
    for (uint32_t u = 0; m->units != NULL && u < m->info.n_units; u++) {
        pare_unit_unload(m, u);
        pare_free(m->units[u].slot);
    }
    pare_free(m->units);
    if (m->arch != NULL) m->arch->ops->close(m);
    pare_free(m->kv_shape);
    if (m->owns_config) json_decref(m->config);
    pare_free(m);
    *mp = NULL;
}

const struct pare_model_info *pare_model_info_of(const struct pare_model *m) { return &m->info; }
struct pare_unit *pare_model_unit(struct pare_model *m, uint32_t u) { return &m->units[u]; }

static void lay_out(const struct pare_model *m, struct pare_layout *l, struct pare_work *w)
{
    w->x = pare_layout_take(l, (uint64_t)w->n_rows * m->info.n_embd, sizeof(float));
    w->pick = pare_layout_take(l, (uint64_t)w->n_rows * m->info.n_embd, sizeof(float));
    m->arch->ops->layout(m, l, w);
}

uint64_t pare_work_bytes(const struct pare_model *m, uint32_t n_rows, uint32_t n_threads)
{
    struct pare_layout l = { NULL, 0 };
    struct pare_work   w = { .n_rows = n_rows, .n_threads = n_threads };

    lay_out(m, &l, &w);
    return l.used;
}

int pare_work_create(struct pare_work **out, const struct pare_model *m, uint32_t n_rows, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_work  *w;
    struct pare_layout l = { NULL, 0 };

    *out = NULL;
    PARE_FAIL_IF(diag, n_rows == 0 || n_rows > MAX_ROWS, PARE_E_USAGE, "batches of %" PRIu32 " rows: 1..%u", n_rows, MAX_ROWS);
    w = pare_zalloc(1, sizeof *w);
    if (w == NULL) return PARE_NOMEM(diag);
    w->n_rows = n_rows;
    w->n_threads = pare_team_size(job->team);
    w->block = l.base = pare_aligned(pare_work_bytes(m, n_rows, w->n_threads));
    if (w->block == NULL) {
        pare_work_destroy(&w);
        return PARE_NOMEM(diag);
    }
    lay_out(m, &l, w);
    *out = w;
    return PARE_OK;
}

void pare_work_destroy(struct pare_work **w)
{
    if (w == NULL || *w == NULL) return;
    pare_aligned_free((*w)->block);
    pare_free(*w);
    *w = NULL;
}

static int check_call(const struct pare_model *m, const struct pare_unit *u, uint32_t n, const struct pare_work *w,
                      const struct pare_job *job, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, !u->loaded, PARE_E_USAGE, "unit %td is not loaded", u - m->units);
    PARE_FAIL_IF(diag, n > w->n_rows, PARE_E_USAGE, "%" PRIu32 " rows in working memory for %" PRIu32, n, w->n_rows);
    PARE_FAIL_IF(diag, pare_team_size(job->team) > w->n_threads, PARE_E_USAGE, "the working memory was made for %" PRIu32 " threads",
                 w->n_threads);
    return PARE_OK;
}

int pare_unit_forward(struct pare_model *m, uint32_t u, const struct pare_batch *b, float *x, struct pare_work *w,
                      const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_unit *unit = &m->units[u];

    PARE_FORWARD(check_call(m, unit, b->n, w, job, diag));
    PARE_FAIL_IF(diag, unit->kind == PARE_UNIT_HEAD, PARE_E_USAGE, "the head gives logits: use pare_head_logits");
    PARE_FORWARD(pare_job_check(job, diag));
    return m->arch->ops->unit(m, unit, b, x, w, obs, job, diag);
}

int pare_head_logits(struct pare_model *m, const float *x, uint32_t n, float *logits, struct pare_work *w,
                     const struct pare_observer *obs, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_unit *unit = &m->units[m->info.n_units - 1];

    PARE_FORWARD(check_call(m, unit, n, w, job, diag));
    PARE_FORWARD(pare_job_check(job, diag));
    return m->arch->ops->head(m, unit, x, n, logits, w, obs, job, diag);
}

/* Rows of a session must continue it without a gap: position len first, then one more each. */
static int check_rows(const struct pare_batch *b, struct pare_diag *diag)
{
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t j = i, want = b->session[i]->len;

        while (j > 0 && b->session[j - 1] != b->session[i]) j--;
        if (j > 0) want = b->pos[j - 1] + 1;
        PARE_FAIL_IF(diag, b->pos[i] != want, PARE_E_USAGE, "row %" PRIu32 " has position %" PRIu32 ", its session goes on at %" PRIu32, i,
                     b->pos[i], want);
    }
    return PARE_OK;
}

/* One piece that fits the working memory. */
static int run_piece(struct pare_model *m, const struct pare_batch *b, const uint8_t *want, bool last, float **logits,
                     struct pare_work *w, struct pare_job *job, struct pare_diag *diag)
{
    uint32_t n_pick = 0, d = m->info.n_embd;

    for (uint32_t u = 0; u + 1 < m->info.n_units; u++) PARE_FORWARD(pare_unit_forward(m, u, b, w->x, w, NULL, job, diag));
    for (uint32_t i = 0; i < b->n; i++) {
        if (want != NULL ? want[i] == 0 : !last || i + 1 != b->n) continue;
        memcpy(w->pick + (uint64_t)n_pick * d, w->x + (uint64_t)i * d, d * sizeof(float));
        n_pick++;
    }
    if (n_pick == 0) return PARE_OK;
    PARE_FORWARD(pare_head_logits(m, w->pick, n_pick, *logits, w, NULL, job, diag));
    *logits += (uint64_t)n_pick * m->info.n_vocab;
    return PARE_OK;
}

int pare_model_forward(struct pare_model *m, const struct pare_batch *b, const uint8_t *want, float *logits, struct pare_work *w,
                       struct pare_job *job, struct pare_diag *diag)
{
    int rc = check_rows(b, diag);

    for (uint32_t at = 0; rc == 0 && at < b->n;) {
        uint32_t          n = b->n - at < w->n_rows ? b->n - at : w->n_rows;
        struct pare_batch piece = { n, b->token + at, b->pos + at, b->session + at };

        rc = run_piece(m, &piece, want != NULL ? want + at : NULL, at + n == b->n, &logits, w, job, diag);
        at += n;
    }
    if (rc < 0) {
        for (uint32_t i = 0; i < b->n; i++) pare_kv_truncate(b->session[i]->kv, b->session[i]->len);
        return rc;
    }
    for (uint32_t i = 0; i < b->n; i++) b->session[i]->len = b->pos[i] + 1;
    return PARE_OK;
}

int pare_session_create(struct pare_session *s, const struct pare_model *m, enum pare_type kv_type, uint32_t max_len, uint32_t n_slots,
                        struct pare_diag *diag)
{
    struct pare_kv_settings k = { kv_type, m->info.n_layers, n_slots != 0 ? n_slots : m->info.n_layers, m->kv_shape, max_len };

    memset(s, 0, sizeof *s);
    PARE_FAIL_IF(diag, max_len > m->info.n_ctx, PARE_E_USAGE, "a session of %" PRIu32 " positions, the model was opened for %" PRIu32,
                 max_len, m->info.n_ctx);
    return pare_kv_create(&s->kv, &k, diag);
}

void pare_session_free(struct pare_session *s)
{
    pare_kv_destroy(&s->kv);
    s->len = 0;
}

int pare_model_emit_gguf(const struct pare_model *m, struct pare_writer *w, struct pare_diag *diag)
{
    return m->arch->ops->emit(m, w, diag);
}
