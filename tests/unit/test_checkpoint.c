/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_checkpoint.c: what the readers say about files made byte by byte, and about real ones. */
#include "file_maker.h"

#include <math.h>

#include "base/json.h"
#include "base/mem.h"
#include "format/checkpoint.h"
#include "pare/checkpoint.h"

static struct pare_checkpoint *open_ok(const char *path)
{
    struct pare_checkpoint *c = NULL;
    struct pare_diag        d = { 0 };

    if (pare_checkpoint_open(&c, path, &d) != 0) fail_msg("%s: %s: %s", path, d.where, d.text);
    return c;
}

static struct pare_checkpoint *open_maker(struct maker *m)
{
    write_file(in_scratch("f"), m->p, m->n);
    free_maker(m);
    return open_ok(in_scratch("f"));
}

static void expect_dims(const struct pare_tensor *t, uint32_t n, const uint64_t *dims)
{
    assert_non_null(t);
    assert_int_equal(t->n_dims, n);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(t->dims[i], dims[i]);
}

/* ---- GGUF ---------------------------------------------------------------------------------------------------------- */

static void test_gguf_values(void **state)
{
    struct maker            m = base_gguf();
    struct pare_checkpoint *c = open_maker(&m);
    struct pare_weight      w;
    struct pare_diag        d = { 0 };
    struct pare_str         s;
    int64_t                 n;
    double                  r;
    bool                    b;
    float                   row[32];
    static const struct {
        const char *key;
        int64_t     value;
    } ints[] = { { "a.u8", 200 }, { "a.i8", -1 }, { "a.u16", 60000 }, { "a.i16", -32768 }, { "a.u32", 4000000000 }, { "a.i32", -7 },
                 { "a.u64", 1ll << 40 }, { "a.i64", -5 } };

    (void)state;
    assert_string_equal(c->format->name, "gguf");
    for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) {
        assert_int_equal(pare_kv_int(c, ints[i].key, INT64_MIN, INT64_MAX, 0, &n, &d), 0);
        assert_int_equal(n, ints[i].value);
        assert_int_equal(pare_kv_real(c, ints[i].key, 0, &r, &d), 0);
        assert_true(r == (double)ints[i].value);
    }
    assert_int_equal(pare_kv_real(c, "a.f32", 0, &r, &d), 0);
    assert_true(r == 1.5);
    assert_int_equal(pare_kv_real(c, "a.f64", 0, &r, &d), 0);
    assert_true(r == 2.5);
    assert_int_equal(pare_kv_bool(c, "a.bool", false, &b, &d), 0);
    assert_true(b);
    assert_int_equal(pare_kv_str(c, "general.architecture", &s, &d), 0);
    assert_true(s.len == 5 && memcmp(s.s, "llama", 5) == 0);
    assert_true(pare_kv_elem_str(pare_kv_find(c, "a.strs"), 1, &s) && s.len == 2 && memcmp(s.s, "yy", 2) == 0);
    assert_false(pare_kv_elem_str(pare_kv_find(c, "a.strs"), 2, &s));
    assert_false(pare_kv_elem_int(pare_kv_find(c, "a.f32s"), 0, &n));
    assert_true(pare_kv_elem_real(pare_kv_find(c, "a.f32s"), 2, &r) && r == 3);
    /* absent: the default; dims: C order; own types: the logical view */
    assert_int_equal(pare_kv_int(c, "absent", 0, 1, 42, &n, &d), 0);
    assert_int_equal(n, 42);
    assert_int_equal(pare_kv_str(c, "absent", &s, &d), 0);
    assert_null(s.s);
    expect_dims(pare_checkpoint_tensor(c, "t.f32"), 2, (uint64_t[]){ 4, 8 });
    expect_dims(pare_checkpoint_tensor(c, "t.own"), 3, (uint64_t[]){ 2, 2, 7 });
    assert_int_equal(pare_checkpoint_tensor(c, "t.own")->type->type, PARE_U8);
    assert_null(pare_checkpoint_tensor(c, "t.fxx"));
    assert_int_equal(pare_checkpoint_params(c), 32 + 64 + 28);
    assert_int_equal(pare_checkpoint_data_bytes(c), 128 + 36 + 28);
    assert_int_equal(pare_weight_find(&w, c, "t.f32", &d), 0);
    assert_int_equal(pare_weight_rows(&w, 1, 3, row, &d), 0);
    for (int i = 0; i < 24; i++) assert_true(row[i] == (float)(i + 8) - 3.5f);
    assert_int_equal(pare_weight_find(&w, c, "nothing", &d), 0);
    assert_null(w.type);
    pare_checkpoint_close(&c);
    pare_checkpoint_close(&c);
}

