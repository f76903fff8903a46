/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "open.h"
#include "out.h"
#include "talk.h"

struct chat {
    const struct pare_cli         *c;
    struct pare_llm               *llm;
    struct pare_generate_settings  g;
    json_t                        *messages;
    bool                           terminal;    /* both ends are one: show a prompt, be careful with what is written */
    bool                           plain;       /* no chat template */
};

static bool write_text(void *user, const char *text, size_t len)
{
    const struct chat *t = user;

    if (t->terminal) pare_cli_write_terminal(text, len);
    else fwrite(text, 1, len, stdout);
    return fflush(stdout) == 0 && !pare_cli_interrupted();
}

/* Ctrl-C between two pieces of text must be noticed too: an unfinished code point gives no piece. */
static bool see_token(void *user, int32_t id)
{
    (void)user;
    (void)id;
    return !pare_cli_interrupted();
}

static int reset(struct chat *t)
{
    const char *system = PARE_TEXT(t->c, system);

    json_array_clear(t->messages);
    return system != NULL && pare_cli_message(t->messages, "system", system, strlen(system)) != 0 ? pare_cli_nomem() : 0;
}

/* Drops the oldest question with its answer; the system message stays. @return false when only the last question is left. */
static bool forget_oldest(struct chat *t)
{
    size_t first = strcmp(pare_cli_string(json_array_get(t->messages, 0), "role"), "system") == 0 ? 1 : 0;

    if (json_array_size(t->messages) < first + 3) return false;
    json_array_remove(t->messages, first);
    json_array_remove(t->messages, first);
    return true;
}

static int generate_once(struct chat *t, struct pare_generated *out, struct pare_diag *diag)
{
    static const char *const      plain_stop[] = { "\nUser:" };
    struct pare_generate_settings g = t->g;
    struct pare_cli_talk          talk;
    int                           rc;

    memset(out, 0, sizeof *out);
    rc = pare_cli_talk_text(&talk, t->plain ? NULL : pare_llm_chat_template(t->llm), pare_llm_tokenizer(t->llm), t->messages, diag);
    if (rc == PARE_OK) {
        g.no_bos = g.parse_special = !talk.plain;
        if (talk.plain && g.n_stop == 0) {
            g.stop = plain_stop;
            g.n_stop = 1;
        }
        rc = pare_generate(t->llm, talk.text, talk.len, NULL, 0, &g, out, diag);
    }
    pare_cli_talk_free(&talk);
    return rc;
}

/* One question: what does not fit the context any more is forgotten from the oldest end. @return 0 or the exit code. */
static int answer(struct chat *t, const char *text, size_t n)
{
    struct pare_generated out;
    struct pare_diag      diag;
    int                   rc, exit_code = 0;

    if (pare_cli_message(t->messages, "user", text, n) != 0) return pare_cli_nomem();
    for (;;) {
        pare_diag_clear(&diag);
        rc = generate_once(t, &out, &diag);
        if (rc != PARE_E_LIMIT || !forget_oldest(t)) break;
        pare_generated_free(&out);
        pare_cli_note(t->c, "(the context is full: the oldest question is forgotten)");
    }
    if (rc == PARE_OK) {
        putchar('\n');
        pare_cli_timings(t->c, &out);
        if (pare_cli_message(t->messages, "assistant", out.text != NULL ? out.text : "", out.text_len) != 0) exit_code = pare_cli_nomem();
    } else {
        /* A question that was too long ends neither the talk nor what was said before it. */
        exit_code = pare_cli_fail(t->c, &diag);
        json_array_remove(t->messages, json_array_size(t->messages) - 1);
        if (rc == PARE_E_LIMIT || rc == PARE_E_USAGE) exit_code = 0;
    }
    pare_generated_free(&out);
    pare_cli_interrupt_reset();
    return exit_code != 0 ? exit_code : pare_cli_flush();
}

static void prompt(const struct chat *t, bool more)
{
    bool color = pare_cli_color(stdout);

    if (!t->terminal) return;
    printf("%s%s%s", color ? "\033[1m" : "", more ? "... " : ">>> ", color ? "\033[0m" : "");
    fflush(stdout);
}

