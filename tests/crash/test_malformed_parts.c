/* SPDX-License-Identifier: Apache-2.0
 * tests/crash/test_malformed_parts.c: files whose "pare.parts" lies: about kinds, tensors, shapes, types (refused when opened), about the
 * numbers inside (refused when the weight is used). Each error names the tensor, and nothing is kept. */
#include "file_maker.h"

#include "base/mem.h"
#include "format/checkpoint.h"
#include "model/slot_parts.h"

#define C PARE_E_CORRUPT
#define U PARE_E_UNSUPPORTED
#define L PARE_E_LIMIT

enum { F32 = 0, F16 = 1, Q4_0 = 2, I8 = 24, I16 = 25, I32 = 26 }; /* GGUF's numbers */

/* Tensors of the base file, all f32 or whole numbers; ne is from the contiguous dimension outwards. */
static const struct { const char *name; int rank; uint64_t ne[2]; uint32_t type; } tensors[] = {
    { "w", 2, { 32, 17 }, F32 }, { "w.low_a", 2, { 4, 17 }, F16 }, { "w.low_b", 2, { 32, 4 }, F16 }, { "w.low_a2", 2, { 2, 17 }, F32 },
    { "w.low_b2", 2, { 32, 2 }, Q4_0 }, { "w.cols", 2, { 3, 17 }, F32 }, { "w.cols_idx", 1, { 3 }, I32 }, { "w.sparse_val", 2, { 16, 3 }, F32 },
    { "w.sparse_col", 2, { 16, 3 }, I16 }, { "w.sparse_at", 1, { 3 }, I32 }, { "w.const", 1, { 17 }, F32 }, { "w.in_scale", 1, { 32 }, F32 },
    { "w.in_perm", 1, { 32 }, I32 }, { "w.in_signs", 1, { 4 }, I8 }, { "v", 2, { 32, 5 }, F32 }, { "n", 2, { 16, 5 }, F32 }, { "e", 1, { 1 }, I8 },
    { "e.low_a", 2, { 2, 6 }, F32 }, { "e.low_b", 2, { 32, 2 }, F32 }, { "vec", 1, { 32 }, F32 },
};
#define N_TENSORS (sizeof tensors / sizeof *tensors)

#define W_PARTS "\"parts\":[{\"kind\":\"low_rank\"},{\"kind\":\"columns\"},{\"kind\":\"sparse\"},{\"kind\":\"const\",\"sum\":true},{\"kind\":\"low_rank\"}]"
#define W_INPUT "\"input\":[{\"op\":\"scale\"},{\"op\":\"permute\"},{\"op\":\"signs\"},{\"block\":16,\"op\":\"hadamard\"}]"
#define E_ENTRY "\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}],\"shape\":[6,32]}"
#define GOOD "{" E_ENTRY ",\"v\":{\"input\":\"w\"},\"w\":{" W_INPUT "," W_PARTS "}}"

static uint64_t bytes_of(size_t i)
{
    uint64_t n = tensors[i].ne[0] * (tensors[i].rank == 2 ? tensors[i].ne[1] : 1);

    switch (tensors[i].type) {
    case F16: case I16: return n * 2;
    case Q4_0: return n / 32 * 18;
    case I8: return n;
    default: return n * 4;
    }
}

/* The file with this text; numbers inside are good: columns ascend, a rotation of the channels, scales of 1. */
static struct maker make(const char *text)
{
    struct maker m = { 0 };
    uint64_t     at = 0;

    gguf_head(&m, N_TENSORS, 2);
    kv_text(&m, "general.architecture", "llama");
    kv_text(&m, "pare.parts", text);
    for (size_t i = 0; i < N_TENSORS; i++) {
        info(&m, tensors[i].name, tensors[i].rank, tensors[i].ne, tensors[i].type, at);
        at += (bytes_of(i) + 31) / 32 * 32;
    }
    pad(&m, 32);
    for (size_t i = 0; i < N_TENSORS; i++) {
        const char *name = tensors[i].name;
        bool        whole = tensors[i].type >= I8;

        char data[64];

        snprintf(data, sizeof data, "%s.data", name);
        label(&m, data, 0);
        for (uint64_t k = 0; k < bytes_of(i) / (whole || tensors[i].type == F32 ? (tensors[i].type == I8 ? 1 : tensors[i].type == I16 ? 2 : 4) : 1); k++) {
            if (strcmp(name, "w.in_perm") == 0) put_num(&m, (k + 5) % 32, 4);
            else if (strcmp(name, "w.sparse_at") == 0) put_num(&m, k == 0 ? 0 : k + 1, 4); /* 0, 2, 3 */
            else if (tensors[i].type == I32) put_num(&m, k * 2 + 1, 4);
            else if (tensors[i].type == I16) put_num(&m, k % 32, 2);
            else if (tensors[i].type == F32) put_num(&m, 0x3f800000u, 4);
            else put_num(&m, 0x30, 1);
        }
        pad(&m, 32);
    }
    return m;
}

