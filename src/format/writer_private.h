/* SPDX-License-Identifier: Apache-2.0
 * src/format/writer_private.h: the inside of struct pare_writer, shared by writer.c (data, finish), writer_kv.c (metadata),
 * writer_layout.c (declarations, header) and writer_journal.c. */
#ifndef PARE_FORMAT_WRITER_PRIVATE_H
#define PARE_FORMAT_WRITER_PRIVATE_H

#include <xxhash.h>

#include "base/mem.h"
#include "base/outfile.h"
#include "format/name_table.h"
#include "format/writer.h"

/* A declared tensor: as the caller sees it, and as GGUF holds it where that differs (own). */
struct pare_decl {
    const char              *name;
    const struct pare_dtype *type;
    uint32_t                 n_dims;
    uint64_t                 dims[PARE_MAX_DIMS];
    bool                     own;        /* has an entry in pare.tensors */
    uint32_t                 packed;     /* 0, or PARE_PACK_LAYOUT: the data are panels */
    uint32_t                 disk_type;  /* GGUF number */
    uint32_t                 disk_n_dims;
    uint64_t                 disk_dims[PARE_MAX_DIMS];
    uint64_t                 offset, bytes; /* offset in the file, known after the layout */
    bool                     done;
    uint64_t                 hash;          /* XXH3-64 of the data, valid when done */
};

/* A journal line that was read back. end: where the next line begins. */
struct pare_journal_record {
    uint64_t index, offset, bytes, hash, begin;
};

#define PARE_NO_TENSOR UINT64_MAX

struct pare_writer {
    char    *path, *part, *journal;
    uint64_t job_hash;

    struct pare_buf         kv;      /* metadata records as on disk */
    uint64_t                n_kv;
    uint64_t                align;
    struct pare_string_pool pool;
    struct pare_name_table  keys, names;
    struct pare_decl       *tensors;
    uint64_t                n_tensors, cap_tensors;

    bool            laid_out;
    struct pare_buf header;          /* complete, padded to the alignment */
    uint64_t        header_hash, size;

    struct pare_out             data, log;
    uint64_t                    log_len;
    struct pare_journal_record *records; /* of an earlier run, until the layout decides about them */
    uint64_t                    n_records, cap_records, old_header_hash, old_size;
    bool                        have_old;

    uint64_t      cur, cur_len;      /* tensor being written, bytes so far */
    XXH3_state_t *hash;
    bool          renamed;           /* an earlier run was killed after its rename */
    bool          finished;
    int           err;               /* sticky: after a failed write the output is not continued */
};

/* pare_journal_read loads the lines of an earlier run of the same job; have_old says whether there was one. */
int pare_journal_read(struct pare_writer *w, struct pare_diag *d);
/* pare_journal_reset empties the journal, on the disk too. pare_journal_begin then writes its first line. */
int pare_journal_reset(struct pare_writer *w, struct pare_diag *d);
int pare_journal_begin(struct pare_writer *w, struct pare_diag *d);
/* pare_journal_append records tensor i, whose data is on disk, and syncs. */
int pare_journal_append(struct pare_writer *w, uint64_t i, struct pare_diag *d);

/* pare_writer_kv_raw appends a record: key, type and n bytes of value, unchecked value bytes. Used for pare.tensors. */
int pare_writer_kv_raw(struct pare_writer *w, const char *key, uint32_t type, const void *head, size_t head_len, const void *p,
                       uint64_t n, struct pare_diag *d);

/* Appends to a buffer in little-endian order. */
bool pare_put_u32(struct pare_buf *b, uint32_t v);
bool pare_put_u64(struct pare_buf *b, uint64_t v);

#endif
