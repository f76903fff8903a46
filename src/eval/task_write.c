/* SPDX-License-Identifier: Apache-2.0
 * src/eval/task_write.c: questions that are answered by writing: a number in gsm8k, a function's body in humaneval. */
#include <pare/generate.h>
#include <string.h>

#include "base/status.h"
#include "eval/task_rows.h"

/* ---- numbers ---- */

static bool digit(char c) { return c >= '0' && c <= '9'; }
static bool loose(char c) { return digit(c) || c == '$' || c == '.' || c == ','; }

static size_t strict_number(const char *text, const char **out)
{
    for (const char *p = text; (p = strstr(p, "#### ")) != NULL; p += 5) {
        const char *s = p + 5, *e = s;

        if (*e == '-') e++;
        if (!(digit(*e) || *e == '.' || *e == ',')) continue;
        while (digit(*e) || *e == '.' || *e == ',') e++;
        *out = s;
        return (size_t)(e - s);
    }
    return 0;
}

size_t pare_task_number(const char *text, bool strict, const char **out)
{
    size_t n = 0;

    *out = text;
    if (strict) return strict_number(text, out);
    for (const char *p = text; *p != '\0';) { /* matches from the left that do not touch; the last one counts */
        const char *s = p + (*p == '-'), *e = s;

        while (loose(*e)) e++;
        if (e - s < 2) {
            e = s;
            while (digit(*e)) e++;
            if (e == s) {
                p++;
                continue;
            }
        }
        *out = p;
        n = (size_t)(e - p);
        p = e;
    }
    return n;
}

static size_t clean_answer(const char *a, size_t n, char *buf, size_t size)
{
    size_t from = 0, k = 0;

    for (size_t i = 0; i + 5 <= n; i++)
        if (memcmp(a + i, "#### ", 5) == 0) from = i + 5;
    for (size_t i = from; i < n && k + 1 < size; i++) {
        if (a[i] == ',' || a[i] == '$') continue;
        buf[k++] = a[i] >= 'A' && a[i] <= 'Z' ? (char)(a[i] + 32) : a[i];
    }
    if (k > 0 && buf[k - 1] == '.') k--;
    return k;
}

bool pare_task_same_answer(const char *a, size_t na, const char *b, size_t nb)
{
    char   x[256], y[256];
    size_t nx = clean_answer(a, na, x, sizeof x), ny = clean_answer(b, nb, y, sizeof y);

    return nx == ny && memcmp(x, y, nx) == 0;
}

/* ---- writing ---- */

/* Greedy, until a stop string, the end token or max tokens. A prompt that leaves no room loses its beginning. */
static int write_text(struct pare_task_state *st, const char *prompt, const char *const *stop, uint32_t n_stop, uint32_t max, struct pare_generated *g,
                      struct pare_diag *diag)
{
    struct pare_generate_settings gs;
    struct pare_ids               ids = { 0 };
    uint32_t                      room = st->llm->n_ctx > max ? st->llm->n_ctx - max : st->llm->n_ctx / 2;
    int                           rc = pare_tokenizer_encode(st->llm->tok, prompt, strlen(prompt), PARE_TOK_ADD_BOS, &ids, diag);

    pare_generate_settings_default(&gs);
    gs.max_tokens = max;
    gs.stop = stop;
    gs.n_stop = n_stop;
    if (rc == PARE_OK) {
        size_t skip = ids.n > room ? ids.n - room : 0;

        rc = pare_generate(st->llm, NULL, 0, ids.ids + skip, ids.n - skip, &gs, g, diag);
    }
    pare_ids_free(&ids);
    return rc;
}

static void add_sample(struct pare_task_state *st, json_t *o)
{
    char *text = o != NULL ? pare_json_text(o) : NULL;

    if (text != NULL) {
        pare_buf_str(&st->samples, text);
        pare_buf_str(&st->samples, "\n");
    }
    pare_free(text);
    json_decref(o);
}

static bool gsm8k_example(struct pare_buf *b, const json_t *q)
{
    const char *question = json_string_value(json_object_get(q, "question")), *answer = json_string_value(json_object_get(q, "answer"));

    if (question == NULL || answer == NULL) return false;
    return pare_buf_printf(b, "Question: %s\nAnswer: %s\n\n", question, answer);
}

