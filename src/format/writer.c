/* SPDX-License-Identifier: Apache-2.0
 * src/format/writer.c: opening, data, finishing. The order of system calls is what makes a kill harmless:
 *
 *   NAME.part is made full size, its header area stays zero, so it is never a valid file before the end;
 *   data of a tensor, sync, journal line, sync: a line is a promise that the data is on the disk;
 *   header, sync, close, everything read back and compared with the journal's hashes;
 *   rename, sync of the folder, and only then the journal goes. */
#include "format/writer.h"

#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"
#include "format/parts.h"
#include "format/writer_private.h"

#define HASH_STEP (16u << 20) /* bytes read back between two advices to drop them */

void pare_writer_kill_after(uint64_t n) { pare_out_kill_after(n); }

static char *with_suffix(const char *path, const char *suffix)
{
    struct pare_buf b = { .max = SIZE_MAX / 2 };

    pare_buf_str(&b, path);
    pare_buf_str(&b, suffix);
    return pare_buf_take(&b);
}

/* Writing onto a mapped input would destroy it; device and inode find hard and symbolic links too. */
static int check_inputs(const struct pare_writer *w, const struct pare_writer_settings *s, struct pare_diag *d)
{
    for (uint32_t i = 0; i < s->n_inputs; i++) {
        if (!pare_same_file(w->path, s->inputs[i]) && !pare_same_file(w->part, s->inputs[i]) && !pare_same_file(w->journal, s->inputs[i]))
            continue;
        pare_diag_file(d, w->path);
        PARE_FAIL(d, PARE_E_USAGE, "the output is the same file as the input \"%s\"", s->inputs[i]);
    }
    if (!pare_path_is_dir(w->path)) return PARE_OK;
    pare_diag_file(d, w->path);
    PARE_FAIL(d, PARE_E_IO, "the output is a folder");
}

/* The lock comes before anything is changed: another process may be at work on the same output. */
static int open_journal(struct pare_writer *w, bool resume, struct pare_diag *d)
{
    PARE_FORWARD(pare_out_reopen(&w->log, w->journal, true, d));
    PARE_FORWARD(pare_out_lock(&w->log, d));
    return resume ? pare_journal_read(w, d) : PARE_OK;
}

int pare_writer_create(struct pare_writer **out, const struct pare_writer_settings *s, struct pare_diag *diag)
{
    struct pare_writer *w;
    int                 rc;

    PARE_USAGE_CHECK(diag, out != NULL && s != NULL);
    *out = NULL;
    w = pare_zalloc(1, sizeof *w);
    if (w == NULL) return PARE_NOMEM(diag);
    *w = (struct pare_writer){ .job_hash = s->job_hash, .align = PARE_ALIGN_DEFAULT, .cur = PARE_NO_TENSOR, .data = PARE_OUT_NONE,
                               .log = PARE_OUT_NONE, .kv = { .max = PARE_MAX_HEADER } };
    if (s->path == NULL) {
        *out = w;
        return PARE_OK;
    }
    w->path = pare_strdup(s->path);
    w->part = with_suffix(s->path, ".part");
    w->journal = with_suffix(s->path, ".journal");
    w->hash = XXH3_createState(); /* its size is the library's secret */
    if (w->path == NULL || w->part == NULL || w->journal == NULL || w->hash == NULL) {
        rc = PARE_NOMEM(diag);
        goto fail;
    }
    if ((rc = check_inputs(w, s, diag)) < 0) goto fail;
    if ((rc = open_journal(w, s->resume, diag)) < 0) goto fail;
    *out = w;
    return PARE_OK;
fail:
    pare_writer_close(&w, true);
    return rc;
}

void pare_writer_close(struct pare_writer **pw, bool keep)
{
    struct pare_writer *w = pw == NULL ? NULL : *pw;

    if (w == NULL) return;
    if (!keep && !w->finished && w->log.fd >= 0) { /* without the journal's lock they are not ours to remove */
        (void)pare_file_remove(w->part, NULL);
        (void)pare_file_remove(w->journal, NULL);
    }
    (void)pare_out_close(&w->data, NULL);
    (void)pare_out_close(&w->log, NULL);
    pare_buf_free(&w->kv);
    pare_buf_free(&w->header);
    pare_pool_free(&w->pool);
    pare_names_free(&w->keys);
    pare_names_free(&w->names);
    pare_free(w->tensors);
    pare_free(w->records);
    XXH3_freeState(w->hash);
    pare_free(w->path);
    pare_free(w->part);
    pare_free(w->journal);
    pare_free(w);
    *pw = NULL;
}

bool pare_writer_done(const struct pare_writer *w, uint64_t i) { return i < w->n_tensors && w->tensors[i].done; }

/* All data of tensor i is written: on the disk first, then in the journal. */
static int complete(struct pare_writer *w, uint64_t i, struct pare_diag *d)
{
    w->tensors[i].hash = XXH3_64bits_digest(w->hash);
    PARE_FORWARD(pare_out_sync(&w->data, d));
    PARE_FORWARD(pare_journal_append(w, i, d));
    w->tensors[i].done = true;
    w->cur = PARE_NO_TENSOR;
    return PARE_OK;
}

