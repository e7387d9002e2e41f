#!/usr/bin/env python3
"""Make the small tokenizers under tests/fixtures/tokenizers/ and what transformers does with them.

Usage, from the repository root:

    python3 -m venv /tmp/oracles && /tmp/oracles/bin/pip install -r scripts/oracles/requirements.txt
    /tmp/oracles/bin/python scripts/oracles/make_tokenizer_cases.py            # write everything, then check it
    /tmp/oracles/bin/python scripts/oracles/make_tokenizer_cases.py --out DIR  # somewhere else

Each folder holds tokenizer.json, tokenizer_config.json and expected.json:

    {"what": ..., "versions": {...}, "cases": [{"text": ..., "ids": [...], "ids_plain": [...], "decoded": ...}]}

`ids` is with the special tokens that the tokenizer adds, `ids_plain` without (special tokens
that stand in the text itself are recognised in both), `decoded` is `ids` back to text with the
special tokens skipped. All are from transformers' tokenizer loaded from the folder.

The tokenizers are trained on the paragraphs below, which were written for this purpose and are
dedicated to the public domain. A second run writes the same bytes.
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import sentencepiece
import sentencepiece.sentencepiece_model_pb2
import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

DEFAULT_OUT = Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "tokenizers"

TEXT = """\
The orchard

The old orchard stands behind the house, and every winter the gardener walks through it with a saw and a ladder.

She takes the dead wood first, then the branches that cross, then those that grow inward and never see the sun.

"A tree does not miss what it did not need," she says, "but cut too much and it will not bear for years."

Her neighbour, who is 74 and doesn't trust saws, asks how she knows where to stop. She can't say; she looks, she
cuts, she waits, and in the spring she counts: 120 blossoms here, 35 there, none on the branch she left by mistake.

The summer

In the summer the light reaches the lower branches again. The apples are fewer than they were, and larger; there
are 12 or 13 on a branch that carried 40. The birds don't mind. They come at 5 in the morning and leave before 6.

What's left is picked, weighed and written down in a book: 2019 was good, 2020 was better, 2021 was all hail.

We've tried to read the older pages, but the ink has run: "été pluvieux", says one; "très peu de fruits", another.

The book

2015: 1201 apples
2016: 1204 apples
2017: 1219 apples
2018: 1120 apples
2019: 1204 apples
2020: 2013 apples

The count

for tree in orchard:
    for branch in tree.branches:
        if branch.weight < 0.25:
            branch.cut()
    print(tree.name, len(tree.branches))


for apple in tree.apples:
    apple.pick()
