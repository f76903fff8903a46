/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/opened.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

int pare_kv_type_of(const char *name, const struct pare_model_info *info, enum pare_type *out, struct pare_diag *diag)
{
    static const enum pare_type kinds[] = { PARE_F32, PARE_F16, PARE_Q8_0, PARE_Q5_0, PARE_Q4_0 };

    if (name == NULL || strcmp(name, "auto") == 0) {
        *out = info->all_float ? PARE_F32 : PARE_F16;
        return PARE_OK;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, pare_dtype_of(kinds[i])->name) == 0) {
            *out = kinds[i];
            return PARE_OK;
        }
    PARE_FAIL(diag, PARE_E_USAGE, "unknown cache type \"%.40s\": auto, f32, f16, q8_0, q5_0 or q4_0", name);
}

int pare_opened_open(struct pare_opened *o, const char *path, const struct pare_open_settings *s, struct pare_job *job,
                     struct pare_diag *diag)
{
    struct pare_model_options mo = { .act_mode = s->act_mode, .no_weights = s->stream, .n_ctx = s->ctx, .inputs = s->inputs };
    enum pare_type            kv = PARE_F32;
    int                       rc;

    memset(o, 0, sizeof *o);
    if ((rc = pare_checkpoint_open(&o->ckpt, path, diag)) < 0) goto fail;
    if ((rc = pare_model_create(&o->model, o->ckpt, &mo, job, diag)) < 0) goto fail;
    if (s->tokenizer && (rc = pare_tokenizer_from_checkpoint(&o->tok, o->ckpt, diag)) < 0) goto fail;
    if (s->stream) pare_mem_trim();
    if ((rc = pare_kv_type_of(s->kv, pare_model_info_of(o->model), &kv, diag)) < 0) goto fail;
    if ((rc = pare_walk_create(&o->walk, o->model, s->ctx, kv, !s->stream, job, diag)) < 0) goto fail;
    return PARE_OK;
fail:
    pare_diag_file(diag, path);
    pare_opened_close(o);
    return rc;
}

void pare_opened_close(struct pare_opened *o)
{
    pare_walk_free(&o->walk);
    pare_tokenizer_close(&o->tok);
    pare_model_destroy(&o->model);
    pare_checkpoint_close(&o->ckpt);
    memset(o, 0, sizeof *o);
}
