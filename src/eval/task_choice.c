/* SPDX-License-Identifier: Apache-2.0
 * src/eval/task_choice.c: likelihood of a continuation, and questions where the likeliest of given answers is the model's. */
#include <string.h>

#include "base/status.h"
#include "eval/task_rows.h"
#include "nn/score.h"

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* ids = whole text; *cut: where the continuation begins. */
static int encode_pair(struct pare_llm *llm, const char *context, const char *continuation, struct pare_ids *ids, size_t *cut, struct pare_diag *diag)
{
    size_t          nc = strlen(context), na;
    struct pare_ids head = { 0 };
    struct pare_buf all = { .max = 1u << 26 };
    int             rc = PARE_OK;

    na = nc;
    while (na > 0 && is_space(context[na - 1])) na--;
    pare_buf_str(&all, context);
    pare_buf_str(&all, continuation);
    if (all.failed) return PARE_NOMEM(diag);
    if (nc == 0) { /* nothing before it: the begin token stands for the context */
        int32_t first = pare_tokenizer_bos(llm->tok) >= 0 ? pare_tokenizer_bos(llm->tok) : pare_tokenizer_eos(llm->tok);

        if (first < 0) first = 0;
        ids->ids = pare_alloc_array(1, sizeof *ids->ids);
        if (ids->ids == NULL) rc = PARE_NOMEM(diag);
        if (rc == PARE_OK) {
            ids->ids[0] = first;
            ids->n = ids->cap = 1;
            rc = pare_tokenizer_encode(llm->tok, (const char *)all.data, all.len, 0, ids, diag);
        }
        *cut = 1;
    } else {
        rc = pare_tokenizer_encode(llm->tok, (const char *)all.data, all.len, PARE_TOK_ADD_BOS, ids, diag);
        if (rc == PARE_OK) rc = pare_tokenizer_encode(llm->tok, context, na, PARE_TOK_ADD_BOS, &head, diag);
        *cut = head.n;
    }
    pare_ids_free(&head);
    pare_buf_free(&all);
    return rc;
}

int pare_loglikelihood(struct pare_llm *llm, const char *context, const char *continuation, double *ll, bool *greedy, struct pare_diag *diag)
{
    const struct pare_vec *vk = pare_vec_for(pare_job_tier(llm->job));
    struct pare_ids        ids = { 0 };
    uint32_t               v = pare_llm_n_vocab(llm), n, skip = 0;
    size_t                 cut = 0;
    float                 *logits = NULL;
    int                    rc = encode_pair(llm, context, continuation, &ids, &cut, diag);

    *ll = 0;
    *greedy = true;
    if (rc == PARE_OK && cut >= ids.n) { /* nothing to score: the continuation is empty, or became part of the context's last token */
        pare_ids_free(&ids);
        return PARE_OK;
    }
    /* The last n_ctx + 1 ids, the last of which is only a target. */
    if (rc == PARE_OK && ids.n > (size_t)llm->n_ctx + 1) skip = (uint32_t)(ids.n - llm->n_ctx - 1);
    if (rc == PARE_OK && cut < skip + 1) cut = skip + 1; /* a continuation longer than the context: what fits is scored */
    if (rc == PARE_OK) {
        n = (uint32_t)(ids.n - cut);
        logits = pare_aligned((uint64_t)n * v * sizeof *logits);
        if (logits == NULL) rc = PARE_NOMEM(diag);
        pare_llm_reset(llm);
        if (rc == PARE_OK && cut - 1 > skip) rc = pare_llm_feed(llm, ids.ids + skip, (uint32_t)(cut - 1 - skip), false, logits, diag);
        if (rc == PARE_OK) rc = pare_llm_feed(llm, ids.ids + cut - 1, n, true, logits, diag);
        for (uint32_t i = 0; i < n && rc == PARE_OK; i++) {
            const float *row = logits + (uint64_t)i * v;
            int32_t      target = ids.ids[cut + i];

            *ll += (double)row[target] - vk->logsumexp(row, v);
            if (pare_argmax(vk, row, v) != (uint32_t)target) *greedy = false;
        }
        if (rc == PARE_OK && *ll - *ll != 0) rc = PARE_ERR(diag, PARE_E_CORRUPT, "the likelihood is not finite: the model is damaged");
    }
    pare_aligned_free(logits);
    pare_ids_free(&ids);
    return rc;
}

/* Code points, as Python's len counts. */
static double characters(const char *s)
{
    double n = 0;

    for (; *s != '\0'; s++) n += (*s & 0xc0) != 0x80;
    return n;
}

static uint32_t best_of(const double *x, uint32_t n)
{
    uint32_t best = 0;

    for (uint32_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

static int piqa_one(struct pare_task_state *st, const json_t *q, uint32_t i, struct pare_diag *diag)
{
    const char     *goal, *sol[2];
    struct pare_buf context = { .max = 1u << 26 };
    double          ll[2], norm[2], bytes[2], value[3];
    int64_t         label;
    int             rc = PARE_OK;

    PARE_FORWARD(pare_json_str(q, "goal", NULL, &goal, diag));
    PARE_FORWARD(pare_json_str(q, "sol1", NULL, &sol[0], diag));
    PARE_FORWARD(pare_json_str(q, "sol2", NULL, &sol[1], diag));
    PARE_FORWARD(pare_json_int(q, "label", 0, 1, i < st->n_labels ? st->labels[i] : -1, &label, diag));
    PARE_FAIL_IF(diag, goal == NULL || sol[0] == NULL || sol[1] == NULL, PARE_E_CORRUPT, "a question of piqa has goal, sol1 and sol2");
    PARE_FAIL_IF(diag, label < 0 || label > 1, PARE_E_USAGE, "no label: give the file NAME-labels.lst beside NAME.jsonl");
    pare_buf_printf(&context, "%sQuestion: %s\nAnswer:", st->shots, goal);
    if (pare_buf_cstr(&context) == NULL) return PARE_NOMEM(diag);
    for (int k = 0; k < 2 && rc == PARE_OK; k++) {
        struct pare_buf answer = { .max = 1u << 26 };
        bool            greedy;

        pare_buf_printf(&answer, " %s", sol[k]);
        rc = pare_buf_cstr(&answer) == NULL ? PARE_NOMEM(diag)
                                            : pare_loglikelihood(st->llm, pare_buf_cstr(&context), pare_buf_cstr(&answer), &ll[k], &greedy, diag);
        norm[k] = ll[k] / (characters(sol[k]) > 0 ? characters(sol[k]) : 1);
        bytes[k] = ll[k] / (sol[k][0] != '\0' ? (double)strlen(sol[k]) : 1);
        pare_buf_free(&answer);
    }
    pare_buf_free(&context);
    if (rc < 0) return rc;
    value[0] = best_of(ll, 2) == (uint32_t)label;
    value[1] = best_of(norm, 2) == (uint32_t)label;
    value[2] = best_of(bytes, 2) == (uint32_t)label;
    pare_task_add(st, value, 3);
    pare_buf_printf(&st->samples, "{\"n\":%u,\"label\":%d,\"ll\":[%.17g,%.17g]}\n", i, (int)label, ll[0], ll[1]);
    return PARE_OK;
}

const struct pare_task pare_task_piqa = { .name = "piqa", .help = "the likelier of two solutions", .one = piqa_one, .metrics = { "accuracy", "acc_norm", "acc_bytes" } };
