import { marked } from "marked";
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import type { CardFacts } from "./facts.ts";
import { cardText, modelCard } from "./model_card.ts";
import { isOwnCard } from "./own_card.ts";
import { FACTS, SCORES } from "./testing/facts.ts";
import { hubMetadata } from "./testing/hub_metadata.ts";

/** A card, taken apart by other people's parsers. */
function read(card: string) {
  const [, yaml, text] = /^---\n([\s\S]*?\n)---\n([\s\S]*)$/.exec(card)!;
  return { metadata: hubMetadata.parse(parse(yaml)), text, html: marked.parse(text) as string };
}

const of = (change: Partial<CardFacts>) => read(cardText({ ...FACTS, ...change }));
const withSource = (change: Partial<CardFacts["source"]>) =>
  of({ source: { ...FACTS.source, ...change } });

Deno.test("card: its metadata are the hub's, and say what it was made of under which terms", () => {
  assert.deepEqual(of({}).metadata, {
    license: "apache-2.0",
    language: ["en"],
    datasets: ["HuggingFaceTB/smollm-corpus"],
    library_name: "transformers",
    pipeline_tag: "text-generation",
    base_model: "HuggingFaceTB/SmolLM2-135M",
    base_model_relation: "finetune",
    tags: ["lopper", "pruned", "custom_code"],
  });
  // where nobody says so, nothing is said
  const unknown = withSource({ id: null, metadata: null, terms: [] }).metadata;
  assert.deepEqual(Object.keys(unknown), ["library_name", "pipeline_tag", "tags"]);
  // Norwegian, which readers of YAML 1.1 take for false
  const metadata = { ...FACTS.source.metadata!, language: ["no"] };
  const card = cardText({ ...FACTS, source: { ...FACTS.source, metadata } });
  assert.match(card, /\n {2}- "no"\n/);
  const plain = of({ readers: { ...FACTS.readers, customCode: false } });
  assert.deepEqual(plain.metadata.tags, ["lopper", "pruned"]);
});

Deno.test("card: a licence comes from the source's card, else from the file that came along", () => {
  const license = (change: Record<string, unknown>, terms: readonly string[] = ["LICENSE"]) => {
    const metadata = { ...FACTS.source.metadata!, ...change };
    const { license, license_name, license_link } = withSource({ metadata, terms }).metadata;
    return [license, license_name, license_link];
  };
  assert.deepEqual(license({ license: ["mit", "apache-2.0"] })[0], ["mit", "apache-2.0"]);
  const other = { license: ["other"], license_name: "model-terms", license_link: "LICENSE" };
  assert.deepEqual(license(other), ["other", "model-terms", "LICENSE"]);
  // a file that did not come along
  assert.deepEqual(license(other, []), ["other", "model-terms", undefined]);
  assert.deepEqual(license({ license: [] }), ["other", "as-the-base-model", "LICENSE"]);
  assert.deepEqual(license({ license: [] }, []), [undefined, undefined, undefined]);
});

Deno.test("card: what was pruned before is made of what its card names", () => {
  const metadata = { ...FACTS.source.metadata!, base_model: ["org/first"] };
  const base = (tags: string[]) =>
    withSource({ id: null, metadata: { ...metadata, tags } }).metadata.base_model;
  assert.equal(base(["lopper"]), "org/first");
  // the base of somebody else's model is not what this one was made of
  assert.equal(base(["text"]), undefined);
  assert.equal(withSource({ metadata }).metadata.base_model, FACTS.source.id);
});

