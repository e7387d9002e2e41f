import assert from "node:assert/strict";
import { removedPicture, runReport } from "./mod.ts";
import { all, type Element, faultsOf, readPage, tableOf, textOf } from "./testing/read_page.ts";
import { SCORES, tinyRun } from "./testing/run.ts";

Deno.test("report: a run's page stands alone, is well-formed, and says the figures of the run", async () => {
  const text = await runReport(tinyRun());
  const page = readPage(text);
  assert.deepEqual(faultsOf(page), []);
  assert.equal(textOf(all(page, "h1")[0]), "tiny, pruned by 21.5 %");
  assert.equal(all(page, "main").length, 1);
  assert.match(
    textOf(page),
    /21\.50 % of the parameters were removed: 1 whole block \(1 MLP\), 16 MLP channels in 1 layer and 1 KV group in 1 layer/,
  );
  assert.deepEqual(tableOf(page, "Before and after"), [
    ["what", "dense", "pruned", "change"],
    ["parameters", "100,000", "78,000", "−22.0 %"],
    ["weights", "200.0 kB", "156.0 kB", "−22.0 %"],
    ["perplexity, calibration text", "20.00", "22.00", "+10.0 %"],
    ["perplexity, held-out text", "40.00", "46.00", "+15.0 %"],
  ]);
  assert.deepEqual(tableOf(page, "What stays of each layer").slice(1), [
    ["0", "1 of 2", "2 of 4", "64", "3"],
    ["1", "2", "4", "64, removed", "1"],
    ["2", "2", "4", "48 of 64", "2"],
  ]);
  assert.deepEqual(tableOf(page, "Every step of the search").slice(1), [
    ["1", "MLP of layer 1", "12.00 %", "88,000", "21.00", "42.00", "+5.0 %"],
    ["2", "16 channels of the MLP of layer 2", "16.00 %", "84,000", "23.00", "44.00", "+10.0 %"],
    [
      "3",
      "1 KV group of the attention of layer 0",
      "21.50 %",
      "78,000",
      "24.00",
      "46.00",
      "+15.0 %",
    ],
  ]);
  assert.deepEqual(tableOf(page, "Loss increase by layer").slice(1), [
    ["0", "MLP block", "+1.000", "2", "1", "stays"],
    ["0", "MLP channels", "+0.250", "1", "2", "stays"],
    ["0", "KV group", "+0.0800", "2", "3", "removed"],
    ["1", "MLP block", "+0.0200", "4", "1", "removed"],
    ["2", "MLP channels", "−0.0100", "2", "2", "removed"],
  ]);
  assert.deepEqual(tableOf(page, "Cost by stage").slice(1), [
    ["blocks", "1", "2 of 3", "10", "1,000", "25 %", "10 s"],
    ["MLP channels", "1", "2 of 2", "5", "1,167", "25 %", "20 s"],
    ["heads", "1", "1 of 1", "2", "1,333", "25 %", "30 s"],
    ["together", "3", "5 of 6", "17", "3,500", "25 %", "1 min 00 s"],
    ["held-out text after every step", "–", "–", "8", "2,000", "–", "10 s"],
  ]);
  assert.deepEqual(tableOf(page, "Texts").slice(1), [
    ["held-out", "3", "2", "+0.0833", "+0.200", "−0.0500"],
    ["calibration", "2", "1", "+0.0050", "+0.0200", "−0.0100"],
  ]);
  assert.deepEqual(tableOf(page, "Kinds of tokens, held-out text").slice(1), [
    ["words", "100", "3.500", "3.625", "+0.125"],
    ["numbers", "26", "4.000", "4.500", "+0.500"],
  ]);
  assert.match(textOf(page), /numbers suffered most: their loss went from 4\.000 to 4\.500/);
  assert.match(textOf(page), /measured as it lies in its files, which Lopper itself read/);
  const quoted = all(page, "blockquote").map(textOf);
  assert.deepEqual(quoted, ["… the harpoon …", "… the whale …"]);
  const digests = tableOf(page, "Digests of what went in and came out").slice(1);
  assert.deepEqual(digests.map(([, value]) => value[0]), ["a", "b", "c", "d", "e"]);
  assert.ok(textOf(page).includes("deno task prune /models/tiny --ratio 20"));
});

