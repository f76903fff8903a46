# SPDX-License-Identifier: Apache-2.0
"""Makes the golden cases in this folder: small tokenizers of each kind, trained and run by Hugging Face's `tokenizers`.

    python make.py CORPUS.txt

writes NAME.json (the tokenizer) and NAME.jsonl (text, ids, decoded). The cases are random but keyed by the name, so that a new
run with the same corpus and the same version of the library gives the same files.
"""
import json
import random
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer
from tokenizers import decoders as D, models as M, normalizers as N, pre_tokenizers as P, processors as PP, trainers as T

CORPUS = [line for line in open(sys.argv[1], encoding="utf-8")][:3000]
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CON = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UP, LO = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
HEAD = r"[^\r\n\p{L}\p{N}]?"
OREST = r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CON + r"|" + HEAD + r"\p{L}+|\p{N}{1,3}|" + REST
O200K = f"{HEAD}{UP}*{LO}+{CON}?|{HEAD}{UP}+{LO}*{CON}?|\\p{{N}}{{1,3}}|{OREST}"
TEKKEN = f"{HEAD}{UP}*{LO}+|{HEAD}{UP}+{LO}*|\\p{{N}}|{OREST}"
QWEN35 = CON + r"|" + HEAD + r"[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
SEED = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")
DEEPSEEK = ("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+")
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CJK = "[一-龥぀-ゟ゠-ヿ]+"
BYTES = ["<0x%02X>" % i for i in range(256)]

PARTS = ["the", " The", "don't", "DON'T", "'ll", "'Ve", "'S", "we'ſ", " ", "  ", "   ", "\n", "\r\n", "\n\n", " \n", "\t", "1", "12",
         "345", "1234567", "٤٥٦", "½²", "Ⅻ", "é", "e\u0301", "É", "ß", "İ", "ſ", "中文", "漢字", "ひらがな", "カタカナ", "한국어", "हिन्दी",
         "ไทย", "😀", "👨‍👩‍👧‍👦", "🇩🇪", "…", "—", "“q”", "!!", "?!", ",", ".", "...", "--", "==>", "$", "^", "`", "~", "_", "a_b",
         "CamelCase", "HTTPServer", "ǅ", "ʰ", "ª", "\u00a0", "\u2003", "\u3000", "\u200b", "\u0085", "\u2028", "\ufeff", "\x00", "\x01",
         "\x7f", "\ufffd", "▁", "▁▁", "Ġ", "</w>", "##a", "<0x41>", "<s>", "</s>", "<unk>", "[PAD]", "[CLS]", "<|l|>", "<|r|>", "wrd",
         "<|lr|>", "hello", "World", "x", "Y", "king", "http://a.b/c?d=1", "\\n", "'", "ﬁ", "①", "㍿", "Å", "\u0316\u0301", "ａｂ", "🏻",
         "〆", "々", "ー", "،", "।", "abc123def", "3.14", "1,000", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"]


def cases(name, tok):
    rnd = random.Random(name)
    for i in range(48):
        join = "" if i % 3 else " "
        text = join.join(rnd.choice(PARTS) for _ in range(rnd.randrange(1, 12))) if i else ""
        if i % 8 == 7:
            text = rnd.choice(CORPUS) + rnd.choice(CORPUS)
        ids = tok.encode(text, add_special_tokens=False).ids
        yield {"text": text, "ids": ids, "decoded": tok.decode(ids, skip_special_tokens=False)}


def save(name, tok):
    tok.save(name + ".json", pretty=False)
    with open(name + ".jsonl", "w", encoding="utf-8") as f:
        for case in cases(name, tok):
            f.write(json.dumps(case, ensure_ascii=True) + "\n")


def byte_bpe(name, patterns, ignore=False, norm=None, behavior="isolated", prefix=False, added=(), special=("<s>", "</s>")):
    tok = Tokenizer(M.BPE(ignore_merges=ignore))
    if norm:
        tok.normalizer = norm
    steps = [P.Split(Regex(p), behavior, invert=behavior == "removed") if isinstance(p, str) else p for p in patterns]
    tok.pre_tokenizer = P.Sequence(steps + [P.ByteLevel(add_prefix_space=prefix, use_regex=False)])
    tok.decoder = D.ByteLevel()
    tok.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=420, special_tokens=list(special), show_progress=False,
                                                 initial_alphabet=P.ByteLevel.alphabet()))
    if added:
        tok.add_tokens(list(added))
    tok.post_processor = PP.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    save(name, tok)


def spm_bpe(name, fuse=True, fallback=True, meta=None):
    tok = Tokenizer(M.BPE(unk_token="<unk>", fuse_unk=fuse, byte_fallback=fallback))
    tok.pre_tokenizer = P.Metaspace(prepend_scheme=meta or "never", split=meta != "first")
    tok.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=560, special_tokens=["<unk>", "<s>", "</s>"] + BYTES, limit_alphabet=60,
                                                 max_token_length=12, show_progress=False))
    doc = json.loads(tok.to_str())
    doc["added_tokens"] = doc["added_tokens"][:3]
    if meta is None:
        doc["pre_tokenizer"] = None
    tok = Tokenizer.from_str(json.dumps(doc))
    if meta is None:
        tok.normalizer = N.Sequence([N.Prepend("▁"), N.Replace(" ", "▁")])
        tok.decoder = D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)])
    else:
        tok.decoder = D.Metaspace(prepend_scheme=meta)
    save(name, tok)


