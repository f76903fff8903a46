/* SPDX-License-Identifier: Apache-2.0
 * src/token/tok_pats.h: texts of public pre-tokenizer patterns, as in the tokenizer.json of the models they come from (the
 * forms with [sS] are those that GGUF engines use for the same). */
#ifndef PARE_TOKEN_TOK_PATS_H
#define PARE_TOKEN_TOK_PATS_H

#define PAT_GPT2_SHORT "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)"
#define PAT_GPT2 PAT_GPT2_SHORT "|\\s+"

#define CON_I "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define CON_C "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define REST " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define PAT_LLAMA3 CON_I "|" WORD "|\\p{N}{1,3}|" REST
#define PAT_LLAMA3_CLS CON_C "|" WORD "|\\p{N}{1,3}|" REST
/* cl100k as tiktoken has it, with possessive quantifiers that change nothing */
#define PAT_LLAMA3_POSS                                                                                                \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define PAT_QWEN2 CON_I "|" WORD "|\\p{N}|" REST
#define PAT_QWEN2_CLS CON_C "|" WORD "|\\p{N}|" REST
#define PAT_UFAKZEKA WORD "|\\p{N}|" REST
#define PAT_MINICPM5 CON_I "|" WORD "|\\p{N}+|" REST
#define PAT_QWEN35                                                                                                     \
    CON_I "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define PAT_SEED                                                                                                       \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
#define PAT_BAILING                                                                                                    \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"

#define OUP "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define OLO "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define OWORDS(con) "[^\\r\\n\\p{L}\\p{N}]?" OUP "*" OLO "+" con "|[^\\r\\n\\p{L}\\p{N}]?" OUP "+" OLO "*" con
#define OREST " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define PAT_O200K OWORDS(CON_I "?") "|\\p{N}{1,3}|" OREST
#define PAT_O200K_CLS OWORDS(CON_C "?") "|\\p{N}{1,3}|" OREST
#define PAT_TEKKEN OWORDS("") "|\\p{N}|" OREST
#define PAT_YOUTU OWORDS(CON_I "?") "|\\p{N}|" OREST
/* Kimi K2: o200k without Han in words; class intersection as Oniguruma writes it */
#define KUP "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define KLO "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define PAT_KIMI                                                                                                       \
    "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?" KUP "*" KLO "+" CON_I "?|[^\\r\\n\\p{L}\\p{N}]?" KUP "+" KLO "*" CON_I            \
    "?|\\p{N}{1,3}|" REST

#define PAT_DEEPSEEK3                                                                                                  \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"                   \
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
#define PAT_CJK_KANA "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+"
#define PAT_CJK_DS "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+"
#define PAT_N13 "\\p{N}{1,3}"
#define PAT_N1 "\\p{N}"
#define PAT_NRUN "\\p{N}+"
#define PAT_ASCII3 "[0-9][0-9][0-9]"
#define PAT_NEWLINE "[\r\n]"
#define PAT_WS_L "\\s?\\p{L}+"
#define PAT_WS_P "\\s?\\p{P}+"
#define PAT_WS_END "\\s+$"
#define PAT_THREES "(?=(\\d{3})+(?!\\d))"
#define PAT_AYA "\\d{1,3}(?=(?:\\d{3})*\\b)"
#define PAT_LINES "[^\\n]+|[\\n]+"

#define PAT_BLOOM " ?[^(\\s|.,!?\xE2\x80\xA6\xE3\x80\x82\xEF\xBC\x8C\xE3\x80\x81\xE0\xA5\xA4\xDB\x94\xD8\x8C)]+"
/* DeepSeek LLM 7B: letters of scripts with case; punctuation; both maybe after one white space */
#define PAT_DSL_LETTERS                                                                                                \
    "\\s?[A-Za-z\xC2\xB5\xC3\x80-\xC3\x96\xC3\x98-\xC3\xB6\xC3\xB8-\xC6\xBA\xC6\xBC-\xC6\xBF\xC7\x84-\xCA\x93\xCA\x95-\xCA\xAF"   \
    "\xCD\xB0-\xCD\xB3\xCD\xB6\xCD\xB7\xCD\xBB-\xCD\xBD\xCD\xBF\xCE\x86\xCE\x88-\xCE\x8A\xCE\x8C\xCE\x8E-\xCE\xA1\xCE\xA3-\xCF\xB5" \
    "\xCF\xB7-\xD2\x81\xD2\x8A-\xD4\xAF\xD4\xB1-\xD5\x96\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}" \
    "\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}"   \
    "\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}" \
    "\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}" \
    "\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}"  \
    "\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}"  \
    "\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}"        \
    "\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}"        \
    "\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}" \
    "\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+"
#define PAT_DSL_PUNCT                                                                                                  \
    "\\s?[!-/:-~\xEF\xBC\x81-\xEF\xBC\x8F\xEF\xBC\x9A-\xEF\xBD\x9E\xE2\x80\x98-\xE2\x80\x9F\xE3\x80\x80-\xE3\x80\x82]+"
#define PAT_FALCON_PUNCT "[\\p{P}\\$\\+<=>\\^~\\|`]+"
#define PAT_DEFAULT_PUNCT "[\\p{P}\\$\\+<=>\\^~\\|]+"
#define PAT_ASIAN                                                                                                      \
    "[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{F900}-\\x{FAFF}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}\\x{FF65}-\\x{FF9F}\\x{2F00}-"  \
    "\\x{2FDF}\\x{0E00}-\\x{0E7F}\\x{0E80}-\\x{0EFF}\\x{1780}-\\x{17FF}\\x{1000}-\\x{109F}\\x{AA60}-\\x{AA7F}\\x{A9E0}-\\x{A9FF}"      \
    "\\x{AC00}-\\x{D7AF}\\x{1100}-\\x{11FF}]+"
#define PAT_YOUTU_ASIAN                                                                                                \
    "[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+|[!\\x{2026}\\x{201C}\\x{201D}\\x{2018}\\x{2019}\\x{2014}:;,\\x{3001}-\\x{303F}"  \
    "\\x{FE30}-\\x{FE4F}]+|[\\x{3105}-\\x{312F}]+|" PAT_CJK_KANA
#define PAT_EXAONE_MOE                                                                                                 \
    CON_I "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*+(?: \\p{L}\\p{M}*+)*+)++|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define PAT_GRANITE_EMB                                                                                                \
    "[^\\r\\n\\p{L}\\p{N}]?((?=[\\p{L}\\p{M}])([^a-z]))*((?=[\\p{L}\\p{M}])([^A-Z]))+" CON_C "?|[^\\r\\n\\p{L}\\p{N}]?"     \
    "((?=[\\p{L}\\p{M}])([^a-z]))+((?=[\\p{L}\\p{M}])([^A-Z]))*" CON_C "?|\\p{N}{1,3}|" OREST
#define PAT_JAIS2                                                                                                      \
    CON_I "|" WORD "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)"  \
    "|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"
#define PAT_SPARK                                                                                                      \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"                   \
    "| ?[\\p{P}\\p{S}]+|[\r\n]|\\s+(?!\\S)|\\s+"

#endif