static void test_getters_refuse(void **state)
{
    struct maker            m = base_gguf();
    struct pare_checkpoint *c = open_maker(&m);
    struct pare_str         s;
    int64_t                 n;
    double                  r;
    bool                    b;

    (void)state;
#define REFUSED(call, key)                                                                                                                 \
    do {                                                                                                                                   \
        struct pare_diag d = { 0 };                                                                                                        \
        assert_int_equal(call, PARE_E_CORRUPT);                                                                                            \
        assert_string_equal(d.where, key);                                                                                                 \
        assert_true(d.offset != PARE_NO_OFFSET && d.offset > 0 && d.file[0] != '\0');                                                      \
    } while (0)
    REFUSED(pare_kv_int(c, "a.f32", 0, 9, 0, &n, &d), "a.f32");
    REFUSED(pare_kv_int(c, "general.architecture", 0, 9, 0, &n, &d), "general.architecture");
    REFUSED(pare_kv_int(c, "a.f32s", 0, 9, 0, &n, &d), "a.f32s");
    REFUSED(pare_kv_int(c, "a.bool", 0, 9, 0, &n, &d), "a.bool");
    REFUSED(pare_kv_int(c, "a.u8", 0, 199, 0, &n, &d), "a.u8");
    REFUSED(pare_kv_int(c, "a.i32", 0, 199, 0, &n, &d), "a.i32");
    REFUSED(pare_kv_real(c, "general.architecture", 0, &r, &d), "general.architecture");
    REFUSED(pare_kv_bool(c, "a.u8", 0, &b, &d), "a.u8");
    REFUSED(pare_kv_str(c, "a.u8", &s, &d), "a.u8");
    REFUSED(pare_kv_str(c, "a.strs", &s, &d), "a.strs");
    pare_checkpoint_close(&c);
}

static void test_split(void **state)
{
    struct pare_checkpoint *c;
    struct pare_diag        d = { 0 };
    char                    name[64];

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct maker m = { 0 };
        char         t[16];

        snprintf(name, sizeof name, "s-%05d-of-00003.gguf", i + 1);
        snprintf(t, sizeof t, "t%d", i);
        gguf_head(&m, 1, i == 0 ? 4 : 2);
        if (i == 0) kv_text(&m, "general.architecture", "qwen2");
        kv_num(&m, "split.no", 2, (uint64_t)i, 2);
        kv_num(&m, "split.count", 2, 3, 2);
        if (i == 0) kv_num(&m, "split.tensors.count", 5, 3, 4);
        info(&m, t, 1, (uint64_t[]){ (uint64_t)i + 1 }, 0, 0);
        pad(&m, 32);
        for (int k = 0; k <= i; k++) {
            float    f = (float)(10 * i + k);
            uint32_t u;

            memcpy(&u, &f, 4);
            put_num(&m, u, 4);
        }
        write_file(in_scratch(name), m.p, m.n);
        free_maker(&m);
    }
    c = open_ok(in_scratch("s-00001-of-00003.gguf"));
    assert_int_equal(c->n_maps, 3);
    assert_int_equal(c->n_tensors, 3);
    for (int i = 0; i < 3; i++) {
        struct pare_weight w;
        float              v[3];

        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(pare_weight_find(&w, c, name, &d), 0);
        assert_int_equal(w.tensor->file, i);
        assert_int_equal(pare_weight_rows(&w, 0, 1, v, &d), 0);
        for (int k = 0; k <= i; k++) assert_true(v[k] == (float)(10 * i + k));
    }
    pare_checkpoint_close(&c);
}