"""

CASES = [
    "",
    " ",
    "The gardener walks through the orchard.",
    "Hello world",
    " leading space",
    "trailing space ",
    "  two  spaces   three    four ",
    "the\nthe\n\nthe\n\n\nthe",
    "\n\n",
    "a sentence.\n\nAnother one. \n\n  And an indented one.",
    "\tTabs\tand\r\nwindows lines\r\n",
    "12345 1 22 333 4444 3.14159 1,000,000",
    "2019 12012 20192020 12041204",
    "It's what we've got, I'LL say; don't, can't, SHE'D.",
    "x'the x'dead x'many x'see x'real x'tree x'Then x'She x'Men x'Tree",  # the contractions cut these words in two
    "café naïve été cafe\u0301 Zürich",
    "日本語のテキスト、中文文本。한국어",
    "Привет, мир! שלום عالم",
    "🙂👍🏽 👩\u200d👩\u200d👧 🇫🇷",
    "def prune(branch):\n    return branch.cut() if branch.weight < 0.25 else None  # ok\n",
    "pruneprune prune unprune PRUNE",
    "{SPECIAL}",
    "before {SPECIAL} after",
    "before{SPECIAL}after{SPECIAL} {SPECIAL}\n",
    "\u2581already▁has the mark",
    "<0x0A> <unk> </s> <|endoftext|> [INST] <tool_call>",
    "zero\u200bwidth\u00a0nbsp\u3000wide\ufeff \x00\x07 \U0001d54f",
    "!!! ... --- ??!! @#$%^&*()_+[]{}|\\;:'\",.<>/?`~",
    "x" * 40 + " " * 17 + "y",
]

# for the tokenizer with added tokens of every kind
ADDED_CASES = [
    "<|im|>start<|im|> x",  # the longest that begins first
    "<|im|><|im|>start<|im",
    "the zq zqx xzq zq. (zq) zq_zq zq\u0301 2zq zq",  # a word of its own
    "zq zq",
    "a  <sep>  b",  # takes the spaces before it
    "a <mask>  b<mask> <mask>\n\n<mask>",  # and those behind it
    "xKBy xkby Kb kB K b",  # looked for in normalised text
    "a      b   c",  # three spaces
    "a <sep> <sep> \t<sep>",
    "ab  ab\u3000\u3000ab\u0085 ab",  # takes white space of every kind
    "the tree<|im|> zq<sep>zq <mask>zq",
]


def train(normalizer, pre_tokenizer, size, alphabet):
    """The vocabulary and the merges of a BPE trained on TEXT."""
    tokenizer = Tokenizer(models.BPE())
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(merge) for merge in model["merges"]]


def split_as(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])


def special(text):
    return AddedToken(text, special=True, normalized=False)


def begin_with(token, tokenizer):
    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1", special_tokens=[(token, tokenizer.token_to_id(token))])


def byte_bpe_bos():
    # digits in groups of up to three, as in Llama 3
    split = split_as(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                     r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    vocabulary, merges = train(None, split, 460, sorted(pre_tokenizers.ByteLevel.alphabet()))
    # no merges lead to this one: it is only found by a reader that looks a whole word up first
    vocabulary["Ġprune"] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([special(t) for t in ("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>")])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False), begin_with("<|begin_of_text|>", tokenizer)])
    return tokenizer, {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}


def byte_bpe_plain():
    # digits one by one, as in Qwen2
    split = split_as(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                     r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    vocabulary, merges = train(normalizers.NFC(), split, 440, sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.add_special_tokens([special(t) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")])
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return tokenizer, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}


def byte_bpe_added():
    split = split_as(r" ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    vocabulary, merges = train(normalizers.NFC(), split, 340, sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([special("<|im|>"), special("<|im|>start")])
    plain = {"normalized": False}
    tokenizer.add_tokens([
        AddedToken("zq", single_word=True, **plain),
        AddedToken("<sep>", lstrip=True, **plain),
        AddedToken("<mask>", lstrip=True, rstrip=True, **plain),
        AddedToken("ab", rstrip=True, single_word=True, **plain),
        AddedToken("kb", normalized=True),
        AddedToken("   ", normalized=True),
    ])
    return tokenizer, {"eos_token": "<|im|>"}


def pieces():
    """A BPE with byte fallback, laid out as in Llama 2: three specials, 256 bytes, then the pieces."""
    mark = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    characters = sorted(set(TEXT) - set(" \n")) + ["▁"]
    trained, merges = train(None, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), mark]), 230, characters)
    merges += [("▁", "▁"), ("▁▁", "▁▁")]
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    names += sorted(trained, key=trained.get) + ["▁▁", "▁▁▁▁"]
    vocabulary = {name: index for index, name in enumerate(names)}
    assert len(vocabulary) == len(names)
    model = models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens([special(t) for t in names[:3]])
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = begin_with("<s>", tokenizer)
    return tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def bpe_byte_fallback():
    tokenizer, names = pieces()
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return tokenizer, names


def bpe_metaspace():
    tokenizer, names = pieces()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    return tokenizer, names


# as in DeepSeek V3: line ends stand in it as themselves
DEEPSEEK_V3 = [
    r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^RN\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[RN]*"""
    .replace("RN", "\r\n") + "|\\s*[\r\n]+|" + r"\s+(?!\S)|\s+",
]
UPPER, LOWER, CONTRACTIONS = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
# as in GPT-4o and gpt-oss
O200K = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = dict(add_prefix_space=False, use_regex=False)
# `split` is what is before the bytes and, behind them, what splits them; `whole` looks whole words up first
SPLITS = {
    "byte-bpe-digits": ([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)], False),
    "byte-bpe-falcon": ([pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
                         pre_tokenizers.Digits(individual_digits=False),
                         pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), behavior="isolated")], False),
    "byte-bpe-deepseek": ([pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in DEEPSEEK_V3]
                          + [pre_tokenizers.ByteLevel(**BYTES)], False),
    "byte-bpe-o200k": ([pre_tokenizers.Split(Regex(O200K), behavior="removed", invert=True), pre_tokenizers.ByteLevel(**BYTES)],
                       True),
}


