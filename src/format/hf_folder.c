/* SPDX-License-Identifier: Apache-2.0
 * src/format/hf_folder.c: a Hugging Face folder: config.json, and tensors in model.safetensors or
 * diffusion_pytorch_model.safetensors, whole or in shards that an index lists. A pipeline folder (model_index.json without a
 * config.json) stands for the network it drives, in transformer/ or unet/. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "format/checkpoint_private.h"
#include "format/limits.h"

static const char *const pipeline_parts[] = { "transformer", "unet" };

/* Without an allocation: one that fails would make a file look absent. No system opens longer paths. */
static bool has(const char *dir, const char *name)
{
    char path[4096];
    int  n = snprintf(path, sizeof path, "%s/%s", dir, name);

    return n > 0 && (size_t)n < sizeof path && pare_path_exists(path);
}

static int probe(const char *path, bool is_dir, const uint8_t *head, size_t n)
{
    (void)head;
    (void)n;
    return is_dir && (has(path, "config.json") || has(path, "model_index.json"));
}

/* dir: the folder with the config.json. */
static int find_dir(char **dir, const char *path, struct pare_diag *diag)
{
    *dir = pare_strdup(path);
    if (*dir == NULL) return PARE_NOMEM(diag);
    if (has(path, "config.json")) return PARE_OK;
    for (size_t i = 0; i < sizeof pipeline_parts / sizeof *pipeline_parts; i++) {
        pare_free(*dir);
        *dir = pare_path_join(path, pipeline_parts[i]);
        if (*dir == NULL) return PARE_NOMEM(diag);
        if (has(*dir, "config.json")) return PARE_OK;
    }
    PARE_FAIL(diag, PARE_E_UNSUPPORTED, "a pipeline folder without transformer/config.json or unet/config.json");
}

/* A JSON object from a file of the folder; *out stays NULL when the file is absent and need not be there. */
static int load_object(json_t **out, const char *dir, const char *name, size_t max, bool needed, struct pare_diag *diag)
{
    char *p = pare_path_join(dir, name);
    int   rc = PARE_OK;

    *out = NULL;
    if (p == NULL) return PARE_NOMEM(diag);
    if (needed || has(dir, name)) rc = pare_json_load_file(out, p, max, diag);
    if (rc == PARE_OK && *out != NULL && !json_is_object(*out)) {
        rc = PARE_ERR_AT(diag, PARE_E_CORRUPT, 0, name, "must hold a JSON object");
        json_decref(*out);
        *out = NULL;
    }
    if (rc < 0) pare_diag_where(diag, name);
    if (rc < 0) pare_diag_file(diag, p);
    pare_free(p);
    return rc;
}

/* A shard's name comes from a file that may be hostile: a plain name in the folder, nothing that leads elsewhere. */
static int check_shard_name(const char *tensor, const json_t *v, struct pare_diag *diag)
{
    const char *s = json_string_value(v);
    size_t      n = json_string_length(v);

    if (s == NULL) PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, tensor, "weight_map: the value must be a file name");
    if (n == 0 || n > 255 || strlen(s) != n || strchr(s, '/') != NULL || strchr(s, '\\') != NULL || s[0] == '.')
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, tensor, "weight_map: \"%.80s\" is not a plain file name", s);
    if (n < 12 || strcmp(s + n - 12, ".safetensors") != 0)
        PARE_FAIL_AT(diag, PARE_E_UNSUPPORTED, 0, tensor, "weight_map: \"%.80s\" is not a safetensors file", s);
    return PARE_OK;
}

static int open_part(struct pare_checkpoint *c, const char *name, struct pare_diag *diag)
{
    char *p = pare_path_join(c->dir, name);
    int   rc;

    if (p == NULL) return PARE_NOMEM(diag);
    rc = pare_checkpoint_map(c, p, diag);
    if (rc == PARE_OK) rc = pare_safetensors_part(c, c->n_maps - 1, diag);
    pare_free(p);
    return rc;
}

/* Each tensor must lie in the shard that the index names. */
static int check_map(const struct pare_checkpoint *c, json_t *map, json_t *shards, struct pare_diag *diag)
{
    const char *name;
    json_t     *v;

    json_object_foreach(map, name, v) {
        const struct pare_tensor *t = pare_checkpoint_tensor(c, name);

        if (t == NULL) PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, name, "weight_map: no shard has this tensor");
        if ((json_int_t)t->file != json_integer_value(json_object_get(shards, json_string_value(v))))
            PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, name, "weight_map says \"%.80s\", the tensor lies in another shard", json_string_value(v));
    }
    return PARE_OK;
}

