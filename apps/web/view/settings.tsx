import { formatBytes, formatCount, formatRatio } from "@lopper/core";
import type { Controller } from "../state/controller.ts";
import { type Chosen, mostOf } from "../state/state.ts";
import type { Asked } from "../tasks/about.ts";

/** Presets by their names on the command line: what they are called here, and what they mean. */
const PRESETS: Readonly<Record<Asked["preset"], readonly [name: string, means: string]>> = {
  lopper: [
    "Whatever hurts least (Lopper)",
    "Blocks, channels and heads compete; what stays is refitted.",
  ],
  quick: [
    "The same, quickly",
    "Each change is tried once, by itself, and a knapsack chooses; what stays is refitted.",
  ],
  multipruner: [
    "Blocks, channels, heads (MultiPruner)",
    "One kind after the other, as published; weights stay as they are.",
  ],
  blockpruner: [
    "Whole blocks (BlockPruner)",
    "Attention and MLP blocks only, as published; weights stay as they are.",
  ],
  width: ["MLP channels", "All blocks stay, with fewer channels; weights stay as they are."],
  experts: ["Experts", "All layers lose as many of their experts; weights stay as they are."],
  heads: ["Attention heads", "All blocks stay, with fewer heads; weights stay as they are."],
};

/** More samples than a tab has patience for. */
const MAX_SAMPLES = 10_000;

/** A model that was chosen, and what is to be done with it. */
export function Settings(props: { readonly view: Chosen; readonly act: Controller }) {
  const { view: { opened, asked }, act } = props;
  const { title, family, layers, parameters, bytes, notes } = opened;
  const left = (n: number) => n * (1 - asked.ratio / 100);
  return (
    <section aria-labelledby="model">
      <h2 id="model" tabIndex={-1}>{title}</h2>
      <p>
        {family}, {layers} layers, {formatCount(parameters)} parameters, {formatBytes(bytes)}
      </p>
      {notes.length > 0 && <ul class="note">{notes.map((note) => <li key={note}>{note}</li>)}</ul>}
      <form
        onSubmit={(event) => {
          event.preventDefault();
          act.begin();
        }}
      >
        <label for="ratio">How much is to go</label>
        <div class="slider">
          <input
            id="ratio"
            type="range"
            min="1"
            max={mostOf(opened)}
            value={asked.ratio}
            aria-valuetext={`${asked.ratio} per cent`}
            aria-describedby="ratio-means"
            onInput={(event) => act.settle({ ratio: Number(event.currentTarget.value) })}
          />
          <output for="ratio">{formatRatio(asked.ratio)}</output>
        </div>
        <p id="ratio-means" class="note">
          About {formatCount(Math.round(left(parameters)))} of {formatCount(parameters)}{" "}
          parameters stay, and {formatBytes(left(bytes))} of{" "}
          {formatBytes(bytes)}. The more goes, the less the model knows.
        </p>
        <label for="preset">What may go</label>
        <select
          id="preset"
          value={asked.preset}
          aria-describedby="preset-means"
          onChange={(event) => act.settle({ preset: event.currentTarget.value as Asked["preset"] })}
        >
          {Object.entries(PRESETS).map(([preset, [name]]) => (
            <option key={preset} value={preset}>{name}</option>
          ))}
        </select>
        <p id="preset-means" class="note">{PRESETS[asked.preset][1]}</p>
        <More view={props.view} act={act} />
        <div class="buttons">
          <button type="submit" class="main">Make it smaller</button>
          <button type="button" class="quiet" onClick={() => act.home()}>Choose another</button>
        </div>
      </form>
    </section>
  );
}

/** What few people need. */
function More(props: { readonly view: Chosen; readonly act: Controller }) {
  const { view: { asked, text, opened }, act } = props;
  const number = (
    key: "samples" | "seqLen",
    [min, max]: readonly [number, number],
    label: string,
    means: string,
  ) => (
    <>
      <label for={key}>{label}</label>
      <input
        id={key}
        type="number"
        min={min}
        max={max}
        placeholder="as many as is usual"
        value={asked[key] ?? ""}
        aria-describedby={`${key}-means`}
        onInput={({ currentTarget: { value, valueAsNumber } }) =>
          act.settle({ [key]: value === "" ? undefined : valueAsNumber })}
      />
      <p id={`${key}-means`} class="note">{means}</p>
    </>
  );
  return (
    <details>
      <summary>More settings</summary>
      <label for="text">Text to judge by</label>
      <input
        id="text"
        type="file"
        accept=".txt,.jsonl,.parquet"
        aria-describedby="text-means"
        onChange={(event) => act.judgeBy(event.currentTarget.files?.[0] ?? null)}
      />
      <p id="text-means" class="note">
        {text
          ? `What the model says to ${text.name} decides what stays.`
          : "A .txt, .jsonl or .parquet file of the kind that the model is for; without one, books."}
      </p>
      {number(
        "samples",
        [1, MAX_SAMPLES],
        "Samples",
        "More samples decide better, and take longer.",
      )}
      {number(
        "seqLen",
        [2, opened.longest],
        "Tokens of a sample",
        `At most ${opened.longest}; fewer need less memory.`,
      )}
    </details>
  );
}
