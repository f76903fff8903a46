/* SPDX-License-Identifier: Apache-2.0
 * src/eval/fit_texts.c: which tokens fit looks at. Everything is cut from pieces of PIECE tokens: whole ones to observe, halves for
 * trials, quarters to sense; many short windows sample a mixed text better than few long ones. The built-in text speaks many
 * languages; of a model that speaks one, what it does with the others says little about its use. So pieces that the model predicts
 * much worse than its best quarter are left out. A text that the user gives is taken as it is. */
#define XXH_INLINE_ALL
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "eval/fit.h"
#include "eval/texts.h"

#define PIECE 256
#define WORSE 0.6 /* nats a token above the best quarter: beyond it the model is guessing */

/* How many tokens a budget of multiply-adds allows, between bounds. */
static uint32_t tokens_for(const struct pare_fit *f, double madds, uint64_t min, uint64_t max)
{
    double n = madds / (double)(f->ts.params + 1);

    return n < (double)min ? (uint32_t)min : n > (double)max ? (uint32_t)max : (uint32_t)n;
}

/* The residual rows of the windows are the largest thing that fit holds: each kind gets its share of the memory allowed. */
static uint32_t rows_within(const struct pare_fit *f, double share)
{
    if (f->work_ram == 0) return UINT32_MAX; /* no limit asked for: the same windows, hence bytes, on every machine */
    return (uint32_t)((double)f->work_ram * share / (4.0 * pare_model_info_of(f->o.model)->n_embd));
}

static uint32_t least_of(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Windows of len tokens from the start of n pieces, evenly chosen: tokens in all at most. Several from a piece when they are few. */
static int take(struct pare_windows *out, const struct pare_windows *pieces, uint32_t len, uint32_t tokens, struct pare_diag *diag)
{
    uint32_t per = pieces->len / len, all, n;

    if (per < 1) {
        per = 1;
        len = pieces->len;
    }
    all = pieces->n * per;
    n = tokens / len;
    if (n < 1) n = 1;
    if (n > all) n = all;
    *out = (struct pare_windows){ .ids = pare_alloc_array((uint64_t)n * len, sizeof *out->ids), .n = n, .len = len };
    if (out->ids == NULL) return PARE_NOMEM(diag);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)i * all / n; /* number of the part, counted over all pieces */
        memcpy(out->ids + (uint64_t)i * len, pieces->ids + at / per * pieces->len + at % per * len, len * sizeof *out->ids);
    }
    return PARE_OK;
}