static int open_shards(struct pare_checkpoint *c, json_t *index, struct pare_diag *diag)
{
    json_t     *map = json_object_get(index, "weight_map"), *shards, *v;
    const char *name;
    int         rc = PARE_OK;

    if (!json_is_object(map) || json_object_size(map) == 0)
        PARE_FAIL_AT(diag, PARE_E_CORRUPT, 0, "weight_map", "must be an object that lists the tensors");
    shards = json_object(); /* file name -> number of the map, in the order of the index */
    if (shards == NULL) return PARE_NOMEM(diag);
    json_object_foreach(map, name, v) {
        if ((rc = check_shard_name(name, v, diag)) < 0) break;
        if (json_object_get(shards, json_string_value(v)) != NULL) continue;
        if (json_object_size(shards) >= PARE_MAX_FILES) {
            rc = PARE_ERR_AT(diag, PARE_E_LIMIT, 0, "weight_map", "more than %u shards", PARE_MAX_FILES);
            break;
        }
        if (json_object_set_new(shards, json_string_value(v), json_integer((json_int_t)json_object_size(shards))) != 0) {
            rc = PARE_NOMEM(diag);
            break;
        }
    }
    if (rc == PARE_OK) {
        json_object_foreach(shards, name, v)
            if ((rc = open_part(c, name, diag)) < 0) break;
    }
    if (rc == PARE_OK) rc = pare_checkpoint_index(c, diag);
    if (rc == PARE_OK) rc = check_map(c, map, shards, diag);
    json_decref(shards);
    return rc;
}

static int open_tensors(struct pare_checkpoint *c, struct pare_diag *diag)
{
    static const char *const stems[] = { "model", "diffusion_pytorch_model" };
    char                     name[64];
    json_t                  *index;
    int                      rc;

    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        snprintf(name, sizeof name, "%s.safetensors", stems[i]);
        if (has(c->dir, name)) return open_part(c, name, diag);
        snprintf(name, sizeof name, "%s.safetensors.index.json", stems[i]);
        if (!has(c->dir, name)) continue;
        PARE_FORWARD(load_object(&index, c->dir, name, PARE_MAX_INDEX, true, diag));
        rc = open_shards(c, index, diag);
        json_decref(index);
        if (rc < 0 && diag != NULL && diag->file[0] == '\0') { /* not a shard's own error: the index is at fault */
            char *p = pare_path_join(c->dir, name);
            pare_diag_file(diag, p);
            pare_free(p);
        }
        return rc;
    }
    if (has(c->dir, "pytorch_model.bin") || has(c->dir, "pytorch_model.bin.index.json"))
        PARE_FAIL(diag, PARE_E_UNSUPPORTED, "the tensors are PyTorch pickles, which can run code when loaded; convert them to safetensors");
    PARE_FAIL(diag, PARE_E_IO, "the folder has no model.safetensors, no diffusion_pytorch_model.safetensors and no index of shards");
}

/* Old GPTQ folders keep their settings beside the config. */
static int adopt_quantize_config(struct pare_checkpoint *c, struct pare_diag *diag)
{
    json_t *q;

    if (json_object_get(c->config, "quantization_config") != NULL) return PARE_OK;
    PARE_FORWARD(load_object(&q, c->dir, "quantize_config.json", PARE_MAX_CONFIG, false, diag));
    if (q == NULL) return PARE_OK;
    if (json_object_get(q, "quant_method") == NULL) json_object_set_new(q, "quant_method", json_string("gptq"));
    return json_object_set_new(c->config, "quantization_config", q) == 0 ? PARE_OK : PARE_NOMEM(diag);
}

static int hf_open(struct pare_checkpoint *c, const char *path, struct pare_diag *diag)
{
    PARE_FORWARD(find_dir(&c->dir, path, diag));
    PARE_FORWARD(load_object(&c->config, c->dir, "config.json", PARE_MAX_CONFIG, true, diag));
    PARE_FORWARD(load_object(&c->generation, c->dir, "generation_config.json", PARE_MAX_CONFIG, false, diag));
    PARE_FORWARD(adopt_quantize_config(c, diag));
    return open_tensors(c, diag);
}

/* The same name as a single file has: it is the container, a folder is only where it lies. */
extern const struct pare_format pare_format_hf_folder;
const struct pare_format pare_format_hf_folder = { .name = "safetensors", .probe = probe, .open = hf_open };
