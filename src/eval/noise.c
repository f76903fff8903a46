/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/noise.h"

#include "base/mem.h"
#include "base/status.h"
#include "eval/measure.h"
#include "eval/opened.h"
#include "eval/texts.h"

enum { WINDOWS = 4, ROWS = 4096 };

/* Mean divergence of the model opened in another way from the reference. */
static int against(struct pare_opened *ref, const char *path, const struct pare_open_settings *os, const struct pare_windows *win, double *kld,
                   struct pare_job *job, struct pare_diag *diag)
{
    struct pare_opened       other;
    struct pare_tally        tally = { 0 };
    struct pare_tally_result r;
    struct pare_measure      m = { .walk = &other.walk, .base = &ref->walk, .win = win, .max_rows = ROWS, .phase = "noise" };
    int                      rc;

    PARE_FORWARD(pare_opened_open(&other, path, os, job, diag));
    if (pare_job_threads(job) > pare_job_threads(ref->walk.job)) { /* the head is computed by the model's threads, with the base's memory too */
        m.walk = &ref->walk;
        m.base = &other.walk;
    }
    rc = pare_measure_run(&m, &tally, diag);
    if (rc == PARE_OK) {
        pare_tally_finish(&tally, &r);
        *kld = r.kld;
    }
    pare_opened_close(&other);
    return rc;
}

/* The same with another number of threads: one against what the job has, or two against one. */
static int other_threads(struct pare_opened *ref, const char *path, const struct pare_open_settings *os, const struct pare_windows *win, double *kld,
                         struct pare_job *job, struct pare_diag *diag)
{
    struct pare_job_settings js;
    struct pare_job         *second;
    int                      rc;

    pare_job_settings_default(&js);
    js.n_threads = pare_job_threads(job) > 1 ? 1 : 2;
    js.max_tier = pare_job_tier(job);
    PARE_FORWARD(pare_job_create(&second, &js, diag));
    rc = against(ref, path, os, win, kld, second, diag);
    pare_job_destroy(&second);
    return rc;
}

int pare_noise_floor(const char *path, const char *text, size_t n, uint32_t ctx, bool bos, json_t **out, struct pare_job *job,
                     struct pare_diag *diag)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = ctx, .tokenizer = true };
    struct pare_text_settings ts = { .ctx = ctx, .bos = bos, .max = WINDOWS };
    struct pare_windows       win = { 0 };
    struct pare_opened        ref;
    double                    threads = 0, kv = 0, int8 = 0;
    bool                      all_float = true;
    int                       rc;

    *out = NULL;
    PARE_FORWARD(pare_opened_open(&ref, path, &os, job, diag));
    rc = ref.tok == NULL ? PARE_ERR(diag, PARE_E_USAGE, "the model has no tokenizer") : pare_text_windows(&win, ref.tok, text, n, &ts, NULL, diag);
    os.tokenizer = false;
    if (rc == PARE_OK) rc = other_threads(&ref, path, &os, &win, &threads, job, diag);
    os.kv = "f16";
    if (rc == PARE_OK) rc = against(&ref, path, &os, &win, &kv, job, diag);
    os.kv = "f32";
    os.act_mode = PARE_ACT_INT8;
    if (rc == PARE_OK && !(all_float = pare_model_info_of(ref.model)->all_float)) rc = against(&ref, path, &os, &win, &int8, job, diag);
    if (rc == PARE_OK) {
        *out = json_object();
        json_object_set_new(*out, "threads", json_real(threads));
        json_object_set_new(*out, "kv_f16", json_real(kv));
        json_object_set_new(*out, "int8_activations", all_float ? json_null() : json_real(int8));
        json_object_set_new(*out, "tokens", json_integer((json_int_t)win.n * (win.len - 1)));
    }
    pare_free(win.ids);
    pare_opened_close(&ref);
    return rc;
}