/* Mean negative log-likelihood of each window. */
static int likelihoods(struct pare_fit *f, const struct pare_windows *win, double *nll, struct pare_diag *diag)
{
    const struct pare_model_info *info = pare_model_info_of(f->o.model);
    const struct pare_vec        *vk = pare_vec_for(pare_job_tier(f->job));
    uint64_t v = info->n_vocab, d = info->n_embd;
    float   *x = pare_aligned((uint64_t)win->n * win->len * d * sizeof *x);
    float   *logits = pare_aligned((PARE_LOGIT_ROWS + 1ull) * v * sizeof *logits);
    int      rc = x == NULL || logits == NULL ? PARE_NOMEM(diag) : PARE_OK;

    if (rc == PARE_OK) rc = pare_walk_units(&f->o.walk, 0, info->n_units - 1, win, x, NULL, diag);
    if (rc == PARE_OK) rc = pare_walk_enter(&f->o.walk, info->n_units - 1, diag);
    for (uint32_t w = 0; w < win->n && rc == PARE_OK; w++) {
        nll[w] = 0;
        for (uint32_t p = 0; p + 1 < win->len && rc == PARE_OK; p += PARE_LOGIT_ROWS) {
            uint32_t n = least_of(win->len - 1 - p, PARE_LOGIT_ROWS);
            uint64_t row = (uint64_t)w * win->len + p;
            rc = pare_head_logits(f->o.model, x + row * d, n, logits, f->o.walk.work, NULL, f->job, diag);
            for (uint32_t k = 0; k < n && rc == PARE_OK; k++) {
                struct pare_score s;
                pare_score_row(&s, vk, NULL, logits + k * v, (uint32_t)v, win->ids[row + k + 1], logits + PARE_LOGIT_ROWS * v);
                nll[w] += s.nll / (win->len - 1);
            }
        }
        if (rc == PARE_OK && nll[w] - nll[w] != 0)
            rc = PARE_ERR(diag, PARE_E_CORRUPT, "the model gives no finite likelihood to plain text: it is damaged");
    }
    pare_walk_leave(&f->o.walk, info->n_units - 1);
    pare_aligned_free(x);
    pare_aligned_free(logits);
    return rc;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int pare_fit_leave_out(struct pare_fit *f, struct pare_windows *pieces, struct pare_diag *diag)
{
    struct pare_windows heads = { .n = pieces->n, .len = pieces->len / 4 };
    double  *nll = pare_alloc_array(pieces->n, sizeof *nll), *sorted = pare_alloc_array(pieces->n, sizeof *sorted), limit;
    uint32_t kept = 0;
    int      rc;

    heads.ids = pare_alloc_array((uint64_t)heads.n * heads.len, sizeof *heads.ids);
    rc = heads.ids == NULL || nll == NULL || sorted == NULL ? PARE_NOMEM(diag) : PARE_OK;
    for (uint32_t i = 0; i < heads.n && rc == PARE_OK; i++)
        memcpy(heads.ids + (uint64_t)i * heads.len, pieces->ids + (uint64_t)i * pieces->len, heads.len * sizeof *heads.ids);
    if (rc == PARE_OK) rc = likelihoods(f, &heads, nll, diag);
    if (rc == PARE_OK) {
        memcpy(sorted, nll, pieces->n * sizeof *nll);
        qsort(sorted, pieces->n, sizeof *sorted, by_value);
        limit = sorted[pieces->n / 4] + WORSE;
        for (uint32_t i = 0; i < pieces->n; i++) {
            if (nll[i] > limit) continue;
            memmove(pieces->ids + (uint64_t)kept * pieces->len, pieces->ids + (uint64_t)i * pieces->len, pieces->len * sizeof *pieces->ids);
            kept++;
        }
        pieces->n = kept;
    }
    pare_free(heads.ids);
    pare_free(nll);
    pare_free(sorted);
    return rc;
}

/* --text self: the model writes its own text, STREAMS pieces at a time, by plain sampling from what it knows best to predict: its own
 * distribution (temperature 1). Each draw is keyed by seed, piece and position. */
#define STREAMS 16

struct author {
    struct pare_opened   o;
    struct pare_work    *work;
    struct pare_session  s[STREAMS];
    struct pare_session *who[STREAMS];
    float               *logits;
    uint32_t             n;
};

static int32_t draw(const struct pare_fit *f, float *logits, uint32_t n, uint64_t index)
{
    const struct pare_vec *vk = pare_vec_for(pare_job_tier(f->job));
    float                  at = pare_rng_f32(f->s->seed, PARE_RNG_TEXT, index), sum = 0;

    vk->softmax(logits, n);
    for (uint32_t i = 0; i < n; i++) {
        sum += logits[i];
        if (at < sum) return (int32_t)i;
    }
    return (int32_t)pare_argmax(vk, logits, n);
}

static int write_pieces(struct pare_fit *f, struct author *a, struct pare_windows *pieces, uint32_t from, struct pare_diag *diag)
{
    uint32_t v = pare_model_info_of(a->o.model)->n_vocab, pos[STREAMS];
    int32_t  token[STREAMS], first = pare_tokenizer_bos(f->o.tok);
    uint8_t  want[STREAMS];

    if (first < 0) first = pare_tokenizer_eos(f->o.tok);
    if (first < 0) first = 0;
    memset(want, 1, sizeof want);
    for (uint32_t i = 0; i < a->n; i++) {
        pare_kv_truncate(a->s[i].kv, 0);
        a->s[i].len = 0;
        token[i] = first;
    }
    for (uint32_t p = 0; p < pieces->len; p++) {
        struct pare_batch b = { a->n, token, pos, a->who };
        for (uint32_t i = 0; i < a->n; i++) {
            pos[i] = p;
            pieces->ids[(uint64_t)(from + i) * pieces->len + p] = token[i];
        }
        PARE_FORWARD(pare_job_check(f->job, diag));
        PARE_FORWARD(pare_model_forward(a->o.model, &b, want, a->logits, a->work, f->job, diag));
        for (uint32_t i = 0; i < a->n; i++)
            token[i] = draw(f, a->logits + (uint64_t)i * v, v, (uint64_t)(from + i) * pieces->len + p);
    }
    return PARE_OK;
}

static int self_written(struct pare_fit *f, struct pare_windows *pieces, uint32_t len, uint32_t n, struct pare_diag *diag)
{
    struct pare_open_settings os = { .act_mode = PARE_ACT_F32, .kv = "f32", .ctx = len };
    struct author             a = { .n = n < STREAMS ? n : STREAMS };
    int                       rc;

    PARE_FAIL_IF(diag, f->work_ram != 0 && f->work_ram < f->in_bytes, PARE_E_BUDGET,
                 "--text self holds the whole original (%llu bytes) to write with it, --work-ram allows %llu",
                 (unsigned long long)f->in_bytes, (unsigned long long)f->work_ram);
    n = (n + a.n - 1) / a.n * a.n;
    *pieces = (struct pare_windows){ .ids = pare_alloc_array((uint64_t)n * len, sizeof *pieces->ids), .n = n, .len = len };
    rc = pieces->ids == NULL ? PARE_NOMEM(diag) : pare_opened_open(&a.o, f->path, &os, f->job, diag);
    if (rc == PARE_OK) rc = pare_work_create(&a.work, a.o.model, STREAMS, f->job, diag);
    if (rc == PARE_OK) {
        a.logits = pare_aligned((uint64_t)STREAMS * pare_model_info_of(a.o.model)->n_vocab * sizeof *a.logits);
        if (a.logits == NULL) rc = PARE_NOMEM(diag);
    }
    for (uint32_t i = 0; i < a.n && rc == PARE_OK; i++) {
        a.who[i] = &a.s[i];
        rc = pare_session_create(&a.s[i], a.o.model, PARE_F32, len, 0, diag);
        if (rc == PARE_OK) rc = pare_kv_reserve(a.s[i].kv, len, diag);
    }
    for (uint32_t i = 0; i < n && rc == PARE_OK; i += a.n) {
        rc = write_pieces(f, &a, pieces, i, diag);
        pare_job_progress(f->job, "write", (double)(i + a.n) / n, NULL);
    }
    for (uint32_t i = 0; i < a.n; i++) pare_session_free(&a.s[i]);
    pare_aligned_free(a.logits);
    pare_work_destroy(&a.work);
    pare_opened_close(&a.o);
    return rc;
}

static int pieces_of(struct pare_fit *f, struct pare_windows *pieces, uint32_t tokens, struct pare_diag *diag)
{
    struct pare_text_settings ts = { .ctx = least_of(PIECE, pare_model_info_of(f->o.model)->max_ctx), .spread = true };
    uint8_t    *data = NULL;
    size_t      n = 0;
    const char *text;
    int         rc = PARE_OK;

    ts.bos = pare_tokenizer_add_bos(f->o.tok) && pare_tokenizer_bos(f->o.tok) >= 0;
    ts.max = tokens / ts.ctx + 1;
    if (f->s->text != NULL && strcmp(f->s->text, "self") == 0) return self_written(f, pieces, ts.ctx, ts.max, diag);
    if (f->s->text == NULL) ts.max *= 2; /* some will be left out */
    if (f->s->text != NULL) rc = pare_read_file(f->s->text, PARE_MAX_TEXT, &data, &n, diag);
    text = f->s->text != NULL ? (const char *)data : pare_text_calibration(&n);
    if (rc == PARE_OK) rc = pare_text_windows(pieces, f->o.tok, text, n, &ts, NULL, diag);
    if (rc == PARE_OK && f->s->text == NULL) rc = pare_fit_leave_out(f, pieces, diag);
    pare_free(data);
    return rc;
}

/* Every TRIED-th piece is kept for trials: what error feedback has learnt must be judged on text it has not seen. */
#define TRIED 5

static void split(struct pare_windows *pieces, struct pare_windows *tried)
{
    uint32_t n = pieces->n / TRIED, kept = 0;
    uint64_t one = (uint64_t)pieces->len * sizeof *pieces->ids;

    *tried = (struct pare_windows){ .ids = n == 0 ? NULL : pare_alloc_array((uint64_t)n * pieces->len, sizeof *pieces->ids), .len = pieces->len };
    if (tried->ids == NULL) return; /* a single piece, or out of memory, which the next allocation reports: trials take what there is */
    for (uint32_t i = 0; i < pieces->n; i++) {
        int32_t *from = pieces->ids + (uint64_t)i * pieces->len;
        if (i % TRIED == TRIED - 1 && tried->n < n) memcpy(tried->ids + (uint64_t)tried->n++ * pieces->len, from, one);
        else memmove(pieces->ids + (uint64_t)kept++ * pieces->len, from, one);
    }
    pieces->n = kept;
}

int pare_fit_texts(struct pare_fit *f, struct pare_diag *diag)
{
    static const double much[] = { 0.25, 1, 1, 2, 4 }; /* calibration text by effort */
    const double        share = much[f->effort - 1];
    uint32_t            tokens = least_of(tokens_for(f, 1.3e12 * share, (uint64_t)(4096 * share), (uint64_t)(16384 * share)), rows_within(f, 0.25));
    struct pare_windows pieces = { 0 }, tried = { 0 };
    int                 rc;

    PARE_FAIL_IF(diag, f->o.tok == NULL, PARE_E_USAGE, "the model has no tokenizer: fit needs text to observe it on");
    rc = pieces_of(f, &pieces, tokens + tokens / (TRIED - 1), diag);
    if (rc == PARE_OK) split(&pieces, &tried);
    if (rc == PARE_OK) rc = take(&f->calib, &pieces, pieces.len, tokens, diag);
    if (rc == PARE_OK) rc = take(&f->sense, &pieces, PIECE / 4, least_of(tokens_for(f, 5e10, 256, 1024), rows_within(f, 0.04)), diag);
    if (rc == PARE_OK) rc = take(&f->tries, tried.n > 0 ? &tried : &pieces, PIECE / 2, least_of(tokens_for(f, 3e11, 512, 8192), rows_within(f, 0.1)), diag);
    pare_free(pieces.ids);
    pare_free(tried.ids);
    if (rc < 0) return rc;
    f->source.windows = f->calib.n;
    f->source.window_len = f->calib.len;
    f->source.seed = f->s->seed;
    f->source.text_hash = XXH3_64bits(f->calib.ids, (uint64_t)f->calib.n * f->calib.len * sizeof *f->calib.ids);
    f->source.fingerprint = pare_checkpoint_fingerprint(f->o.ckpt);
    return PARE_OK;
}

int pare_fit_overlap(struct pare_fit *f, struct pare_diag *diag)
{
    const char *name[2] = { f->s->text, f->s->eval_text }, *text[2];
    uint8_t    *data[2] = { NULL, NULL };
    size_t      n[2] = { 0, 0 };
    int         rc = PARE_OK;

    if (f->s->no_proof || f->s->plan_only || (name[0] != NULL && strcmp(name[0], "self") == 0)) return PARE_OK;
    if (name[0] == NULL && name[1] == NULL) return PARE_OK; /* the built-in texts share nothing (tests/unit/test_texts.c) */
    PARE_FAIL_IF(diag, name[0] != NULL && name[1] != NULL && pare_same_file(name[0], name[1]), PARE_E_USAGE,
                 "--text and --eval are one file: a loss on text that planning has seen proves nothing");
    for (int i = 0; i < 2 && rc == PARE_OK; i++) {
        if (name[i] != NULL && strcmp(name[i], "-") == 0) break; /* standard input can be read once only */
        if (name[i] != NULL) rc = pare_read_file(name[i], PARE_MAX_TEXT, &data[i], &n[i], diag);
        text[i] = name[i] != NULL ? (const char *)data[i] : i == 0 ? pare_text_calibration(&n[i]) : pare_text_proof(&n[i]);
        if (rc == PARE_OK && i == 1) rc = pare_text_overlap(&f->overlap, text[0], n[0], text[1], n[1], PARE_SHINGLE, diag);
    }
    pare_free(data[0]);
    pare_free(data[1]);
    PARE_FAIL_IF(diag, rc == PARE_OK && f->overlap.same, PARE_E_USAGE,
                 "the text to prove on is the calibration text: a loss on text that planning has seen proves nothing");
    return rc;
}
