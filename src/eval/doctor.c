/* SPDX-License-Identifier: Apache-2.0 */
#include <pare/bench.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/job.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/status.h"
#include "kernel/gemmq.h"

/* A "key : value" line of a file in /proc, or "". */
static void proc_line(const char *file, const char *key, char *out, size_t size)
{
    uint8_t    *data = NULL;
    size_t      n;
    const char *p, *end;

    out[0] = '\0';
    if (pare_read_file(file, 1u << 20, &data, &n, NULL) < 0) return;
    p = strstr((const char *)data, key);
    if (p != NULL && (p = strchr(p, ':')) != NULL) {
        p += 1 + strspn(p + 1, " \t");
        end = p + strcspn(p, "\n");
        snprintf(out, size, "%.*s", (int)(end - p), p);
    }
    pare_free(data);
}

int pare_doctor(char **json, struct pare_job *job, struct pare_diag *diag)
{
    const struct pare_gemmq *g = pare_gemmq_for(job->tier);
    struct pare_limits       l;
    json_t                  *doc = json_object(), *cpu = json_object(), *mem = json_object(), *lim = json_object(), *k = json_object();
    char                     text[160];

    proc_line("/proc/cpuinfo", "model name", text, sizeof text);
    json_object_set_new(cpu, "model", json_string(text));
    json_object_set_new(cpu, "cores", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_set_new(cpu, "available", json_integer(pare_available_cores()));
    json_object_set_new(cpu, "threads", json_integer(pare_job_threads(job)));
    json_object_set_new(cpu, "best_tier", json_string(pare_tier_name(pare_cpu_best_tier())));
    json_object_set_new(cpu, "tier", json_string(pare_tier_name(job->tier)));
    json_object_set_new(cpu, "why", json_string(job->tier < pare_cpu_best_tier() ? "lowered by --cpu-mask" : "the best that CPUID and XGETBV allow"));
    proc_line("/proc/meminfo", "MemTotal", text, sizeof text);
    json_object_set_new(mem, "total", json_string(text));
    proc_line("/proc/meminfo", "MemAvailable", text, sizeof text);
    json_object_set_new(mem, "available", json_string(text));
    pare_measure_limits(&l, job->team, job->tier, 1.0);
    json_object_set_new(lim, "read_gbs", json_real(l.read_bytes / 1e9));
    json_object_set_new(lim, "int8_gops", json_real(l.int8_ops / 1e9));
    json_object_set_new(lim, "f32_gflops", json_real(l.f32_flops / 1e9));
    for (int t = 0; t < PARE_TYPE_COUNT; t++) {
        const struct pare_dtype *d = pare_dtype_of((enum pare_type)t);
        if (d->caps & PARE_DT_QUANT) json_object_set_new(k, d->name, json_string(g->describe((enum pare_type)t)));
    }
    json_object_set_new(doc, "version", json_string(pare_version()));
    json_object_set_new(doc, "cpu", cpu);
    json_object_set_new(doc, "memory", mem);
    json_object_set_new(doc, "limits", lim);
    json_object_set_new(doc, "kernels", k);
    *json = pare_json_text(doc);
    json_decref(doc);
    return *json == NULL ? PARE_NOMEM(diag) : PARE_OK;
}