/* One line, or several joined by a backslash at their ends. @return 1, 0 at the end of input, -1 when Ctrl-C was pressed. */
static int read_question(const struct chat *t, char **text, size_t *n)
{
    char   *line = NULL;
    size_t  cap = 0, len = 0;
    ssize_t got;
    FILE   *f = open_memstream(text, n);
    int     rc = 1;

    if (f == NULL) return 0;
    for (bool more = false;; more = true) {
        prompt(t, more);
        errno = 0;
        got = getline(&line, &cap, stdin);
        if (got < 0) {
            rc = errno == EINTR ? -1 : more ? 1 : 0;
            clearerr(stdin);
            break;
        }
        len = (size_t)got;
        while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r')) len--;
        if (len == 0 || line[len - 1] != '\\') {
            fwrite(line, 1, len, f);
            break;
        }
        fwrite(line, 1, len - 1, f);
        fputc('\n', f);
    }
    free(line);
    if (fclose(f) != 0) rc = 0;
    return rc;
}

static int talk(struct chat *t)
{
    int rc = 0, pressed = 0;

    while (rc == 0) {
        char  *text = NULL;
        size_t n = 0;
        int    got = read_question(t, &text, &n);

        if (got < 0) { /* the second Ctrl-C in a row leaves, as everywhere */
            fprintf(stderr, "\n(/exit or Ctrl-D leaves)\n");
            pare_cli_interrupt_reset();
            rc = ++pressed > 1 ? 130 : 0;
        } else if (got == 0 || strcmp(text, "/exit") == 0 || strcmp(text, "/quit") == 0 || strcmp(text, "/bye") == 0) {
            if (got == 0 && t->terminal) putchar('\n');
            free(text);
            break;
        } else if (strcmp(text, "/reset") == 0) {
            rc = reset(t);
            pare_cli_note(t->c, "(forgotten)");
        } else if (strcmp(text, "/help") == 0) {
            fputs("/reset forgets the talk, /exit leaves, Ctrl-C stops an answer, \\ at the end of a line goes on\n", stderr);
        } else if (text[0] == '/' && strchr(text, ' ') == NULL) {
            fputs("no such command: /reset, /exit, /help\n", stderr);
        } else if (n > 0) {
            rc = answer(t, text, n);
            pressed = 0;
        }
        free(text);
    }
    return rc;
}

int pare_verb_chat(const struct pare_cli *c)
{
    struct chat             t = { .c = c };
    struct pare_logit_bias *bias = NULL;
    struct pare_job        *job = NULL;
    int                     rc;

    if (PARE_FLAG(c, json)) return pare_cli_usage(c->verb->name, "--json is for `pare run --chat`; a talk is for people");
    rc = pare_cli_sampling(c, &t.g, &bias);
    if (rc == 0) rc = pare_cli_job(c, &job);
    if (rc == 0) rc = pare_cli_open(c, 0, job, &t.llm);
    if (rc == 0 && (t.messages = json_array()) == NULL) rc = pare_cli_nomem();
    if (rc == 0 && pare_llm_tokenizer(t.llm) == NULL) {
        pare_cli_error("%s: the model has no tokenizer: nothing can be said to it", c->arg[0]);
        rc = 3;
    }
    if (rc == 0) {
        t.terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
        t.plain = pare_llm_chat_template(t.llm) == NULL;
        t.g.on_text = write_text;
        t.g.on_token = see_token;
        t.g.user = &t;
        pare_cli_interrupt_soft();
        if (t.plain) pare_cli_note(c, "pare: the model has no chat template; it sees plain turns");
        if (t.terminal) pare_cli_note(c, "/exit leaves, /reset forgets, Ctrl-C stops an answer");
        rc = reset(&t);
        if (rc == 0) rc = talk(&t);
    }
    json_decref(t.messages);
    pare_llm_close(&t.llm);
    pare_cli_job_end(&job);
    free(bias);
    return rc;
}