int pare_writer_data(struct pare_writer *w, uint64_t i, const void *p, uint64_t n, struct pare_diag *d)
{
    struct pare_decl *t;
    int               rc;

    PARE_USAGE_CHECK(d, w != NULL && w->laid_out && !w->finished && i < w->n_tensors);
    if (w->err < 0) PARE_FAIL(d, w->err, "an earlier step of this output failed");
    t = &w->tensors[i];
    if (t->done || (w->cur != PARE_NO_TENSOR && w->cur != i) || n > t->bytes - (w->cur == i ? w->cur_len : 0)) {
        pare_diag_where(d, t->name);
        PARE_FAIL(d, PARE_E_USAGE, "%s", t->done                                      ? "the tensor is complete already"
                                         : w->cur != PARE_NO_TENSOR && w->cur != i ? "another tensor is not complete yet"
                                                                                   : "more data than the tensor has");
    }
    if (w->cur == PARE_NO_TENSOR) {
        w->cur = i;
        w->cur_len = 0;
        XXH3_64bits_reset(w->hash);
    }
    if ((rc = pare_out_write(&w->data, t->offset + w->cur_len, p, n, d)) < 0) goto fail;
    if (n != 0) XXH3_64bits_update(w->hash, p, (size_t)n);
    w->cur_len += n;
    if (w->cur_len == t->bytes && (rc = complete(w, i, d)) < 0) goto fail;
    return PARE_OK;
fail:
    pare_diag_where(d, t->name);
    return w->err = rc;
}

/* ---- finishing ------------------------------------------------------------------------------------------------------ */

/* Reads a tensor back in steps and drops what was read: verifying must not fill the memory with a mapping. */
static uint64_t hash_back(struct pare_writer *w, const struct pare_map *m, const struct pare_decl *t)
{
    XXH3_64bits_reset(w->hash);
    for (uint64_t at = 0; at < t->bytes; at += HASH_STEP) {
        uint64_t n = t->bytes - at < HASH_STEP ? t->bytes - at : HASH_STEP;

        XXH3_64bits_update(w->hash, m->base + t->offset + at, (size_t)n);
        pare_map_advise(m, t->offset + at, n, PARE_DONTNEED);
    }
    return XXH3_64bits_digest(w->hash);
}

static bool same_tensor(const struct pare_decl *a, const struct pare_tensor *b)
{
    if (b->parts != NULL && b->parts->no_base) /* a placeholder, which is read as the shape that pare.parts says */
        return strcmp(a->name, b->name) == 0 && a->type == b->type && a->offset == b->offset && a->bytes == b->bytes;
    return strcmp(a->name, b->name) == 0 && a->type == b->type && a->n_dims == b->n_dims && a->packed == b->packed &&
           a->offset == b->offset && a->bytes == b->bytes && memcmp(a->dims, b->dims, a->n_dims * sizeof *a->dims) == 0;
}

/* The file is opened as any other model file, and must be what was declared and written. */
static int verify(struct pare_writer *w, const char *path, struct pare_diag *d)
{
    struct pare_checkpoint *c;
    int                     rc = PARE_OK;

    PARE_FORWARD(pare_checkpoint_open(&c, path, d));
    if (c->maps[0].size != w->size || c->n_tensors != w->n_tensors || memcmp(c->maps[0].base, w->header.data, w->header.len) != 0)
        rc = PARE_ERR(d, PARE_E_IO, "the file does not read back as it was written");
    for (uint64_t i = 0; i < w->n_tensors && rc == PARE_OK; i++) {
        if (same_tensor(&w->tensors[i], &c->tensors[i]) && hash_back(w, &c->maps[0], &w->tensors[i]) == w->tensors[i].hash) continue;
        rc = PARE_ERR_AT(d, PARE_E_IO, w->tensors[i].offset, w->tensors[i].name, "the data does not read back as it was written");
    }
    if (rc < 0) pare_diag_file(d, path);
    pare_checkpoint_close(&c);
    return rc;
}

int pare_writer_finish(struct pare_writer *w, struct pare_diag *d)
{
    int rc;

    PARE_USAGE_CHECK(d, w != NULL && w->laid_out && !w->finished);
    if (w->err < 0) PARE_FAIL(d, w->err, "an earlier step of this output failed");
    for (uint64_t i = 0; i < w->n_tensors; i++) {
        if (w->tensors[i].done) continue;
        pare_diag_where(d, w->tensors[i].name);
        PARE_FAIL(d, PARE_E_USAGE, "the tensor has no data yet");
    }
    if (w->renamed) {
        if ((rc = verify(w, w->path, d)) < 0) goto fail;
    } else {
        if ((rc = pare_out_write(&w->data, 0, w->header.data, w->header.len, d)) < 0) goto fail;
        if ((rc = pare_out_sync(&w->data, d)) < 0) goto fail;
        if ((rc = pare_out_close(&w->data, d)) < 0) goto fail;
        if ((rc = verify(w, w->part, d)) < 0) goto fail;
        if ((rc = pare_file_rename(w->part, w->path, d)) < 0) goto fail;
    }
    w->finished = true; /* from here the output stands; what remains is tidying up */
    if ((rc = pare_folder_sync(w->path, d)) < 0) goto fail;
    if ((rc = pare_file_remove(w->journal, d)) < 0) goto fail;
    return pare_out_close(&w->log, d);
fail:
    return w->err = rc;
}
