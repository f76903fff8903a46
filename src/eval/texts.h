/* SPDX-License-Identifier: Apache-2.0
 * src/eval/texts.h: texts and how they are cut into windows of tokens. The built-in texts ship with the library: one to calibrate
 * on, another to prove on (data/text/README.md says where they come from); they share no passage. */
#ifndef PARE_EVAL_TEXTS_H
#define PARE_EVAL_TEXTS_H

#include "compress/stream.h"
#include "token/tokenizer.h"

const char *pare_text_calibration(size_t *n);
const char *pare_text_proof(size_t *n);

#define PARE_MAX_TEXT (1ull << 30)

struct pare_text_settings {
    uint32_t ctx;        /* positions a window */
    bool     bos;        /* each window is BOS and ctx - 1 tokens of text */
    uint32_t skip, max;  /* windows left out, windows at most (0: all) */
    bool     spread;     /* take `max` windows evenly from the whole text instead of the first ones */
};
/* Tokenizes at once with nothing added and cuts non-overlapping windows; the tail that does not fill one is dropped. *total gets the
 * number of tokens of the text. PARE_E_USAGE when there is not one whole window. win->ids is owned by the caller (pare_free). */
int pare_text_windows(struct pare_windows *win, const struct pare_tokenizer *tok, const char *text, size_t n,
                      const struct pare_text_settings *s, uint64_t *total, struct pare_diag *diag);

#endif