/* A file cut while it is mapped: an error, where reading on would be fatal. */
static void test_cut_while_mapped(void **state)
{
    struct maker            m = base_gguf();
    struct pare_checkpoint *c = open_maker(&m);
    struct pare_weight      w;
    struct pare_diag        d = { 0 };
    float                   row[32];

    (void)state;
    assert_int_equal(pare_weight_find(&w, c, "t.q4", &d), 0);
    assert_int_equal(pare_weight_rows(&w, 0, 1, row, &d), 0);
    assert_int_equal(truncate(in_scratch("f"), 100), 0);
    assert_int_equal(pare_weight_rows(&w, 0, 1, row, &d), PARE_E_TRUNCATED);
    assert_string_equal(d.where, "t.q4");
    pare_checkpoint_close(&c);
}

/* ---- safetensors --------------------------------------------------------------------------------------------------- */

static void test_safetensors(void **state)
{
    static const char header[] =
        "{ \"__metadata__\" : {\"format\":\"pt\"},\n\t\"z\\u00fc\\ud83d\\ude00\\/\\\"\":{\"shape\":[3,2],\"data_offsets\":[8,20],\"dtype\":\"I16\"},"
        "\"empty\":{\"dtype\":\"F32\",\"shape\":[0,5],\"data_offsets\":[8,8]},\"scalar\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}    ";
    struct maker            m = make_st(header, 20);
    struct pare_checkpoint *c = open_maker(&m);
    struct pare_diag        d = { 0 };
    struct pare_weight      w;
    float                   v[6];

    (void)state;
    assert_string_equal(c->format->name, "safetensors");
    assert_int_equal(c->n_tensors, 3);
    assert_string_equal(c->tensors[0].name, "scalar"); /* file order */
    assert_string_equal(c->tensors[1].name, "empty");
    assert_string_equal(c->tensors[2].name, "z\xc3\xbc\xf0\x9f\x98\x80/\"");
    expect_dims(&c->tensors[1], 2, (uint64_t[]){ 0, 5 });
    assert_int_equal(c->tensors[1].bytes, 0);
    assert_int_equal(c->tensors[0].rows * c->tensors[0].cols, 1);
    assert_int_equal(pare_weight_find(&w, c, c->tensors[2].name, &d), 0);
    assert_int_equal(pare_weight_rows(&w, 1, 2, v, &d), 0);
    for (int i = 0; i < 4; i++) assert_true(v[i] == (float)((12 + 2 * i) | (13 + 2 * i) << 8));
    assert_int_equal(pare_checkpoint_params(c), 7);
    pare_checkpoint_close(&c);
    m = make_st("{}", 0);
    c = open_maker(&m);
    assert_int_equal(c->n_tensors, 0);
    pare_checkpoint_close(&c);
}

static void test_folder(void **state)
{
    struct pare_checkpoint *c;
    struct maker            m;
    static const char       config[] = "{\"model_type\":\"x\",\"time_step_limit\":[0.0,Infinity]}";
    static const char       index[] = "{\"weight_map\":{\"b\":\"m-2.safetensors\",\"a\":\"m-1.safetensors\"}}";

    (void)state;
    assert_int_equal(mkdir(in_scratch("hf"), 0700), 0);
    write_file(in_scratch("hf/config.json"), config, strlen(config));
    write_file(in_scratch("hf/generation_config.json"), "{\"top_k\":3}", 11);
    write_file(in_scratch("hf/diffusion_pytorch_model.safetensors.index.json"), index, strlen(index));
    m = make_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    write_file(in_scratch("hf/m-1.safetensors"), m.p, m.n);
    free_maker(&m);
    m = make_st("{\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},\"unlisted\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[4,5]}}", 5);
    write_file(in_scratch("hf/m-2.safetensors"), m.p, m.n);
    free_maker(&m);
    c = open_ok(in_scratch("hf"));
    assert_int_equal(c->n_maps, 2);
    assert_int_equal(c->n_tensors, 3);
    assert_string_equal(c->dir, in_scratch("hf"));
    assert_string_equal(json_string_value(json_object_get(c->config, "model_type")), "x");
    assert_int_equal(json_integer_value(json_object_get(c->generation, "top_k")), 3);
    assert_int_not_equal(pare_checkpoint_tensor(c, "a")->file, pare_checkpoint_tensor(c, "b")->file);
    pare_checkpoint_close(&c);
    /* a pipeline stands for its network */
    assert_int_equal(mkdir(in_scratch("pipe"), 0700), 0);
    write_file(in_scratch("pipe/model_index.json"), "{}", 2);
    assert_int_equal(rename(in_scratch("hf"), in_scratch("pipe/unet")), 0);
    c = open_ok(in_scratch("pipe"));
    assert_string_equal(c->dir, in_scratch("pipe/unet"));
    pare_checkpoint_close(&c);
}

