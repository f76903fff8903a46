/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/eval.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

static void cell(const json_t *o, const char *key, const char *fmt, int width, double scale)
{
    char buf[40];

    if (!pare_cli_present(o, key)) snprintf(buf, sizeof buf, "-");
    else snprintf(buf, sizeof buf, fmt, pare_cli_number(o, key) * scale);
    printf(" %*s |", width, buf);
}

static void print_people(const struct pare_cli *c, const json_t *doc)
{
    static const char *const tracks[] = { "loss", "general", "robust", "cost", "size", "speed" };
    const json_t *list = json_object_get(doc, "configs"), *formulas = json_object_get(doc, "formulas");
    char          buf[128];
    size_t        i;
    json_t       *f;

    (void)c;
    puts("| form         |       MB |      ppl |      kld |  top1 | recovery | likeness | one t/s | eight t/s |");
    puts("| ------------ | -------: | -------: | -------: | ----: | -------: | -------: | ------: | --------: |");
    json_array_foreach(list, i, f)
    {
        printf("| %-12s |", pare_cli_clean(pare_cli_string(f, "name"), 12, buf, sizeof buf));
        cell(f, "bytes", "%.2f", 8, 1e-6);
        cell(f, "ppl", "%.3f", 8, 1);
        cell(f, "kld_mean", "%.5f", 8, 1);
        cell(f, "top1", "%.3f", 5, 1);
        cell(f, "recovery", "%.2f %%", 8, 1);
        cell(f, "likeness", "%.3f", 8, 1);
        cell(f, "one_tps", "%.1f", 7, 1);
        cell(f, "many_tps", "%.1f", 9, 1);
        putchar('\n');
    }
    puts("\nMarks against the original (1.00); quality is the mean of the first three:\n");
    puts("| form         |  loss | general | robust |  cost |  size | speed | quality |");
    puts("| ------------ | ----: | ------: | -----: | ----: | ----: | ----: | ------: |");
    json_array_foreach(list, i, f)
    {
        static const int width[] = { 5, 7, 6, 5, 5, 5 };
        const json_t    *m = json_object_get(f, "marks");

        printf("| %-12s |", pare_cli_clean(pare_cli_string(f, "name"), 12, buf, sizeof buf));
        for (int t = 0; t < 6; t++) cell(m, tracks[t], "%.2f", width[t], 1);
        cell(f, "quality", "%.4f", 7, 1);
        putchar('\n');
    }
    putchar('\n');
    for (int t = 0; t < 6; t++) printf("%-8s %s\n", tracks[t], pare_cli_clean(pare_cli_string(formulas, tracks[t]), 0, buf, sizeof buf));
    if (pare_cli_present(doc, "fastest_one"))
        printf("\nFastest with one sequence: %s.", pare_cli_clean(pare_cli_string(doc, "fastest_one"), 32, buf, sizeof buf));
    if (pare_cli_present(doc, "fastest_many"))
        printf(" Fastest with eight: %s.\n", pare_cli_clean(pare_cli_string(doc, "fastest_many"), 32, buf, sizeof buf));
    json_array_foreach(json_object_get(doc, "absent"), i, f) printf("not measured: %s\n", json_string_value(f));
}

int pare_verb_compare(const struct pare_cli *c)
{
    struct pare_compare_settings s;
    struct pare_job             *job = NULL;
    struct pare_diag             diag = { 0 };
    char                        *doc = NULL;
    int                          rc;

    pare_compare_settings_default(&s);
    s.types = PARE_TEXT(c, compare_types);
    s.text = PARE_TEXT(c, compare_text);
    s.folder = PARE_TEXT(c, folder);
    s.task = PARE_TEXT(c, compare_task);
    s.data = PARE_TEXT(c, compare_data);
    if (PARE_HAS(c, compare_limit)) s.limit = (uint32_t)c->v[PARE_OPT_compare_limit].integer;
    if (PARE_HAS(c, compare_ctx)) s.ctx = (uint32_t)c->v[PARE_OPT_compare_ctx].integer;
    if (PARE_HAS(c, compare_chunks)) s.chunks = (uint32_t)c->v[PARE_OPT_compare_chunks].integer;
    s.no_speed = PARE_FLAG(c, no_speed);
    if ((rc = pare_cli_job(c, &job)) != 0) return rc;
    rc = pare_compare(c->arg[0], &s, &doc, job, &diag);
    return pare_cli_report(c, rc, doc, print_people, &job, &diag);
}
