/* SPDX-License-Identifier: Apache-2.0
 * tests/crash/test_writer.c: what the writer makes reads back as it was given; killed after any system call it resumes to the
 * same bytes; a refused call leaves nothing under the final name; an input is never overwritten. */
#include "file_maker.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "base/outfile.h"
#include "base/rng.h"
#include "format/writer.h"

#define JOB 0x1234567890abcdefull

static bool exists(const char *name) { return access(in_scratch(name), F_OK) == 0; }

/* ---- a small job: metadata of every kind, tensors of several types ---------------------------------------------------- */

static const struct {
    const char    *name;
    enum pare_type type;
    uint32_t       n_dims;
    uint64_t       dims[6];
    bool           packed;
} job[] = {
    { "norm", PARE_F32, 1, { 40 }, false },         { "q4", PARE_Q4_0, 2, { 3, 64 }, false }, { "own", PARE_PQ3, 2, { 5, 50 }, false },
    { "half", PARE_F16, 3, { 2, 3, 5 }, false }, { "five", PARE_F32, 5, { 2, 1, 3, 2, 4 }, false }, { "bytes", PARE_U8, 2, { 2, 9 }, false },
    { "scalar", PARE_F32, 0, { 0 }, false }, { "panels", PARE_Q4_K, 2, { 17, 256 }, true }, { "cube", PARE_PQ3, 3, { 2, 3, 40 }, true },
};
#define N_JOB (sizeof job / sizeof *job)

static uint64_t bytes_of(size_t i)
{
    uint64_t rows = 1, cols = 1, n;

    for (uint32_t k = 0; k + 1 < job[i].n_dims; k++) rows *= job[i].dims[k];
    if (job[i].n_dims != 0) cols = job[i].dims[job[i].n_dims - 1];
    if (job[i].packed) {
        struct pare_packed p;

        assert_true(pare_packed_shape(&p, pare_dtype_of(job[i].type), rows, cols));
        return pare_packed_bytes(&p);
    }
    assert_true(pare_dtype_bytes(pare_dtype_of(job[i].type), rows, cols, &n));
    return n;
}

/* Data of a tensor: a function of its number, so that any run can make it again. */
static uint8_t *data_of(size_t i)
{
    uint64_t n = bytes_of(i);
    uint8_t *p = malloc(n);

    assert_non_null(p);
    for (uint64_t k = 0; k < n; k++) p[k] = (uint8_t)pare_rng_u64(i + 1, PARE_RNG_TEST, k);
    return p;
}

static int add_metadata(struct pare_writer *w, struct pare_diag *d)
{
    static const float    f[3] = { 1, 2, 3 };
    const struct pare_str s[2] = { { "one", 3 }, { "", 0 } };
    int                   rc = pare_writer_kv_str(w, "general.architecture", "llama", 5, d);

    if (rc == 0) rc = pare_writer_kv_u32(w, "k.u32", 7, d);
    if (rc == 0) rc = pare_writer_kv_u64(w, "k.u64", UINT64_MAX, d);
    if (rc == 0) rc = pare_writer_kv_i32(w, "k.i32", -7, d);
    if (rc == 0) rc = pare_writer_kv_f32(w, "k.f32", 0.5f, d);
    if (rc == 0) rc = pare_writer_kv_bool(w, "k.bool", true, d);
    if (rc == 0) rc = pare_writer_kv_array(w, "k.floats", PARE_KV_F32, f, 3, d);
    if (rc == 0) rc = pare_writer_kv_strs(w, "k.strs", s, 2, d);
    return rc;
}