static int gsm8k_one(struct pare_task_state *st, const json_t *q, uint32_t i, struct pare_diag *diag)
{
    static const char *const stop[] = { "Question:", "</s>", "<|im_end|>" };
    const char              *question, *answer, *strict, *loose_at;
    struct pare_buf          prompt = { .max = 1u << 26 };
    struct pare_generated    g = { 0 };
    double                   value[2];
    size_t                   ns, nl;
    int                      rc;

    PARE_FORWARD(pare_json_str(q, "question", NULL, &question, diag));
    PARE_FORWARD(pare_json_str(q, "answer", NULL, &answer, diag));
    PARE_FAIL_IF(diag, question == NULL || answer == NULL, PARE_E_CORRUPT, "a question of gsm8k has question and answer");
    pare_buf_printf(&prompt, "%sQuestion: %s\nAnswer:", st->shots, question);
    rc = pare_buf_cstr(&prompt) == NULL ? PARE_NOMEM(diag) : write_text(st, pare_buf_cstr(&prompt), stop, 3, 256, &g, diag);
    if (rc == PARE_OK) {
        ns = pare_task_number(g.text, true, &strict);
        nl = pare_task_number(g.text, false, &loose_at);
        value[0] = ns > 0 && pare_task_same_answer(strict, ns, answer, strlen(answer));
        value[1] = nl > 0 && pare_task_same_answer(loose_at, nl, answer, strlen(answer));
        pare_task_add(st, value, 2);
        add_sample(st, json_pack("{s:i, s:s, s:b, s:b}", "n", (int)i, "completion", g.text, "strict", (int)value[0], "flexible", (int)value[1]));
    }
    pare_generated_free(&g);
    pare_buf_free(&prompt);
    return rc;
}

/* accuracy is the strict match, as the harness reports it first. */
const struct pare_task pare_task_gsm8k = { .name = "gsm8k", .help = "a number at the end of a worked answer", .one = gsm8k_one, .example = gsm8k_example,
                                           .metrics = { "accuracy", "flexible" } };

/* ---- code ---- */

static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Steps over a string literal that begins at p; NULL when it does not end. */
static const char *skip_string(const char *p)
{
    char   quote = *p;
    bool   three = p[1] == quote && p[2] == quote;

    for (p += three ? 3 : 1; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0') {
            p++;
            continue;
        }
        if (!three && *p == '\n') return NULL;
        if (*p == quote && (!three || (p[1] == quote && p[2] == quote))) return p + (three ? 3 : 1);
    }
    return NULL;
}

bool pare_task_well_formed(const char *code)
{
    char        open[256];
    size_t      depth = 0;
    const char *line = code;
    bool        any = false;

    for (const char *p = code; *p != '\0';) {
        if (*p == '\n') line = p + 1;
        if (blank(*p)) {
            p++;
            continue;
        }
        if (*p == '#') {
            p += strcspn(p, "\n");
            continue;
        }
        if (!any && p == line) return false; /* the first code stands at the margin: not the body of the function */
        any = true;
        if (*p == '"' || *p == '\'') {
            if ((p = skip_string(p)) == NULL) return false;
            continue;
        }
        if (strchr("([{", *p) != NULL) {
            if (depth == sizeof open) return false;
            open[depth++] = *p == '(' ? ')' : *p == '[' ? ']' : '}';
        } else if (strchr(")]}", *p) != NULL) {
            if (depth == 0 || open[--depth] != *p) return false;
        }
        p++;
    }
    return any && depth == 0;
}

static int humaneval_one(struct pare_task_state *st, const json_t *q, uint32_t i, struct pare_diag *diag)
{
    static const char *const stop[] = { "\nclass", "\ndef", "\n#", "\nif", "\nprint" };
    const char              *prompt, *reference, *id;
    struct pare_generated    g = { 0 };
    double                   value[2], ll;
    bool                     greedy;
    int                      rc;

    PARE_FORWARD(pare_json_str(q, "prompt", NULL, &prompt, diag));
    PARE_FORWARD(pare_json_str(q, "canonical_solution", "", &reference, diag));
    PARE_FORWARD(pare_json_str(q, "task_id", "", &id, diag));
    PARE_FAIL_IF(diag, prompt == NULL, PARE_E_CORRUPT, "a question of humaneval has a prompt");
    PARE_FORWARD(write_text(st, prompt, stop, 5, 256, &g, diag));
    rc = pare_loglikelihood(st->llm, prompt, reference, &ll, &greedy, diag);
    if (rc == PARE_OK) {
        value[0] = pare_task_well_formed(g.text);
        value[1] = reference[0] != '\0' ? -ll / ((double)strlen(reference) * 0.69314718055994531) : 0;
        pare_task_add(st, value, 2);
        add_sample(st, json_pack("{s:s, s:s}", "task_id", id, "completion", g.text));
    }
    (void)i;
    pare_generated_free(&g);
    return rc;
}

/* Completions are not run: --samples writes them for the data set's own tests, in the form these read. What can be said here is whether
 * they could be code, and how likely the reference is. */
const struct pare_task pare_task_humaneval = { .name = "humaneval", .help = "the body of a function; written to --samples, not run", .one = humaneval_one,
                                               .metrics = { "well_formed", "reference_bits_per_byte" } };
