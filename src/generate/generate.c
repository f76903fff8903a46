/* SPDX-License-Identifier: Apache-2.0
 * src/generate/generate.c: prompt in, tokens and text out, one session. */
#include "generate/generate.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/status.h"
#include "generate/llm.h"
#include "generate/sampler.h"

#define MAX_TEXT ((size_t)1 << 30)

void pare_generate_settings_default(struct pare_generate_settings *s)
{
    memset(s, 0, sizeof *s);
    pare_sampling_default(&s->sampling);
    s->max_tokens = 128;
}

/* One generation under way. */
struct run {
    struct pare_llm                     *l;
    const struct pare_generate_settings *s;
    struct pare_generated               *out;
    struct pare_sampler                 *sampler;
    struct pare_detok                   *detok;   /* NULL without a tokenizer */
    struct pare_stops                    stops;
    float                               *logits;
    int32_t                             *history; /* [n_ctx + 1] prompt and answer */
    uint32_t                             n;       /* of history */
};

static int read_prompt(struct run *r, const char *text, size_t n, const int32_t *ids, size_t n_ids, struct pare_diag *diag)
{
    uint32_t flags = (r->s->no_bos ? 0 : PARE_TOK_ADD_BOS) | (r->s->parse_special ? PARE_TOK_PARSE_SPECIAL : 0);

    if (text != NULL) {
        PARE_FAIL_IF(diag, r->l->tok == NULL, PARE_E_UNSUPPORTED, "the model has no tokenizer: give ids");
        PARE_FORWARD(pare_tokenizer_encode(r->l->tok, text, n, flags, &r->out->prompt_ids, diag));
    } else {
        r->out->prompt_ids.ids = pare_alloc_array(n_ids + 1, sizeof *ids);
        if (r->out->prompt_ids.ids == NULL) return PARE_NOMEM(diag);
        if (n_ids != 0) memcpy(r->out->prompt_ids.ids, ids, n_ids * sizeof *ids);
        r->out->prompt_ids.n = r->out->prompt_ids.cap = n_ids;
    }
    PARE_FAIL_IF(diag, r->out->prompt_ids.n == 0, PARE_E_USAGE, "the prompt has no tokens");
    PARE_FAIL_IF(diag, r->out->prompt_ids.n >= r->l->n_ctx, PARE_E_LIMIT, "the prompt has %zu tokens, the context %" PRIu32,
                 r->out->prompt_ids.n, r->l->n_ctx);
    return PARE_OK;
}

/* All memory of the token loop, before it starts. */
static int prepare(struct run *r, struct pare_diag *diag)
{
    struct pare_generated *o = r->out;

    PARE_FORWARD(pare_sampler_create(&r->sampler, &r->s->sampling, pare_llm_n_vocab(r->l), pare_vec_for(r->l->job->tier), diag));
    if (r->l->tok != NULL) PARE_FORWARD(pare_detok_create(&r->detok, r->l->tok, PARE_TOK_SKIP_SPECIAL | PARE_TOK_VALID_UTF8, diag));
    r->logits = pare_aligned((size_t)pare_llm_n_vocab(r->l) * sizeof *r->logits);
    r->history = pare_alloc_array((size_t)r->l->n_ctx + 1, sizeof *r->history);
    o->ids.ids = pare_alloc_array((size_t)r->l->n_ctx + 1, sizeof *o->ids.ids);
    if (r->logits == NULL || r->history == NULL || o->ids.ids == NULL) return PARE_NOMEM(diag);
    o->ids.cap = (size_t)r->l->n_ctx + 1;
    memcpy(r->history, o->prompt_ids.ids, o->prompt_ids.n * sizeof *r->history);
    r->n = (uint32_t)o->prompt_ids.n;
    r->stops = (struct pare_stops){ .text = { .max = MAX_TEXT }, .stop = r->s->stop, .n_stop = r->s->n_stop };
    return PARE_OK;
}

static bool show(const struct run *r, const char *t, size_t n)
{
    return n == 0 || r->s->on_text == NULL || r->s->on_text(r->s->user, t, n);
}

/* Text of one new id. *go: whether to go on. */
static int speak(struct run *r, int32_t id, bool *go, struct pare_diag *diag)
{
    const char *t, *from;
    size_t      len, n;

    if (r->detok == NULL) return PARE_OK;
    PARE_FORWARD(pare_detok_push(r->detok, id, &t, &len, diag));
    *go = pare_stops_add(&r->stops, t, len, &from, &n);
    if (r->stops.text.failed) return PARE_NOMEM(diag);
    if (!*go) r->out->finish = PARE_FINISH_STOP;
    if (!show(r, from, n)) {
        *go = false;
        r->out->finish = PARE_FINISH_CALLER;
    }
    return PARE_OK;
}

