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

/* Where the time of one pass goes, as predicted. */
static void print_pass(const char *title, const json_t *pass)
{
    const json_t *ops = json_object_get(pass, "ops");
    char          buf[64];
    size_t        i;
    json_t       *o;

    printf("\n%s: %.1f tokens a second predicted, bound by %s (peaks alone: %.1f)\n\n", title, pare_cli_number(pass, "tps"),
           pare_cli_clean(pare_cli_string(pass, "bound"), 16, buf, sizeof buf), pare_cli_number(pass, "plain_tps"));
    puts("| operator         | count |   Mops |  weights |  in, out |    cache | ops/byte |      ms | bound   |");
    puts("| ---------------- | ----: | -----: | -------: | -------: | -------: | -------: | ------: | ------- |");
    json_array_foreach(ops, i, o)
    {
        char   name[40];
        double n = pare_cli_number(o, "count");

        pare_cli_clean(pare_cli_string(o, "name"), 16, name, sizeof name);
        printf("| %-16s | %5.0f | %6.0f | %5.2f MB | %5.2f MB | %5.2f MB | %8.2f | %7.3f | %-7s |\n", name, n, pare_cli_number(o, "ops") * n / 1e6,
               pare_cli_number(o, "load_weight") * n / 1e6, (pare_cli_number(o, "load_act") + pare_cli_number(o, "store_act")) * n / 1e6,
               (pare_cli_number(o, "load_kv") + pare_cli_number(o, "store_kv")) * n / 1e6, pare_cli_number(o, "intensity"),
               pare_cli_number(o, "seconds") * 1e3, pare_cli_clean(pare_cli_string(o, "bound"), 8, buf, sizeof buf));
    }
}

static void print_roofline(const json_t *doc)
{
    const json_t *r = json_object_get(doc, "roofline"), *tests = json_object_get(doc, "tests"), *m = json_object_get(r, "machine");
    char          buf[64];
    size_t        i;
    json_t       *t;

    if (r == NULL) return;
    printf("\nThe model is read at %.1f GB/s; a parallel region costs %.1f us. A weight out of the cache:\n", pare_cli_number(m, "read_gbs"),
           pare_cli_number(m, "sync_us"));
    json_array_foreach(json_object_get(m, "types"), i, t)
        printf("  %-8s %.4f ns for one vector; %.4f ns to unpack and %.5f ns a vector for many\n",
               pare_cli_clean(pare_cli_string(t, "type"), 8, buf, sizeof buf), pare_cli_number(t, "one_ns"), pare_cli_number(t, "unpack_ns"),
               pare_cli_number(t, "madd_ns"));
    print_pass("one token after 128", json_object_get(r, "decode"));
    print_pass("a prompt of 512", json_object_get(r, "prefill"));
    if (pare_cli_number(r, "crossover_batch") > 0)
        printf("\nFrom %.0f sequences at once on, arithmetic is the bound, not memory.\n", pare_cli_number(r, "crossover_batch"));
    puts("\n| test             | predicted |      best | ratio | bound   |\n| ---------------- | --------: | --------: | ----: | ------- |");
    json_array_foreach(tests, i, t)
    {
        char name[40];

        if (!pare_cli_present(t, "predicted_tps")) continue;
        printf("| %-16s | %9.2f | %9.2f | %5.2f | %-7s |\n", pare_cli_clean(pare_cli_string(t, "name"), 16, name, sizeof name),
               pare_cli_number(t, "predicted_tps"), pare_cli_number(t, "best_tps"), pare_cli_number(t, "predicted_ratio"),
               pare_cli_clean(pare_cli_string(t, "bound"), 8, buf, sizeof buf));
    }
}

static void print_people(const struct pare_cli *c, const json_t *doc)
{
    (void)c;
    print_machine(json_object_get(doc, "machine"));
    print_tests(json_object_get(doc, "tests"));
    print_roofline(doc);
}

int pare_verb_bench(const struct pare_cli *c)
{
    struct pare_bench_settings s;
    struct pare_job           *job = NULL;
    struct pare_diag           diag = { 0 };
    char                      *doc = NULL;
    int                        rc;

    pare_bench_settings_default(&s);
    s.synthetic = PARE_TEXT(c, synthetic);
    s.kernels = PARE_FLAG(c, kernels);
    s.roofline = PARE_FLAG(c, roofline);
    if (c->n_args == 0 && s.synthetic == NULL && !s.kernels)
        return pare_cli_usage(c->verb->name, "`pare bench` needs a model, or --synthetic SHAPE, or --kernels");
    if (c->n_args > 0 && s.synthetic != NULL) return pare_cli_usage(c->verb->name, "give a model or --synthetic, not both");
    if (PARE_HAS(c, bench_type)) s.type = PARE_TEXT(c, bench_type);
    if (PARE_HAS(c, tests)) s.tests = PARE_TEXT(c, tests);
    if (PARE_HAS(c, kv)) s.kv = PARE_TEXT(c, kv);
    if (PARE_HAS(c, repeat)) s.repeat = (uint32_t)c->v[PARE_OPT_repeat].integer;
    s.f32_activations = PARE_HAS(c, activations) && strcmp(PARE_TEXT(c, activations), "f32") == 0;
    if ((rc = pare_cli_job(c, &job)) != 0) return rc;
    rc = pare_bench(c->n_args > 0 ? c->arg[0] : NULL, &s, &doc, job, &diag);
    return pare_cli_report(c, rc, doc, print_people, &job, &diag);
}
