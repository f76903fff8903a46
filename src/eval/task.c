/* SPDX-License-Identifier: Apache-2.0
 * src/eval/task.c: reads questions, asks them one by one, adds up. */
#include "eval/task.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/status.h"
#include "eval/texts.h"
#include "eval/task_rows.h"

#define TASK(id) &pare_task_##id,
static const struct pare_task *const tasks[] = {
#include "eval/task_list.h"
};
#undef TASK

const struct pare_task *pare_task_by_name(const char *name)
{
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (strcmp(tasks[i]->name, name) == 0) return tasks[i];
    return NULL;
}

void pare_task_add(struct pare_task_state *st, const double *value, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        st->sum[i] += value[i];
        st->sum2[i] += value[i] * value[i];
    }
    st->n++;
}

/* Calls fn for each line that is not blank; stops at max (0: none) or at an error. */
static int each_line(const uint8_t *data, size_t n, const char *what, uint32_t max, int (*fn)(void *, const json_t *, uint32_t, struct pare_diag *),
                     void *ctx, struct pare_diag *diag)
{
    uint32_t count = 0, line = 0;

    for (size_t at = 0; at < n && (max == 0 || count < max);) {
        const uint8_t *end = memchr(data + at, '\n', n - at);
        size_t         len = end != NULL ? (size_t)(end - data) - at : n - at;
        json_t        *q;
        int            rc;

        line++;
        if (len > 0 && !(len == 1 && data[at] == '\r')) {
            char where[64];

            snprintf(where, sizeof where, "%.40s, line %u", what, line);
            PARE_FORWARD(pare_json_load(&q, (const char *)data + at, len, where, diag));
            rc = fn(ctx, q, count++, diag);
            json_decref(q);
            if (rc < 0) {
                pare_diag_where(diag, where);
                return rc;
            }
        }
        at += len + 1;
    }
    return PARE_OK;
}

static int load_lines(const char *path, uint8_t **data, size_t *n, struct pare_diag *diag)
{
    PARE_FORWARD(pare_read_file(path, PARE_MAX_TEXT, data, n, diag));
    if (*n < 2 || (*data)[0] != 0x1f || (*data)[1] != 0x8b) return PARE_OK;
    pare_free(*data);
    *data = NULL;
    pare_diag_file(diag, path);
    PARE_FAIL(diag, PARE_E_UNSUPPORTED, "is compressed: unpack it first (gunzip)");
}

/* "NAME-labels.lst" beside "NAME.jsonl": one digit a line. Absent is no error; then each question must have a "label". */
static int load_labels(const char *path, uint8_t **labels, uint64_t *n, struct pare_diag *diag)
{
    const char *dot = strrchr(path, '.');
    char        name[1024];
    uint8_t    *data;
    size_t      len;

    if (dot == NULL || snprintf(name, sizeof name, "%.*s-labels.lst", (int)(dot - path), path) >= (int)sizeof name || !pare_path_exists(name)) return PARE_OK;
    PARE_FORWARD(pare_read_file(name, 1u << 28, &data, &len, diag));
    *n = 0;
    for (size_t i = 0; i < len; i++)
        if (data[i] >= '0' && data[i] <= '9') data[(*n)++] = (uint8_t)(data[i] - '0');
    *labels = data;
    return PARE_OK;
}

static int ask(void *ctx, const json_t *q, uint32_t i, struct pare_diag *diag)
{
    struct pare_task_state *st = ctx;

    PARE_FORWARD(pare_job_check(st->llm->job, diag));
    PARE_FORWARD(st->task->one(st, q, i, diag));
    pare_job_progress(st->llm->job, st->task->name, -1, NULL);
    return PARE_OK;
}

struct shots { const struct pare_task *task; struct pare_buf text; };

static int add_shot(void *ctx, const json_t *q, uint32_t i, struct pare_diag *diag)
{
    struct shots *s = ctx;

    (void)i;
    PARE_FAIL_IF(diag, !s->task->example(&s->text, q), PARE_E_CORRUPT, "the example lacks a question or an answer");
    return PARE_OK;
}

static int load_shots(const struct pare_eval_settings *s, const struct pare_task *task, struct shots *out, struct pare_diag *diag)
{
    uint8_t *data = NULL;
    size_t   n;
    int      rc;

    *out = (struct shots){ task, { .max = 1u << 24 } };
    if (s->shots == 0 || s->shots_data == NULL) return PARE_OK;
    PARE_FAIL_IF(diag, task->example == NULL, PARE_E_USAGE, "task %s takes no examples", task->name);
    PARE_FORWARD(load_lines(s->shots_data, &data, &n, diag));
    rc = each_line(data, n, s->shots_data, s->shots, add_shot, out, diag);
    pare_free(data);
    if (rc == PARE_OK && out->text.failed) rc = PARE_NOMEM(diag);
    return rc;
}