/* ---- llama2.c ------------------------------------------------------------------------------------------------------ */

/* floats() writes (n mod 997) / 2 where n is the number of the float in the file, so a place can be computed by hand. */
static float expected_float(size_t at) { return (float)(at / 4 % 997) * 0.5f; }

static void test_llama2c(void **state)
{
    struct l2               h = { .dim = 8, .hidden = 12, .layers = 2, .heads = 4, .kv = 2, .vocab = 5, .seq = 6 };
    struct pare_checkpoint *c;
    struct pare_diag        d = { 0 };
    struct pare_weight      w;
    float                   v[8 * 12];
    struct maker            m;
    size_t                  at = 28;

    (void)state;
    m = make_l2_v0(h, false);
    c = open_maker(&m);
    assert_string_equal(c->format->name, "llama2c");
    assert_true(json_is_true(json_object_get(c->config, "pare_rope_interleaved")));
    assert_true(json_is_false(json_object_get(c->config, "tie_word_embeddings")));
    assert_int_equal(json_integer_value(json_object_get(c->config, "num_key_value_heads")), 2);
    assert_int_equal(c->n_tensors, 3 + 2 * 9);
    at += 4 * (40 + 16 + 2 * 64); /* embedding, attention norms, q of both layers */
    expect_dims(pare_checkpoint_tensor(c, "model.layers.1.self_attn.k_proj.weight"), 2, (uint64_t[]){ 4, 8 });
    assert_int_equal(pare_checkpoint_tensor(c, "model.layers.1.self_attn.k_proj.weight")->offset, at + 4 * 32);
    at += 4 * (2 * 32 + 2 * 32 + 2 * 64 + 16 + 2 * 96); /* k, v, o, norms, gate */
    assert_int_equal(pare_weight_find(&w, c, "model.layers.1.mlp.down_proj.weight", &d), 0);
    assert_int_equal(w.rows, 8);
    assert_int_equal(w.cols, 12);
    assert_int_equal(pare_weight_rows(&w, 0, 8, v, &d), 0);
    for (size_t i = 0; i < 96; i++) assert_true(v[i] == expected_float(at + 4 * (96 + i)));
    at += 4 * (2 * 96 + 2 * 96 + 8 + 6 * 2); /* down, up, last norm, tables */
    assert_int_equal(pare_checkpoint_tensor(c, "lm_head.weight")->offset, at);
    pare_checkpoint_close(&c);
    m = make_l2_v12(1, h, true, 0);
    c = open_maker(&m);
    assert_null(pare_checkpoint_tensor(c, "lm_head.weight"));
    assert_int_equal(pare_checkpoint_tensor(c, "model.embed_tokens.weight")->offset, 256 + 4 * (2 * 16 + 8));
    pare_checkpoint_close(&c);
}