/* Runs or resumes the job. made: how many tensors were made this time. */
static int run_job(const char *path, bool resume, unsigned *made, bool keep, struct pare_diag *d)
{
    struct pare_writer_settings s = { .path = path, .job_hash = JOB, .resume = resume };
    struct pare_writer         *w = NULL;
    int                         rc = pare_writer_create(&w, &s, d);

    *made = 0;
    if (rc < 0) return rc;
    rc = add_metadata(w, d);
    for (size_t i = 0; i < N_JOB && rc == 0; i++)
        rc = (job[i].packed ? pare_writer_declare_packed : pare_writer_declare)(w, job[i].name, pare_dtype_of(job[i].type), job[i].n_dims,
                                                                                job[i].dims, d);
    if (rc == 0) rc = pare_writer_layout(w, d);
    for (size_t i = 0; i < N_JOB && rc == 0; i++) {
        uint64_t n = bytes_of(i);
        uint8_t *p;

        if (pare_writer_done(w, i)) continue;
        p = data_of(i);
        ++*made;
        rc = pare_writer_data(w, i, p, n / 2, d); /* in two pieces */
        if (rc == 0) rc = pare_writer_data(w, i, p + n / 2, n - n / 2, d);
        free(p);
    }
    if (rc == 0) rc = pare_writer_finish(w, d);
    pare_writer_close(&w, keep);
    return rc;
}

static void expect_same(const char *name, const uint8_t *want, size_t n)
{
    size_t   m;
    uint8_t *got = read_whole(in_scratch(name), &m);

    assert_int_equal(m, n);
    assert_memory_equal(got, want, n);
    free(got);
}

/* ---- round trip ------------------------------------------------------------------------------------------------------ */

static void test_round_trip(void **state)
{
    struct pare_diag        d = { 0 };
    struct pare_checkpoint *c;
    struct pare_weight      w;
    struct pare_str         str;
    unsigned                made;
    int64_t                 n;
    double                  r;
    bool                    b;

    (void)state;
    assert_int_equal(run_job(in_scratch("out"), false, &made, false, &d), 0);
    assert_false(exists("out.part") || exists("out.journal"));
    assert_int_equal(pare_checkpoint_open(&c, in_scratch("out"), &d), 0);
    assert_int_equal(c->n_tensors, N_JOB);
    for (size_t i = 0; i < N_JOB; i++) {
        const struct pare_tensor *t = pare_checkpoint_tensor(c, job[i].name);
        uint8_t                  *p = data_of(i);

        assert_ptr_equal(t, &c->tensors[i]);
        assert_ptr_equal(t->type, pare_dtype_of(job[i].type));
        assert_int_equal(t->n_dims, job[i].n_dims);
        if (t->n_dims != 0) assert_memory_equal(t->dims, job[i].dims, t->n_dims * sizeof *t->dims);
        assert_int_equal(t->bytes, bytes_of(i));
        assert_int_equal(t->offset % 32, 0);
        assert_memory_equal(t->data, p, t->bytes);
        assert_int_equal(pare_weight_find(&w, c, job[i].name, &d), 0);
        assert_int_equal(t->packed, job[i].packed ? PARE_PACK_LAYOUT : 0);
        assert_int_equal(w.data == NULL, job[i].packed);
        assert_int_equal(job[i].packed ? pare_packed_bytes(&w.panels) : w.rows * w.row_bytes, t->bytes);
        free(p);
    }
    assert_int_equal(pare_kv_int(c, "k.u32", 0, 10, 0, &n, &d), 0);
    assert_int_equal(n, 7);
    assert_int_equal(pare_kv_int(c, "k.i32", -10, 10, 0, &n, &d), 0);
    assert_int_equal(n, -7);
    assert_int_equal(pare_kv_real(c, "k.f32", 0, &r, &d), 0);
    assert_true(r == 0.5);
    assert_int_equal(pare_kv_bool(c, "k.bool", false, &b, &d), 0);
    assert_true(b);
    assert_true(pare_kv_elem_real(pare_kv_find(c, "k.floats"), 2, &r) && r == 3);
    assert_true(pare_kv_elem_str(pare_kv_find(c, "k.strs"), 0, &str) && str.len == 3 && memcmp(str.s, "one", 3) == 0);
    assert_int_equal(pare_kv_find(c, "k.u64")->type, PARE_KV_U64);
    pare_checkpoint_close(&c);
}