/* Mean and its standard error: sample deviation over the root of n. */
static void add_figure(json_t *o, const char *name, const struct pare_task_state *st, uint32_t k)
{
    double n = st->n, mean = st->sum[k] / n, var = st->n > 1 ? (st->sum2[k] - n * mean * mean) / (n - 1) : 0;
    char   key[40];

    json_object_set_new(o, name, json_real(mean));
    snprintf(key, sizeof key, "%s_se", name);
    json_object_set_new(o, key, json_real(var > 0 ? sqrt(var / n) : 0));
}

static json_t *task_json(const struct pare_task_state *st, const struct pare_eval_settings *s)
{
    json_t *o = json_object();

    json_object_set_new(o, "task", json_string(st->task->name));
    json_object_set_new(o, "n", json_integer(st->n));
    json_object_set_new(o, "shots", json_integer(s->shots_data != NULL ? s->shots : 0));
    for (uint32_t k = 0; k < 4 && st->task->metrics[k] != NULL; k++) add_figure(o, st->task->metrics[k], st, k);
    return o;
}

static void names(char *buf, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < sizeof tasks / sizeof *tasks && at < size; i++) at += (size_t)snprintf(buf + at, size - at, "%s%s", i ? ", " : "", tasks[i]->name);
}

int pare_task_run(struct pare_llm *llm, const struct pare_eval_settings *s, json_t **out, struct pare_diag *diag)
{
    struct pare_task_state st = { .llm = llm, .samples = { .max = 1u << 28 } };
    struct shots           shots = { 0 };
    uint8_t               *data = NULL, *labels = NULL;
    size_t                 n;
    char                   list[128];
    int                    rc;

    *out = NULL;
    names(list, sizeof list);
    st.task = pare_task_by_name(s->task);
    PARE_FAIL_IF(diag, st.task == NULL, PARE_E_USAGE, "unknown task \"%.40s\": there are %s", s->task, list);
    PARE_FAIL_IF(diag, s->data == NULL, PARE_E_USAGE, "a task needs its questions: --data FILE.jsonl");
    PARE_FAIL_IF(diag, llm->tok == NULL, PARE_E_USAGE, "the model has no tokenizer: it cannot be asked anything");
    PARE_FORWARD(load_lines(s->data, &data, &n, diag));
    rc = load_labels(s->data, &labels, &st.n_labels, diag);
    st.labels = labels;
    if (rc == PARE_OK) rc = load_shots(s, st.task, &shots, diag);
    st.shots = pare_buf_cstr(&shots.text);
    if (st.shots == NULL) st.shots = "";
    if (rc == PARE_OK) rc = each_line(data, n, s->data, s->limit, ask, &st, diag);
    if (rc == PARE_OK && st.n == 0) rc = PARE_ERR(diag, PARE_E_USAGE, "%.100s holds no question", s->data);
    if (rc == PARE_OK && s->samples != NULL) rc = st.samples.failed ? PARE_NOMEM(diag) : pare_write_file(s->samples, st.samples.data, st.samples.len, diag);
    if (rc == PARE_OK) *out = task_json(&st, s);
    pare_buf_free(&st.samples);
    pare_buf_free(&shots.text);
    pare_free(data);
    pare_free(labels);
    return rc;
}

int pare_eval_task(const char *path, const struct pare_eval_settings *s, char **json, struct pare_job *job, struct pare_diag *diag)
{
    static const struct { const char *name; enum pare_kv_kind kind; } kv[] = {
        { "f32", PARE_KEEP_F32 }, { "f16", PARE_KEEP_F16 }, { "q8_0", PARE_KEEP_Q8_0 }, { "q5_0", PARE_KEEP_Q5_0 }, { "q4_0", PARE_KEEP_Q4_0 },
    };
    struct pare_llm_settings ls;
    struct pare_llm         *llm;
    json_t                  *doc = NULL;
    int                      rc;

    *json = NULL;
    pare_llm_settings_default(&ls);
    ls.f32_activations = s->f32_activations;
    for (size_t i = 0; s->kv != NULL && i < sizeof kv / sizeof *kv; i++)
        if (strcmp(s->kv, kv[i].name) == 0) ls.kv = kv[i].kind;
    PARE_FORWARD(pare_llm_open(&llm, path, &ls, job, diag));
    rc = pare_task_run(llm, s, &doc, diag);
    if (rc == PARE_OK && (*json = pare_json_text(doc)) == NULL) rc = PARE_NOMEM(diag);
    json_decref(doc);
    pare_llm_close(&llm);
    return rc;
}
