/* SPDX-License-Identifier: Apache-2.0
 * tests/crash/test_malformed.c: named malformed files, one broken field each, for every class of reliability.md section 4 that
 * concerns files. Each must be refused with its code, with the place named, without a leak and without taking memory. */
#include "file_maker.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "format/checkpoint.h"
#include "format/limits.h"

#define C PARE_E_CORRUPT
#define T PARE_E_TRUNCATED
#define U PARE_E_UNSUPPORTED
#define L PARE_E_LIMIT

static int n_cases;

/* Opens what must be refused. where: the tensor or key the error must name, or NULL; at: the byte, or 0 for any. */
static void refused(const char *name, const char *path, int code, const char *where, uint64_t at)
{
    struct pare_checkpoint *c = (void *)1;
    struct pare_diag        d;
    char                    text[1024];
    uint64_t                live = pare_mem_live();
    int                     rc;

    pare_diag_clear(&d);
    rc = pare_checkpoint_open(&c, path, &d);
    pare_diag_format(&d, text, sizeof text);
    if (rc != code || d.code != code) fail_msg("%s: code %d, expected %d: %s", name, rc, code, text);
    if (c != NULL) fail_msg("%s: a handle after failure", name);
    if (d.text[0] == '\0' || d.file[0] == '\0') fail_msg("%s: no text or no file: %s", name, text);
    if (d.where[0] == '\0' && d.offset == PARE_NO_OFFSET && code != PARE_E_IO) fail_msg("%s: neither key nor offset: %s", name, text);
    if (where != NULL && strcmp(d.where, where) != 0) fail_msg("%s: names \"%s\", expected \"%s\": %s", name, d.where, where, text);
    if (at != 0 && d.offset != at) fail_msg("%s: byte %llu, expected %llu: %s", name, (unsigned long long)d.offset, (unsigned long long)at, text);
    if (pare_mem_live() != live) fail_msg("%s: leaks", name);
    n_cases++;
}

static void accepted(const char *name, const char *path)
{
    struct pare_checkpoint *c;
    struct pare_diag        d = { 0 };

    if (pare_checkpoint_open(&c, path, &d) != 0) fail_msg("%s: %s", name, d.text);
    pare_checkpoint_close(&c);
}

static void refused_bytes(const char *name, const struct maker *m, int code, const char *where, uint64_t at)
{
    write_file(in_scratch("f"), m->p, m->n);
    refused(name, in_scratch("f"), code, where, at);
}

/* One field changed: a number, or text of the same length, or the file cut at the field. */
struct patch {
    const char *name, *field;
    uint64_t    value;
    const char *text;  /* NULL: value */
    int         code;
    const char *where; /* NULL: any */
};
#define CUT "\1cut"
#define NUL "\1nul" /* the second byte becomes 0 */

static void run_patches(struct maker (*make)(void), const struct patch *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct maker       m = make();
        const struct mark *f = find_mark(&m, p[i].field);

        if (p[i].text != NULL && strcmp(p[i].text, CUT) == 0) {
            m.n = f->at;
        } else if (p[i].text != NULL && strcmp(p[i].text, NUL) == 0) {
            m.p[f->at + 1] = 0;
        } else if (p[i].text != NULL) {
            memcpy(m.p + f->at, p[i].text, strlen(p[i].text));
        } else {
            assert_int_not_equal(f->width, 0);
            for (int k = 0; k < f->width; k++) m.p[f->at + (size_t)k] = (uint8_t)(p[i].value >> (8 * k));
        }
        refused_bytes(p[i].name, &m, p[i].code, p[i].where, 0);
        free_maker(&m);
    }
}

/* ---- GGUF ---------------------------------------------------------------------------------------------------------- */

