/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit_prove.c: what was lost and what was won, measured on the file that was written: divergence from the original on text
 * that calibration did not see, and a real run of each in a process of its own. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/status.h"
#include "eval/fit.h"
#include "eval/measure.h"
#include "eval/texts.h"

#define PROOF_ROWS 4096

#define SHORT_CTX 256 /* more than the prompt and the answer of a real run take */

/* `pare run FILE -p TEXT --json` in a child: its timings are those of a real run, its peak memory nobody else's. resident: bytes of its
 * matrices. A limit for fit's memory holds for the child too: what would break it is not run, and reported as absent. */
static json_t *real_run(const struct pare_fit *f, const char *model, const char *prompt, uint64_t resident)
{
    uint32_t    run_ctx = f->work_ram != 0 && f->run_ctx > SHORT_CTX ? SHORT_CTX : f->run_ctx;
    char        threads[16], ctx[16], tier[16];
    const char *argv[] = { f->s->self, "run", model, "-p", prompt, "-n", "48", "--temp", "0", "--ignore-eos", "--json", "-q",
                           "-t", threads, "--ctx", ctx, "--cpu-mask", tier, NULL };
    struct pare_diag quiet = { 0 };
    json_t          *doc = NULL;
    char            *out = NULL;
    size_t           n = 0;

    if (f->s->self == NULL || (f->work_ram != 0 && pare_fit_run_bytes(f, resident, run_ctx) > f->work_ram)) return NULL;
    snprintf(threads, sizeof threads, "%u", pare_job_threads(f->job));
    snprintf(ctx, sizeof ctx, "%u", run_ctx);
    snprintf(tier, sizeof tier, "%s", pare_tier_name(pare_job_tier(f->job)));
    if (pare_process_output(argv, &out, &n, 16u << 20, &quiet) == PARE_OK)
        (void)pare_json_load(&doc, out, n, "output of pare run", &quiet); /* a run that cannot be measured is reported as absent */
    pare_free(out);
    return doc;
}

/* Of the matrices as the original has them. */
static uint64_t original_resident(const struct pare_fit *f)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < f->ts.n; i++) {
        const struct pare_target *t = &f->ts.t[i];
        const struct pare_weight *w = &t->slot->weight;
        uint64_t                  packed = pare_linear_bytes(w->type, t->rows, t->cols, PARE_ACT_INT8);

        sum += packed != 0 ? packed : w->rows * w->row_bytes;
    }
    return sum;
}

static int windows(struct pare_fit *f, struct pare_windows *win, struct pare_diag *diag)
{
    struct pare_text_settings ts = { .ctx = 512 };
    const char *text;
    uint8_t    *data = NULL;
    size_t      n = 0;
    double      chunks = 1.7e12 / (double)(f->ts.params + 1) / 512;
    int         rc = PARE_OK;

    if (ts.ctx > f->o.walk.len) ts.ctx = f->o.walk.len;
    if (ts.ctx > pare_model_info_of(f->o.model)->max_ctx) ts.ctx = pare_model_info_of(f->o.model)->max_ctx;
    ts.bos = pare_tokenizer_add_bos(f->o.tok) && pare_tokenizer_bos(f->o.tok) >= 0;
    ts.max = f->s->eval_chunks != 0 ? f->s->eval_chunks : chunks > 64 ? 64 : chunks < 8 ? 8 : (uint32_t)chunks;
    if (f->s->eval_text != NULL) rc = pare_read_file(f->s->eval_text, PARE_MAX_TEXT, &data, &n, diag);
    text = f->s->eval_text != NULL ? (const char *)data : pare_text_proof(&n);
    if (rc == PARE_OK) rc = pare_text_windows(win, f->o.tok, text, n, &ts, NULL, diag);
    pare_free(data);
    f->proof_windows = win->n;
    if (rc == PARE_OK && f->s->eval_text == NULL) rc = pare_fit_leave_out(f, win, diag);
    f->proof_left_out = f->proof_windows - win->n;
    return rc;
}

static int divergence(struct pare_fit *f, struct pare_opened *made, const struct pare_windows *win, struct pare_diag *diag)
{
    struct pare_tally   tally = { 0 };
    uint64_t            rows = f->s->work_ram == 0 ? PROOF_ROWS : f->s->work_ram / 16 / (4 * pare_model_info_of(f->o.model)->n_embd + 1);
    struct pare_measure m = { &made->walk, &f->o.walk, win, 0, rows < PROOF_ROWS ? rows : PROOF_ROWS, "prove", NULL };
    int                 rc;

    tally.cap = (uint64_t)win->n * win->len;
    tally.klds = pare_alloc_array(tally.cap, sizeof *tally.klds);
    m.sums = pare_zalloc(win->n, sizeof *m.sums);
    rc = tally.klds == NULL || m.sums == NULL ? PARE_NOMEM(diag) : pare_measure_run(&m, &tally, diag);
    if (rc == PARE_OK) rc = pare_bootstrap(&f->boot, m.sums, win->n, 0, f->s->seed, diag);
    pare_free(m.sums);
    if (rc == PARE_OK) {
        pare_tally_finish(&tally, &f->proof);
        f->proved = true;
    }
    pare_free(tally.klds);
    return rc;
}

int pare_fit_prove(struct pare_fit *f, struct pare_diag *diag)
{
    static const char         prompt[] = "The old lighthouse keeper looked out over the sea and thought about the ships that had passed. "
                                         "In the years since the harbour closed there had been fewer of them each winter, and";
    struct pare_open_settings os = { .act_mode = PARE_ACT_INT8, .ctx = 512, .stream = true };
    struct pare_opened        made;
    struct pare_windows       win;
    int                       rc;

    PARE_FORWARD(windows(f, &win, diag));
    os.ctx = win.len;
    rc = pare_opened_open(&made, f->s->out, &os, f->job, diag);
    if (rc == PARE_OK) {
        f->out_bytes = made.ckpt->maps[0].size;
        rc = divergence(f, &made, &win, diag);
        pare_opened_close(&made);
    }
    pare_free(win.ids);
    if (rc < 0) return rc;
    f->run_new = real_run(f, f->s->out, prompt, pare_fit_resident(f));
    f->run_old = real_run(f, f->path, prompt, original_resident(f));
    return pare_job_check(f->job, diag);
}