Deno.test("report: the picture has a cell for every KV group, and says which one went", async () => {
  const page = readPage(await runReport(tinyRun()));
  const picture = all(page, "svg").find(({ attributes }) => attributes.class === "picture wide")!;
  const rects = all(picture, "rect").map(({ attributes }) => attributes);
  const count = (kind: string) => rects.filter((rect) => rect.class === kind).length;
  assert.deepEqual([count("attention"), count("mlp"), count("gone")], [5, 2, 3]);
  // group 0 of layer 0 went, so the cell that is left begins behind it
  const [kept, gone] = ["attention", "gone"].map((kind) =>
    rects.find((rect) => rect.class === kind)!
  );
  assert.ok(Number(gone.x) < Number(kept.x));
  const widths = rects.filter((rect) => rect.class === "mlp").map(({ width }) => Number(width));
  assert.equal(widths[1] / widths[0], 48 / 64);
});

Deno.test("report: the plots have a point for every step", async () => {
  const page = readPage(await runReport(tinyRun()));
  const points = (title: string) => {
    const plot = all(page, "svg").find((svg) =>
      all(svg, "title").some((element) => textOf(element) === title)
    )!;
    const marks = all(plot, "g").filter(({ attributes }) => /mark-symbol/.test(attributes.class));
    return marks.flatMap((group) => all(group, "path")).length;
  };
  assert.equal(points("Perplexity on the held-out text"), 4);
  // the dense model, three steps, and the result on the passages of the blocks
  assert.equal(points("Perplexity on the calibration text"), 5);
});