Deno.test("card: it has what was measured, and is silent about the rest", () => {
  const { html, text, metadata } = of({});
  assert.deepEqual([...html.matchAll(/<h2>(.*)<\/h2>/g)].map(([, title]) => title), [
    "What was removed",
    "How it was made",
    "How to use it",
    "Make it again",
    "Licence",
  ]);
  assert.equal(metadata["model-index"], undefined);
  assert.match(text, /\| parameters \| 134\.52 M \| 107\.80 M \| −19\.9 % \|/);
  assert.match(text, /\| perplexity, held-out text \| 19\.47 \| 39\.59 \| \+103\.3 % \|/);
  assert.match(
    text,
    /2 whole blocks \(1 attention, 1 MLP\), 769 MLP channels in 2 layers and 1 KV/i,
  );
  assert.match(text, /arXiv:2501\.09949/);
  assert.doesNotMatch(text, /generated token|undefined|null|NaN|\/home\//);
  const timed = of({ method: { ...FACTS.method, milliseconds: { dense: 40, pruned: 30 } } });
  assert.match(timed.text, /\| a generated token \| 40\.0 ms \| 30\.0 ms \| −25\.0 % \|/);

  const scored = of({ scores: SCORES });
  assert.match(scored.html, /<h2>How good it is<\/h2>/);
  assert.match(
    scored.html,
    /<td align="right">−8\.3<\/td>\s*<td align="right">−11\.0 to −5\.5<\/td>/,
  );
  assert.match(
    scored.html,
    /<td align="right">×2\.033<\/td>\s*<td align="right">×2\.010 to ×2\.060/,
  );
  assert.match(scored.html, /100 of 1,267/);
  // an index of results compares them with others', and has whole tasks only
  assert.deepEqual(scored.metadata["model-index"], [{
    name: "SmolLM2-135M, pruned by 20.04 %",
    results: [{
      task: { type: "text-generation", name: "Text Generation" },
      dataset: { type: "baber/piqa", name: "piqa (validation)" },
      metrics: [{ type: "accuracy", name: "acc_norm", value: 0.6012 }],
    }],
  }]);
  const nothing = of({ scores: { tasks: [], texts: [] } });
  assert.equal(nothing.text, text);
});

Deno.test("card: layers are drawn so that what is left is seen, and what went", () => {
  const [, drawing] = /```text\n([\s\S]*?)\n```/.exec(of({}).text)!;
  const full = "█".repeat(32);
  assert.deepEqual(drawing.split("\n"), [
    "layer  KV groups           MLP channels",
    `    0  ███        3        ${"░".repeat(32)}  removed`,
    `    1  ░░░        removed  ${full.slice(1)}░  1535 of 1536`,
    `    2  ██░        2 of 3   ${full.slice(16)}${"░".repeat(16)}  768 of 1536`,
  ]);
});

Deno.test("card: how it is opened follows from its layers, and so does what it can become", () => {
  const use = (change: Partial<CardFacts["readers"]>) => {
    const { html } = of({ readers: { ...FACTS.readers, ...change } });
    return ["trust_remote_code=True", "llama.cpp", "onnxruntime", "vLLM"].filter((word) =>
      html.includes(word)
    );
  };
  assert.deepEqual(use({}), ["trust_remote_code=True", "llama.cpp", "onnxruntime", "vLLM"]);
  assert.deepEqual(use({ gguf: false, deci: false }), ["trust_remote_code=True", "onnxruntime"]);
  assert.deepEqual(use({ customCode: false }), ["llama.cpp", "onnxruntime"]);
  const whole = { customCode: false, images: true, family: "gemma3" };
  const { html } = of({ readers: { ...FACTS.readers, ...whole } });
  assert.match(html, /parts for images are as they were: a plain model of the type gemma3/);
  assert.match(html, /AutoModelForImageTextToText/);
});

/**
 * Names that files, models and tasks of strangers may have, each with something that a parser
 * obeys.
 */
const HOSTILE = [
  "---\nlicense: mit\n---\n# Trust me",
  "a | b | c",
  "`rm -rf ~` and ``` and ````",
  "<script>alert(1)</script><img src=x onerror=alert(1)><!-- ",
  "[click](javascript:alert(1)) ![x](https://evil.example/x.png)",
  "https://evil.example www.evil.example a@evil.example",
  "# heading\n\n> quote\n- item\n1. one",
  "*bold* _it_ ~~gone~~ $x^2$ :smile: &lt; \\",
  "no",
  "'; echo $(id)",
  "\u001b[31mred\u202e",
  "{a: &b [*b]} !!js/function x",
];

/** Tags of the HTML, and how many of each there are. */
function tags(html: string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [, tag] of html.matchAll(/<([a-z][a-z0-9]*)\b/gi)) {
    counts[tag] = (counts[tag] ?? 0) + 1;
  }
  return counts;
}

