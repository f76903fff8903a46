/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_input.h: what the format targets share: bytes as a file in memory, and reading all that an opened file shows. */
#ifndef PARE_TESTS_FUZZ_INPUT_H
#define PARE_TESTS_FUZZ_INPUT_H

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "format/checkpoint.h"
#include "pare/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void fuzz_stop(const char *why)
{
    fprintf(stderr, "fuzz: %s\n", why);
    abort();
}

/* First and last row of every weight, every metadata element, and the document of `inspect`. */
static inline void fuzz_use(const struct pare_checkpoint *c)
{
    struct pare_diag d;

    for (uint64_t i = 0; i < c->n_tensors; i++) {
        const struct pare_tensor *t = &c->tensors[i];
        struct pare_weight        w;
        float                    *row;

        if (pare_checkpoint_tensor(c, t->name) != t) fuzz_stop("a tensor is not found by its name");
        if (t->bytes > c->maps[t->file].size || t->offset > c->maps[t->file].size - t->bytes) fuzz_stop("an extent outside its file");
        pare_diag_clear(&d);
        if (pare_weight_find(&w, c, t->name, &d) != 0 || w.rows == 0 || w.cols == 0 || w.cols > 1u << 20) continue;
        row = malloc(w.cols * sizeof *row);
        if (row == NULL) continue;
        (void)pare_weight_rows(&w, 0, 1, row, &d);
        (void)pare_weight_rows(&w, w.rows - 1, 1, row, &d);
        free(row);
        if (w.foreign != NULL || w.row_bytes > 1u << 20) continue;
        row = malloc(w.row_bytes);
        if (row == NULL) continue;
        (void)pare_weight_bytes(&w, w.rows - 1, 1, (uint8_t *)row, &d);
        free(row);
    }
    for (uint64_t i = 0; i < c->n_kv; i++) {
        struct pare_str s;
        double          r;
        uint64_t        last = c->kv[i].count - 1;

        if (pare_kv_find(c, c->kv[i].key) != &c->kv[i]) fuzz_stop("metadata is not found by its key");
        (void)pare_kv_elem_real(&c->kv[i], last, &r);
        if (pare_kv_elem_str(&c->kv[i], last, &s) && s.len != 0 && memchr(s.s, 1, s.len) == s.s) (void)s;
    }
}

/* Opens, uses, closes. An error must have a code of its own and a text, and nothing may stay allocated. */
static inline void fuzz_open(const char *path)
{
    struct pare_checkpoint *c = NULL;
    struct pare_diag        d;
    uint64_t                live = pare_mem_live();
    char                   *json;

    pare_diag_clear(&d);
    if (pare_checkpoint_open(&c, path, &d) == 0) {
        fuzz_use(c);
        if (c->n_tensors < 100 && pare_inspect(path, true, &json, NULL, &d) == 0) pare_free(json);
    } else if (d.code == 0 || d.text[0] == '\0' || d.code == PARE_E_NOMEM || d.code == PARE_E_USAGE || c != NULL) {
        fuzz_stop("an error without text, or with a code that does not suit");
    }
    pare_checkpoint_close(&c);
    if (pare_mem_live() != live) fuzz_stop("memory stays allocated");
}

static inline int fuzz_bytes(const uint8_t *data, size_t size)
{
    char path[64];
    int  fd = memfd_create("fuzz", MFD_CLOEXEC);

    if (fd < 0) fuzz_stop("no file in memory");
    if (write(fd, data, size) != (ssize_t)size) fuzz_stop("cannot write the input");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    fuzz_open(path);
    close(fd);
    return 0;
}

#endif
