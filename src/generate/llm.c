/* SPDX-License-Identifier: Apache-2.0
 * src/generate/llm.c: the public handle of a language model. */
#include "generate/llm.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"

#define DEFAULT_CTX   4096u
#define DEFAULT_BATCH 512u

void pare_llm_settings_default(struct pare_llm_settings *s) { memset(s, 0, sizeof *s); }

static enum pare_type kv_type(const struct pare_llm_settings *s, const struct pare_model_info *info)
{
    switch (s->kv) {
    case PARE_KEEP_F32: return PARE_F32;
    case PARE_KEEP_F16: return PARE_F16;
    case PARE_KEEP_Q8_0: return PARE_Q8_0;
    case PARE_KEEP_Q5_0: return PARE_Q5_0;
    case PARE_KEEP_Q4_0: return PARE_Q4_0;
    case PARE_KEEP_AUTO: break;
    }
    return info->all_float ? PARE_F32 : PARE_F16;
}

/* The model's own context, bounded: the longest contexts that configs promise would reserve working memory for millions. */
static int create_model(struct pare_llm *l, const struct pare_llm_settings *s, struct pare_diag *diag)
{
    struct pare_model_options     o = { .act_mode = s->f32_activations ? PARE_ACT_F32 : PARE_ACT_INT8, .n_ctx = s->n_ctx };
    const struct pare_model_info *info;

    if (o.n_ctx == 0) {
        /* The metadata alone says how long the model's context is. */
        struct pare_model_options peek = { .no_weights = true };
        PARE_FORWARD(pare_model_create(&l->model, l->ckpt, &peek, l->job, diag));
        info = pare_model_info_of(l->model);
        o.n_ctx = info->max_ctx < DEFAULT_CTX ? info->max_ctx : DEFAULT_CTX;
        pare_model_destroy(&l->model);
    }
    PARE_FORWARD(pare_model_create(&l->model, l->ckpt, &o, l->job, diag));
    l->n_ctx = o.n_ctx;
    l->kv = kv_type(s, pare_model_info_of(l->model));
    return PARE_OK;
}

static int create_memory(struct pare_llm *l, struct pare_diag *diag)
{
    PARE_FORWARD(pare_work_create(&l->work, l->model, l->batch, l->job, diag));
    PARE_FORWARD(pare_session_create(&l->session, l->model, l->kv, l->n_ctx, 0, diag));
    l->of = pare_alloc_array(l->batch, sizeof *l->of);
    l->pos = pare_alloc_array(l->batch, sizeof *l->pos);
    l->want = pare_alloc_array(l->batch, sizeof *l->want);
    if (l->of == NULL || l->pos == NULL || l->want == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < l->batch; i++) l->of[i] = &l->session;
    return PARE_OK;
}

int pare_llm_open(struct pare_llm **out, const char *path, const struct pare_llm_settings *s, struct pare_job *job, struct pare_diag *diag)
{
    struct pare_llm *l;
    double           t0 = pare_now();
    int              rc;

    PARE_USAGE_CHECK(diag, out != NULL && path != NULL && s != NULL && job != NULL);
    *out = NULL;
    l = pare_zalloc(1, sizeof *l);
    if (l == NULL) return PARE_NOMEM(diag);
    l->job = job;
    l->batch = s->batch != 0 ? s->batch : DEFAULT_BATCH;
    if ((rc = pare_checkpoint_open(&l->ckpt, path, diag)) < 0) goto fail;
    if ((rc = create_model(l, s, diag)) < 0) goto fail;
    if (l->batch > l->n_ctx) l->batch = l->n_ctx;
    if ((rc = pare_tokenizer_from_checkpoint(&l->tok, l->ckpt, diag)) < 0) goto fail;
    if ((rc = create_memory(l, diag)) < 0) goto fail;
    l->load_s = pare_now() - t0;
    *out = l;
    return PARE_OK;

fail:
    pare_llm_close(&l);
    return rc;
}

void pare_llm_close(struct pare_llm **lp)
{
    struct pare_llm *l = lp != NULL ? *lp : NULL;

    if (l == NULL) return;
    pare_session_free(&l->session);
    pare_work_destroy(&l->work);
    pare_tokenizer_close(&l->tok);
    pare_model_destroy(&l->model);
    pare_checkpoint_close(&l->ckpt);
    pare_free(l->of);
    pare_free(l->pos);
    pare_free(l->want);
    pare_free(l);
    *lp = NULL;
}

uint32_t pare_llm_n_vocab(const struct pare_llm *l) { return pare_model_info_of(l->model)->n_vocab; }
uint32_t pare_llm_n_ctx(const struct pare_llm *l) { return l->n_ctx; }
const struct pare_tokenizer *pare_llm_tokenizer(const struct pare_llm *l) { return l->tok; }
const char *pare_llm_chat_template(const struct pare_llm *l) { return l->tok != NULL ? pare_tokenizer_chat_template(l->tok) : NULL; }

void pare_llm_reset(struct pare_llm *l)
{
    pare_kv_truncate(l->session.kv, 0);
    l->session.len = 0;
}

int pare_llm_feed(struct pare_llm *l, const int32_t *ids, uint32_t n, bool all, float *out, struct pare_diag *diag)
{
    PARE_FAIL_IF(diag, n == 0, PARE_E_USAGE, "no tokens");
    PARE_FAIL_IF(diag, n > l->n_ctx - l->session.len, PARE_E_LIMIT, "%" PRIu32 " tokens after %" PRIu32 " do not fit the context of %" PRIu32,
                 n, l->session.len, l->n_ctx);
    for (uint32_t at = 0; at < n;) {
        uint32_t          m = n - at < l->batch ? n - at : l->batch;
        struct pare_batch b = { m, ids + at, l->pos, l->of };

        for (uint32_t i = 0; i < m; i++) {
            l->pos[i] = l->session.len + i;
            l->want[i] = all || at + i + 1 == n;
        }
        PARE_FORWARD(pare_model_forward(l->model, &b, l->want, out, l->work, l->job, diag));
        if (all) out += (uint64_t)m * pare_llm_n_vocab(l);
        at += m;
    }
    return PARE_OK;
}

int pare_llm_logits(struct pare_llm *l, const int32_t *ids, uint32_t n, bool all, float *out, struct pare_diag *diag)
{
    pare_llm_reset(l);
    return pare_llm_feed(l, ids, n, all, out, diag);
}

char *pare_llm_info(const struct pare_llm *l)
{
    const struct pare_model_info *i = pare_model_info_of(l->model);
    json_t *o = json_pack("{s:s, s:s, s:I, s:i, s:i, s:i, s:i, s:i, s:s, s:b, s:f, s:b, s:b}", "arch", i->arch, "format", l->ckpt->format->name,
                          "params", (json_int_t)i->params, "layers", (int)i->n_layers, "width", (int)i->n_embd, "vocab", (int)i->n_vocab,
                          "ctx", (int)l->n_ctx, "max_ctx", (int)i->max_ctx, "kv", pare_dtype_of(l->kv)->name, "float", (int)i->all_float,
                          "load_s", l->load_s, "tokenizer", l->tok != NULL, "chat_template", pare_llm_chat_template(l) != NULL);
    char *text = o != NULL ? pare_json_text(o) : NULL;

    json_decref(o);
    return text;
}