/* Every type that can be written, encoded from the same values, decodes to what its row decodes to in memory. */
static void test_all_types(void **state)
{
    struct pare_diag            d = { 0 };
    struct pare_writer_settings s = { .path = in_scratch("types") };
    struct pare_writer         *w;
    struct pare_checkpoint     *c;
    float                       row[256], want[256], got[256];
    uint64_t                    dims[2] = { 1, 256 }, k = 0, n;

    (void)state;
    for (int i = 0; i < 256; i++) row[i] = pare_rng_normal(3, PARE_RNG_TEST, (uint64_t)i);
    assert_int_equal(pare_writer_create(&w, &s, &d), 0);
    for (int t = 0; t < PARE_TYPE_COUNT; t++)
        if (pare_dtype_of(t)->caps & PARE_DT_WRITE) assert_int_equal(pare_writer_declare(w, pare_dtype_of(t)->name, pare_dtype_of(t), 2, dims, &d), 0);
    assert_int_equal(pare_writer_layout(w, &d), 0);
    for (int t = 0; t < PARE_TYPE_COUNT; t++) {
        uint8_t *enc;

        if (!(pare_dtype_of(t)->caps & PARE_DT_WRITE)) continue;
        assert_true(pare_dtype_bytes(pare_dtype_of(t), 1, 256, &n));
        enc = malloc(n);
        assert_non_null(enc);
        pare_dtype_of(t)->encode(enc, row, 256, NULL);
        assert_int_equal(pare_writer_data(w, k++, enc, n, &d), 0);
        free(enc);
    }
    assert_int_equal(pare_writer_finish(w, &d), 0);
    pare_writer_close(&w, false);
    assert_true(k > 10);
    assert_int_equal(pare_checkpoint_open(&c, in_scratch("types"), &d), 0);
    for (k = 0; k < c->n_tensors; k++) {
        struct pare_weight v;
        uint8_t           *enc = malloc(c->tensors[k].bytes);

        assert_non_null(enc);
        assert_string_equal(c->tensors[k].type->name, c->tensors[k].name);
        c->tensors[k].type->encode(enc, row, 256, NULL);
        c->tensors[k].type->decode(want, enc, 256);
        assert_int_equal(pare_weight_find(&v, c, c->tensors[k].name, &d), 0);
        assert_int_equal(pare_weight_rows(&v, 0, 1, got, &d), 0);
        assert_memory_equal(got, want, sizeof want);
        free(enc);
    }
    pare_checkpoint_close(&c);
}

/* Metadata of another file, copied record by record, is the same record by record; what describes that file's layout stays. */
static void test_copy_metadata(void **state)
{
    struct maker                m = base_gguf();
    struct pare_diag            d = { 0 };
    struct pare_writer_settings s = { .path = in_scratch("copy") };
    struct pare_writer         *w;
    struct pare_checkpoint     *a, *b;

    (void)state;
    write_file(in_scratch("base"), m.p, m.n);
    free_maker(&m);
    assert_int_equal(pare_checkpoint_open(&a, in_scratch("base"), &d), 0);
    assert_int_equal(pare_writer_create(&w, &s, &d), 0);
    for (uint64_t i = 0; i < a->n_kv; i++) assert_int_equal(pare_writer_kv_copy(w, &a->kv[i], &d), 0);
    assert_int_equal(pare_writer_layout(w, &d), 0);
    assert_int_equal(pare_writer_finish(w, &d), 0);
    pare_writer_close(&w, false);
    assert_int_equal(pare_checkpoint_open(&b, in_scratch("copy"), &d), 0);
    assert_int_equal(b->n_kv, a->n_kv - 1); /* without pare.tensors */
    for (uint64_t i = 0; i < b->n_kv; i++) {
        assert_string_equal(a->kv[i].key, b->kv[i].key);
        assert_int_equal(a->kv[i].type, b->kv[i].type);
        assert_int_equal(a->kv[i].count, b->kv[i].count);
        assert_int_equal(a->kv[i].bytes, b->kv[i].bytes);
        assert_memory_equal(a->kv[i].data, b->kv[i].data, a->kv[i].bytes);
    }
    pare_checkpoint_close(&a);
    pare_checkpoint_close(&b);
}

