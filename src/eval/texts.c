/* SPDX-License-Identifier: Apache-2.0 */
#include "eval/texts.h"

#include <string.h>

#include "base/mem.h"
#include "base/status.h"

/* The texts lie in the read-only data of the library: nothing to find at run time. Paths are those of the repository. */
#define EMBED(symbol, file)                                                                                            \
    __asm__(".pushsection .rodata\n"                                                                                   \
            ".global " symbol "\n.hidden " symbol "\n" symbol ":\n.incbin \"" file "\"\n"                              \
            ".global " symbol "_end\n.hidden " symbol "_end\n" symbol "_end:\n.byte 0\n.popsection\n")

EMBED("pare_embedded_calibration", "data/text/calibration.txt");
EMBED("pare_embedded_proof", "data/text/proof.txt");

extern const char pare_embedded_calibration[], pare_embedded_calibration_end[];
extern const char pare_embedded_proof[], pare_embedded_proof_end[];

const char *pare_text_calibration(size_t *n)
{
    *n = (size_t)(pare_embedded_calibration_end - pare_embedded_calibration);
    return pare_embedded_calibration;
}

const char *pare_text_proof(size_t *n)
{
    *n = (size_t)(pare_embedded_proof_end - pare_embedded_proof);
    return pare_embedded_proof;
}

static int cut(struct pare_windows *win, const struct pare_ids *ids, int32_t bos, const struct pare_text_settings *s,
               struct pare_diag *diag)
{
    uint32_t body = s->ctx - (s->bos ? 1 : 0);
    uint64_t have = ids->n / body, first = s->skip, n, stride = 1;

    PARE_FAIL_IF(diag, have <= first, PARE_E_USAGE, "the text has %llu tokens: not one window of %u%s",
                 (unsigned long long)ids->n, s->ctx, first ? " after those skipped" : "");
    n = have - first;
    if (s->max != 0 && n > s->max) {
        if (s->spread) stride = n / s->max;
        n = s->max;
    }
    win->n = (uint32_t)n;
    win->len = s->ctx;
    win->ids = pare_alloc_array(n * s->ctx, sizeof *win->ids);
    if (win->ids == NULL) return PARE_NOMEM(diag);
    for (uint64_t i = 0; i < n; i++) {
        int32_t *w = win->ids + i * s->ctx;
        if (s->bos) *w++ = bos;
        memcpy(w, ids->ids + (first + i * stride) * body, body * sizeof *w);
    }
    return PARE_OK;
}

int pare_text_windows(struct pare_windows *win, const struct pare_tokenizer *tok, const char *text, size_t n,
                      const struct pare_text_settings *s, uint64_t *total, struct pare_diag *diag)
{
    struct pare_ids ids = { 0 };
    int32_t         bos = pare_tokenizer_bos(tok);
    int             rc;

    memset(win, 0, sizeof *win);
    PARE_FAIL_IF(diag, s->ctx < 2 + (s->bos ? 1u : 0u), PARE_E_USAGE, "a window of %u tokens scores nothing", s->ctx);
    PARE_FAIL_IF(diag, s->bos && bos < 0, PARE_E_USAGE, "windows with BOS were asked for, but the tokenizer has no BOS token");
    rc = pare_tokenizer_encode(tok, text, n, 0, &ids, diag);
    if (rc == PARE_OK) {
        if (total != NULL) *total = ids.n;
        rc = cut(win, &ids, bos, s, diag);
    }
    pare_ids_free(&ids);
    return rc;
}