/* Version 2: values are int8 times the scale of their group, groups counted over the whole matrix. */
static void test_llama2c_int8(void **state)
{
    struct l2               h = { .dim = 8, .hidden = 12, .layers = 2, .heads = 4, .kv = 2, .vocab = 5, .seq = 6 };
    struct maker            m = make_l2_v12(2, h, true, 4), copy = copy_of(&m);
    struct pare_checkpoint *c = open_maker(&m);
    struct pare_diag        d = { 0 };
    struct pare_weight      w;
    float                   v[96];
    size_t                  per64 = 64 + 64, at = 256 + 4 * 40 + (40 + 40) + 2 * per64; /* behind embedding and q: bytes and a float for 4 */

    (void)state;
    assert_int_equal(pare_weight_find(&w, c, "model.layers.1.self_attn.k_proj.weight", &d), 0);
    assert_non_null(w.foreign);
    assert_int_equal(w.rows, 4);
    assert_int_equal(pare_weight_rows(&w, 1, 3, v, &d), 0);
    at += 32 + 32; /* layer 0 */
    for (size_t i = 0; i < 24; i++) {
        float scale;

        memcpy(&scale, copy.p + at + 32 + 4 * ((8 + i) / 4), 4);
        assert_true(v[i] == (float)(int8_t)copy.p[at + 8 + i] * scale);
    }
    assert_int_equal(pare_checkpoint_params(c), 40 + 40 + 2 * (64 * 2 + 32 * 2 + 3 * 96));
    pare_checkpoint_close(&c);
    free_maker(&copy);
}

/* ---- inspect ------------------------------------------------------------------------------------------------------- */

static json_t *inspect(const char *path, bool check)
{
    struct pare_diag d = { 0 };
    char            *text = NULL;
    json_t          *doc = NULL;

    if (pare_inspect(path, check, &text, NULL, &d) != 0) fail_msg("%s: %s", path, d.text);
    assert_int_equal(pare_json_load(&doc, text, strlen(text), NULL, &d), 0);
    pare_free(text);
    return doc;
}

static void test_inspect(void **state)
{
    struct maker m = { 0 };
    json_t      *doc, *md, *t;
    float        bad[3] = { NAN, INFINITY, -INFINITY };

    (void)state;
    gguf_head(&m, 2, 5);
    kv_text(&m, "general.architecture", "bad \xff text \xc3\xa9");
    kv_array(&m, "many", 5, 20);
    for (int i = 0; i < 20; i++) put_num(&m, (uint64_t)-i, 4);
    kv_array(&m, "few", 8, 2);
    str(&m, "x", "a");
    str(&m, "x", "b");
    kv_num(&m, "nan", 6, 0x7fc00000u, 4);
    kv_num(&m, "big", 10, UINT64_MAX, 8);
    info(&m, "good", 2, (uint64_t[]){ 8, 2 }, 0, 0);
    info(&m, "bad", 1, (uint64_t[]){ 8 }, 0, 64);
    pad(&m, 32);
    floats(&m, 24);
    memcpy(m.p + m.n - 20, bad, sizeof bad);
    write_file(in_scratch("i"), m.p, m.n);
    doc = inspect(in_scratch("i"), true);
    md = json_object_get(doc, "metadata");
    assert_string_equal(json_string_value(json_object_get(doc, "format")), "gguf");
    assert_string_equal(json_string_value(json_object_get(doc, "arch")), "bad \xef\xbf\xbd text \xc3\xa9");
    assert_int_equal(json_integer_value(json_object_get(doc, "params")), 24);
    assert_int_equal(json_integer_value(json_object_get(doc, "bytes")), m.n);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(md, "many"), "count")), 20);
    assert_string_equal(json_string_value(json_object_get(json_object_get(md, "many"), "array")), "int32");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(json_object_get(md, "many"), "first"), 3)), -3);
    assert_string_equal(json_string_value(json_array_get(json_object_get(md, "few"), 1)), "b");
    assert_string_equal(json_string_value(json_object_get(md, "nan")), "NaN");
    t = json_array_get(json_object_get(doc, "tensors"), 0);
    assert_string_equal(json_string_value(json_object_get(t, "name")), "good");
    assert_string_equal(json_string_value(json_object_get(t, "type")), "f32");
    assert_int_equal(json_integer_value(json_array_get(json_object_get(t, "shape"), 1)), 8);
    assert_int_equal(json_integer_value(json_object_get(t, "bytes")), 64);
    assert_int_equal(json_integer_value(json_object_get(t, "offset")), m.n - 96);
    t = json_object_get(doc, "check");
    assert_int_equal(json_integer_value(json_object_get(t, "nan")), 1);
    assert_int_equal(json_integer_value(json_object_get(t, "inf")), 2);
    assert_int_equal(json_array_size(json_object_get(t, "bad_tensors")), 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(t, "bad_tensors"), 0)), "bad");
    json_decref(doc);
    free_maker(&m);
}