static void refused(const char *name, const struct maker *m, int code, const char *where)
{
    struct pare_checkpoint *c = (void *)1;
    struct pare_diag        d;
    char                    text[1024];
    uint64_t                live = pare_mem_live();
    int                     rc;

    write_file(in_scratch("f"), m->p, m->n);
    pare_diag_clear(&d);
    rc = pare_checkpoint_open(&c, in_scratch("f"), &d);
    pare_diag_format(&d, text, sizeof text);
    if (rc != code || c != NULL) fail_msg("%s: code %d, expected %d: %s", name, rc, code, text);
    if (where != NULL && strcmp(d.where, where) != 0) fail_msg("%s: names \"%s\", expected \"%s\": %s", name, d.where, where, text);
    if (d.text[0] == '\0' || pare_mem_live() != live) fail_msg("%s: no text, or a leak: %s", name, text);
}

/* What the text may not say. */
static void texts(void **state)
{
    static const struct { const char *text; int code; const char *where; } cases[] = {
        { "[", C, "pare.parts" }, { "[]", C, "pare.parts" }, { "{\"x\":{}}", C, "pare.parts" }, { "{\"w\":1}", C, "w" },
        { "{\"w\":{\"parts\":{}}}", C, "w" }, { "{\"w\":{\"parts\":[1]}}", C, "w" }, { "{\"w\":{\"parts\":[{}]}}", C, "w" },
        { "{\"w\":{\"parts\":[{\"kind\":7}]}}", C, "w" }, { "{\"w\":{\"parts\":[{\"kind\":\"wavelet\"}]}}", U, "w" },
        { "{\"v\":{\"parts\":[{\"kind\":\"low_rank\"}]}}", C, "v" }, { "{\"v\":{\"parts\":[{\"kind\":\"columns\"}]}}", C, "v" },
        { "{\"v\":{\"parts\":[{\"kind\":\"sparse\"}]}}", C, "v" }, { "{\"v\":{\"parts\":[{\"kind\":\"const\"}]}}", C, "v" },
        { "{\"w\":{\"parts\":[{\"kind\":\"columns\"},{\"kind\":\"columns\"}]}}", C, "w" }, /* the second wants w.cols2 */
        { "{\"w\":{\"parts\":[{\"kind\":\"const\",\"sum\":1}]}}", C, "w" },
        { "{\"w\":{\"input\":7}}", C, "w" }, { "{\"w\":{\"input\":[7]}}", C, "w" }, { "{\"w\":{\"input\":[{\"op\":\"whirl\"}]}}", U, "w" },
        { "{\"w\":{\"input\":[{\"op\":\"hadamard\"}]}}", C, "w" }, { "{\"w\":{\"input\":[{\"block\":0,\"op\":\"hadamard\"}]}}", C, "w" },
        { "{\"w\":{\"input\":[{\"block\":-16,\"op\":\"hadamard\"}]}}", C, "w" }, { "{\"w\":{\"input\":[{\"block\":12,\"op\":\"hadamard\"}]}}", C, "w" },
        { "{\"w\":{\"input\":[{\"block\":64,\"op\":\"hadamard\"}]}}", C, "w" }, { "{\"w\":{\"input\":[{\"block\":\"16\",\"op\":\"hadamard\"}]}}", C, "w" },
        { "{\"v\":{\"input\":[{\"op\":\"scale\"}]}}", C, "v" }, { "{\"w\":{\"input\":[{\"op\":\"scale\"},{\"op\":\"scale\"}]}}", C, "w" },
        { "{\"v\":{\"input\":\"w\"}}", C, "v" }, { "{\"v\":{\"input\":\"nobody\"},\"w\":{" W_INPUT "}}", C, "v" }, { "{\"v\":{\"input\":\"v\"}}", C, "v" },
        { "{\"n\":{\"input\":\"w\"},\"w\":{" W_INPUT "}}", C, "n" }, { "{\"n\":{\"input\":\"v\"},\"v\":{\"input\":\"w\"},\"w\":{" W_INPUT "}}", C, "n" },
        { "{\"vec\":{\"parts\":[]}}", C, "vec" }, { "{\"w.cols_idx\":{}}", C, "w.cols_idx" },
        { "{\"w\":{" W_PARTS "},\"w.cols\":{\"input\":[]}}", C, "w.cols" },
        { "{\"w\":{\"base\":0}}", C, "w" }, { "{\"w\":{\"base\":false,\"shape\":[17,32]," W_PARTS "}}", C, "w" }, { "{\"e\":{}}", C, "e" },
        { "{\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}]}}", C, "e" }, { "{\"e\":{\"base\":false,\"shape\":[6,32]}}", C, "e" },
        { "{\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}],\"shape\":[6,32,1]}}", C, "e" },
        { "{\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}],\"shape\":[6,\"32\"]}}", C, "e" },
        { "{\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}],\"shape\":[6,0]}}", C, "e" },
        { "{\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}],\"shape\":[6,4294967296]}}", C, "e" },
        { "{\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}],\"shape\":[7,32]}}", C, "e.low_a" },
        { "{\"e\":{\"base\":false,\"parts\":[{\"kind\":\"low_rank\"}],\"shape\":[6,64]}}", C, "e.low_b" },
        { "{\"w\":{\"input\":[{\"block\":16,\"op\":\"hadamard\"},{\"block\":16,\"op\":\"hadamard\"},{\"block\":16,\"op\":\"hadamard\"},"
          "{\"block\":16,\"op\":\"hadamard\"},{\"block\":16,\"op\":\"hadamard\"},{\"block\":16,\"op\":\"hadamard\"},{\"block\":16,\"op\":\"hadamard\"},"
          "{\"block\":16,\"op\":\"hadamard\"},{\"block\":16,\"op\":\"hadamard\"}]}}", L, "w" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maker m = make(cases[i].text);
        refused(cases[i].text, &m, cases[i].code, cases[i].where);
        free_maker(&m);
    }
}

/* What the tensors may not be. Sizes only shrink, so that the file stays whole. */
static void shapes(void **state)
{
    static const struct { const char *field; uint64_t value; const char *where; } cases[] = {
        { "w.low_a.ne0", 3, "w.low_a" }, { "w.low_a.ne1", 16, "w.low_a" }, { "w.low_b.ne1", 3, "w.low_a" }, { "w.low_b.ne0", 16, "w.low_b" },
        { "w.low_a.type", I16, "w.low_a" }, { "w.low_b2.type", I8, "w.low_b2" }, { "w.cols.ne1", 16, "w.cols" }, { "w.cols.ne0", 2, "w.cols_idx" },
        { "w.cols_idx.ne0", 2, "w.cols_idx" }, { "w.cols_idx.type", F32, "w.cols_idx" }, { "w.cols_idx.type", I16, "w.cols_idx" },
        { "w.sparse_val.ne1", 2, "w.sparse_col" }, { "w.sparse_val.ne0", 8, "w.sparse_val" }, { "w.sparse_val.type", I16, "w.sparse_val" },
        { "w.sparse_col.ne0", 15, "w.sparse_col" }, { "w.sparse_col.type", I8, "w.sparse_col" }, { "w.sparse_at.ne0", 2, "w.sparse_at" },
        { "w.sparse_at.type", I8, "w.sparse_at" }, { "w.const.ne0", 16, "w.const" }, { "w.const.type", F16, "w.const" }, { "w.in_scale.ne0", 31, "w.in_scale" },
        { "w.in_scale.type", I32, "w.in_scale" }, { "w.in_perm.ne0", 31, "w.in_perm" }, { "w.in_perm.type", F32, "w.in_perm" }, { "w.in_signs.ne0", 3, "w.in_signs" },
        { "w.ne1", 16, "w.low_a" }, { "w.ne0", 16, "w.low_b" }, { "w.type", I32, "w" }, { "e.type", F32, "e" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maker       m = make(GOOD);
        const struct mark *f = find_mark(&m, cases[i].field);

        for (int k = 0; k < f->width; k++) m.p[f->at + (size_t)k] = (uint8_t)(cases[i].value >> (8 * k));
        refused(cases[i].field, &m, C, cases[i].where);
        free_maker(&m);
    }
}

/* The formula of weight `name` in a file; what it says of the numbers. */
static int formula(const char *name, struct pare_diag *d)
{
    struct pare_checkpoint *c;
    struct pare_formula     f;
    struct pare_transform  *own;
    struct pare_slot        s = { .order = PARE_ROWS_PLAIN };
    float                   w[17 * 32];
    int                     rc;

    if (pare_checkpoint_open(&c, in_scratch("f"), d) != 0) fail_msg("%s", d->text);
    assert_int_equal(pare_weight_find(&s.weight, c, name, d), 0);
    s.rows = s.weight.rows;
    s.cols = s.weight.cols;
    snprintf(s.source, sizeof s.source, "%s", name);
    rc = pare_slot_formula(&s, &f, &own, NULL, d);
    if (rc == 0) { /* it can be expanded and bound then */
        struct pare_linear l = { 0 };

        assert_int_equal(pare_formula_expand(&f, 0, s.rows, w, NULL, d), 0);
        assert_int_equal(pare_slot_rows(&s, 0, s.rows, w, d), pare_formula_has_bias(&f) ? U : 0); /* a bias is no matrix */
        pare_diag_clear(d);
        if (pare_formula_bind(&f, &l, PARE_ACT_INT8, NULL, d) != 0) fail_msg("%s: %s", d->where, d->text);
        pare_linear_free(&l);
    }
    pare_transform_destroy(&own);
    pare_checkpoint_close(&c);
    return rc;
}

static void numbers(void **state)
{
    static const struct { const char *tensor; uint32_t at, width, value; } cases[] = {
        { "w.cols_idx", 1, 4, 32 }, { "w.cols_idx", 2, 4, 0xffffffffu }, { "w.sparse_col", 20, 2, 32 }, { "w.sparse_col", 47, 2, 0xffff },
        { "w.sparse_at", 0, 4, 1 }, { "w.sparse_at", 1, 4, 4 }, { "w.sparse_at", 2, 4, 2 }, { "w.sparse_at", 2, 4, 0xffffffffu }, { "w.const", 3, 4, 0x7fc00000u },
        { "w.in_scale", 3, 4, 0 }, { "w.in_scale", 31, 4, 0x7f800000u }, { "w.in_scale", 5, 4, 1 }, { "w.in_perm", 0, 4, 32 }, { "w.in_perm", 4, 4, 5 },
        { "w.in_perm", 9, 4, 0x80000005u },
    };
    struct maker good = make(GOOD);
    struct pare_diag d;
    uint64_t live = pare_mem_live();

    (void)state;
    write_file(in_scratch("f"), good.p, good.n);
    pare_diag_clear(&d);
    assert_int_equal(formula("w", &d), 0);
    assert_int_equal(formula("v", &d), 0);
    assert_int_equal(formula("e", &d), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct maker m = copy_of(&good);
        char         data[64];
        size_t       at;
        int          rc;

        snprintf(data, sizeof data, "%s.data", cases[i].tensor);
        at = find_mark(&m, data)->at + cases[i].at * cases[i].width;
        for (uint32_t k = 0; k < cases[i].width; k++) m.p[at + k] = (uint8_t)(cases[i].value >> (8 * k));
        write_file(in_scratch("f"), m.p, m.n);
        pare_diag_clear(&d);
        rc = formula("w", &d);
        /* what is wrong with slots is said of the columns, which are read with them */
        if (rc != C || strcmp(d.where, strcmp(cases[i].tensor, "w.sparse_at") == 0 ? "w.sparse_col" : cases[i].tensor) != 0)
            fail_msg("%s: code %d at \"%s\": %s", cases[i].tensor, rc, d.where, d.text);
        free_maker(&m);
    }
    free_maker(&good);
    assert_int_equal(pare_mem_live(), live);
}

/* Any byte of the text changed: opened or refused, never worse, and what opens can be used or is refused. */
static void any_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof GOOD - 1; i++)
        for (int k = 0; k < 3; k++) {
            static const char with[] = "9\"}";
            char                    text[sizeof GOOD];
            struct pare_checkpoint *c;
            struct pare_diag        d;
            struct maker            m;
            uint64_t                live = pare_mem_live();

            memcpy(text, GOOD, sizeof GOOD);
            text[i] = with[k];
            m = make(text);
            write_file(in_scratch("f"), m.p, m.n);
            free_maker(&m);
            pare_diag_clear(&d);
            if (pare_checkpoint_open(&c, in_scratch("f"), &d) == 0) {
                bool parts = pare_checkpoint_tensor(c, "w")->parts != NULL;

                pare_checkpoint_close(&c);
                if (parts) (void)formula("w", &d);
            }
            assert_int_equal(pare_mem_live(), live);
        }
}

static int teardown(void **state)
{
    (void)state;
    remove_scratch();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(numbers), cmocka_unit_test(texts), cmocka_unit_test(shapes), cmocka_unit_test(any_text) };

    return cmocka_run_group_tests(tests, NULL, teardown);
}
