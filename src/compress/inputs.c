/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/inputs.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

int pare_inputs_create(struct pare_inputs *in, uint32_t max_slots, bool full, struct pare_job *job, struct pare_diag *diag)
{
    *in = (struct pare_inputs){ .cap = max_slots, .full = full, .job = job, .diag = diag };
    in->s = pare_zalloc(max_slots + 1u, sizeof *in->s);
    in->of = pare_zalloc(max_slots + 1u, sizeof *in->of);
    if (in->s != NULL && in->of != NULL) return PARE_OK;
    pare_inputs_free(in);
    return PARE_NOMEM(diag);
}

void pare_inputs_free(struct pare_inputs *in)
{
    for (uint32_t i = 0; i < in->n; i++) pare_second_free(&in->s[i]);
    pare_free(in->s);
    pare_free(in->of);
    memset(in, 0, sizeof *in);
}

static uint32_t place_of(const struct pare_inputs *in, const struct pare_slot *s)
{
    uint32_t i = 0;

    while (i < in->n_of && in->of[i].slot != s) i++;
    return i;
}

struct pare_second *pare_inputs_of(struct pare_inputs *in, const struct pare_slot *s)
{
    uint32_t i = place_of(in, s);

    return i < in->n_of ? &in->s[in->of[i].in] : NULL;
}

void pare_inputs_see(void *user, const struct pare_unit *u, const struct pare_slot *s, const float *x, uint64_t ldx, uint32_t n)
{
    struct pare_inputs *in = user;
    uint32_t            at = place_of(in, s);

    if (in->rc < 0 || (at == in->n_of && at == in->cap)) return;
    if (at == in->n_of) {
        bool sibling = in->unit == u && in->x == x;
        if (!sibling) {
            in->rc = pare_second_create(&in->s[in->n], s->cols, in->full, in->diag);
            if (in->rc < 0) return;
            in->n++;
        }
        in->of[at] = (struct pare_input_of){ s, in->n - 1, !sibling };
        in->n_of++;
    }
    in->x = x;
    in->unit = u;
    if (in->of[at].first) pare_second_add(&in->s[in->of[at].in], x, ldx, n, NULL, in->job);
}

int pare_inputs_finish(struct pare_inputs *in)
{
    for (uint32_t i = 0; i < in->n && in->rc == PARE_OK; i++) {
        in->rc = pare_second_finish(&in->s[i], in->job, in->diag);
        for (uint32_t k = 0; k < in->n_of && in->rc < 0; k++)
            if (in->of[k].in == i) {
                pare_diag_where(in->diag, in->of[k].slot->name);
                break;
            }
    }
    return in->rc;
}

int pare_inputs_gather(struct pare_inputs *in, struct pare_walk *w, uint32_t unit, const struct pare_windows *win, const float *x)
{
    const uint64_t       d = pare_model_info_of(w->m)->n_embd, one = (uint64_t)win->len * d;
    struct pare_observer obs = { pare_inputs_see, in };
    float               *some = pare_aligned(one * sizeof *some);
    int                  rc = some == NULL ? PARE_NOMEM(in->diag) : PARE_OK;

    for (uint32_t i = 0; i < win->n && rc == PARE_OK; i++) {
        struct pare_windows this = { win->ids + (uint64_t)i * win->len, 1, win->len };
        memcpy(some, x + i * one, one * sizeof *some);
        rc = pare_walk_unit(w, unit, &this, some, &obs, in->diag);
    }
    pare_aligned_free(some);
    return rc;
}