def unigram(name, norm=None, pre=None, fallback=False):
    tok = Tokenizer(M.Unigram())
    if norm:
        tok.normalizer = norm
    tok.pre_tokenizer = pre or P.Metaspace()
    tok.decoder = D.Metaspace()
    tok.train_from_iterator(CORPUS, T.UnigramTrainer(vocab_size=300 + 256 * fallback, unk_token="<unk>", show_progress=False,
                                                     special_tokens=["<pad>", "</s>", "<unk>"] + (BYTES if fallback else [])))
    doc = json.loads(tok.to_str())
    doc["model"]["byte_fallback"] = fallback
    doc["added_tokens"] = doc["added_tokens"][:3]
    save(name, Tokenizer.from_str(json.dumps(doc)))


def wordpiece(name, norm, pre, dec):
    tok = Tokenizer(M.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    tok.normalizer, tok.pre_tokenizer, tok.decoder = norm, pre, dec
    tok.train_from_iterator(CORPUS, T.WordPieceTrainer(vocab_size=400, show_progress=False,
                                                       special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    tok.post_processor = PP.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    save(name, tok)


byte_bpe("llama3", [LLAMA3], ignore=True)
byte_bpe("o200k", [O200K])
byte_bpe("tekken", [TEKKEN], ignore=True)
byte_bpe("qwen35", [QWEN35], norm=N.NFC())
byte_bpe("bailing", [BAILING])
byte_bpe("seed", [SEED])
byte_bpe("deepseek3", [r"\p{N}{1,3}", CJK, DEEPSEEK])
byte_bpe("superbpe", [r"\p{N}+", r"(?=(\d{3})+(?!\d))"])
byte_bpe("aya", [r"\d{1,3}(?=(?:\d{3})*\b)", O200K])
byte_bpe("coder", ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"])
byte_bpe("smollm", [P.Digits(individual_digits=True), GPT2])
byte_bpe("removed", [LLAMA3], behavior="removed", prefix=True)
byte_bpe("regex", [r"(?<=[a-z])(?=[A-Z])|\d\w|[\s,]+|\bthe\b"], behavior="contiguous")
byte_bpe("previous", ["[aeiou ]"], behavior="merged_with_previous")
byte_bpe("next", ["[aeiou ]"], behavior="merged_with_next")
byte_bpe("added", [LLAMA3], added=[AddedToken("<|l|>", lstrip=True), AddedToken("<|r|>", rstrip=True), AddedToken("wrd", single_word=True),
                                   AddedToken("<|lr|>", lstrip=True, rstrip=True, special=True), AddedToken("  ")])
tok = Tokenizer(M.BPE())
tok.pre_tokenizer = P.Sequence([P.Punctuation("contiguous"), P.ByteLevel(add_prefix_space=False), P.Digits(individual_digits=False),
                                P.Split(Regex("[0-9][0-9][0-9]"), "isolated")])
tok.decoder = D.ByteLevel()
tok.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=420, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False))
save("falcon", tok)
spm_bpe("llama2")
spm_bpe("llama2-unk", fuse=True, fallback=False)
spm_bpe("metaspace-first", meta="first")
spm_bpe("metaspace-always", fuse=False, fallback=False, meta="always")
unigram("unigram")
unigram("unigram-nfkc", N.Sequence([N.Nmt(), N.NFKC(), N.Replace(Regex(" {2,}"), " ")]))
unigram("unigram-bytes", fallback=True)
unigram("unigram-words", pre=P.Sequence([P.WhitespaceSplit(), P.Metaspace(prepend_scheme="first")]))
wordpiece("bert", N.BertNormalizer(), P.BertPreTokenizer(), D.WordPiece())
wordpiece("bert-cased", N.BertNormalizer(lowercase=False), P.BertPreTokenizer(), D.WordPiece(cleanup=False))
wordpiece("bert-plain", N.Sequence([N.NFD(), N.StripAccents(), N.Strip(), N.Lowercase()]), P.Whitespace(), D.WordPiece())
tok = Tokenizer(M.WordLevel(unk_token="<unk>"))
tok.pre_tokenizer = P.Sequence([P.Whitespace(), P.Digits(True)])
tok.normalizer = N.Sequence([N.NFKD(), N.Replace("e", "E")])
tok.train_from_iterator(CORPUS, T.WordLevelTrainer(vocab_size=300, special_tokens=["<unk>"], show_progress=False))
save("wordlevel", tok)
tok = Tokenizer(M.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
tok.normalizer = N.Sequence([N.NFC(), N.Replace(Regex(r"\s+"), " "), N.Lowercase()])
tok.pre_tokenizer = P.Sequence([P.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
                                P.ByteLevel(add_prefix_space=False)])
tok.decoder = D.BPEDecoder("</w>")
tok.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=700, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False,
                                             initial_alphabet=P.ByteLevel.alphabet()))
save("clip", tok)
tok = Tokenizer(M.BPE(unk_token="<unk>", continuing_subword_prefix="##"))
tok.pre_tokenizer, tok.decoder = P.CharDelimiterSplit(" "), D.WordPiece()
tok.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=400, special_tokens=["<unk>"], continuing_subword_prefix="##", show_progress=False))
save("subword-prefix", tok)
tok = Tokenizer(M.BPE())
tok.normalizer, tok.decoder, tok.pre_tokenizer = N.ByteLevel(), D.ByteLevel(), P.Split("Ġ", "merged_with_next")
tok.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=400, initial_alphabet=P.ByteLevel.alphabet(), show_progress=False))
save("byte-normalizer", tok)
tok = Tokenizer(M.BPE(unk_token="<unk>"))
tok.pre_tokenizer = P.Whitespace()
tok.train_from_iterator(CORPUS, T.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], limit_alphabet=40, show_progress=False))
save("no-decoder", tok)
print("made with tokenizers", tokenizers.__version__)
