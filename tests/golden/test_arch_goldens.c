/* SPDX-License-Identifier: Apache-2.0
 * Every dense family against the reference implementation (tests/golden/arch and the larger set of fixtures): logits at all
 * positions, sixteen greedy tokens through the cache, the same bits however the prompt is cut and whatever the threads. */
#include "fixture.h"

#include <math.h>

#include "golden/rig.h"

struct golden {
    json_t  *doc;
    uint8_t *bin;
    size_t   bin_len;
};

static int golden_open(struct golden *g, const char *dir, const char *family)
{
    char             path[1200];
    struct pare_diag d = { 0 };

    memset(g, 0, sizeof *g);
    snprintf(path, sizeof path, "%s/%s.json", dir, family);
    if (pare_json_load_file(&g->doc, path, 1 << 20, &d) < 0) return -1;
    snprintf(path, sizeof path, "%s/%s.bin", dir, family);
    return pare_read_file(path, 1 << 20, &g->bin, &g->bin_len, &d);
}

static void golden_close(struct golden *g)
{
    json_decref(g->doc);
    pare_free(g->bin);
}

static const float *expected(const struct golden *g, uint32_t prompt)
{
    char    key[32];
    json_t *a;

    snprintf(key, sizeof key, "logits.%u", prompt);
    a = json_object_get(json_object_get(g->doc, "arrays"), key);
    assert_non_null(a);
    return (const float *)(const void *)(g->bin + json_integer_value(json_object_get(a, "offset")));
}

static void check_prompt(const char *model, const struct golden *g, uint32_t p, const char *family, double *worst)
{
    const json_t *prompt = json_array_get(json_object_get(g->doc, "prompts"), p);
    double        std = json_number_value(json_object_get(g->doc, "output_std"));
    double        f64 = json_number_value(json_object_get(json_object_get(g->doc, "noise"), "float64"));
    double        gate = fmax(2e-4 * std, 10 * f64), far = 0;
    int32_t       ids[64], greedy[64];
    uint32_t      n = ids_of(json_object_get(prompt, "ids"), ids, 64);
    uint32_t      steps = ids_of(json_object_get(json_object_get(prompt, "greedy"), "tokens"), greedy, 64);
    uint32_t      n_ctx = n + steps, vocab, cuts[3] = { 1, 5, 27 };
    const float  *want = expected(g, p);
    struct rig    r;
    float        *y, *z;

    rig_open(&r, model, n_ctx, 2, 64, PARE_ACT_F32, PARE_F32);
    vocab = r.n_vocab;
    y = malloc((size_t)n * vocab * sizeof *y);
    z = malloc((size_t)n * vocab * sizeof *z);
    rig_forward(&r, ids, n, true, y);
    for (size_t i = 0; i < (size_t)n * vocab; i++) far = fmax(far, fabs((double)y[i] - (double)want[i]));
    if (!(far <= gate)) fail_msg("%s prompt %u: logits are off by %g, allowed %g", family, p, far, gate);
    *worst = fmax(*worst, far / gate);
    /* greedy through the cache, one row at a time */
    memcpy(z, y + (size_t)(n - 1) * vocab, vocab * sizeof *z);
    for (uint32_t i = 0; i < steps; i++) {
        int32_t t = argmax(z, vocab);

        if (t != greedy[i]) fail_msg("%s prompt %u: greedy token %u is %d, not %d", family, p, i, t, greedy[i]);
        if (i + 1 < steps) rig_forward(&r, &t, 1, true, z);
    }
    rig_close(&r);
    /* the same prompt in pieces, on one thread, in working memory that cuts the pieces again: the same bits */
    rig_open(&r, model, n_ctx, 1, 8, PARE_ACT_F32, PARE_F32);
    for (uint32_t at = 0, k = 0; at < n; k++) {
        uint32_t m = cuts[k % 3] < n - at ? cuts[k % 3] : n - at;

        rig_forward(&r, ids + at, m, true, z + (size_t)at * vocab);
        at += m;
    }
    assert_memory_equal(y, z, (size_t)n * vocab * sizeof *y);
    rig_close(&r);
    free(y);
    free(z);
}

static void check_family(const char *models, const char *goldens, const char *family)
{
    char          path[1200];
    struct golden g;
    double        worst = 0;

    assert_int_equal(golden_open(&g, goldens, family), 0);
    snprintf(path, sizeof path, "%s/%s", models, family);
    for (uint32_t p = 0; p < json_array_size(json_object_get(g.doc, "prompts")); p++) check_prompt(path, &g, p, family, &worst);
    print_message("%-18s %.3f of the allowed distance\n", family, worst);
    golden_close(&g);
}

static void test_small_set(void **state)
{
    static const char *const names[] = { "llama", "gemma2", "falcon" };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) check_family("tests/golden/arch/models", "tests/golden/arch", names[i]);
}

static void test_all(void **state)
{
    static const char *const names[] = {
        "llama", "llama_scaled", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2", "gpt_neox",
        "gptj", "opt", "bloom", "falcon", "falcon_rw", "starcoder2", "stablelm", "olmo", "olmo2", "olmo3", "granite", "cohere",
        "cohere2", "smollm3", "glm", "glm4", "exaone4", "internlm3", "nemotron", "seed_oss", "hunyuan_v1_dense", "ernie4_5",
        "minicpm3", "helium"
    };
    char        a[1024], b[1024];
    const char *goldens = fixture(a, "goldens/arch"), *models = fixture(b, "models/arch");
    const char *only = getenv("PARE_TEST_FAMILY");

    (void)state;
    NEED_FIXTURE(goldens);
    NEED_FIXTURE(models);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (only == NULL || strcmp(only, names[i]) == 0) check_family(models, goldens, names[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_small_set), cmocka_unit_test(test_all) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