static const struct patch gguf_cases[] = {
    { "version 0", "version", 0, NULL, U, NULL },
    { "version 1", "version", 1, NULL, U, NULL },
    { "version 4", "version", 4, NULL, U, NULL },
    { "big-endian version", "version", 0x03000000, NULL, U, NULL },
    { "tensor count beyond the file", "n_tensors", 1000, NULL, T, NULL },
    { "tensor count 2^63", "n_tensors", 1ull << 63, NULL, T, NULL },
    { "tensor count 2^64-1", "n_tensors", UINT64_MAX, NULL, T, NULL },
    { "tensor count such that count * record wraps", "n_tensors", UINT64_MAX / 24 + 2, NULL, T, NULL },
    { "one tensor more than there are", "n_tensors", 4, NULL, C, NULL },
    { "metadata count 2^64-1", "n_kv", UINT64_MAX, NULL, T, NULL },
    { "metadata count 2^61", "n_kv", 1ull << 61, NULL, T, NULL },
    { "one record fewer: records read as tensors", "n_kv", 16, NULL, C, NULL },
    { "key length 0", "a.u8.key.len", 0, NULL, C, NULL },
    { "key length beyond the file", "a.u8.key.len", 5000, NULL, T, NULL },
    { "key length 2^64-1", "a.u8.key.len", UINT64_MAX, NULL, T, NULL },
    { "key length 2^63", "a.u8.key.len", 1ull << 63, NULL, T, NULL },
    { "key with a zero byte", "a.u8.key", 0, NUL, C, NULL },
    { "tensor name with a zero byte", "t.f32.name", 0, NUL, C, NULL },
    { "key not UTF-8", "a.u8.key", 0, "a.\xff", C, NULL },
    { "key overlong UTF-8", "a.u8.key", 0, "a.\xc0\x80", C, NULL },
    { "two equal keys", "a.i8.key", 0, "a.u8", C, "a.u8" },
    { "value type 13", "a.u8.type", 13, NULL, C, "a.u8" },
    { "value type 2^32-1", "a.u8.type", UINT32_MAX, NULL, C, "a.u8" },
    { "bool of 2", "a.bool", 2, NULL, C, "a.bool" },
    { "bool in an array of 255", "a.bools", 0, "\xff", C, "a.bools" },
    { "string length 2^64-1", "general.architecture.len", UINT64_MAX, NULL, T, "general.architecture" },
    { "string length wraps the position", "general.architecture.len", UINT64_MAX - 40, NULL, T, "general.architecture" },
    { "array of arrays", "a.f32s.elem", 9, NULL, U, "a.f32s" },
    { "array of type 13", "a.f32s.elem", 13, NULL, C, "a.f32s" },
    { "array count beyond the file", "a.f32s.count", 100000, NULL, T, "a.f32s" },
    { "array count * 4 wraps", "a.f32s.count", (1ull << 62) + 1, NULL, T, "a.f32s" },
    { "array count 2^64-1", "a.f32s.count", UINT64_MAX, NULL, T, "a.f32s" },
    { "array of strings count 2^60", "a.strs.count", 1ull << 60, NULL, T, "a.strs" },
    { "array of strings with a string beyond the file", "a.strs.1.len", 1ull << 40, NULL, T, "a.strs" },
    { "array of u8 declared as f64", "a.bools.elem", 12, NULL, T, NULL },
    { "alignment of the wrong type", "general.alignment.type", 6, NULL, C, "general.alignment" },
    { "alignment signed", "general.alignment.type", 5, NULL, C, "general.alignment" },
    { "alignment 0", "general.alignment", 0, NULL, C, "general.alignment" },
    { "alignment 1", "general.alignment", 1, NULL, C, "general.alignment" },
    { "alignment 4", "general.alignment", 4, NULL, C, "general.alignment" },
    { "alignment 48", "general.alignment", 48, NULL, C, "general.alignment" },
    { "alignment 2^21", "general.alignment", 1u << 21, NULL, C, "general.alignment" },
    { "alignment 2^31", "general.alignment", 1u << 31, NULL, C, "general.alignment" },
    { "alignment 2^32-1", "general.alignment", UINT32_MAX, NULL, C, "general.alignment" },
    { "alignment 2^20 moves the data beyond the file", "general.alignment", 1u << 20, NULL, T, "t.f32" },
    { "tensor name length 0", "t.f32.name.len", 0, NULL, C, NULL },
    { "tensor name length 2^64-1", "t.f32.name.len", UINT64_MAX, NULL, T, NULL },
    { "tensor name not UTF-8", "t.f32.name", 0, "\xed\xa0\x80", C, NULL },
    { "tensor name a lone continuation byte", "t.f32.name", 0, "t\x80", C, NULL },
    { "two equal tensor names", "t.own.name", 0, "t.f32", C, "t.f32" },
    { "rank 5", "t.f32.rank", 5, NULL, C, "t.f32" },
    { "rank 2^32-1", "t.f32.rank", UINT32_MAX, NULL, C, "t.f32" },
    { "dimension 0", "t.f32.ne1", 0, NULL, C, "t.f32" },
    { "row of 0", "t.f32.ne0", 0, NULL, C, "t.f32" },
    { "dimension 2^63", "t.f32.ne1", 1ull << 63, NULL, C, "t.f32" },
    { "dimension 2^64-1 (minus one as signed)", "t.f32.ne1", UINT64_MAX, NULL, C, "t.f32" },
    { "elements wrap to a small number", "t.f32.ne1", (1ull << 61) + 1, NULL, C, "t.f32" },
    { "elements fit, bytes wrap", "t.f32.ne1", 1ull << 59, NULL, C, "t.f32" },
    { "tensor of 1 TB in a small file", "t.f32.ne1", 1ull << 35, NULL, T, "t.f32" },
    { "one row beyond the file", "t.own.ne1", 40, NULL, T, "t.own" },
    { "row no multiple of the block", "t.q4.ne0", 33, NULL, C, "t.q4" },
    { "type 4, removed long ago", "t.f32.type", 4, NULL, U, "t.f32" },
    { "type 31, removed", "t.f32.type", 31, NULL, U, "t.f32" },
    { "type 1000", "t.f32.type", 1000, NULL, U, "t.f32" },
    { "type 2^32-1", "t.f32.type", UINT32_MAX, NULL, U, "t.f32" },
    { "offset not aligned", "t.q4.offset", 130, NULL, C, "t.q4" },
    { "offset beyond the file", "t.q4.offset", 1u << 20, NULL, T, "t.q4" },
    { "offset at the end", "t.own.offset", 256, NULL, T, "t.own" },
    { "offset + start wraps", "t.q4.offset", UINT64_MAX - 31, NULL, C, "t.q4" },
    { "offset 2^63", "t.q4.offset", 1ull << 63, NULL, T, "t.q4" },
    { "tensors overlap", "t.q4.offset", 96, NULL, C, "t.q4" },
    { "tensors at the same place", "t.q4.offset", 0, NULL, C, NULL },
    { "own: text read as a number", "pare.tensors.type", 4, NULL, T, NULL },
    { "own: no JSON", "pare.tensors", 0, "[", C, "pare.tensors" },
    { "own: tensor not in the file", "pare.tensors", 0, "{\"t.owx", C, "pare.tensors" },
    { "own: unknown member instead of shape", "pare.tensors", 0, "{\"t.own\":{\"shapx", C, "t.own" },
    { "own: unknown type", "pare.tensors", 0, "{\"t.own\":{\"shape\":[2,2,7],\"type\":\"x8\"}}", U, "t.own" },
    { "own: shape does not give the rows", "pare.tensors", 0, "{\"t.own\":{\"shape\":[2,3,7]", C, "t.own" },
    { "own: shape does not give the row bytes", "pare.tensors", 0, "{\"t.own\":{\"shape\":[2,2,8]", C, "t.own" },
    { "own: zero in the shape", "pare.tensors", 0, "{\"t.own\":{\"shape\":[2,0,7]", C, "t.own" },
    { "own: text in the shape", "pare.tensors", 0, "{\"t.own\":{\"shape\":[\"2\",7]", C, "t.own" },
    { "own: stored as q4_0", "pare.tensors", 0, "{\"t.q4\" :", C, "t.q4" },
    { "own: entry of an f32 tensor contradicts", "pare.tensors", 0, "{\"t.f32\":{\"shape\":[2,2,7],\"type\":\"u8\"}}", C, "t.f32" },
    { "cut in the magic", "magic", 0, CUT, T, NULL },
    { "cut before the version", "version", 0, CUT, T, NULL },
    { "cut before the counts", "n_tensors", 0, CUT, T, NULL },
    { "cut in the metadata", "a.f32s", 0, CUT, T, NULL },
    { "cut in the tensor records", "t.q4.type", 0, CUT, T, NULL },
    { "cut after the header", "end", 0, CUT, T, NULL },
    { "cut at the data", "data", 0, CUT, T, NULL },
};

