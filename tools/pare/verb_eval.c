/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/eval.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

/* "name  value ± error  (remark)"; nothing when the document has no such member. */
static void line(const json_t *v, const char *name, const char *key, const char *se, const char *fmt, const char *remark)
{
    if (!pare_cli_present(v, key)) return;
    printf("%-26s ", name);
    printf(fmt, pare_cli_number(v, key));
    if (se != NULL && pare_cli_present(v, se)) {
        fputs(" \xc2\xb1 ", stdout);
        printf(fmt, pare_cli_number(v, se));
    }
    printf("%s%s\n", *remark ? "  " : "", remark);
}

/* 95 % of draws of whole windows. */
static void interval(const json_t *w, const char *name, const char *key, const char *se, const char *fmt)
{
    const json_t *i = json_object_get(w, key);

    if (json_array_size(i) != 2) return;
    printf("%-26s ", name);
    printf(fmt, json_number_value(json_array_get(i, 0)));
    fputs(" .. ", stdout);
    printf(fmt, json_number_value(json_array_get(i, 1)));
    fputs("  (\xc2\xb1 ", stdout);
    printf(fmt, pare_cli_number(w, se));
    fputs(")\n", stdout);
}

static void print_windows(const json_t *w)
{
    if (w == NULL) return;
    puts("\n95 % when windows are drawn again:");
    interval(w, "  perplexity", "ppl_95", "ppl_se", "%.4f");
    interval(w, "  log of the ratio", "ln_ppl_ratio_95", "ln_ppl_ratio_se", "%.6f");
    interval(w, "  mean divergence", "kld_95", "kld_se", "%.6f");
    interval(w, "  same best token", "top1_95", "top1_se", "%.4f");
}

static void print_noise(const json_t *n)
{
    if (n == NULL) return;
    puts("\nDivergence from itself:");
    line(n, "  other threads", "threads", NULL, "%.9f", "nats a token");
    line(n, "  cache in f16", "kv_f16", NULL, "%.9f", "nats a token");
    line(n, "  int8 activations", "int8_activations", NULL, "%.9f", "nats a token");
}

static void print_people(const struct pare_cli *c, const json_t *v)
{
    (void)c;
    line(v, "tokens scored", "tokens", NULL, "%.0f", "");
    line(v, "perplexity", "ppl", "ppl_se", "%.4f", "");
    line(v, "perplexity of the base", "ppl_base", "ppl_base_se", "%.4f", "");
    line(v, "log of their ratio", "ln_ppl_ratio", "ln_ppl_ratio_se", "%.6f", "");
    line(v, "mean divergence", "kld_mean", "kld_se", "%.6f", "nats a token");
    line(v, "99.9 % of tokens below", "kld_p999", "kld_p999_se", "%.5f", "nats");
    line(v, "largest divergence", "kld_max", NULL, "%.5f", "nats");
    line(v, "same best token", "top1", "top1_se", "%.4f", "");
    line(v, "text that was seen before", "overlap", NULL, "%.4f", "share of the scored text");
    print_windows(json_object_get(v, "windows"));
    print_noise(json_object_get(v, "noise"));
    line(v, "questions", "n", NULL, "%.0f", "");
    line(v, "accuracy", "accuracy", "accuracy_se", "%.4f", "");
    line(v, "accuracy, by length", "acc_norm", "acc_norm_se", "%.4f", "");
    line(v, "accuracy, by bytes", "acc_bytes", "acc_bytes_se", "%.4f", "");
    line(v, "last number is right", "flexible", "flexible_se", "%.4f", "");
    line(v, "can be code", "well_formed", "well_formed_se", "%.4f", "not run; --samples writes it for the tests of the data set");
    line(v, "the reference's solution", "reference_bits_per_byte", "reference_bits_per_byte_se", "%.4f", "bits a byte");
}

int pare_verb_eval(const struct pare_cli *c)
{
    struct pare_eval_settings s;
    struct pare_job          *job = NULL;
    struct pare_diag          diag = { 0 };
    char                     *doc = NULL;
    int                       rc;

    pare_eval_settings_default(&s);
    s.text = PARE_TEXT(c, eval_text);
    s.base = PARE_TEXT(c, base);
    if (PARE_HAS(c, eval_ctx)) s.ctx = (uint32_t)c->v[PARE_OPT_eval_ctx].integer;
    if (PARE_HAS(c, chunks)) s.chunks = (uint32_t)c->v[PARE_OPT_chunks].integer;
    if (PARE_HAS(c, skip_chunks)) s.skip_chunks = (uint32_t)c->v[PARE_OPT_skip_chunks].integer;
    s.bos = PARE_FLAG(c, bos);
    s.score_half = PARE_HAS(c, score) && strcmp(PARE_TEXT(c, score), "half") == 0;
    s.f32_activations = PARE_HAS(c, activations) && strcmp(PARE_TEXT(c, activations), "f32") == 0;
    s.kv = PARE_TEXT(c, kv);
    s.noise_floor = PARE_FLAG(c, noise_floor);
    s.seen = PARE_TEXT(c, seen);
    s.task = PARE_TEXT(c, task);
    s.data = PARE_TEXT(c, data);
    s.shots_data = PARE_TEXT(c, shots_data);
    s.samples = PARE_TEXT(c, samples);
    if (PARE_HAS(c, limit)) s.limit = (uint32_t)c->v[PARE_OPT_limit].integer;
    if (PARE_HAS(c, shots)) s.shots = (uint32_t)c->v[PARE_OPT_shots].integer;
    if ((rc = pare_cli_job(c, &job)) != 0) return rc;
    rc = pare_eval(c->arg[0], &s, &doc, job, &diag);
    return pare_cli_report(c, rc, doc, print_people, &job, &diag);
}
