/* SPDX-License-Identifier: Apache-2.0
 * libFuzzer target: the first byte chooses what the rest is: a tokenizer.json, a tokenizer.model, a tokenizer.bin (each then
 * encodes and decodes a text), or a text for the demo tokenizer, which must come out again byte by byte. */
#include <stdlib.h>
#include <string.h>

#include "token/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void use(const struct pare_tokenizer *t, const char *text, size_t n, bool lossless)
{
    struct pare_ids  ids = { 0 };
    struct pare_diag d = { 0 };
    char            *back = NULL;
    size_t           len = 0;

    if (pare_tokenizer_encode(t, text, n, lossless ? 0 : PARE_TOK_PARSE_SPECIAL | PARE_TOK_ADD_BOS | PARE_TOK_ADD_EOS, &ids, &d) == PARE_OK) {
        if (pare_tokenizer_decode(t, ids.ids, ids.n, 0, &back, &len, &d) < 0 && d.code != PARE_E_LIMIT && d.code != PARE_E_NOMEM) abort();
        if (lossless && (len != n || memcmp(back, text, n) != 0)) abort();
    }
    pare_free(back);
    pare_ids_free(&ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char             text[] = "The quick <s>br\xC3\xB6wn</s> fox\xFF  jumps\n1234567 \xE2\x96\x81 \xE4\xB8\xAD\xE6\x96\x87 don't";
    static struct pare_tokenizer *demo;
    struct pare_tokenizer        *t = NULL;
    struct pare_diag              d = { 0 };

    if (n == 0) return 0;
    switch (data[0] & 3) {
    case 0: (void)pare_tokenizer_from_json(&t, (const char *)data + 1, n - 1, NULL, &d); break;
    case 1: (void)pare_tokenizer_from_spm(&t, data + 1, n - 1, &d); break;
    case 2: (void)pare_tokenizer_from_llama2c(&t, data + 1, n - 1, 0, &d); break;
    default:
        if (demo == NULL && pare_tokenizer_open(&demo, "data/demo-llama", &d) < 0) abort();
        use(demo, (const char *)data + 1, n - 1, true);
        return 0;
    }
    if (t != NULL) use(t, text, sizeof text - 1, false);
    pare_tokenizer_close(&t);
    return 0;
}