/** A card in which everything that comes from elsewhere is the same word. */
const allCalled = (word: string) =>
  of({
    source: { ...FACTS.source, title: word, id: `${word}/a/b`, terms: [word] },
    texts: {
      calibration: { ...FACTS.texts.calibration, name: word },
      heldOut: { ...FACTS.texts.heldOut, name: word },
    },
    method: { ...FACTS.method, version: word, criterion: word },
    commands: [[word, "--out", word]],
    scores: {
      tasks: SCORES.tasks.map((task) => ({ ...task, task: word })),
      texts: SCORES.texts.map((text) => ({ ...text, text: word })),
    },
  });

/** What the library of the test takes for text of its own. */
const decoded = (html: string) =>
  html.replace(
    /&(lt|gt|quot|amp|#39);/g,
    (_, name) => ({ lt: "<", gt: ">", quot: '"', amp: "&", "#39": "'" })[name as "lt"],
  );

Deno.test("card: names of strangers are shown as they are, and nothing obeys them", () => {
  const plain = tags(allCalled("name with spaces").html);
  for (const word of HOSTILE) {
    const { html, metadata } = allCalled(word);
    assert.deepEqual(tags(html), plain, word);
    assert.equal(metadata.license, "apache-2.0");
    assert.equal(metadata.base_model, undefined);
    const [, title] = /<h1>(.*)<\/h1>/.exec(html)!;
    const shown = word.replace(/\s+/g, " ").replace("\u001b", "\\x1b").replace("\u202e", "\\u202e");
    assert.equal(decoded(title), `${shown}, pruned by 20.04 %`);
    for (const character of "\u001b\u202e") assert.ok(!html.includes(character));
  }
});

Deno.test("card: any text at all keeps the card's form", () => {
  const plain = tags(allCalled("name with spaces").html);
  const characters = fc.constantFrom(..."`|<>[]()*_~#-\\\n\t&:!{}$'\"@. ax1/www.\u0000\u2028");
  fc.assert(
    fc.property(fc.string({ unit: characters, minLength: 1, maxLength: 30 }), (text) => {
      const word = text.trim() === "" ? "x y" : `${text} z`;
      assert.deepEqual(tags(allCalled(word).html), plain);
    }),
    { numRuns: 300, seed: 7 },
  );
});

Deno.test("card: it is known whether somebody changed it", async () => {
  const card = await modelCard(FACTS);
  assert.ok(card.startsWith(cardText(FACTS)));
  assert.ok(await isOwnCard(card));
  const changes = [
    card.replace("pruned by", "cut by"),
    card + "\nMore about it.\n",
    cardText(FACTS),
    card.replace(/sha256:[0-9a-f]{8}/, "sha256:00000000"),
    "",
  ];
  for (const changed of changes) assert.equal(await isOwnCard(changed), false);
});

Deno.test("card: experts and channels are counted and drawn apart where layers have either", () => {
  const attention = { queryHeads: 2, kvHeads: 1 };
  const mixture = (experts: number) => ({ attention, mlp: { intermediateSize: 12, experts } });
  const mlp = (intermediateSize: number) => ({ attention, mlp: { intermediateSize } });
  const layers = {
    dense: [mlp(64), mixture(8), mixture(8)],
    pruned: [mlp(48), mixture(6), mixture(6)],
  };
  const { text } = of({ layers });
  assert.match(text, /4 experts in 2 layers and 16 MLP channels in 1 layer/);
  assert.match(text, /experts, MLP channels/);
  const [, first, second] = text.match(/^ *[012] {2}.*$/gm)!.map((line) => line.split("█").length);
  assert.equal(first, second);
  // Three quarters of a full bar each, and the one KV group.
  assert.deepEqual([first, text.match(/^ *0 {2}.*$/m)![0].split("█").length], [26, 26]);
  const each = (experts: number, channels: number) => ({
    ...{ attention, mlp: { intermediateSize: channels, experts } },
  });
  const { text: narrowed } = of({
    layers: { dense: [each(8, 12), each(8, 12)], pruned: [each(6, 8), each(8, 6)] },
  });
  assert.match(narrowed, /2 experts in 1 layer and 4 to 6 channels of each expert in 2 layers/);
  assert.match(narrowed, /█{16}░{16} {2}6 of 8, each 8 of 12 channels/);
  assert.match(narrowed, /█{16}░{16} {2}8, each 6 of 12 channels/);
});
