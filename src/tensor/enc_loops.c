/* SPDX-License-Identifier: Apache-2.0
 * src/tensor/enc_loops.c: the error of a group at a scale or on a line, in plain C: the definition that faster tiers repeat. */
#include "tensor/enc_loops.h"

#include <stddef.h>

#include "tensor/enc_lanes.h"
#include "tensor/enc_levels.h"

static struct pare_enc_fit probe(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale)
{
    float e[16] = { 0 }, g[16] = { 0 }, h[16] = { 0 }, level[16], inv = pare_enc_inverse(scale);

    for (int j = 0; j < n; j += 16) {
        pare_enc_levels16(b, x + j, inv, level);
        for (int i = 0; i < 16; i++) {
            float r = x[j + i] - scale * level[i], wr = w[j + i] * r, wl = w[j + i] * level[i];

            e[i] += wr * r;
            g[i] += wr * level[i];
            h[i] += wl * level[i];
        }
    }
    return (struct pare_enc_fit){ pare_enc_tree(e), pare_enc_tree(g), pare_enc_tree(h) };
}

static float error_at(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale)
{
    float e[16] = { 0 }, level[16], inv = pare_enc_inverse(scale);

    for (int j = 0; j < n; j += 16) {
        pare_enc_levels16(b, x + j, inv, level);
        for (int i = 0; i < 16; i++) {
            float r = x[j + i] - scale * level[i];

            e[i] += w[j + i] * r * r;
        }
    }
    return pare_enc_tree(e);
}

static struct pare_enc_line_fit line_probe(const struct pare_enc_line *l, const float *x, const float *w, int n, float top)
{
    float e[16] = { 0 }, gq[16] = { 0 }, g1[16] = { 0 }, hqq[16] = { 0 }, hq[16] = { 0 }, h1[16] = { 0 }, q[16];
    float inv = pare_enc_inverse(l->scale), scale = l->scale, base = l->base;

    for (int j = 0; j < n; j += 16) {
        pare_enc_codes16(l, x + j, inv, top, q);
        for (int i = 0; i < 16; i++) {
            float r = x[j + i] - (scale * q[i] + base), wr = w[j + i] * r, wq = w[j + i] * q[i];

            e[i] += wr * r;
            gq[i] += wr * q[i];
            g1[i] += wr;
            hqq[i] += wq * q[i];
            hq[i] += wq;
            h1[i] += w[j + i];
        }
    }
    return (struct pare_enc_line_fit){ pare_enc_tree(e),   pare_enc_tree(gq), pare_enc_tree(g1),
                                       pare_enc_tree(hqq), pare_enc_tree(hq), pare_enc_tree(h1) };
}

static float line_error(const struct pare_enc_line *l, const float *x, const float *w, int n, float top)
{
    float e[16] = { 0 }, q[16], inv = pare_enc_inverse(l->scale), scale = l->scale, base = l->base;

    for (int j = 0; j < n; j += 16) {
        pare_enc_codes16(l, x + j, inv, top, q);
        for (int i = 0; i < 16; i++) {
            float r = x[j + i] - (scale * q[i] + base);

            e[i] += w[j + i] * r * r;
        }
    }
    return pare_enc_tree(e);
}

const struct pare_enc_loops pare_enc_loops_plain = { probe, error_at, line_probe, line_error, &pare_enc_wide_plain };

static _Thread_local const struct pare_enc_loops *now = &pare_enc_loops_plain;

void pare_enc_use(const struct pare_enc_loops *loops) { now = loops != NULL ? loops : &pare_enc_loops_plain; }
const struct pare_enc_wide *pare_enc_wide_now(void) { return now->wide; }

struct pare_enc_fit pare_enc_probe(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale)
{
    return now->probe(b, x, w, n, scale);
}

float pare_enc_error(const struct pare_enc_book *b, const float *x, const float *w, int n, float scale)
{
    return now->error(b, x, w, n, scale);
}

struct pare_enc_line_fit pare_enc_line_probe(const struct pare_enc_line *l, const float *x, const float *w, int n, float top)
{
    return now->line_probe(l, x, w, n, top);
}

float pare_enc_line_error(const struct pare_enc_line *l, const float *x, const float *w, int n, float top)
{
    return now->line_error(l, x, w, n, top);
}
