/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_safetensors.c: a JSON header from the input. Its first two bytes say how much data follows it; the header
 * length is made right unless the first bit of them asks for the input as it is. */
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t   extra;
    uint8_t *p;

    if (size < 2 || (data[0] & 1) != 0) return fuzz_bytes(data + (size != 0), size - (size != 0));
    extra = (size_t)(data[0] >> 1 | data[1] << 7);
    data += 2;
    size -= 2;
    p = calloc(1, 8 + size + extra);
    if (p == NULL) return 0;
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)((uint64_t)size >> (8 * i));
    if (size != 0) memcpy(p + 8, data, size);
    (void)fuzz_bytes(p, 8 + size + extra);
    free(p);
    return 0;
}