/* {"t.pk":{"packed":1,"shape":[17,64],"type":"q4_0"}}, an I8 tensor of 2 x 576 */
static const struct patch packed_cases[] = {
    { "packed: layout of the future", "pare.tensors", 0, "{\"t.pk\":{\"packed\":2", U, "t.pk" },
    { "packed: layout 0", "pare.tensors", 0, "{\"t.pk\":{\"packed\":0", U, "t.pk" },
    { "packed: text", "pare.tensors", 0, "{\"t.pk\":{\"packed\":\"\",\"shape\":[17,4],", C, "t.pk" },
    { "packed: another member, so bytes of rows", "pare.tensors", 0, "{\"t.pk\":{\"pakced\":1", C, "t.pk" },
    { "packed: one panel more", "pare.tensors", 0, "{\"t.pk\":{\"packed\":1,\"shape\":[33", C, "t.pk" },
    { "packed: one panel less", "pare.tensors", 0, "{\"t.pk\":{\"packed\":1,\"shape\":[16", C, "t.pk" },
    { "packed: wider", "pare.tensors", 0, "{\"t.pk\":{\"packed\":1,\"shape\":[17,96", C, "t.pk" },
    { "packed: no multiple of the block", "pare.tensors", 0, "{\"t.pk\":{\"packed\":1,\"shape\":[17,65", C, "t.pk" },
    { "packed: another type", "pare.tensors", 0, "{\"t.pk\":{\"packed\":1,\"shape\":[17,64],\"type\":\"q5_0\"}}", C, "t.pk" },
    { "packed: a type without panels", "pare.tensors", 0, "{\"t.pk\":{\"packed\":1,\"shape\":[17,64],\"type\":\"bool\"}}", C, "t.pk" },
    { "packed: unknown type", "pare.tensors", 0, "{\"t.pk\":{\"packed\":1,\"shape\":[17,64],\"type\":\"q4_9\"}}", U, "t.pk" },
    { "packed: stored with one panel", "t.pk.ne1", 1, NULL, C, "t.pk" },
    { "packed: stored with narrower panels", "t.pk.ne0", 512, NULL, C, "t.pk" },
    { "packed: stored as q4_0", "t.pk.type", 2, NULL, C, "t.pk" },
    { "packed: stored as f16", "t.pk.type", 1, NULL, T, "t.pk" },
    { "packed: stored with three panels", "t.pk.ne1", 3, NULL, T, "t.pk" },
    { "packed: cut in the panels", "data", 0, CUT, T, "t.pk" },
};

static void test_panels(void **state)
{
    struct maker m = packed_gguf();

    (void)state;
    write_file(in_scratch("f"), m.p, m.n);
    accepted("the base of the packed cases", in_scratch("f"));
    free_maker(&m);
    run_patches(packed_gguf, packed_cases, sizeof packed_cases / sizeof *packed_cases);
}

static void test_gguf(void **state)
{
    struct maker m = base_gguf();

    (void)state;
    write_file(in_scratch("f"), m.p, m.n);
    accepted("the base of the cases", in_scratch("f"));
    free_maker(&m);
    run_patches(base_gguf, gguf_cases, sizeof gguf_cases / sizeof *gguf_cases);
    gguf_head(&m, 0, 1);
    kv_num(&m, "pare.tensors", 4, 1, 4);
    refused_bytes("own: key is no string", &m, C, "pare.tensors", 0);
    free_maker(&m);
    gguf_head(&m, 0, 1);
    kv_num(&m, "split.count", 6, 0x40000000u, 4);
    refused_bytes("split count a float", &m, C, "split.count", 0);
    free_maker(&m);
    gguf_head(&m, 0, 1);
    kv_num(&m, "split.count", 10, UINT64_MAX, 8);
    refused_bytes("split count above 2^63", &m, C, "split.count", 0);
    free_maker(&m);
}

