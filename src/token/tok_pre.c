/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_pre.c: the values of tokenizer.ggml.pre and the patterns they stand for: one row per set of patterns. The names
 * are those that GGUF files carry; the patterns those of the tokenizer.json that each name was given for. Cuts are made one
 * pattern after another, each inside of the pieces of the one before; matches and what lies between them are pieces. */
#include <string.h>

#include "token/tok_impl.h"
#include "token/tok_match.h"
#include "token/tok_pats.h"

static const struct pare_preid rows[] = {
    { "default", 0, { PAT_DEFAULT_PUNCT, PAT_GPT2, PAT_NRUN, PAT_ASCII3 } },
    { "gpt-2 mpt olmo jais trillion granite-docling phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert "
      "exaone4 gpt-neox gpt-neo dolly", 0, { PAT_GPT2 } },
    { "jina-v1-en jina-v2-code roberta-bpe", PARE_PREID_ADD_SEP, { PAT_GPT2 } },
    { "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", PARE_PREID_IGNORE_MERGES | PARE_PREID_ADD_BOS,
      { PAT_LLAMA3 } },
    { "dbrx smaug-bpe", 0, { PAT_LLAMA3 } },
    { "chatglm-bpe glm4", PARE_PREID_NO_BOS, { PAT_LLAMA3 } },
    { "qwen2 stablelm2 hunyuan solar-open deepseek-r1-qwen kormo f2llmv2 megrez grok-2", 0, { PAT_QWEN2 } },
    { "qwen35", 0, { PAT_QWEN35 } },
    { "ufakzeka", 0, { PAT_UFAKZEKA } },
    { "laguna", 0, { PAT_LINES, PAT_QWEN2 } },
    { "minicpm5", PARE_PREID_IGNORE_MERGES, { PAT_N13, PAT_MINICPM5 } },
    { "deepseek-llm", 0, { PAT_NEWLINE, PAT_DSL_LETTERS, PAT_DSL_PUNCT, PAT_WS_END, PAT_CJK_DS, PAT_NRUN } },
    { "deepseek-coder", 0, { PAT_NEWLINE, PAT_WS_L, PAT_WS_P, PAT_CJK_DS, PAT_N1 } },
    { "deepseek-v3 hunyuan-dense joyai-llm hy_v4", 0, { PAT_N13, PAT_CJK_KANA, PAT_DEEPSEEK3 } },
    { "spark2_5", 0, { PAT_N13, PAT_CJK_KANA, PAT_SPARK, PAT_N1 } },
    { "youtu", PARE_PREID_IGNORE_MERGES, { PAT_YOUTU_ASIAN, PAT_YOUTU } },
    { "falcon", 0, { PAT_FALCON_PUNCT, PAT_GPT2, PAT_ASCII3 } },
    { "starcoder refact command-r smollm codeshell exaone minerva-7b minerva mellum2", 0, { PAT_N1, PAT_GPT2 } },
    { "poro-chat bloom gpt3-finnish", 0, { PAT_BLOOM } },
    { "viking", 0, { PAT_BLOOM, PAT_N1 } },
    { "jais-2", 0, { PAT_JAIS2 } },
    { "tekken", PARE_PREID_IGNORE_MERGES | PARE_PREID_ADD_BOS, { PAT_TEKKEN } },
    { "chameleon", PARE_PREID_ADD_BOS,
      { "<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", PAT_N1, "[\\p{P}!-/:-@\\[-`{-~]", PAT_GPT2 } },
    { "gpt-4o llama4 kanana2 talkie minimax-m2", 0, { PAT_O200K } },
    { "granite-embed-multi-97m", PARE_PREID_IGNORE_MERGES, { PAT_GRANITE_EMB } },
    { "tiny_aya cohere2moe", 0, { PAT_AYA, PAT_O200K } },
    { "superbpe", 0, { PAT_NRUN, PAT_THREES } },
    { "bailingmoe bailingmoe2 llada-moe", 0, { PAT_BAILING } },
    { "seed-coder", 0, { PAT_SEED } },
    { "kimi-k2", 0, { PAT_KIMI } },
    { "afmoe", 0, { PAT_NRUN, PAT_THREES, PAT_ASIAN, PAT_DEEPSEEK3 } },
    { "exaone-moe", 0, { PAT_EXAONE_MOE } },
    { "gemma4 granite-embed-multi-311m", PARE_PREID_RAW | PARE_PREID_SPACE_MARK | PARE_PREID_ADD_BOS, { PAT_LINES } },
    { "sarvam-moe", PARE_PREID_RAW | PARE_PREID_SPACE_MARK, { PAT_LINES } },
    { "whitespace", PARE_PREID_RAW, { "\\S+" } },
    { "granite", 0, { PAT_N1, PAT_GPT2 } },
};

const struct pare_preid *pare_preid_default(void) { return &rows[0]; }

const struct pare_preid *pare_preid_find(const char *id, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (const char *p = rows[i].ids; *p != '\0';) {
            size_t n = strcspn(p, " ");
            if (n == len && memcmp(p, id, n) == 0) return &rows[i];
            p += n + (p[n] == ' ');
        }
    return NULL;
}

/* Two texts of one matcher are one pattern; U+017F for s in a contraction is no difference a file format could say. */
static bool same_pattern(const char *a, const char *b)
{
    struct pare_match x, y;

    if (strcmp(a, b) == 0) return true;
    if (!pare_match_lookup(&x, a, strlen(a)) || !pare_match_lookup(&y, b, strlen(b))) return false;
    return x.kind == y.kind && ((x.flags ^ y.flags) & ~(uint32_t)PARE_MATCH_ANY_CASE_S) == 0 && x.digits == y.digits &&
           x.mask == y.mask && x.ranges == y.ranges && x.lo == y.lo && x.hi == y.hi;
}

const struct pare_preid *pare_preid_match(const char *const *pattern, size_t n, bool ignore_merges, char name[32])
{
    const struct pare_preid *best = NULL;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t k = 0, len;
        if ((rows[i].flags & PARE_PREID_RAW) != 0) continue;
        while (k < n && rows[i].pattern[k] != NULL && same_pattern(rows[i].pattern[k], pattern[k])) k++;
        if (k < n || rows[i].pattern[k] != NULL) continue;
        if (best != NULL && ((rows[i].flags & PARE_PREID_IGNORE_MERGES) != 0) != ignore_merges) continue;
        if (best != NULL && ((best->flags & PARE_PREID_IGNORE_MERGES) != 0) == ignore_merges) continue;
        best = &rows[i];
        len = strcspn(best->ids, " ");
        memcpy(name, best->ids, len);
        name[len] = '\0';
    }
    return best;
}
