/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_config.c: the JSON files of a Hugging Face folder with fixed shards. The first byte of the input says which one
 * the rest becomes: config.json, the index of shards, generation_config.json, or a llama2.c file. */
#include "fuzz_input.h"

static char dir[64];

static void put_file(const char *name, const void *p, size_t n)
{
    char  path[160];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "wb");
    if (f == NULL || fwrite(p, 1, n, f) != n || fclose(f) != 0) fuzz_stop("cannot write the folder");
}

static void put_shard(const char *name, const char *header, size_t data)
{
    uint8_t b[2048] = { 0 };
    size_t  n = strlen(header);

    for (int i = 0; i < 8; i++) b[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(b + 8, header, n);
    put_file(name, b, 8 + n + data);
}

static const char config[] = "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4,\"group_size\":16}}";
static const char index_json[] = "{\"weight_map\":{\"l.qweight\":\"a.safetensors\",\"l.scales\":\"b.safetensors\"}}";

static void remove_folder(void)
{
    static const char *const names[] = { "config.json", "generation_config.json", "model.safetensors.index.json", "a.safetensors", "b.safetensors", "l.bin" };
    char                     path[160];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void make_folder(void)
{
    snprintf(dir, sizeof dir, "%s/pare-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(dir) == NULL) fuzz_stop("no folder");
    atexit(remove_folder);
    put_shard("a.safetensors", "{\"l.qweight\":{\"dtype\":\"I32\",\"shape\":[4,32],\"data_offsets\":[0,512]},"
                               "\"l.qzeros\":{\"dtype\":\"I32\",\"shape\":[2,4],\"data_offsets\":[512,544]}}", 544);
    put_shard("b.safetensors", "{\"l.scales\":{\"dtype\":\"F16\",\"shape\":[2,32],\"data_offsets\":[0,128]},"
                               "\"l.g_idx\":{\"dtype\":\"I32\",\"shape\":[32],\"data_offsets\":[128,256]}}", 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[160];
    int  which = size == 0 ? 0 : data[0] % 4;

    if (dir[0] == '\0') make_folder();
    if (size == 0) return 0;
    data++;
    size--;
    if (which == 3) {
        put_file("l.bin", data, size);
        snprintf(path, sizeof path, "%s/l.bin", dir);
        fuzz_open(path);
        return 0;
    }
    put_file("config.json", which == 0 ? (const void *)data : config, which == 0 ? size : strlen(config));
    put_file("model.safetensors.index.json", which == 1 ? (const void *)data : index_json, which == 1 ? size : strlen(index_json));
    put_file("generation_config.json", which == 2 ? (const void *)data : "{}", which == 2 ? size : 2);
    fuzz_open(dir);
    return 0;
}