/* ---- kills ----------------------------------------------------------------------------------------------------------- */

static bool killed_after(const char *path, uint64_t n)
{
    int   status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct pare_diag d = { 0 };
        unsigned         made;

        pare_writer_kill_after(n);
        _exit(run_job(path, true, &made, true, &d) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static void start_clean(const char *name)
{
    char path[600];

    unlink(in_scratch(name));
    snprintf(path, sizeof path, "%s.part", in_scratch(name));
    unlink(path);
    snprintf(path, sizeof path, "%s.journal", in_scratch(name));
    unlink(path);
}

static unsigned journal_lines(const char *name)
{
    size_t   n = 0, lines = 0;
    uint8_t *p;

    if (!exists(name)) return 0;
    p = read_whole(in_scratch(name), &n);
    for (size_t i = 0; i < n; i++) lines += p[i] == '\n';
    free(p);
    return (unsigned)lines;
}

static void test_kill_everywhere(void **state)
{
    struct pare_diag d = { 0 };
    size_t           n;
    uint8_t         *want;
    unsigned         made, kills = 0;

    (void)state;
    start_clean("want");
    assert_int_equal(run_job(in_scratch("want"), false, &made, false, &d), 0);
    assert_int_equal(made, N_JOB);
    want = read_whole(in_scratch("want"), &n);
    for (uint64_t at = 1;; at++) {
        unsigned done;
        bool     was_there;

        start_clean("k");
        if (!killed_after(in_scratch("k"), at)) break; /* the job ended before */
        kills++;
        was_there = exists("k");
        if (was_there) expect_same("k", want, n); /* under the final name: whole, or nothing */
        if (was_there && !exists("k.journal")) continue; /* all was done */
        done = journal_lines("k.journal");
        pare_diag_clear(&d);
        if (run_job(in_scratch("k"), true, &made, true, &d) != 0) fail_msg("after kill %llu: %s", (unsigned long long)at, d.text);
        expect_same("k", want, n);
        if (done > 0 && made + done - 1 > N_JOB) fail_msg("after kill %llu: %u tensors journalled, %u made again", (unsigned long long)at, done - 1, made);
        assert_false(exists("k.part") || exists("k.journal"));
    }
    print_message("%u kills\n", kills);
    assert_true(kills > 4 * N_JOB);
    free(want);
}

/* Killed again and again, a few calls further each time. */
static void test_kill_again_and_again(void **state)
{
    struct pare_diag d = { 0 };
    size_t           n;
    unsigned         made;
    uint8_t         *want = read_whole(in_scratch("want"), &n);

    (void)state;
    for (uint64_t step = 8; step < 20; step++) { /* fewer calls than that do not complete a tensor */
        int rounds = 0;

        start_clean("k");
        while (killed_after(in_scratch("k"), step) && exists("k.journal") && rounds < 100) rounds++;
        assert_true(rounds < 100);
        if (exists("k.journal")) assert_int_equal(run_job(in_scratch("k"), true, &made, true, &d), 0);
        expect_same("k", want, n);
    }
    free(want);
}

/* A journal cut or damaged at any byte costs work, never correctness. */
static void test_damaged_journal(void **state)
{
    struct pare_diag d = { 0 };
    size_t           n, len, part_len;
    unsigned         made;
    uint8_t         *want = read_whole(in_scratch("want"), &n), *log, *part;
    uint64_t         at = 10;

    (void)state;
    do { /* until five tensors are journalled */
        start_clean("j");
        assert_true(killed_after(in_scratch("j"), at++));
    } while (journal_lines("j.journal") < 6);
    log = read_whole(in_scratch("j.journal"), &len);
    part = read_whole(in_scratch("j.part"), &part_len);
    for (size_t i = 0; i < 2 * len; i++) {
        write_file(in_scratch("j.part"), part, part_len);
        if (i < len) {
            write_file(in_scratch("j.journal"), log, i);
        } else {
            log[i - len] ^= 0x11;
            write_file(in_scratch("j.journal"), log, len);
            log[i - len] ^= 0x11;
        }
        pare_diag_clear(&d);
        assert_int_equal(run_job(in_scratch("j"), true, &made, true, &d), 0);
        expect_same("j", want, n);
        unlink(in_scratch("j"));
    }
    /* data that the last line promises and the disk lost */
    write_file(in_scratch("j.journal"), log, len);
    memset(part + 1200, 0, part_len - 1200);
    write_file(in_scratch("j.part"), part, part_len);
    assert_int_equal(run_job(in_scratch("j"), true, &made, true, &d), 0);
    expect_same("j", want, n);
    free(log);
    free(part);
    free(want);
}

static void test_other_job_is_discarded(void **state)
{
    struct pare_diag            d = { 0 };
    struct pare_writer_settings s = { .path = in_scratch("o"), .job_hash = JOB + 1, .resume = true };
    struct pare_writer         *w;

    (void)state;
    start_clean("o");
    assert_true(killed_after(in_scratch("o"), 30));
    assert_true(journal_lines("o.journal") > 1);
    assert_int_equal(pare_writer_create(&w, &s, &d), 0);
    assert_int_equal(add_metadata(w, &d), 0);
    for (size_t i = 0; i < N_JOB; i++)
        assert_int_equal(pare_writer_declare(w, job[i].name, pare_dtype_of(job[i].type), job[i].n_dims, job[i].dims, &d), 0);
    assert_int_equal(pare_writer_layout(w, &d), 0);
    for (size_t i = 0; i < N_JOB; i++) assert_false(pare_writer_done(w, i));
    pare_writer_close(&w, false);
    assert_false(exists("o") || exists("o.part") || exists("o.journal"));
}

/* ---- faults ---------------------------------------------------------------------------------------------------------- */

static void test_faults(void **state)
{
    static const int errors[] = { EIO, ENOSPC, EDQUOT, EINTR, 0 };
    struct pare_diag d;
    size_t           n;
    unsigned         made, faults = 0;
    uint8_t         *want = read_whole(in_scratch("want"), &n);

    (void)state;
    for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
        for (uint64_t at = 1; at < 100; at++) {
            uint64_t live = pare_mem_live();
            int      rc;

            start_clean("f");
            pare_diag_clear(&d);
            pare_out_fail_after(at, errors[e]);
            rc = run_job(in_scratch("f"), true, &made, true, &d);
            pare_out_fail_after(0, 0);
            assert_int_equal(pare_mem_live(), live);
            if (rc == 0) {
                expect_same("f", want, n);
                continue;
            }
            faults++;
            assert_true(rc == (errors[e] == ENOSPC || errors[e] == EDQUOT ? PARE_E_NOSPACE : PARE_E_IO));
            assert_true(d.text[0] != '\0' && d.file[0] != '\0');
            if (exists("f")) expect_same("f", want, n); /* after the rename: whole */
            pare_diag_clear(&d);
            if (exists("f.journal")) assert_int_equal(run_job(in_scratch("f"), true, &made, true, &d), 0);
            if (exists("f")) expect_same("f", want, n);
        }
    }
    print_message("%u faults\n", faults);
    assert_true(faults > 3 * 30);
    free(want);
}

/* A file may not become larger than a limit: the room is asked for before any work. */
static void test_no_room(void **state)
{
    struct pare_diag d = { 0 };
    struct rlimit    old, small;
    unsigned         made;

    (void)state;
    start_clean("n");
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 1000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(run_job(in_scratch("n"), false, &made, false, &d), PARE_E_NOSPACE);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(made, 0);
    assert_false(exists("n") || exists("n.part") || exists("n.journal"));
}

static void test_no_memory(void **state)
{
    size_t   n;
    uint8_t *want = read_whole(in_scratch("want"), &n);

    (void)state;
    for (uint64_t at = 1;; at++) {
        struct pare_diag d = { 0 };
        uint64_t         live = pare_mem_live();
        unsigned         made;
        int              rc;

        start_clean("m");
        pare_mem_fail_after(at);
        rc = run_job(in_scratch("m"), false, &made, false, &d);
        pare_mem_fail_after(0);
        assert_int_equal(pare_mem_live(), live);
        if (rc == 0) break;
        assert_int_equal(rc, PARE_E_NOMEM);
        assert_false(exists("m.part"));
    }
    expect_same("m", want, n);
    free(want);
}

/* ---- inputs are sacred ------------------------------------------------------------------------------------------------ */

static void try_onto(const char *path, const char *input, int code)
{
    struct pare_diag            d = { 0 };
    const char                 *inputs[] = { input };
    struct pare_writer_settings s = { .path = path, .inputs = inputs, .n_inputs = 1 };
    struct pare_writer         *w = NULL;

    assert_int_equal(pare_writer_create(&w, &s, &d), code);
    assert_null(w);
    assert_true(d.text[0] != '\0');
}

static void test_onto_an_input(void **state)
{
    char    in[512], alias[512];
    uint8_t before[64];

    (void)state;
    memset(before, 0x5a, sizeof before);
    snprintf(in, sizeof in, "%s", in_scratch("input"));
    write_file(in, before, sizeof before);
    try_onto(in, in, PARE_E_USAGE);
    snprintf(alias, sizeof alias, "%s/../%s/input", scratch(), strrchr(scratch(), '/') + 1);
    try_onto(alias, in, PARE_E_USAGE);
    snprintf(alias, sizeof alias, "%s", in_scratch("alias"));
    assert_int_equal(symlink(in, alias), 0);
    try_onto(alias, in, PARE_E_USAGE);
    unlink(alias);
    assert_int_equal(link(in, alias), 0);
    try_onto(alias, in, PARE_E_USAGE);
    unlink(alias);
    snprintf(alias, sizeof alias, "%s", in_scratch("x.part")); /* the temporary name is an input */
    assert_int_equal(link(in, alias), 0);
    try_onto(in_scratch("x"), in, PARE_E_USAGE);
    unlink(alias);
    try_onto(scratch(), in, PARE_E_IO);
    try_onto(in_scratch("no/such/folder"), in, PARE_E_IO);
    expect_same("input", before, sizeof before);
}

/* A symbolic link under the temporary names must not lead the writer to another file. */
static void test_planted_links(void **state)
{
    struct pare_diag d = { 0 };
    uint8_t          before[64];
    unsigned         made;
    char             in[512];

    (void)state;
    memset(before, 0x5a, sizeof before);
    snprintf(in, sizeof in, "%s", in_scratch("input"));
    start_clean("p");
    assert_int_equal(symlink(in, in_scratch("p.part")), 0);
    assert_int_equal(run_job(in_scratch("p"), false, &made, false, &d), 0);
    expect_same("input", before, sizeof before);
    start_clean("p");
    assert_int_equal(symlink(in, in_scratch("p.journal")), 0);
    assert_int_equal(run_job(in_scratch("p"), false, &made, false, &d), PARE_E_IO);
    expect_same("input", before, sizeof before);
    start_clean("p");
}

static void test_two_writers(void **state)
{
    struct pare_diag            d = { 0 };
    struct pare_writer_settings s = { .path = in_scratch("two"), .resume = true };
    struct pare_writer         *a, *b = NULL;

    (void)state;
    assert_int_equal(pare_writer_create(&a, &s, &d), 0);
    assert_int_equal(pare_writer_create(&b, &s, &d), PARE_E_IO);
    assert_null(b);
    assert_true(exists("two.journal"));
    pare_writer_close(&a, false);
}

/* ---- wrong use that can come from data ---------------------------------------------------------------------------------- */

static void test_refused_calls(void **state)
{
    struct pare_writer_settings s = { .path = in_scratch("r") };
    const struct pare_dtype    *f32 = pare_dtype_of(PARE_F32), *q4 = pare_dtype_of(PARE_Q4_0);
    struct pare_writer         *w;
    struct pare_diag            d = { 0 };
    uint8_t                     zeros[64] = { 0 };

    (void)state;
    assert_int_equal(pare_writer_create(&w, &s, &d), 0);
    assert_int_equal(pare_writer_kv_u32(w, "a", 1, &d), 0);
    assert_int_equal(pare_writer_kv_u32(w, "a", 1, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_kv_u32(w, "", 1, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_kv_u32(w, "\xff", 1, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_kv_str(w, "pare.tensors", "{}", 2, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_kv_u32(w, "general.alignment", 24, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_kv_str(w, "general.alignment", "32", 2, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_kv_array(w, "b", PARE_KV_STRING, zeros, 1, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_declare(w, "t", f32, 1, (uint64_t[]){ 4 }, &d), 0);
    assert_int_equal(pare_writer_kv_u32(w, "late", 1, &d), PARE_E_USAGE);
    assert_int_equal(pare_writer_declare(w, "u", f32, 1, (uint64_t[]){ 4 }, &d), 0);
    assert_int_equal(pare_writer_layout(w, &d), 0);
    assert_int_equal(pare_writer_finish(w, &d), PARE_E_USAGE); /* no data yet */
    assert_int_equal(pare_writer_data(w, 0, zeros, 8, &d), 0);
    assert_int_equal(pare_writer_data(w, 1, zeros, 8, &d), PARE_E_USAGE);  /* another one is open */
    assert_int_equal(pare_writer_data(w, 0, zeros, 12, &d), PARE_E_USAGE); /* too much */
    assert_int_equal(pare_writer_data(w, 0, zeros, 8, &d), 0);
    assert_int_equal(pare_writer_data(w, 0, zeros, 8, &d), PARE_E_USAGE); /* complete */
    assert_int_equal(pare_writer_data(w, 1, zeros, 16, &d), 0);
    assert_int_equal(pare_writer_finish(w, &d), 0);
    pare_writer_close(&w, false);
    for (int i = 0; i < 5; i++) {
        int rc;

        s.path = in_scratch("r2");
        assert_int_equal(pare_writer_create(&w, &s, &d), 0);
        assert_int_equal(pare_writer_declare(w, "t", f32, 1, (uint64_t[]){ 4 }, &d), 0);
        rc = i == 0 ? pare_writer_declare(w, "t", f32, 1, (uint64_t[]){ 4 }, &d)
             : i == 1 ? pare_writer_declare(w, "e", f32, 2, (uint64_t[]){ 4, 0 }, &d)
             : i == 2 ? pare_writer_declare(w, "q", q4, 2, (uint64_t[]){ 4, 33 }, &d)
             : i == 3 ? pare_writer_declare(w, "big", f32, 2, (uint64_t[]){ 1ull << 40, 1ull << 40 }, &d)
                      : pare_writer_declare(w, "a\xff", f32, 1, (uint64_t[]){ 4 }, &d);
        assert_int_equal(rc, i == 0 || i == 4 ? PARE_E_USAGE : i == 1 ? PARE_E_UNSUPPORTED : PARE_E_CORRUPT);
        pare_writer_close(&w, false);
    }
    assert_false(exists("r2") || exists("r2.part") || exists("r2.journal"));
}

static int teardown(void **state)
{
    (void)state;
    remove_scratch();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),           cmocka_unit_test(test_all_types),
        cmocka_unit_test(test_copy_metadata),        cmocka_unit_test(test_kill_everywhere),
        cmocka_unit_test(test_kill_again_and_again), cmocka_unit_test(test_damaged_journal),
        cmocka_unit_test(test_other_job_is_discarded), cmocka_unit_test(test_faults),
        cmocka_unit_test(test_no_room),              cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_onto_an_input),        cmocka_unit_test(test_planted_links),
        cmocka_unit_test(test_two_writers),          cmocka_unit_test(test_refused_calls),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
