/* SPDX-License-Identifier: Apache-2.0
 * The models in the repository and in the fixtures against PyTorch (goldens README): logits of prompts, greedy continuations
 * up to the first tie. */
#include "fixture.h"

#include <math.h>

#include "golden/rig.h"

/* Lines of a JSON-lines file. */
static json_t *lines_of(const char *dir, const char *name)
{
    char             path[1200];
    uint8_t         *text;
    size_t           len;
    struct pare_diag d = { 0 };
    json_t          *all = json_array();

    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (pare_read_file(path, 1 << 20, &text, &len, &d) < 0) say(&d);
    for (char *p = (char *)text, *end; *p != '\0'; p = end + 1) {
        json_t *j;

        end = strchr(p, '\n');
        if (end == NULL) break;
        if (pare_json_load(&j, p, (size_t)(end - p), name, &d) < 0) say(&d);
        json_array_append_new(all, j);
    }
    pare_free(text);
    return all;
}

/* Largest distance in units of the standard deviation of what is expected. */
static double distance(const float *a, const float *b, size_t n)
{
    double far = 0, sum = 0, sq = 0;

    for (size_t i = 0; i < n; i++) {
        far = fmax(far, fabs((double)a[i] - (double)b[i]));
        sum += (double)b[i];
        sq += (double)b[i] * (double)b[i];
    }
    return far / sqrt(sq / (double)n - sum / (double)n * (sum / (double)n));
}

/* logits.bin: the last position of prompts 0, 1, 2, then all positions of prompt 3 (of its first `cut` ids). */
static void check_logits(struct rig *r, const char *dir, const json_t *prompts, uint32_t cut, double gate)
{
    char             path[1200];
    uint8_t         *bin;
    size_t           len, at = 0;
    struct pare_diag d = { 0 };
    float           *y;
    int32_t          ids[256];

    snprintf(path, sizeof path, "%s/logits.bin", dir);
    if (pare_read_file(path, 1 << 24, &bin, &len, &d) < 0) say(&d);
    y = malloc((size_t)256 * r->n_vocab * sizeof *y);
    for (uint32_t p = 0; p < 4; p++) {
        uint32_t n = ids_of(json_object_get(json_array_get(prompts, p), "ids"), ids, 256), rows = p < 3 ? 1 : n < cut ? n : cut;
        double   far;

        assert_true(at + (size_t)rows * r->n_vocab * sizeof *y <= len);
        rig_reset(r);
        rig_forward(r, ids, p < 3 ? n : rows, p == 3, y);
        far = distance(y, (const float *)(const void *)(bin + at), (size_t)rows * r->n_vocab);
        print_message("prompt %u: %.2e of the standard deviation\n", p, far);
        assert_true(far <= gate);
        at += (size_t)rows * r->n_vocab * sizeof *y;
    }
    assert_int_equal(at, len);
    free(y);
    pare_free(bin);
}

static void check_greedy(struct rig *r, const json_t *prompts, const json_t *greedy, uint32_t first, uint32_t n_prompts, uint32_t max)
{
    float *y = malloc(r->n_vocab * sizeof *y);

    for (uint32_t p = first; p < first + n_prompts; p++) {
        const json_t *g = json_array_get(greedy, p), *ties = json_object_get(g, "ties");
        int32_t       ids[256], want[64];
        uint32_t      n = ids_of(json_object_get(json_array_get(prompts, p), "ids"), ids, 256);
        uint32_t      steps = ids_of(json_object_get(g, "ids"), want, 64);

        if (json_array_size(ties) != 0 && json_integer_value(json_array_get(ties, 0)) < steps)
            steps = (uint32_t)json_integer_value(json_array_get(ties, 0));
        if (steps > max) steps = max;
        rig_reset(r);
        rig_forward(r, ids, n, false, y);
        for (uint32_t i = 0; i < steps; i++) {
            int32_t t = argmax(y, r->n_vocab);

            if (t != want[i]) fail_msg("prompt %u, step %u: token %d, not %d", p, i, t, want[i]);
            if (i + 1 < steps) rig_forward(r, &t, 1, false, y);
        }
    }
    free(y);
}

static void test_demo(void **state)
{
    const char *dir = "tests/golden/demo-llama";
    json_t     *prompts = lines_of(dir, "prompts.jsonl"), *greedy = lines_of(dir, "greedy.jsonl");
    struct rig  r;

    (void)state;
    rig_open(&r, "data/demo-llama", 320, 2, 128, PARE_ACT_F32, PARE_F32);
    assert_true(pare_model_info_of(r.model)->all_float);
    check_logits(&r, dir, prompts, 256, 2e-4);
    check_greedy(&r, prompts, greedy, 0, 8, 64);
    rig_close(&r);
    json_decref(prompts);
    json_decref(greedy);
}

/* The fast path too gives the same bits however the prompt is cut. */
static void check_cuts(struct rig *r, const json_t *prompts)
{
    int32_t  ids[256];
    uint32_t n = ids_of(json_object_get(json_array_get(prompts, 0), "ids"), ids, 256);
    float   *a = malloc((size_t)n * r->n_vocab * sizeof *a), *b = malloc((size_t)n * r->n_vocab * sizeof *b);

    rig_reset(r);
    rig_forward(r, ids, n, true, a);
    rig_reset(r);
    for (uint32_t at = 0, m; at < n; at += m) {
        m = at == 0 ? 17 : at < 25 ? 1 : n - at;
        rig_forward(r, ids + at, m, true, b + (size_t)at * r->n_vocab);
    }
    assert_memory_equal(a, b, (size_t)n * r->n_vocab * sizeof *a);
    free(a);
    free(b);
}

/* Quantized weights, multiplied in f32: what the goldens computed from the dequantized file. One greedy prompt, few steps:
 * this path decodes all weights for each token. */
static void test_smollm2(void **state)
{
    char        a[1024], b[1024];
    const char *model = fixture(a, "models/smollm2-135m-instruct/model.gguf"), *dir = fixture(b, "goldens/smollm2-135m-instruct");
    json_t     *prompts, *greedy;
    struct rig  r;

    (void)state;
    NEED_FIXTURE(model);
    NEED_FIXTURE(dir);
    prompts = lines_of(dir, "prompts.jsonl");
    greedy = lines_of(dir, "greedy.jsonl");
    rig_open(&r, model, 320, 2, 128, PARE_ACT_F32, PARE_F32);
    assert_false(pare_model_info_of(r.model)->all_float);
    check_logits(&r, dir, prompts, 8, 2e-4);
    check_greedy(&r, prompts, greedy, 0, 1, 8);
    rig_close(&r);
    /* The fast path loses a little: measured by the evaluation, bounded here. */
    rig_open(&r, model, 320, 2, 128, PARE_ACT_INT8, PARE_F16);
    check_logits(&r, dir, prompts, 8, 0.5);
    check_cuts(&r, prompts);
    rig_close(&r);
    json_decref(prompts);
    json_decref(greedy);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_demo), cmocka_unit_test(test_smollm2) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