/* Cut at every byte before the data of the last tensor ends: always an error, and never one about something else. */
static void test_gguf_cut_everywhere(void **state)
{
    struct maker m = base_gguf();
    size_t       needed = find_mark(&m, "data")->at + 192 + 28;

    (void)state;
    for (size_t n = 0; n < needed; n++) {
        struct maker cut = m;

        cut.n = n;
        refused_bytes("cut", &cut, T, NULL, 0);
    }
    m.n = needed; /* padding after the last tensor may be missing */
    write_file(in_scratch("f"), m.p, m.n);
    accepted("without the last padding", in_scratch("f"));
    free_maker(&m);
}

/* Millions of promised things must not be paid for. Under a sanitizer the address space is not ours to limit. */
static void test_no_memory_for_promises(void **state)
{
    struct maker  m = base_gguf();
    struct rusage a, b;
    size_t        at = find_mark(&m, "a.strs.count")->at;

    (void)state;
    getrusage(RUSAGE_SELF, &a);
    for (int i = 0; i < 8; i++) m.p[at + (size_t)i] = (uint8_t)((1ull << 33) >> (8 * i));
    refused_bytes("2^33 strings", &m, T, "a.strs", 0);
    getrusage(RUSAGE_SELF, &b);
    assert_true(b.ru_maxrss - a.ru_maxrss < 64 * 1024);
    free_maker(&m);
}

/* ---- split GGUF ---------------------------------------------------------------------------------------------------- */

static void make_part(const char *name, uint64_t no, uint64_t count, int64_t total, const char *tensor)
{
    struct maker m = { 0 };

    gguf_head(&m, 1, total >= 0 ? 3 : 2);
    kv_num(&m, "split.no", 2, no, 2);
    kv_num(&m, "split.count", 2, count, 2);
    if (total >= 0) kv_num(&m, "split.tensors.count", 5, (uint64_t)total, 4);
    info(&m, tensor, 1, (uint64_t[]){ 8 }, 0, 0);
    pad(&m, 32);
    floats(&m, 8);
    write_file(in_scratch(name), m.p, m.n);
    free_maker(&m);
}

static void test_splits(void **state)
{
    const char *p1 = "s-00001-of-00002.gguf", *p2 = "s-00002-of-00002.gguf";
    char        a[512], b[512];

    (void)state;
    snprintf(a, sizeof a, "%s", in_scratch(p1));
    snprintf(b, sizeof b, "%s", in_scratch(p2));
    make_part(p1, 0, 2, 2, "a");
    refused("split: second part missing", a, PARE_E_IO, NULL, 0);
    make_part(p2, 1, 2, -1, "b");
    accepted("split", a);
    refused("split: opened at the second part", b, U, "split.no", 0);
    make_part(p2, 0, 2, -1, "b");
    refused("split: second part says it is the first", a, C, "split.no", 0);
    make_part(p2, 1, 3, -1, "b");
    refused("split: parts disagree about their number", a, C, "split.no", 0);
    make_part(p2, 1, 2, -1, "a");
    refused("split: one tensor in both parts", a, C, "a", 0);
    make_part(p2, 1, 2, -1, "b");
    make_part(p1, 0, 2, 3, "a");
    refused("split: total of tensors wrong", a, C, "split.tensors.count", 0);
    make_part(p1, 0, 2, 2, "a");
    unlink(b);
    assert_int_equal(symlink(a, b), 0);
    refused("split: second part is a link to the first", a, C, NULL, 0);
    unlink(b);
    assert_int_equal(link(a, b), 0);
    refused("split: second part is the first", a, C, NULL, 0);
    unlink(b);
    assert_int_equal(mkdir(b, 0700), 0);
    refused("split: second part is a folder", a, PARE_E_IO, NULL, 0);
    rmdir(b);
    write_file(b, "GGU", 3);
    refused("split: second part cut", a, T, NULL, 0);
    write_file(b, "{}{}{}{}{}{}{}{}{}{}", 20);
    refused("split: second part is something else", a, C, NULL, 0);
    make_part("name.gguf", 0, 2, -1, "a");
    refused("split: name without numbers", in_scratch("name.gguf"), C, "split.count", 0);
    make_part("x-00001-of-00002.gguf", 0, 3, -1, "a");
    refused("split: name and count disagree", in_scratch("x-00001-of-00002.gguf"), C, "split.count", 0);
    make_part("y-00001-of-65535.gguf", 0, 65535, -1, "a");
    refused("split: 65535 parts", in_scratch("y-00001-of-65535.gguf"), L, "split.count", 0);
}

/* ---- safetensors --------------------------------------------------------------------------------------------------- */

#define A "\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"

