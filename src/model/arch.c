/* SPDX-License-Identifier: Apache-2.0
 * src/model/arch.c: the list of families, and small services that all of them use. */
#include "model/arch.h"

#include <string.h>

#include <pare/model.h>

#define ARCH(name) extern const struct pare_arch pare_arch_##name;
#include "model/arch_list.h"
#undef ARCH

#define ARCH(name) &pare_arch_##name,
static const struct pare_arch *const rows[] = {
#include "model/arch_list.h"
};
#undef ARCH

static bool listed(const char *const *list, const char *name)
{
    if (list == NULL) return false;
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0) return true;
    return false;
}

const struct pare_arch *pare_arch_at(uint32_t i) { return i < sizeof rows / sizeof *rows ? rows[i] : NULL; }

const struct pare_arch *pare_arch_by_type(const char *model_type)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (listed(rows[i]->types, model_type)) return rows[i];
    return NULL;
}

const struct pare_arch *pare_arch_by_gguf(const char *architecture)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (listed(rows[i]->gguf, architecture)) return rows[i];
    return NULL;
}

void *pare_layout_take(struct pare_layout *l, uint64_t count, uint64_t size)
{
    uint64_t bytes = (count * size + (PARE_ALIGN - 1)) & ~(uint64_t)(PARE_ALIGN - 1);
    void    *p = l->base != NULL ? l->base + l->used : NULL;

    l->used += bytes;
    return p;
}

void pare_rows_run(struct pare_job *job, uint32_t n, pare_team_fn fn, void *ctx)
{
    if (n >= 4) {
        pare_team_run(job->team, n, fn, ctx);
        return;
    }
    for (uint32_t i = 0; i < n; i++) fn(ctx, i, 0);
}

void pare_observe(const struct pare_observer *obs, const struct pare_unit *u, const struct pare_linear *l, const float *x,
                  uint64_t ldx, uint32_t n)
{
    if (obs == NULL) return;
    for (uint32_t i = 0; i < u->n_slots; i++)
        if (u->slot[i].lin == l) obs->see(obs->user, u, &u->slot[i], x, ldx, n);
}

const char *const *pare_arch_names(void)
{
#define ARCH(name) #name,
    static const char *const names[] = {
#include "model/arch_list.h"
        NULL
    };
#undef ARCH

    return names;
}
