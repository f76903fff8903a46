/* SPDX-License-Identifier: Apache-2.0
 * src/format/writer_journal.c: the journal beside an unfinished output (docs/format.md). Text lines, each ending with a hash of
 * itself keyed with the job, so that a line cut by a crash, or one of another job, is no line:
 *
 *     pare-journal 1 JOB HEADER SIZE H
 *     done INDEX OFFSET BYTES DATA H
 *
 * JOB, HEADER, DATA and H are 16 hexadecimal digits (XXH3-64), the others decimal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "base/status.h"
#include "format/limits.h"
#include "format/writer_private.h"

#define LINE 256
#define HASH_LEN 17 /* a space and 16 digits */

/* text holds the line without its hash. */
static int append(struct pare_writer *w, const char *text, struct pare_diag *d)
{
    char line[LINE + HASH_LEN + 2];
    int  n = snprintf(line, sizeof line, "%s %016" PRIx64 "\n", text, (uint64_t)XXH3_64bits_withSeed(text, strlen(text), w->job_hash));

    PARE_FORWARD(pare_out_write(&w->log, w->log_len, line, (uint64_t)n, d));
    PARE_FORWARD(pare_out_sync(&w->log, d));
    w->log_len += (uint64_t)n;
    return PARE_OK;
}

int pare_journal_reset(struct pare_writer *w, struct pare_diag *d)
{
    w->log_len = 0;
    PARE_FORWARD(pare_out_truncate(&w->log, 0, d));
    return pare_out_sync(&w->log, d);
}

int pare_journal_begin(struct pare_writer *w, struct pare_diag *d)
{
    char text[LINE];

    snprintf(text, sizeof text, "pare-journal 1 %016" PRIx64 " %016" PRIx64 " %" PRIu64, w->job_hash, w->header_hash, w->size);
    return append(w, text, d);
}

int pare_journal_append(struct pare_writer *w, uint64_t i, struct pare_diag *d)
{
    const struct pare_decl *t = &w->tensors[i];
    char                    text[LINE];

    snprintf(text, sizeof text, "done %" PRIu64 " %" PRIu64 " %" PRIu64 " %016" PRIx64, i, t->offset, t->bytes, t->hash);
    return append(w, text, d);
}

/* Cuts the hash off a line and checks it. */
static bool line_is_whole(struct pare_writer *w, char *line, size_t n)
{
    uint64_t h;

    if (n <= HASH_LEN || n > LINE + HASH_LEN || line[n - HASH_LEN] != ' ' || strlen(line) != n) return false;
    h = strtoull(line + n - HASH_LEN + 1, NULL, 16);
    line[n - HASH_LEN] = '\0';
    return h == XXH3_64bits_withSeed(line, n - HASH_LEN, w->job_hash);
}

static bool parse_head(struct pare_writer *w, const char *line)
{
    uint64_t job;
    int      end = 0;

    return sscanf(line, "pare-journal 1 %" SCNx64 " %" SCNx64 " %" SCNu64 "%n", &job, &w->old_header_hash, &w->old_size, &end) == 3 &&
           line[end] == '\0' && job == w->job_hash;
}

static int parse_record(struct pare_writer *w, const char *line, uint64_t begin, struct pare_diag *d)
{
    struct pare_journal_record r = { .begin = begin };
    int                        end = 0;

    if (sscanf(line, "done %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNx64 "%n", &r.index, &r.offset, &r.bytes, &r.hash, &end) != 4 ||
        line[end] != '\0')
        return 1;
    if (w->n_records == w->cap_records) {
        uint64_t cap = w->cap_records == 0 ? 64 : w->cap_records * 2;
        void    *p = pare_realloc_array(w->records, cap, sizeof *w->records);

        if (p == NULL) return PARE_NOMEM(d);
        w->records = p;
        w->cap_records = cap;
    }
    w->records[w->n_records++] = r;
    return PARE_OK;
}

int pare_journal_read(struct pare_writer *w, struct pare_diag *d)
{
    uint8_t *data;
    size_t   len, pos = 0;
    int      rc = PARE_OK;

    PARE_FORWARD(pare_read_file(w->journal, PARE_MAX_JOURNAL, &data, &len, d));
    while (pos < len && rc == PARE_OK) { /* up to the first line that is not whole: what follows it was never promised */
        char  *line = (char *)data + pos, *nl = memchr(line, '\n', len - pos);
        size_t n;

        if (nl == NULL) break;
        *nl = '\0';
        n = (size_t)(nl - line);
        if (!line_is_whole(w, line, n)) break;
        if (pos == 0) {
            w->have_old = parse_head(w, line);
            if (!w->have_old) break;
        } else {
            rc = parse_record(w, line, pos, d);
            if (rc != PARE_OK) break;
        }
        pos += n + 1;
        w->log_len = pos;
    }
    pare_free(data);
    return rc < 0 ? rc : PARE_OK;
}