Deno.test("report: of several held-out texts the page says which suffered most, and shows each", async () => {
  const { record } = tinyRun();
  const texts = [
    { name: "code", passages: 2, dense: 3.7, pruned: 3.85 },
    { name: "books", passages: 1, dense: 3.8, pruned: 3.75 },
  ];
  const heldOut = { ...record.lossIncrease.heldOut, texts };
  const lossIncrease = { ...record.lossIncrease, heldOut };
  const page = readPage(await runReport(tinyRun({ lossIncrease })));
  const text = textOf(page);
  assert.match(text, /code suffered most \(\+0\.150 nats per token\), books least \(−0\.050/);
  assert.match(text, /of it code40\.4546\.99/);
  assert.match(text, /code text: 2 passages, from \+0\.100 to \+0\.200 nats per token/);
  assert.match(text, /books text: 1 passages?, from −0\.050/);
});

Deno.test("report: where the result was compared, the page says which tasks suffered", async () => {
  const without = readPage(await runReport(tinyRun()));
  assert.throws(() => tableOf(without, "Tasks"));
  const page = readPage(await runReport({ ...tinyRun(), scores: SCORES }));
  assert.deepEqual(faultsOf(page), []);
  assert.deepEqual(tableOf(page, "Tasks").slice(1), [
    ["piqa", "acc_norm", "200 of 1,838", "65.5", "55.0", "−10.5", "−16.0 to −5.0"],
    ["winogrande", "acc", "1,267", "50.0", "51.0", "+1.0", "−3.0 to +5.0"],
    ["lambada_openai", "perplexity", "1", "20.00", "30.00", "×1.500", "–"],
  ]);
  assert.deepEqual(tableOf(page, "Texts compared").slice(1), [
    ["notes.txt", "12,345", "20.00", "25.00", "×1.250", "×1.200 to ×1.300"],
    ["other.txt", "10", "3.00", "4.00", "–", "–"],
  ]);
  assert.match(
    textOf(page),
    /piqa suffered most: from 65\.5 to 55\.0 right answers of a hundred\. 1 of 2 tasks lost significantly/,
  );

  const [piqa, winogrande] = SCORES.tasks;
  const said = async (tasks: typeof SCORES.tasks) =>
    textOf(readPage(await runReport({ ...tinyRun(), scores: { tasks, texts: [] } })));
  assert.match(await said([winogrande]), /No task lost right answers\./);
  const unsure = { ...piqa, difference: { value: -0.105, low: -0.22, high: 0.01 } };
  assert.match(await said([unsure]), /No loss is significant\./);
});

Deno.test("report: the ranking of what went, and every refit that was tried, are on the page", async () => {
  const published = readPage(await runReport(tinyRun()));
  assert.doesNotMatch(textOf(published), /Ranking and recovery/);
  const run = tinyRun({
    rankings: [
      { dimension: "channels", ranking: "energy", tried: { l1: 66.5, energy: 18.25, wanda: null } },
      { dimension: "kvGroups", ranking: "l1", tried: { l1: 20, wanda: 22, other: 23 } },
    ],
    recovery: { tried: 2, helped: 1, kept: 1, perplexity: { before: 25, after: 20 } },
  });
  const cost = { blockTokens: 1, seconds: 1 };
  const refit = { type: "refit", steps: 3, folded: 0, lambda: 0.1, cost } as const;
  const refits: NonNullable<typeof run.history>["refits"] = [
    { ...refit, layer: 0, kind: "mlp", folded: 1, before: [3, 4], after: [2.9, 3.9], kept: true },
    { ...refit, layer: 2, kind: "attention", before: [3, 4], after: [3, 4.1], kept: false },
    { type: "recovery", steps: 3, before: [3], after: [2.9], kept: true, cost },
    ...[
      { lambda: 0.01, before: [3, 4], after: [3.2, 4.2], kept: false },
      { lambda: 0.1, before: [3, 4], after: [2.9, 3.9], kept: true },
    ].map((line) => ({ type: "local", steps: 3, projections: 4, cost, ...line } as const)),
  ];
  const page = readPage(await runReport({ ...run, history: { ...run.history!, refits } }));
  assert.deepEqual(faultsOf(page), []);
  assert.match(textOf(page), /MLP channels went by energy, which a trial cut hurt least\./);
  assert.match(textOf(page), /KV groups went by the L1 norm of their weights, as published\./);
  assert.deepEqual(tableOf(page, "Perplexity of a trial cut, validation text").slice(1), [
    ["l1", "66.50", "20.00"],
    ["energy", "18.25", "–"],
    ["wanda", "not finite", "22.00"],
    ["other", "–", "23.00"],
  ]);
  assert.match(
    textOf(page),
    /Of 2 block outputs .* 1 helped by itself, and 1 stayed: .* from 25\.00 to 20\.00 \(−20\.0 %\)/,
  );
  const local = tableOf(
    page,
    "Fits of all narrowed blocks to the dense ones, each against the best before it",
  );
  assert.deepEqual(local.slice(1), [
    ["0.01", "4", "+0.200", "no"],
    ["0.1", "4", "−0.100", "yes"],
  ]);
  assert.deepEqual(tableOf(page, "Refits along the stream, block by block").slice(1), [
    ["0", "MLP", "1", "0.1", "−0.100", "yes"],
    ["2", "attention", "0", "0.1", "+0.0500", "no"],
  ]);
  const row = tableOf(page, "Cost by stage").find(([name]) => name === "refits");
  assert.deepEqual(row, ["refits", "–", "–", "–", "5", "–", "5.0 s"]);
});

Deno.test("report: swaps are told in a line, and what they changed counts as it ended", async () => {
  assert.doesNotMatch(textOf(readPage(await runReport(tinyRun()))), /swap/);
  const { record, history } = tinyRun();
  const [first, second, third] = record.layers.dense;
  // the MLP of layer 1 comes back, and that of layer 2, which the search had narrowed, goes for it
  const run = tinyRun({
    swaps: [{
      steps: 3,
      tried: 4,
      kept: [{
        changes: [
          {
            part: "1.mlp",
            dimension: "channels",
            removed: [],
            restored: Array.from({ length: 64 }, (_, c) => c),
          },
          { part: "2.mlp", dimension: null, removed: [] },
        ],
        ratio: 21.5,
        parameters: 78_000,
        perplexity: 21.6,
        heldOut: 45,
      }],
      perplexity: { before: 24, after: 21.6 },
      blockTokens: 1500,
    }],
    layers: {
      dense: record.layers.dense,
      pruned: [record.layers.pruned[0], second, { ...third, mlp: null }],
    },
  });
  const page = readPage(await runReport(run));
  assert.deepEqual(faultsOf(page), []);
  assert.match(
    textOf(page),
    /After step 3, 4 swaps of single blocks and groups were tried and 1 kept, for 1,500 block-tokens: perplexity on the calibration text went from 24\.00 to 21\.60 \(−10\.0 %\)\./,
  );
  const { intermediateSize } = first.mlp!;
  const layers = tableOf(page, "What stays of each layer").slice(1).map((row) => row.slice(3));
  assert.deepEqual(layers, [
    [String(intermediateSize), "3"],
    ["64", "–"],
    ["64, removed", "–"],
  ]);
  const ends = tableOf(page, "Loss increase by layer").slice(1).map((
    row,
  ) => [row[0], row[1], row[5]]);
  const end = (layer: string, what: string) =>
    ends.find(([l, w]) => l === layer && w === what)?.[2];
  assert.deepEqual([end("1", "MLP block"), end("2", "MLP channels")], ["stays", "removed"]);
  const none = tinyRun({ swaps: [{ ...run.record.swaps[0], kept: [], tried: 1 }] });
  assert.match(
    textOf(readPage(await runReport({ ...none, history }))),
    /1 swap of single blocks and groups was tried and 0 kept, for 1,500 block-tokens\./,
  );
});

Deno.test("report: of several calibration texts, the page says whose routing the removed experts had", async () => {
  assert.doesNotMatch(textOf(readPage(await runReport(tinyRun()))), /Experts by text/);
  const routing = {
    texts: [{ name: "code<.txt", tokens: 640 }, { name: "chat.txt", tokens: 1280 }, {
      name: "few.txt",
      tokens: 0,
    }],
    layers: [
      { layer: 0, removed: [0.5, 0.125, null], most: [0, 1, 1, null] },
      { layer: 2, removed: [0.25, 0, null], most: [1, 0, 0, 1] },
    ],
  };
  const run = tinyRun({ routing });
  const layers = [[0, 2], null, [1, 2, 3]].map((experts) => ({
    experts: experts ? { experts } : "removed" as const,
  }));
  const page = readPage(await runReport({ ...run, plan: { ...run.plan!, layers } }));
  assert.deepEqual(faultsOf(page), []);
  assert.match(
    textOf(page),
    /code<\.txt used the removed experts most \(37\.5 % of its routing, mean of the layers\) and chat\.txt least \(6\.3 %\)\./,
  );
  assert.match(textOf(page), /Not looked at, .*: few\.txt\./);
  const caption = "Routing to removed experts by text";
  const rows = tableOf(page, caption);
  assert.equal(rows[0].at(-1), "experts, by text");
  assert.deepEqual(rows.map((row) => row.slice(0, 4)), [
    ["layer", "code<.txt", "chat.txt", "few.txt"],
    ["0", "50.0 %", "12.5 %", "–"],
    ["2", "25.0 %", "0.0 %", "–"],
    ["all", "37.5 %", "6.3 %", "–"],
  ]);
  const strips = all(page, "svg").filter(({ attributes }) => attributes.class === "experts");
  assert.deepEqual(strips.map((strip) => textOf(all(strip, "desc")[0]).split(": ")[1]), [
    "code<.txt 1, of which 0 removed; chat.txt 2, of which 1 removed; few.txt 0, of which 0 removed.",
    "code<.txt 2, of which 0 removed; chat.txt 2, of which 1 removed; few.txt 0, of which 0 removed.",
  ]);
  const bars = all(strips[0], "path").map(({ attributes }) => [
    attributes.fill ?? attributes.class,
    [...attributes.d.matchAll(/M([\d.]+) 14h[\d.]+v-(\d+)/g)].map(([, x, tall]) => [+x, +tall]),
  ]);
  assert.deepEqual(bars, [
    ["var(--run-0)", [[0, 14]]],
    ["var(--run-1)", [[6, 4], [12, 14]]],
    ["nobody", [[18, 4]]],
  ]);
  const many = {
    texts: Array(7).fill(routing.texts[0]),
    layers: [{ layer: 0, removed: Array(7).fill(0), most: [0] }],
  };
  const plain = readPage(await runReport(tinyRun({ routing: many })));
  assert.match(textOf(plain), /too many to have a colour each/);
  assert.equal(tableOf(plain, caption)[0].length, 8);
  // Without a plan nobody knows which of them stay.
  const unknown = tableOf(readPage(await runReport({ ...run, plan: null })), caption);
  assert.deepEqual(unknown[1], ["0", "50.0 %", "12.5 %", "–"]);
});

Deno.test("report: the same run gives the same bytes", async () => {
  assert.equal(await runReport(tinyRun()), await runReport(tinyRun()));
});

Deno.test("report: a plan that was applied without a search has a page, too", async () => {
  const run = tinyRun({ frontier: [], steps: 0, plan: "plan.json" });
  const page = readPage(await runReport({ ...run, history: null }));
  assert.deepEqual(faultsOf(page), []);
  assert.match(textOf(page), /applied without a search.*No search: 1 min 15 s on cpu/);
  assert.equal(tableOf(page, "What stays of each layer").length, 4);
  assert.throws(() => tableOf(page, "Cost by stage"));
});

Deno.test("report: what is not a number is said, and draws nothing", async () => {
  const run = tinyRun({
    perplexity: {
      calibration: { dense: 20, pruned: NaN },
      heldOut: { dense: 40, pruned: NaN },
    },
  });
  const frontier = run.record.frontier.map((step) => ({ ...step, heldOut: null }));
  const page = readPage(await runReport({ ...run, record: { ...run.record, frontier } }));
  assert.deepEqual(faultsOf(page), []);
  assert.equal(tableOf(page, "Before and after")[3][2], "not finite");
});

Deno.test("report: nothing that comes from a model or a user becomes HTML", async () => {
  const evil =
    `</title></style></code><script>alert("1")</script><img src='x' onerror="y">&amp;\u0000\ud800\u202e`;
  const passages = [{ dense: 1, pruned: 2, worst: evil }];
  const tokens = [{ kind: evil, count: 1, dense: 1, pruned: 2 }];
  const run = tinyRun({
    sample: { prompt: evil, dense: evil, pruned: evil },
    heldOutSamples: [{ prompt: evil, original: evil, dense: evil, pruned: evil }],
    lossIncrease: { calibration: { passages, tokens }, heldOut: { passages, tokens } },
  });
  const { flags, backend } = run.record;
  const text = await runReport({
    ...run,
    model: evil,
    name: evil,
    record: {
      ...run.record,
      version: evil,
      modelDigest: evil,
      flags: { ...flags, model: evil },
      backend: { ...backend, name: evil, engine: evil },
    },
    commands: [evil],
  });
  const page = readPage(text);
  assert.deepEqual(faultsOf(page), []);
  assert.ok(!text.includes("<script") && !text.includes("<img"));
  const shown =
    `</title></style></code><script>alert("1")</script><img src='x' onerror="y">&amp;\ufffd\ufffd\ufffd`;
  assert.equal(textOf(all(page, "title")[0]), `${shown}, pruned by 21.5 %`);
  assert.ok(textOf(all(page, "dd")[0]).includes(shown));
});

Deno.test("report: the picture of layers stands alone as an SVG file", () => {
  const text = removedPicture(tinyRun());
  const [svg] = readPage(text).children as Element[];
  assert.equal(svg.attributes.xmlns, "http://www.w3.org/2000/svg");
  assert.equal(all(svg, "style").length, 1);
  assert.match(textOf(all(svg, "desc")[0]), /^3 layers .* Removed: 1 whole block \(1 MLP\)/);
  assert.deepEqual(faultsOf(svg), []);
  const gone = all(svg, "rect").filter(({ attributes }) => attributes.class === "gone");
  assert.equal(gone.length, 3, "a group, a block and a part of an MLP");
});