static const struct {
    const char *name, *header;
    size_t      data;
    int         code;
    const char *where;
} st_cases[] = {
    { "hole before the first", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}", 16, C, "a" },
    { "hole between two", "{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[20,24]}}", 24, C, "b" },
    { "overlap", "{" A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[12,16]}}", 16, C, "b" },
    { "same place", "{" A ",\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, NULL },
    { "bytes after the last tensor", "{" A "}", 17, C, NULL },
    { "data of no tensor", "{}", 1, C, NULL },
    { "data cut", "{" A "}", 15, T, "a" },
    { "no data", "{" A "}", 0, T, "a" },
    { "offsets wider than the shape", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "offsets narrower than the shape", "{\"a\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "offsets reversed", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16, C, "a" },
    { "offset negative", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-1,16]}}", 16, C, "a" },
    { "offset a fraction", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16.0]}}", 16, C, "a" },
    { "offset with an exponent", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,1e1]}}", 16, C, "a" },
    { "offset above 2^64", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,18446744073709551632]}}", 16, C, "a" },
    { "offset 2^64-1", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[18446744073709551614,18446744073709551615]}}", 16, C, "a" },
    { "offset with a leading zero", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,016]}}", 16, C, "a" },
    { "three offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,8,16]}}", 16, C, "a" },
    { "one offset", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0]}}", 16, C, "a" },
    { "offsets a string", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":\"0,16\"}}", 16, C, "a" },
    { "shape negative", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "shape null", "{\"a\":{\"dtype\":\"F32\",\"shape\":null,\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "shape product wraps to 4", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905,4],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "shape product wraps behind a zero", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]}}", 0, C, "a" },
    { "bytes wrap", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0, C, "a" },
    { "nine dimensions", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,16]}}", 16, L, "a" },
    { "nested shape", "{\"a\":{\"dtype\":\"F32\",\"shape\":[[4]],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "unknown dtype", "{\"a\":{\"dtype\":\"F31\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "dtype not read", "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[16],\"data_offsets\":[0,16]}}", 16, U, "a" },
    { "dtype a number", "{\"a\":{\"dtype\":32,\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "dtype missing", "{\"a\":{\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "shape missing", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "offsets missing", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", 16, C, "a" },
    { "member twice", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, "a" },
    { "unknown member", "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"x\":1}}", 16, C, "a" },
    { "name twice", "{" A ",\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[16,16]}}", 16, C, "a" },
    { "name empty", "{\"\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, NULL },
    { "name not UTF-8", "{\"\xff\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, NULL },
    { "name with an escaped zero", "{\"a\\u0000\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, NULL },
    { "name with half a surrogate pair", "{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, NULL },
    { "name with a bad escape", "{\"\\x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, NULL },
    { "name with a control character", "{\"a\nb\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}", 16, C, NULL },
    { "string not ended", "{\"a", 16, C, NULL },
    { "object not ended", "{" A, 16, C, NULL },
    { "comma at the end", "{" A ",}", 16, C, NULL },
    { "no comma", "{" A A "}", 16, C, NULL },
    { "text after the object", "{" A "}x", 16, C, NULL },
    { "newline after the object", "{" A "}\n", 16, C, NULL },
    { "second object", "{" A "}{}", 16, C, NULL },
    { "entry a list", "{\"a\":[]}", 16, C, "a" },
    { "entry a number", "{\"a\":1}", 16, C, "a" },
    { "metadata a string", "{\"__metadata__\":\"x\"," A "}", 16, C, NULL },
    { "metadata with a number", "{\"__metadata__\":{\"format\":1}," A "}", 16, C, NULL },
    { "metadata twice", "{\"__metadata__\":{},\"__metadata__\":{}," A "}", 16, C, "__metadata__" },
};

static void test_safetensors(void **state)
{
    struct maker m = make_st("{" A "}   ", 16);

    (void)state;
    write_file(in_scratch("f"), m.p, m.n);
    accepted("the base of the cases", in_scratch("f"));
    for (size_t n = 9; n < m.n; n++) { /* cut anywhere */
        struct maker cut = m;

        cut.n = n;
        refused_bytes("cut", &cut, T, NULL, 0);
    }
    for (int i = 0; i < 5; i++) { /* the header length: too long for the file, over the limit, absurd, too short, zero */
        static const uint64_t lengths[] = { 5000, PARE_ST_MAX_HEADER + 1ull, UINT64_MAX, 20, 0 };
        static const int      codes[] = { T, C, C, C, C };

        for (int k = 0; k < 8; k++) m.p[k] = (uint8_t)(lengths[i] >> (8 * k));
        refused_bytes("header length", &m, codes[i], NULL, 0);
    }
    free_maker(&m);
    for (size_t i = 0; i < sizeof st_cases / sizeof *st_cases; i++) {
        m = make_st(st_cases[i].header, st_cases[i].data);
        refused_bytes(st_cases[i].name, &m, st_cases[i].code, st_cases[i].where, 0);
        free_maker(&m);
    }
}

/* ---- folders ------------------------------------------------------------------------------------------------------- */

#define INDEX "model.safetensors.index.json"

static const struct {
    const char *name, *index;
    int         code;
    const char *where;
} index_cases[] = {
    { "empty", "", C, INDEX },
    { "no JSON", "{\"weight_map\":", C, INDEX },
    { "a list", "[]", C, INDEX },
    { "no weight_map", "{\"metadata\":{}}", C, "weight_map" },
    { "weight_map a list", "{\"weight_map\":[\"a\"]}", C, "weight_map" },
    { "weight_map empty", "{\"weight_map\":{}}", C, "weight_map" },
    { "weight_map with a number", "{\"weight_map\":{\"a\":1}}", C, "a" },
    { "weight_map with an empty name", "{\"weight_map\":{\"a\":\"\"}}", C, "a" },
    { "path up", "{\"weight_map\":{\"a\":\"../one.safetensors\"}}", C, "a" },
    { "path down and up", "{\"weight_map\":{\"a\":\"x/../../one.safetensors\"}}", C, "a" },
    { "absolute path", "{\"weight_map\":{\"a\":\"/etc/one.safetensors\"}}", C, "a" },
    { "backslash", "{\"weight_map\":{\"a\":\"..\\\\one.safetensors\"}}", C, "a" },
    { "hidden file", "{\"weight_map\":{\"a\":\".one.safetensors\"}}", C, "a" },
    { "name with a zero byte", "{\"weight_map\":{\"a\":\"one.safetensors\\u0000/../x\"}}", C, "a" },
    { "a pickle", "{\"weight_map\":{\"a\":\"pytorch_model-1.bin\"}}", U, "a" },
    { "shard missing", "{\"weight_map\":{\"a\":\"three.safetensors\"}}", PARE_E_IO, NULL },
    { "tensor in no shard", "{\"weight_map\":{\"a\":\"one.safetensors\",\"zz\":\"one.safetensors\"}}", C, "zz" },
    { "tensor in another shard", "{\"weight_map\":{\"a\":\"two.safetensors\",\"b\":\"one.safetensors\"}}", C, "a" },
    { "tensor in two shards", "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"again.safetensors\"}}", C, "a" },
    { "one shard under two names", "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"link.safetensors\"}}", C, NULL },
    { "duplicate member", "{\"weight_map\":{\"a\":\"one.safetensors\",\"a\":\"two.safetensors\"}}", C, INDEX },
    { "text after the object", "{\"weight_map\":{\"a\":\"one.safetensors\"}} x", C, INDEX },
};

static void put_st(const char *name, const char *header, size_t data)
{
    struct maker m = make_st(header, data);

    write_file(in_scratch(name), m.p, m.n);
    free_maker(&m);
}

static void put_text(const char *name, const char *text) { write_file(in_scratch(name), text, strlen(text)); }

/* For a folder the place is the file: d.file or d.where must name it. */
static void folder_refused(const char *name, int code, const char *where)
{
    struct pare_checkpoint *c;
    struct pare_diag        d = { 0 };
    uint64_t                live = pare_mem_live();
    int                     rc = pare_checkpoint_open(&c, in_scratch("hf"), &d);

    if (rc != code) fail_msg("%s: code %d, expected %d: %s", name, rc, code, d.text);
    if (d.file[0] == '\0' || d.text[0] == '\0') fail_msg("%s: no file or text", name);
    if (where != NULL && strcmp(d.where, where) != 0) fail_msg("%s: names \"%s\", expected \"%s\": %s", name, d.where, where, d.text);
    if (pare_mem_live() != live) fail_msg("%s: leaks", name);
    n_cases++;
}

static void test_folders(void **state)
{
    char a[512], b[512];

    (void)state;
    assert_int_equal(mkdir(in_scratch("hf"), 0700), 0);
    folder_refused("no config", PARE_E_IO, NULL);
    put_text("hf/config.json", "{\"model_type\":\"llama\"}");
    folder_refused("no tensors", PARE_E_IO, NULL);
    put_text("hf/pytorch_model.bin", "x");
    folder_refused("only pickles", U, NULL);
    put_st("hf/one.safetensors", "{" A "}", 16);
    put_st("hf/two.safetensors", "{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4);
    put_st("hf/again.safetensors", "{" A "}", 16);
    put_st("one.safetensors", "{" A "}", 16); /* what the paths that lead out would find */
    snprintf(a, sizeof a, "%s", in_scratch("hf/one.safetensors"));
    snprintf(b, sizeof b, "%s", in_scratch("hf/link.safetensors"));
    assert_int_equal(symlink(a, b), 0);
    put_text("hf/" INDEX, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    accepted("the base of the cases", in_scratch("hf"));
    for (size_t i = 0; i < sizeof index_cases / sizeof *index_cases; i++) {
        put_text("hf/" INDEX, index_cases[i].index);
        folder_refused(index_cases[i].name, index_cases[i].code, index_cases[i].where);
    }
    put_text("hf/" INDEX, "{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    put_text("hf/config.json", "");
    folder_refused("config empty", C, "config.json");
    put_text("hf/config.json", "[1]");
    folder_refused("config a list", C, "config.json");
    put_text("hf/config.json", "{\"a\":1,\"a\":2}");
    folder_refused("config with a member twice", C, "config.json");
    put_text("hf/config.json", "{\"a\":\"\xff\"}");
    folder_refused("config not UTF-8", C, "config.json");
    put_text("hf/config.json", "{\"quantization_config\":[]}");
    folder_refused("quantization_config a list", C, "quantization_config");
    put_text("hf/config.json", "{\"quantization_config\":{\"quant_method\":4}}");
    folder_refused("quant_method a number", C, "quant_method");
    put_text("hf/config.json", "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":33}}");
    folder_refused("bits out of range", C, "bits");
    put_text("hf/config.json", "{\"quantization_config\":{\"quant_method\":\"gptq\",\"checkpoint_format\":\"marlin\"}}");
    folder_refused("a GPTQ layout not read", U, "checkpoint_format");
    put_text("hf/config.json", "{\"quantization_config\":{\"quant_method\":\"awq\",\"version\":\"gemv\"}}");
    folder_refused("an AWQ layout not read", U, "version");
    put_text("hf/config.json", "{}");
    put_text("hf/generation_config.json", "7");
    folder_refused("generation_config a number", C, "generation_config.json");
}

/* ---- GPTQ and AWQ groups that contradict themselves ------------------------------------------------------------------ */

#define GPTQ "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16}}"
#define AWQ "{\"quantization_config\":{\"quant_method\":\"awq\",\"bits\":4,\"group_size\":16}}"

struct piece {
    const char *name, *dtype;
    int         a, b; /* b 0: one dimension */
};

static void put_pieces(const struct piece *p, int n, uint8_t fill)
{
    struct maker m = { 0 };
    char         h[2048] = "{";
    size_t       at = 0;

    for (int i = 0; i < n; i++) {
        size_t bytes = (size_t)p[i].a * (size_t)(p[i].b ? p[i].b : 1) * (p[i].dtype[0] == 'F' ? 2 : 4);
        char   shape[32];

        snprintf(shape, sizeof shape, p[i].b ? "%d,%d" : "%d", p[i].a, p[i].b);
        snprintf(h + strlen(h), sizeof h - strlen(h), "%s\"l.%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                 i ? "," : "", p[i].name, p[i].dtype, shape, at, at + bytes);
        at += bytes;
    }
    strcat(h, "}");
    m = make_st(h, at);
    for (size_t i = m.n - at; i < m.n; i++) m.p[i] = fill;
    write_file(in_scratch("hq/model.safetensors"), m.p, m.n);
    free_maker(&m);
}

static void quant_refused(const char *name, const char *config, const struct piece *p, int n, uint8_t fill, int code, const char *where)
{
    put_text("hq/config.json", config);
    put_pieces(p, n, fill);
    refused(name, in_scratch("hq"), code, where, 0);
}

static void test_packed(void **state)
{
    const struct piece ok[] = { { "qweight", "I32", 4, 32 }, { "qzeros", "I32", 2, 4 }, { "scales", "F16", 2, 32 }, { "g_idx", "I32", 32, 0 } };
    const struct piece awq[] = { { "qweight", "I32", 32, 4 }, { "qzeros", "I32", 2, 4 }, { "scales", "F16", 2, 32 } };
    struct piece       p[4];
    const struct {
        const char  *name;
        int          i; /* the piece that changes */
        struct piece to;
        const char  *where;
    } cases[] = {
        { "gptq: qzeros missing", 1, { "other", "I32", 2, 4 }, "l.qweight" },
        { "gptq: scales missing", 2, { "other", "F16", 2, 32 }, "l.qweight" },
        { "gptq: qweight one-dimensional", 0, { "qweight", "I32", 128, 0 }, "l.qweight" },
        { "gptq: qweight f16", 0, { "qweight", "F16", 4, 32 }, "l.qweight" },
        { "gptq: scales of another width", 2, { "scales", "F16", 2, 31 }, "l.scales" },
        { "gptq: scales whole numbers", 2, { "scales", "I32", 2, 32 }, "l.scales" },
        { "gptq: qzeros of another number of groups", 1, { "qzeros", "I32", 3, 4 }, "l.qzeros" },
        { "gptq: qzeros that give 5 bits", 1, { "qzeros", "I32", 2, 5 }, "l.qzeros" },
        { "gptq: qzeros that give 8 bits against the config", 1, { "qzeros", "I32", 2, 8 }, "l.qzeros" },
        { "gptq: qzeros wider than the outputs", 1, { "qzeros", "I32", 2, 64 }, "l.qzeros" },
        { "gptq: more groups than inputs", 2, { "scales", "F16", 64, 32 }, "l.qzeros" },
        { "gptq: g_idx too short", 3, { "g_idx", "I32", 31, 0 }, "l.g_idx" },
        { "gptq: g_idx a float", 3, { "g_idx", "F16", 32, 0 }, "l.g_idx" },
        { "gptq: inputs that group_size does not divide so", 0, { "qweight", "I32", 9, 32 }, "l.scales" },
    };

    (void)state;
    assert_int_equal(mkdir(in_scratch("hq"), 0700), 0);
    put_text("hq/config.json", GPTQ);
    put_pieces(ok, 4, 0);
    accepted("gptq", in_scratch("hq"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(p, ok, sizeof p);
        p[cases[i].i] = cases[i].to;
        quant_refused(cases[i].name, GPTQ, p, 4, 0, C, cases[i].where);
    }
    quant_refused("gptq: g_idx beyond the groups", GPTQ, ok, 4, 2, C, "l.g_idx");
    quant_refused("gptq: g_idx negative", GPTQ, ok, 4, 0xff, C, "l.g_idx");
    put_text("hq/config.json", AWQ);
    put_pieces(awq, 3, 0);
    accepted("awq", in_scratch("hq"));
    memcpy(p, awq, sizeof awq);
    p[1].b = 3;
    quant_refused("awq: qzeros of another width", AWQ, p, 3, 0, C, "l.qzeros");
    p[1] = (struct piece){ "other", "I32", 2, 4 };
    quant_refused("awq: qzeros missing", AWQ, p, 3, 0, C, "l.qweight");
    p[1] = awq[1];
    p[2].a = 3;
    quant_refused("awq: scales of another number of groups", AWQ, p, 3, 0, C, "l.qzeros");
}

/* ---- llama2.c ------------------------------------------------------------------------------------------------------ */

static const struct l2 tiny = { .dim = 16, .hidden = 24, .layers = 2, .heads = 4, .kv = 2, .vocab = 10, .seq = 8 };
static struct maker base_v0(void) { return make_l2_v0(tiny, true); }
static struct maker base_v2(void) { return make_l2_v12(2, tiny, true, 8); }

static const struct patch v0_cases[] = {
    { "v0: one layer more than there is", "layers", 3, NULL, T, NULL },
    { "v0: one layer fewer", "layers", 1, NULL, C, NULL },
    { "v0: width too large", "dim", 1 << 20, NULL, T, NULL },
    { "v0: sizes that together overflow 2^31", "hidden", 1 << 24, NULL, T, NULL },
    { "v0: vocabulary negative without its matrix", "vocab", (uint64_t)-10, NULL, T, "lm_head.weight" },
    { "v0: vocabulary 2^26", "vocab", 1 << 26, NULL, T, NULL },
    { "v0: longer tables than there are", "seq", 9, NULL, T, NULL },
};
static const struct patch v2_cases[] = {
    { "v2: version 3", "version", 3, NULL, U, NULL },
    { "v2: version 0 with the magic", "version", 0, NULL, U, NULL },
    { "v2: width 0", "dim", 0, NULL, C, NULL },
    { "v2: width negative", "dim", (uint64_t)-16, NULL, C, NULL },
    { "v2: heads 0", "heads", 0, NULL, C, NULL },
    { "v2: heads do not divide the width", "heads", 3, NULL, C, NULL },
    { "v2: kv heads do not divide heads", "kv", 3, NULL, C, NULL },
    { "v2: more kv heads than heads", "kv", 8, NULL, C, NULL },
    { "v2: layers 2^31-1", "layers", INT32_MAX, NULL, C, NULL },
    { "v2: vocabulary negative", "vocab", (uint64_t)-10, NULL, C, NULL },
    { "v2: shared flag 2", "shared", 2, NULL, C, "shared_classifier" },
    { "v2: shared flag says own matrix", "shared", 0, NULL, T, "lm_head.weight" },
    { "v2: group 0", "group", 0, NULL, C, "group_size" },
    { "v2: group negative", "group", (uint64_t)-8, NULL, C, "group_size" },
    { "v2: group does not divide", "group", 3, NULL, C, "group_size" },
    { "v2: other group", "group", 16, NULL, C, NULL },
    { "v2: cut in the header", "group", 0, CUT, T, NULL },
};

static void test_llama2c(void **state)
{
    struct maker m;

    (void)state;
    m = base_v0();
    write_file(in_scratch("f"), m.p, m.n);
    accepted("v0", in_scratch("f"));
    put(&m, "", 1);
    refused_bytes("v0: one byte more", &m, C, NULL, 0);
    m.n -= 2;
    refused_bytes("v0: one byte fewer", &m, T, NULL, 0);
    free_maker(&m);
    m = base_v2();
    write_file(in_scratch("f"), m.p, m.n);
    accepted("v2", in_scratch("f"));
    free_maker(&m);
    run_patches(base_v0, v0_cases, sizeof v0_cases / sizeof *v0_cases);
    run_patches(base_v2, v2_cases, sizeof v2_cases / sizeof *v2_cases);
}

/* ---- things that are no model -------------------------------------------------------------------------------------- */

static void nothing(const char *name, const char *bytes, size_t n, int code)
{
    struct pare_checkpoint *c;
    struct pare_diag        d = { 0 };

    write_file(in_scratch("f"), bytes, n);
    if (pare_checkpoint_open(&c, in_scratch("f"), &d) != code) fail_msg("%s: %d", name, d.code);
    assert_true(d.file[0] != '\0' && d.text[0] != '\0');
    n_cases++;
}

static void test_no_model(void **state)
{
    char text[200];

    (void)state;
    memset(text, 'x', sizeof text);
    nothing("empty file", "", 0, T);
    nothing("one byte", "x", 1, T);
    nothing("text", text, sizeof text, C);
    memset(text, 0, sizeof text);
    nothing("zeros", text, sizeof text, C);
    memcpy(text, "PK\3\4", 4);
    nothing("zip of a pickle", text, sizeof text, U);
    memcpy(text, "\x80\2ck", 4);
    nothing("bare pickle", text, sizeof text, U);
    memcpy(text, "version https://git-lfs.github.com/spec/v1", 42);
    nothing("git-lfs pointer", text, sizeof text, C);
    memcpy(text, "tjgg", 4);
    nothing("old ggml file", text, sizeof text, U);
    assert_int_equal(mkfifo(in_scratch("fifo.d"), 0600) == 0 || errno == EEXIST, 1);
}

static void test_enough_cases(void **state)
{
    (void)state;
    print_message("%d malformed files refused\n", n_cases);
    assert_true(n_cases >= 200);
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
        cmocka_unit_test(test_gguf), cmocka_unit_test(test_panels),        cmocka_unit_test(test_gguf_cut_everywhere), cmocka_unit_test(test_no_memory_for_promises),
        cmocka_unit_test(test_splits),      cmocka_unit_test(test_safetensors),         cmocka_unit_test(test_folders),
        cmocka_unit_test(test_packed),      cmocka_unit_test(test_llama2c),             cmocka_unit_test(test_no_model),
        cmocka_unit_test(test_enough_cases),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
