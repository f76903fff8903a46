/* SPDX-License-Identifier: Apache-2.0
 * src/format/writer.h: the one safe writer of GGUF v3 files. Temporary name in the same directory, tensors one by one, each
 * journalled after its data is on disk, header last, fsync, checked close, verify, rename, fsync of the directory.
 * A killed run resumes to identical bytes; nothing ever stands half-written under the final name. */
#ifndef PARE_FORMAT_WRITER_H
#define PARE_FORMAT_WRITER_H

#include <pare/error.h>

#include "format/checkpoint.h"

struct pare_writer;

struct pare_writer_settings {
    const char *path;        /* final name; NULL: nothing is written, pare_writer_size after the layout is all that can be asked */
    const char *const *inputs; /* n_inputs paths that must not be the same file as path (device and inode) */
    uint32_t    n_inputs;
    uint64_t    job_hash;    /* hash of inputs + options + plan; a journal with another hash is discarded with its data */
    bool        resume;      /* continue a matching journal; else start afresh */
};

/* pare_writer_create opens (or resumes) NAME.part and NAME.journal. Nothing is written under the final name. */
int pare_writer_create(struct pare_writer **out, const struct pare_writer_settings *s, struct pare_diag *diag);

/* Metadata, in call order, before the first tensor. Keys unique. Strings may hold any bytes. */
int pare_writer_kv_u32(struct pare_writer *w, const char *key, uint32_t v, struct pare_diag *d);
int pare_writer_kv_u64(struct pare_writer *w, const char *key, uint64_t v, struct pare_diag *d);
int pare_writer_kv_i32(struct pare_writer *w, const char *key, int32_t v, struct pare_diag *d);
int pare_writer_kv_f32(struct pare_writer *w, const char *key, float v, struct pare_diag *d);
int pare_writer_kv_bool(struct pare_writer *w, const char *key, bool v, struct pare_diag *d);
int pare_writer_kv_str(struct pare_writer *w, const char *key, const char *s, uint64_t len, struct pare_diag *d);
/* Arrays: elem type as on disk; data little-endian, count elements. Strings: pare_str array. */
int pare_writer_kv_array(struct pare_writer *w, const char *key, enum pare_kv_type elem, const void *data, uint64_t count, struct pare_diag *d);
int pare_writer_kv_strs(struct pare_writer *w, const char *key, const struct pare_str *s, uint64_t count, struct pare_diag *d);
/* Copies a metadata entry of another GGUF as it is. */
int pare_writer_kv_copy(struct pare_writer *w, const struct pare_kv *kv, struct pare_diag *d);

/* Declares all tensors, in file order, before any data: dims in C order. For our own types (gguf_id -1) the writer stores an I8
 * tensor [rows, row_bytes] and adds the entry to the "pare.tensors" metadata by itself. */
int pare_writer_declare(struct pare_writer *w, const char *name, const struct pare_dtype *type, uint32_t n_dims,
                        const uint64_t *dims, struct pare_diag *d);
/* The same for a matrix whose data will be panels (kernel/gemmq.h) of a packable type: an I8 tensor [panels, bytes of a panel].
 * general.alignment should be a multiple of PARE_ALIGN, else readers must copy them. */
int pare_writer_declare_packed(struct pare_writer *w, const char *name, const struct pare_dtype *type, uint32_t n_dims,
                               const uint64_t *dims, struct pare_diag *d);
/* Fixes the layout: offsets, header size. After it pare_writer_size is the final size of the file. */
int pare_writer_layout(struct pare_writer *w, struct pare_diag *d);
uint64_t pare_writer_size(const struct pare_writer *w);

/* pare_writer_done(i): tensor i is in the journal already (after a resume) and need not be made again. */
bool pare_writer_done(const struct pare_writer *w, uint64_t i);
/* Data of tensor i in pieces, in order; the last piece completes it: data synced, then the journal record appended, synced. */
int pare_writer_data(struct pare_writer *w, uint64_t i, const void *p, uint64_t n, struct pare_diag *d);

/* Finishes: every tensor must be complete. Header, fsync, close, reopen, verify, rename, directory fsync, journal removed. */
int pare_writer_finish(struct pare_writer *w, struct pare_diag *d);
/* Closes without finishing; .part and .journal stay for a resume when keep, else are removed. Frees *w. NULL is accepted. */
void pare_writer_close(struct pare_writer **w, bool keep);

/* Test hook: after n more write or sync system calls the process kills itself with SIGKILL; 0: never. */
void pare_writer_kill_after(uint64_t n);

#endif
