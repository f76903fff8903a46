/* SPDX-License-Identifier: Apache-2.0 */
#include "open.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

#define DEFAULT_CTX 4096 /* what the library takes at most when nothing is said */

int pare_cli_open(const struct pare_cli *c, uint32_t at_least, struct pare_job *job, struct pare_llm **out)
{
    static const char *const kinds[] = { "auto", "f32", "f16", "q8_0", "q5_0", "q4_0" }; /* in the order of enum pare_kv_kind */
    struct pare_llm_settings s;
    struct pare_diag         diag = { 0 };
    const char              *warning;

    pare_llm_settings_default(&s);
    if (at_least > DEFAULT_CTX) s.n_ctx = at_least;
    if (PARE_HAS(c, ctx)) s.n_ctx = (uint32_t)c->v[PARE_OPT_ctx].integer;
    s.f32_activations = PARE_HAS(c, activations) && strcmp(PARE_TEXT(c, activations), "f32") == 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && PARE_HAS(c, kv); i++)
        if (strcmp(kinds[i], PARE_TEXT(c, kv)) == 0) s.kv = (enum pare_kv_kind)i;
    if (pare_llm_open(out, c->arg[0], &s, job, &diag) < 0) return pare_cli_fail(c, &diag);
    pare_cli_progress_clear();
    warning = pare_llm_tokenizer(*out) != NULL ? pare_tokenizer_warning(pare_llm_tokenizer(*out)) : NULL;
    if (warning != NULL) pare_cli_note(c, "pare: %s", warning);
    return 0;
}

static int parse_bias(const struct pare_cli_value *list, struct pare_logit_bias **out)
{
    struct pare_logit_bias *b;

    if (list->n == 0) return 0;
    b = calloc(list->n, sizeof *b);
    if (b == NULL) return pare_cli_nomem();
    *out = b;
    for (size_t i = 0; i < list->n; i++) {
        const char *eq = strchr(list->list[i], '=');
        char        id[24] = "";
        int64_t     n = -1;
        double      v = 0;

        if (eq != NULL && (size_t)(eq - list->list[i]) < sizeof id) memcpy(id, list->list[i], (size_t)(eq - list->list[i]));
        if (eq == NULL || !pare_cli_parse_int(id, &n) || n < 0 || n > INT32_MAX)
            return pare_cli_usage(NULL, "--logit-bias: \"%s\" is not ID=BIAS", list->list[i]);
        if (strcmp(eq + 1, "-inf") == 0) v = -INFINITY;
        else if (!pare_cli_parse_real(eq + 1, &v) || fabs(v) > 1e6)
            return pare_cli_usage(NULL, "--logit-bias: \"%s\": the bias is no number from -1e6 to 1e6, nor -inf", list->list[i]);
        b[i] = (struct pare_logit_bias){ (int32_t)n, (float)v };
    }
    return 0;
}

static void set_real(const struct pare_cli_value *v, float *out)
{
    if (v->source != PARE_FROM_DEFAULT) *out = (float)v->real;
}

int pare_cli_sampling(const struct pare_cli *c, struct pare_generate_settings *g, struct pare_logit_bias **bias)
{
    const struct pare_cli_value *v = c->v;
    struct pare_sampling        *s = &g->sampling;
    bool                         chat = c->verb - pare_cli_verbs == PARE_VERB_chat;
    const struct pare_cli_value *max = &v[chat ? PARE_OPT_chat_max_tokens : PARE_OPT_max_tokens];
    int                          rc;

    pare_generate_settings_default(g);
    if (chat) { /* a talk wants variety, a completion the same words every time */
        g->max_tokens = 0;
        s->temperature = 0.7f;
        s->min_p = 0.05f;
    }
    if (max->source != PARE_FROM_DEFAULT) {
        if (max->integer == 0) return pare_cli_usage(c->verb->name, "-n: 0 tokens make no text; -1 goes on until the context is full");
        g->max_tokens = max->integer < 0 ? 0 : (uint32_t)max->integer;
    }
    set_real(&v[chat ? PARE_OPT_chat_temp : PARE_OPT_temp], &s->temperature);
    set_real(&v[chat ? PARE_OPT_chat_min_p : PARE_OPT_min_p], &s->min_p);
    set_real(&v[PARE_OPT_top_p], &s->top_p);
    set_real(&v[PARE_OPT_typical], &s->typical);
    set_real(&v[PARE_OPT_repeat_penalty], &s->repetition);
    set_real(&v[PARE_OPT_presence_penalty], &s->presence);
    set_real(&v[PARE_OPT_frequency_penalty], &s->frequency);
    if (PARE_HAS(c, top_k)) s->top_k = (uint32_t)v[PARE_OPT_top_k].integer;
    if (PARE_HAS(c, gen_seed)) s->seed = (uint64_t)v[PARE_OPT_gen_seed].integer;
    if (PARE_HAS(c, repeat_last_n)) { /* here -1 is everything and 0 nothing; the library's 0 is everything */
        int64_t n = v[PARE_OPT_repeat_last_n].integer;

        s->last_n = n < 0 ? 0 : (uint32_t)n;
        if (n == 0) s->repetition = 1, s->presence = 0, s->frequency = 0;
    }
    if ((rc = parse_bias(&v[PARE_OPT_logit_bias], bias)) != 0) return rc;
    s->bias = *bias;
    s->n_bias = (uint32_t)v[PARE_OPT_logit_bias].n;
    for (size_t i = 0; i < v[PARE_OPT_stop].n; i++)
        if (*v[PARE_OPT_stop].list[i] == '\0') return pare_cli_usage(c->verb->name, "--stop: an empty text would stop at once");
    g->stop = v[PARE_OPT_stop].list;
    g->n_stop = (uint32_t)v[PARE_OPT_stop].n;
    g->ignore_eog = PARE_FLAG(c, ignore_eos);
    return 0;
}

void pare_cli_timings(const struct pare_cli *c, const struct pare_generated *g)
{
    char size[32];

    if (!PARE_FLAG(c, verbose)) return;
    pare_cli_note(c, "prompt %zu tokens, %.1f a second; answer %zu tokens, %.1f a second; loaded in %.2f s; peak memory %s",
                  g->prompt_ids.n, g->prefill_tps, g->ids.n, g->decode_tps, g->load_s, pare_cli_bytes((double)g->peak_rss, size));
}