static int finish_text(struct run *r, struct pare_diag *diag)
{
    const char *t, *from;
    size_t      len, n;

    if (r->detok != NULL && !r->stops.hit) {
        PARE_FORWARD(pare_detok_finish(r->detok, &t, &len, diag));
        if (pare_stops_add(&r->stops, t, len, &from, &n)) {
            (void)show(r, from, n);
            pare_stops_finish(&r->stops, &from, &n);
        }
        if (!r->stops.text.failed) (void)show(r, from, n);
    }
    r->out->text_len = r->stops.text.len;
    if (!pare_buf_reserve(&r->stops.text, 1)) return PARE_NOMEM(diag);
    r->out->text = pare_buf_take(&r->stops.text);
    return r->out->text != NULL ? PARE_OK : PARE_NOMEM(diag);
}

static int loop(struct run *r, struct pare_diag *diag)
{
    struct pare_generated *o = r->out;
    uint32_t               room = r->l->n_ctx - r->n, max = r->s->max_tokens != 0 && r->s->max_tokens < room ? r->s->max_tokens : room;
    double                 t0 = pare_now(), t1;
    bool                   go = true;

    pare_llm_reset(r->l);
    PARE_FORWARD(pare_llm_feed(r->l, r->history, r->n, false, r->logits, diag));
    t1 = pare_now();
    o->prefill_tps = t1 > t0 ? r->n / (t1 - t0) : 0;
    o->finish = PARE_FINISH_LENGTH;
    while (go && o->ids.n < max) {
        int32_t id = pare_sampler_next(r->sampler, r->logits, r->history, r->n, r->n);

        PARE_FAIL_IF(diag, id < 0, PARE_E_USAGE, "no token is allowed at position %" PRIu32, r->n);
        o->ids.ids[o->ids.n++] = id;
        r->history[r->n++] = id;
        if (r->s->on_token != NULL && !r->s->on_token(r->s->user, id)) {
            o->finish = PARE_FINISH_CALLER;
            break;
        }
        if (!r->s->ignore_eog && r->l->tok != NULL && pare_tokenizer_is_eog(r->l->tok, id)) {
            o->finish = PARE_FINISH_STOP;
            break;
        }
        PARE_FORWARD(speak(r, id, &go, diag));
        if (go && o->ids.n < max) PARE_FORWARD(pare_llm_feed(r->l, &id, 1, false, r->logits, diag));
    }
    t0 = pare_now();
    /* The first token comes out of the prompt's pass: what decoding did is one less. */
    o->decode_tps = o->ids.n > 1 && t0 > t1 ? (double)(o->ids.n - 1) / (t0 - t1) : 0;
    return PARE_OK;
}

int pare_generate(struct pare_llm *llm, const char *text, size_t n, const int32_t *ids, size_t n_ids,
                  const struct pare_generate_settings *s, struct pare_generated *out, struct pare_diag *diag)
{
    struct run r = { .l = llm, .s = s, .out = out };
    int        rc, end;

    memset(out, 0, sizeof *out);
    out->load_s = llm->load_s;
    rc = read_prompt(&r, text, n, ids, n_ids, diag);
    if (rc == 0) rc = prepare(&r, diag);
    if (rc == 0) rc = loop(&r, diag);
    if (r.history != NULL) {
        end = finish_text(&r, rc == 0 ? diag : NULL);
        if (rc == 0) rc = end;
    }
    out->peak_rss = pare_peak_rss();
    pare_buf_free(&r.stops.text);
    pare_sampler_destroy(&r.sampler);
    pare_detok_destroy(&r.detok);
    pare_aligned_free(r.logits);
    pare_free(r.history);
    return rc;
}

void pare_generated_free(struct pare_generated *g)
{
    pare_free(g->text);
    pare_ids_free(&g->prompt_ids);
    pare_ids_free(&g->ids);
    memset(g, 0, sizeof *g);
}

static json_t *id_list(const struct pare_ids *ids)
{
    json_t *a = json_array();

    for (size_t i = 0; i < ids->n; i++) json_array_append_new(a, json_integer(ids->ids[i]));
    return a;
}

char *pare_generated_json(const struct pare_generated *g)
{
    static const char *const why[] = { "stop", "length", "cancelled" };
    json_t *o = json_pack("{s:s%, s:o, s:o, s:s, s:{s:f, s:f, s:f, s:I}}", "text", g->text != NULL ? g->text : "", g->text_len, "prompt_ids",
                          id_list(&g->prompt_ids), "ids", id_list(&g->ids), "finish_reason", why[g->finish], "timings", "prefill_tps",
                          g->prefill_tps, "decode_tps", g->decode_tps, "load_s", g->load_s, "peak_rss", (json_int_t)g->peak_rss);
    char *text = o != NULL ? pare_json_text(o) : NULL;

    json_decref(o);
    return text;
}
