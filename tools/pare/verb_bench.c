/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/bench.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

static void cell_number(const json_t *row, const char *key, const char *fmt)
{
    if (!pare_cli_present(row, key)) {
        printf(" %*s |", 9, "-");
        return;
    }
    putchar(' ');
    printf(fmt, pare_cli_number(row, key));
    fputs(" |", stdout);
}

static void print_machine(const json_t *m)
{
    char buf[64];

    printf("%s, %.0f threads", pare_cli_clean(pare_cli_string(m, "tier"), 32, buf, sizeof buf), pare_cli_number(m, "threads"));
    if (pare_cli_present(m, "read_gbs")) printf(", reads %.1f GB/s", pare_cli_number(m, "read_gbs"));
    if (pare_cli_present(m, "int8_gops")) printf(", %.0f int8 Gop/s", pare_cli_number(m, "int8_gops"));
    if (pare_cli_present(m, "f32_gflops")) printf(", %.0f f32 Gflop/s", pare_cli_number(m, "f32_gflops"));
    fputs("\n\n", stdout);
}

/* Markdown, so that it can be pasted; the last two columns say what the machine would allow and what was reached of it. */
static void print_tests(const json_t *tests)
{
    char    buf[128];
    size_t  i, width = 16;
    json_t *t;

    json_array_foreach(tests, i, t)
        if (strlen(pare_cli_string(t, "name")) > width) width = strlen(pare_cli_string(t, "name"));
    if (width > 40) width = 40;
    printf("| %-*s | %9s | %7s | %9s | %8s |\n", (int)width, "test", "per s", "sd", "limit", "reached");
    printf("| ");
    for (size_t k = 0; k < width; k++) putchar('-');
    puts(" | --------: | ------: | --------: | -------: |");
    json_array_foreach(tests, i, t)
    {
        char name[64];

        snprintf(name, sizeof name, "%.40s", pare_cli_string(t, "name"));
        if (pare_cli_present(t, "seconds")) snprintf(name, sizeof name, "%.20s %.3g s", pare_cli_string(t, "name"), pare_cli_number(t, "seconds"));
        printf("| %-*s |", (int)width, pare_cli_clean(name, width, buf, sizeof buf));
        cell_number(t, "tps", "%9.2f");
        if (pare_cli_present(t, "sd")) printf(" %7.2f |", pare_cli_number(t, "sd"));
        else fputs("       - |", stdout);
        cell_number(t, "limit_tps", "%9.2f");
        if (pare_cli_present(t, "fraction")) printf(" %6.1f %% |\n", 100 * pare_cli_number(t, "fraction"));
        else puts("        - |");
    }
}

int pare_verb_bench(const struct pare_cli *c)
{
    struct pare_bench_settings s;
    struct pare_job           *job = NULL;
    struct pare_diag           diag = { 0 };
    char                      *doc = NULL;
    json_t                    *v;
    int                        rc;

    pare_bench_settings_default(&s);
    s.synthetic = PARE_TEXT(c, synthetic);
    s.kernels = PARE_FLAG(c, kernels);
    if (c->n_args == 0 && s.synthetic == NULL && !s.kernels)
        return pare_cli_usage(c->verb->name, "`pare bench` needs a model, or --synthetic SHAPE, or --kernels");
    if (c->n_args > 0 && s.synthetic != NULL) return pare_cli_usage(c->verb->name, "give a model or --synthetic, not both");
    if (PARE_HAS(c, bench_type)) s.type = PARE_TEXT(c, bench_type);
    if (PARE_HAS(c, tests)) s.tests = PARE_TEXT(c, tests);
    if (PARE_HAS(c, kv)) s.kv = PARE_TEXT(c, kv);
    if (PARE_HAS(c, repeat)) s.repeat = (uint32_t)c->v[PARE_OPT_repeat].integer;
    s.f32_activations = PARE_HAS(c, activations) && strcmp(PARE_TEXT(c, activations), "f32") == 0;
    if ((rc = pare_cli_job(c, &job)) != 0) return rc;
    if (pare_bench(c->n_args > 0 ? c->arg[0] : NULL, &s, &doc, job, &diag) < 0) {
        rc = pare_cli_fail(c, &diag);
    } else if (PARE_FLAG(c, json)) {
        rc = pare_cli_json(doc);
    } else if ((v = pare_cli_parse_json(doc)) == NULL) {
        rc = 4;
    } else {
        pare_cli_progress_clear();
        print_machine(json_object_get(v, "machine"));
        print_tests(json_object_get(v, "tests"));
        json_decref(v);
        rc = pare_cli_flush();
    }
    pare_cli_job_end(&job);
    return rc;
}