/* Counts must not depend on the number of threads; cancelling stops. */
static void test_inspect_threads(void **state)
{
    struct pare_job_settings s;
    struct pare_job         *j;
    struct pare_diag         d = { 0 };
    struct maker             m = { 0 };
    char                    *one, *four;

    (void)state;
    gguf_head(&m, 1, 0);
    info(&m, "t", 2, (uint64_t[]){ 100, 2000 }, 1, 0);
    pad(&m, 32);
    for (int i = 0; i < 200000; i++) put_num(&m, (uint64_t)i * 2654435761u >> 7, 2); /* many f16 are NaN or infinite */
    write_file(in_scratch("h"), m.p, m.n);
    free_maker(&m);
    assert_int_equal(pare_inspect(in_scratch("h"), true, &one, NULL, &d), 0);
    pare_job_settings_default(&s);
    s.n_threads = 4;
    assert_int_equal(pare_job_create(&j, &s, &d), 0);
    assert_int_equal(pare_inspect(in_scratch("h"), true, &four, j, &d), 0);
    assert_string_equal(one, four);
    pare_free(one);
    pare_job_cancel(j);
    one = (char *)1;
    assert_int_equal(pare_inspect(in_scratch("h"), true, &one, j, &d), PARE_E_CANCELLED);
    assert_null(one);
    pare_free(four);
    pare_job_destroy(&j);
}

/* ---- memory and real files ------------------------------------------------------------------------------------------- */

/* Every allocation fails once: an error, no leak, and the next try works. jansson allocates for itself and is not failed. */
static void test_no_memory(void **state)
{
    struct maker m = base_gguf();

    (void)state;
    write_file(in_scratch("f"), m.p, m.n);
    free_maker(&m);
    assert_int_equal(mkdir(in_scratch("oom"), 0700), 0);
    write_file(in_scratch("oom/config.json"), "{}", 2);
    m = make_st("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8);
    write_file(in_scratch("oom/model.safetensors"), m.p, m.n);
    free_maker(&m);
    for (int k = 0; k < 2; k++) {
        const char *name = k == 0 ? "f" : "oom";

        for (uint64_t n = 1;; n++) {
            struct pare_checkpoint *c = NULL;
            struct pare_diag        d = { 0 };
            char                    path[512];
            uint64_t                live = pare_mem_live();
            int                     rc;

            snprintf(path, sizeof path, "%s", in_scratch(name));
            pare_mem_fail_after(n);
            rc = pare_checkpoint_open(&c, path, &d);
            pare_mem_fail_after(0);
            if (rc == 0) {
                pare_checkpoint_close(&c);
                assert_true(n > 5);
                break;
            }
            assert_int_equal(rc, PARE_E_NOMEM);
            assert_null(c);
            assert_int_equal(pare_mem_live(), live);
        }
    }
}

static void test_real_files(void **state)
{
    char                    buf[1024];
    const char             *path = fixture(buf, "models/smollm2-135m-instruct/model.gguf");
    struct pare_checkpoint *c;
    json_t                 *doc;

    (void)state;
    NEED_FIXTURE(path);
    c = open_ok(path);
    assert_int_equal(pare_checkpoint_params(c), 134515008); /* its makers' number */
    pare_checkpoint_close(&c);
    path = fixture(buf, "models/tiny-moe");
    c = open_ok(path);
    assert_string_equal(json_string_value(json_object_get(c->config, "model_type")), "qwen3_moe");
    pare_checkpoint_close(&c);
    path = fixture(buf, "data/stories260k/stories260K.bin");
    doc = inspect(path, true);
    assert_string_equal(json_string_value(json_object_get(doc, "arch")), "llama");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(doc, "check"), "nan")), 0);
    json_decref(doc);
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
        cmocka_unit_test(test_gguf_values),      cmocka_unit_test(test_getters_refuse), cmocka_unit_test(test_split),
        cmocka_unit_test(test_cut_while_mapped), cmocka_unit_test(test_safetensors),    cmocka_unit_test(test_folder),
        cmocka_unit_test(test_llama2c),          cmocka_unit_test(test_llama2c_int8),   cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_inspect_threads),  cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
