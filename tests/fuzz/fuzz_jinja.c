/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_jinja.c: libFuzzer target for chat templates: the input is a template, and behind a zero byte, if there is one,
 * the variables as JSON. Whatever comes, the answer is a rendering or an error with a text, and nothing stays allocated. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pare/template.h>

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char usual[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"hi \\u00e9\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"function\":"
    "{\"name\":\"f\",\"arguments\":{\"x\":1.5}}}]}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{}}}],"
    "\"add_generation_prompt\":true,\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"l\":[3,1,2],\"s\":\"a,b\",\"n\":7,\"d\":{\"a\":1,\"B\":2}}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t   *zero = size == 0 ? NULL : memchr(data, 0, size);
    size_t           n = zero == NULL ? size : (size_t)(zero - data), len = 0, rest = size - n;
    char            *context = NULL, *out = NULL;
    struct pare_diag diag = { 0 };
    uint64_t         live = pare_mem_live();
    int              rc;

    if (zero != NULL) {
        context = malloc(rest);
        if (context == NULL) return 0;
        memcpy(context, zero + 1, rest - 1);
        context[rest - 1] = '\0';
    }
    rc = pare_template_render(size == 0 ? "" : (const char *)data, n, context == NULL ? usual : context, "2026-11-20", &out, &len, &diag);
    if (rc == 0 ? out == NULL || strlen(out) > len : out != NULL || diag.text[0] == '\0') abort();
    pare_free(out);
    if (pare_mem_live() != live) abort();
    free(context);
    return 0;
}