def byte_bpe_split(name):
    steps, whole = SPLITS[name]
    split = pre_tokenizers.Sequence(steps)
    vocabulary, merges = train(None, split, 360, sorted(pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=whole))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([special("<|endoftext|>")])
    return tokenizer, {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


def all_merges(tokenizer):
    """The vocabulary, with every pair of tokens that makes a third as a merge, as transformers has it of SentencePiece's."""
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary = model["vocab"]
    ranks = {}
    for rank, (left, right) in enumerate(model["merges"]):
        ranks.setdefault(left + right, rank)
    pairs = [(token[:cut], token[cut:]) for token in sorted(ranks, key=ranks.get) for cut in range(1, len(token))]
    return vocabulary, [pair for pair in pairs if pair[0] in vocabulary and pair[1] in vocabulary]


def bpe_mistral():
    tokenizer, names = pieces()
    vocabulary, merges = all_merges(tokenizer)
    tokenizer.model = models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    return tokenizer, names


def bpe_gemma():
    tokenizer, names = pieces()
    vocabulary, merges = all_merges(tokenizer)
    runs = [letter * length for letter in "▁\n" for length in range(1, 9) if letter * length not in vocabulary]
    for run in runs:
        vocabulary[run] = len(vocabulary)
    by_turns = [(letter * left, letter * right) for left in range(7, 0, -1) for right in range(8 - left, 0, -1) for letter in "\n▁"]
    merges = by_turns + [pair for pair in merges if set("".join(pair)) != {"▁"}]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.add_special_tokens([special(t) for t in ("<unk>", "<s>", "</s>")])
    tokenizer.add_tokens([AddedToken(run, normalized=False) for run in runs if len(run) > 1])
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = begin_with("<s>", tokenizer)
    return tokenizer, names


def unigram(name, add_dummy_prefix):
    """A Unigram trained by SentencePiece, with few replacements of characters, as transformers converts T5's."""
    rules = {"▁": " ", "\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\ufeff": " ", "\u200b": " ", "ﬁ": "fi", "²": "2",
             "e\u0301": "é", "Ａ": "A", "…": "...", "½": "1/2"}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rules.tsv"
        code = lambda text: " ".join(f"{ord(letter):X}" for letter in text)
        table.write_text("".join(f"{code(a)}\t{code(b)}\n" for a, b in sorted(rules.items())))
        (Path(folder) / "text").write_text(TEXT)
        sentencepiece.SentencePieceTrainer.Train(
            input=str(Path(folder) / "text"), model_prefix=str(Path(folder) / "m"), vocab_size=150, model_type="unigram",
            normalization_rule_tsv=str(table), pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
            add_dummy_prefix=add_dummy_prefix, remove_extra_whitespaces=add_dummy_prefix, num_threads=1)
        model = sentencepiece.sentencepiece_model_pb2.ModelProto()
        model.ParseFromString((Path(folder) / "m.model").read_bytes())
    # a few digits, which are the same when they are read again
    vocabulary = [(piece.piece, round(piece.score, 3)) for piece in model.pieces]
    tokenizer = Tokenizer(models.Unigram(vocab=vocabulary, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)
    steps = [pre_tokenizers.WhitespaceSplit()] if name == "unigram-words" else []
    scheme = "always" if add_dummy_prefix else "never"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        *steps, pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=bool(steps))])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme=scheme)
    tokenizer.add_special_tokens([special(t) for t in ("<pad>", "</s>", "<unk>")])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B:1 </s>:1", special_tokens=[("</s>", 1)])
    return tokenizer, {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def of_split(name):
    return lambda: byte_bpe_split(name)


TOKENIZERS = {
    "byte-bpe-bos": (byte_bpe_bos, "<|begin_of_text|>",
                     "Byte-level BPE as in Llama 3: <|begin_of_text|> added in front, numbers in groups of three digits, "
                     "ignore_merges (with ' prune' in the vocabulary that no merges lead to)."),
    "byte-bpe-plain": (byte_bpe_plain, "<|im_start|>",
                       "Byte-level BPE as in Qwen2: nothing added, NFC, digits one by one, and an added token "
                       "(<tool_call>) that is not special."),
    "byte-bpe-added": (byte_bpe_added, "<|im|>",
                       "Byte-level BPE with added tokens of every kind: one that begins another, whole words only "
                       "(single_word), with the spaces before or behind (lstrip, rstrip), looked for in lower case (normalized)."),
    "bpe-byte-fallback": (bpe_byte_fallback, "<s>",
                          "BPE as in Llama 2: a normalizer that puts ▁ before the text (and before the text after each "
                          "special token) and for each space, bytes for unknown characters, <s> added in front."),
    "bpe-metaspace": (bpe_metaspace, "<s>",
                      "The same BPE with the Metaspace pre-tokenizer instead of the normalizer, as in later Llama 2 and "
                      "Mistral files: ▁ only before the first piece of the text."),
    "byte-bpe-digits": (of_split("byte-bpe-digits"), "<|endoftext|>",
                        "Byte-level BPE as in StarCoder2, Command-R and SmolLM: digits one by one, then GPT-2's words."),
    "byte-bpe-falcon": (of_split("byte-bpe-falcon"), "<|endoftext|>",
                        "Byte-level BPE as in Falcon: digits are split from what is letters for bytes already."),
    "byte-bpe-deepseek": (of_split("byte-bpe-deepseek"), "<|endoftext|>",
                          "Byte-level BPE as in DeepSeek V3: three patterns one after the other."),
    "byte-bpe-o200k": (of_split("byte-bpe-o200k"), "<|endoftext|>",
                       "Byte-level BPE as in GPT-4o and gpt-oss: words end where the case changes, whole words are looked up."),
    "bpe-mistral": (bpe_mistral, "<s>",
                    "bpe-metaspace with every pair of tokens that makes a third as a merge, as in vocabularies of SentencePiece."),
    "unigram-words": (lambda: unigram("unigram-words", True), "</s>",
                      "Unigram as in T5: replacements of characters, words split at white space, ▁ before each."),
    "unigram-spaces": (lambda: unigram("unigram-spaces", False), "</s>",
                       "Unigram whose spaces are ▁, as many as there are, and none in front."),
    "bpe-gemma": (bpe_gemma, "<s>",
                  "BPE as in Gemma: ▁ for each space and none in front, runs of line ends and of ▁ as added tokens, "
                  "merged by turns."),
}


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write(name, out):
    make, marker, what = TOKENIZERS[name]
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer, names = make()
    content = json.loads(tokenizer.to_str())
    model = content["model"]
    if model["type"] == "BPE":
        model["vocab"] = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
    # one vocabulary entry or merge a line
    text = json.dumps(content, indent=1, ensure_ascii=False)
    for left, right in model.get("merges", model["vocab"]):
        left, right = (json.dumps(part, ensure_ascii=False) for part in (left, right))
        text = text.replace(f"[\n    {left},\n    {right}\n   ]", f"[{left}, {right}]")
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {
        **names, "clean_up_tokenization_spaces": False, "model_max_length": 512,
        "tokenizer_class": "PreTrainedTokenizerFast"})
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).to_str() == tokenizer.to_str()

    reader = AutoTokenizer.from_pretrained(folder)
    assert isinstance(reader, transformers.PreTrainedTokenizerFast)
    cases = []
    for text in CASES + (ADDED_CASES if name == "byte-bpe-added" else []):
        text = text.replace("{SPECIAL}", marker)
        ids = reader(text, add_special_tokens=True)["input_ids"]
        plain = reader(text, add_special_tokens=False)["input_ids"]
        # transformers may change a tokenizer while loading it; these it must not
        assert ids == tokenizer.encode(text).ids
        assert plain == tokenizer.encode(text, add_special_tokens=False).ids
        decoded = reader.decode(ids, skip_special_tokens=True)
        assert decoded == tokenizer.decode(ids, skip_special_tokens=True)
        cases.append({"text": text, "ids": ids, "ids_plain": plain, "decoded": decoded})
    head = {"what": what,
            "versions": {"python": platform.python_version(), "tokenizers": tokenizers.__version__,
                         "transformers": transformers.__version__}}
    lines = [f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in head.items()]
    # non-ASCII characters escaped: some of the cases are invisible or change under normalisation
    rows = ",\n".join(f"    {json.dumps(case)}" for case in cases)
    (folder / "expected.json").write_text(
        "{\n" + "".join(lines) + '  "cases": [\n' + rows + "\n  ]\n}\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    same = sum(case["decoded"] == case["text"] for case in cases)
    print(f"{name:20}{tokenizer.get_vocab_size():8}{len(cases):7}{same:12}{size:9}")
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    print(f"{'name':20}{'entries':>8}{'cases':>7}{'round trip':>12}{'bytes':>9}")
    total = sum(write(name, arguments.out) for name in TOKENIZERS)
    print(f"{'total':20}{total:36}")
    assert total < 500_000


if __name__ == "__main__":
    sys.exit(main())
