/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_gguf.c: any bytes as a GGUF file. The magic is set, so that no input is wasted on the probe. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *p;

    if (size < 8) return fuzz_bytes(data, size);
    p = malloc(size);
    if (p == NULL) return 0;
    memcpy(p, data, size);
    memcpy(p, "GGUF\3\0\0\0", 8);
    (void)fuzz_bytes(p, size);
    free(p);
    return 0;
}
