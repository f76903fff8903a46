/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"
#include "open.h"
#include "out.h"
#include "talk.h"

/* Text goes out as it comes: to a terminal without what would steer it, to a file or pipe byte for byte. */
static bool write_text(void *user, const char *text, size_t len)
{
    const bool *terminal = user;

    if (*terminal) pare_cli_write_terminal(text, len);
    else fwrite(text, 1, len, stdout);
    return fflush(stdout) == 0;
}

/* The prompt as the model gets it: ids, text, or text in its chat template. */
struct question {
    char                *text;
    size_t               len;
    struct pare_ids      ids;
    struct pare_cli_talk talk;
};

static int read_question(const struct pare_cli *c, struct question *q)
{
    const char *positional = c->n_args > 1 ? c->arg[1] : NULL;

    if (!PARE_HAS(c, run_ids)) return pare_cli_prompt(c, positional, &q->text, &q->len);
    if (positional != NULL || PARE_HAS(c, prompt) || PARE_HAS(c, file) || PARE_FLAG(c, chat))
        return pare_cli_usage(c->verb->name, "--ids replaces the text: leave out PROMPT, -p, -f and --chat");
    return pare_cli_ids(PARE_TEXT(c, run_ids), "--ids", &q->ids);
}

static int apply_template(const struct pare_cli *c, const struct pare_llm *llm, struct question *q)
{
    struct pare_diag diag = { 0 };
    const char      *tmpl = pare_llm_chat_template(llm), *system = PARE_TEXT(c, system);
    json_t          *messages;
    int              rc = 0;

    if (!PARE_FLAG(c, chat)) {
        if (system != NULL && c->v[PARE_OPT_system].source == PARE_FROM_FLAG) return pare_cli_usage(c->verb->name, "--system needs --chat");
        return 0;
    }
    if (tmpl == NULL) {
        pare_cli_error("%s: the model has no chat template; leave out --chat, or write the turns into the prompt", c->arg[0]);
        return 3;
    }
    messages = json_array();
    if (messages == NULL || (system != NULL && pare_cli_message(messages, "system", system, strlen(system)) != 0) ||
        pare_cli_message(messages, "user", q->text, q->len) != 0)
        rc = pare_cli_nomem();
    else if (pare_cli_talk_text(&q->talk, tmpl, pare_llm_tokenizer(llm), messages, &diag) < 0) rc = pare_cli_fail(c, &diag);
    json_decref(messages);
    return rc;
}

static void print_ids(const struct pare_ids *ids)
{
    for (size_t i = 0; i < ids->n; i++) printf("%s%d", i > 0 ? "," : "", ids->ids[i]);
    putchar('\n');
}

static int generate(const struct pare_cli *c, struct pare_llm *llm, const struct question *q, struct pare_generate_settings *g)
{
    struct pare_generated out;
    struct pare_diag      diag = { 0 };
    const bool            templated = q->talk.text != NULL, json = PARE_FLAG(c, json);
    bool                  terminal = isatty(STDOUT_FILENO);
    const char           *text = templated ? q->talk.text : q->text;
    int                   rc, exit_code = 0;

    g->no_bos = templated || PARE_FLAG(c, no_bos); /* a template writes its begin token itself */
    g->parse_special = templated || PARE_FLAG(c, special);
    g->on_text = json ? NULL : write_text;
    g->user = &terminal;
    rc = pare_generate(llm, text, templated ? q->talk.len : q->len, q->ids.ids, q->ids.n, g, &out, &diag);
    if (rc < 0 && rc != PARE_E_CANCELLED) {
        exit_code = pare_cli_fail(c, &diag);
    } else {
        pare_cli_progress_clear();
        if (rc == PARE_E_CANCELLED) out.finish = PARE_FINISH_CALLER;
        if (json) exit_code = pare_cli_json(pare_generated_json(&out));
        else if (pare_llm_tokenizer(llm) == NULL) print_ids(&out.ids);
        else if (terminal) putchar('\n');
        pare_cli_timings(c, &out);
        if (exit_code == 0) exit_code = pare_cli_flush();
        if (exit_code == 0 && (rc == PARE_E_CANCELLED || pare_cli_interrupted())) exit_code = 130;
    }
    pare_generated_free(&out);
    return exit_code;
}

int pare_verb_run(const struct pare_cli *c)
{
    struct pare_generate_settings g;
    struct pare_logit_bias       *bias = NULL;
    struct question               q = { 0 };
    struct pare_job              *job = NULL;
    struct pare_llm              *llm = NULL;
    int                           rc;

    rc = pare_cli_sampling(c, &g, &bias);
    if (rc == 0) rc = read_question(c, &q);
    if (rc == 0) rc = pare_cli_job(c, &job);
    if (rc == 0) rc = pare_cli_open(c, (uint32_t)(q.ids.n < 1u << 24 ? q.ids.n : 1u << 24), job, &llm);
    if (rc == 0) rc = apply_template(c, llm, &q);
    if (rc == 0) rc = generate(c, llm, &q, &g);
    pare_llm_close(&llm);
    pare_cli_job_end(&job);
    pare_cli_talk_free(&q.talk);
    free(q.ids.ids);
    free(q.text);
    free(bias);
    return rc;
}
