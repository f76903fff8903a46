/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_match_table.c: the public patterns that have a hand-written matcher, by their text. The expressions are facts:
 * they stand in the tokenizer.json files of the models named. One that is not found here is given to PCRE2. */
#include <string.h>

#include "token/tok_match.h"
#include "token/tok_pats.h"
#include "token/tok_unicode.h"

static const uint32_t r_ascii[] = { '0', '9', 0, 0 };
static const uint32_t r_newline[] = { '\n', '\n', '\r', '\r', 0, 0 };
static const uint32_t r_cjk_kana[] = { 0x4E00, 0x9FA5, 0x3040, 0x309F, 0x30A0, 0x30FF, 0, 0 };
static const uint32_t r_cjk_dsl[] = { 0x4E00, 0x9FA5, 0x0800, 0x4E00, 0xAC00, 0xD7FF, 0, 0 };

#define CT PARE_MATCH_CONTRACT
#define CTS (PARE_MATCH_CONTRACT | PARE_MATCH_ANY_CASE_S)
static const struct {
    const char       *pattern;
    struct pare_match m;
} known[] = {
    { PAT_GPT2, { .kind = PARE_MATCH_GPT2 } },
    { PAT_GPT2_SHORT, { .kind = PARE_MATCH_GPT2 } },
    { PAT_LLAMA3, { .kind = PARE_MATCH_CL100K, .flags = CTS, .digits = 3 } },
    { PAT_LLAMA3_POSS, { .kind = PARE_MATCH_CL100K, .flags = CTS, .digits = 3 } },
    { PAT_LLAMA3_CLS, { .kind = PARE_MATCH_CL100K, .flags = CT, .digits = 3 } },
    { PAT_QWEN2, { .kind = PARE_MATCH_CL100K, .flags = CTS, .digits = 1 } },
    { PAT_QWEN2_CLS, { .kind = PARE_MATCH_CL100K, .flags = CT, .digits = 1 } },
    { PAT_QWEN35, { .kind = PARE_MATCH_CL100K, .flags = CTS | PARE_MATCH_MARKS, .digits = 1 } },
    { PAT_MINICPM5, { .kind = PARE_MATCH_CL100K, .flags = CTS, .digits = 0 } },
    { PAT_SEED, { .kind = PARE_MATCH_CL100K, .flags = CTS | PARE_MATCH_NO_TAIL, .digits = 1 } },
    { PAT_BAILING, { .kind = PARE_MATCH_CL100K, .flags = CTS, .digits = 1 } },
    { PAT_UFAKZEKA, { .kind = PARE_MATCH_CL100K, .digits = 1 } },
    { PAT_O200K, { .kind = PARE_MATCH_O200K, .flags = CTS | PARE_MATCH_SLASH, .digits = 3 } },
    { PAT_O200K_CLS, { .kind = PARE_MATCH_O200K, .flags = CT | PARE_MATCH_SLASH, .digits = 3 } },
    { PAT_TEKKEN, { .kind = PARE_MATCH_O200K, .flags = PARE_MATCH_SLASH, .digits = 1 } },
    { PAT_YOUTU, { .kind = PARE_MATCH_O200K, .flags = CTS | PARE_MATCH_SLASH, .digits = 1 } },
    { PAT_KIMI, { .kind = PARE_MATCH_O200K, .flags = CTS | PARE_MATCH_NO_HAN, .digits = 3 } },
    { PAT_DEEPSEEK3, { .kind = PARE_MATCH_DEEPSEEK3 } },
    { PAT_N13, { .kind = PARE_MATCH_RUN, .mask = PARE_UC_N, .lo = 1, .hi = 3 } },
    { PAT_N1, { .kind = PARE_MATCH_RUN, .mask = PARE_UC_N, .lo = 1, .hi = 1 } },
    { PAT_NRUN, { .kind = PARE_MATCH_RUN, .mask = PARE_UC_N, .lo = 1 } },
    { "\\d", { .kind = PARE_MATCH_RUN, .mask = PARE_UC_ND, .lo = 1, .hi = 1 } },
    { "\\d+", { .kind = PARE_MATCH_RUN, .mask = PARE_UC_ND, .lo = 1 } },
    { "[0-9]", { .kind = PARE_MATCH_RUN, .ranges = r_ascii, .lo = 1, .hi = 1 } },
    { PAT_ASCII3, { .kind = PARE_MATCH_RUN, .ranges = r_ascii, .lo = 3, .hi = 3 } },
    { PAT_NEWLINE, { .kind = PARE_MATCH_RUN, .ranges = r_newline, .lo = 1, .hi = 1 } },
    { "[\\r\\n]", { .kind = PARE_MATCH_RUN, .ranges = r_newline, .lo = 1, .hi = 1 } },
    { PAT_CJK_KANA, { .kind = PARE_MATCH_RUN, .ranges = r_cjk_kana, .lo = 1 } },
    { PAT_CJK_DS, { .kind = PARE_MATCH_RUN, .ranges = r_cjk_dsl, .lo = 1 } },
    { PAT_WS_L, { .kind = PARE_MATCH_RUN, .mask = PARE_UC_L, .lo = 1, .flags = PARE_MATCH_LEAD_WS } },
    { PAT_WS_P, { .kind = PARE_MATCH_RUN, .mask = PARE_UC_P, .lo = 1, .flags = PARE_MATCH_LEAD_WS } },
    { "\\s", { .kind = PARE_MATCH_RUN, .mask = PARE_UC_WS, .lo = 1, .hi = 1 } },
    { "\\s+", { .kind = PARE_MATCH_RUN, .mask = PARE_UC_WS, .lo = 1 } },
    { PAT_WS_END, { .kind = PARE_MATCH_WS_END } },
    { PAT_THREES, { .kind = PARE_MATCH_THREES } },
    { PAT_AYA, { .kind = PARE_MATCH_AYA_DIGITS } },
    { PAT_LINES, { .kind = PARE_MATCH_LINES } },
};

bool pare_match_lookup(struct pare_match *m, const char *pattern, size_t len)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strlen(known[i].pattern) == len && memcmp(known[i].pattern, pattern, len) == 0) {
            *m = known[i].m;
            return true;
        }
    return false;
}
