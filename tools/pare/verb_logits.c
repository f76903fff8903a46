/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "open.h"
#include "out.h"

/* The sequences asked for: all ids one after another, and where each ends. */
struct sequences {
    struct pare_ids ids;
    size_t         *end;
    size_t          n, longest;
};

static int end_sequence(struct sequences *s, const char *origin)
{
    size_t  from = s->n > 0 ? s->end[s->n - 1] : 0, len = s->ids.n - from;
    size_t *p;

    if (len == 0) return pare_cli_usage(NULL, "%s: no ids, and nothing can follow nothing", origin);
    if (len > 1u << 24) return pare_cli_usage(NULL, "%s: %zu ids are more than any context", origin, len);
    p = realloc(s->end, (s->n + 1) * sizeof *p);
    if (p == NULL) return pare_cli_nomem();
    s->end = p;
    s->end[s->n++] = s->ids.n;
    if (len > s->longest) s->longest = len;
    return 0;
}

static int read_sequences(struct sequences *s)
{
    char  *data, origin[48];
    size_t n, line = 0;
    int    rc = pare_cli_read("-", &data, &n);

    if (rc != 0) return rc;
    if (strlen(data) != n) rc = pare_cli_usage(NULL, "standard input: a zero byte among the token ids");
    for (char *p = data, *end; rc == 0 && p != NULL; p = end) {
        end = strchr(p, '\n');
        if (end != NULL) *end++ = '\0';
        snprintf(origin, sizeof origin, "standard input, line %zu", ++line);
        if (p[strspn(p, " \t\r")] == '\0') continue;
        rc = pare_cli_ids(p, origin, &s->ids);
        if (rc == 0) rc = end_sequence(s, origin);
    }
    free(data);
    return rc;
}

static int write_rows(const float *x, size_t n)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    fwrite(x, sizeof *x, n, stdout);
#else
    for (size_t i = 0; i < n; i++) {
        uint32_t u;

        memcpy(&u, &x[i], sizeof u);
        u = __builtin_bswap32(u);
        fwrite(&u, sizeof u, 1, stdout);
    }
#endif
    return pare_cli_flush();
}

/* {"vocab","rows"} begins, rows follow; nine digits bring every float back exactly. JSON has no word for what is not finite. */
static void json_rows(const float *x, size_t rows, size_t width, bool first)
{
    for (size_t r = 0; r < rows; r++) {
        fputs(first && r == 0 ? "[" : ",[", stdout);
        for (size_t i = 0; i < width; i++) {
            if (i > 0) putchar(',');
            if (isfinite(x[r * width + i])) printf("%.9g", (double)x[r * width + i]);
            else fputs("null", stdout);
        }
        putchar(']');
    }
}

static int compute(const struct pare_cli *c, struct pare_llm *llm, const struct sequences *s)
{
    const bool   all = PARE_FLAG(c, all), json = PARE_FLAG(c, json);
    const size_t width = pare_llm_n_vocab(llm), rows = all ? s->longest : 1;
    float       *x = rows <= SIZE_MAX / sizeof *x / width ? malloc(rows * width * sizeof *x) : NULL;
    int          rc = x != NULL ? 0 : pare_cli_nomem();

    if (rc == 0 && json) printf("{\"vocab\":%zu,\"logits\":[", width);
    for (size_t i = 0; i < s->n && rc == 0; i++) {
        size_t           from = i > 0 ? s->end[i - 1] : 0, n = s->end[i] - from;
        struct pare_diag diag = { 0 };

        if (pare_llm_logits(llm, s->ids.ids + from, (uint32_t)n, all, x, &diag) < 0) rc = pare_cli_fail(c, &diag);
        else if (json) json_rows(x, all ? n : 1, width, i == 0);
        else rc = write_rows(x, (all ? n : 1) * width);
    }
    if (rc == 0 && json) puts("]}");
    free(x);
    return rc != 0 ? rc : pare_cli_flush();
}

int pare_verb_logits(const struct pare_cli *c)
{
    struct sequences s = { 0 };
    struct pare_job *job = NULL;
    struct pare_llm *llm = NULL;
    const char      *list = PARE_TEXT(c, ids);
    int              rc;

    if (list == NULL) return pare_cli_usage(c->verb->name, "--ids is missing: the token ids, as in --ids 1,2,3, or - for standard input");
    if (strcmp(list, "-") == 0) rc = read_sequences(&s);
    else if ((rc = pare_cli_ids(list, "--ids", &s.ids)) == 0) rc = end_sequence(&s, "--ids");
    if (rc == 0) rc = pare_cli_job(c, &job);
    if (rc == 0) rc = pare_cli_open(c, (uint32_t)s.longest, job, &llm);
    if (rc == 0) rc = compute(c, llm, &s);
    pare_llm_close(&llm);
    pare_cli_job_end(&job);
    free(s.ids.ids);
    free(s.end);
    return rc;
}
