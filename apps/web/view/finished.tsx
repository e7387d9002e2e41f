import { formatBytes, formatRatio } from "@lopper/core";
import { useState } from "preact/hooks";
import { canSaveFolder } from "../state/save_result.ts";
import type { Controller } from "../state/controller.ts";
import type { Finished as View, Tried } from "../state/state.ts";
import type { Result, SavedAs } from "../tasks/protocol.ts";
import { LayersPicture } from "./layers.tsx";
import { Steps } from "./steps.tsx";

/** A finished run: what it changed, how it talks, and how it is taken away. */
export function Finished(props: { readonly view: View; readonly act: Controller }) {
  const { view: { result, tried, saving }, act } = props;
  return (
    <>
      <section aria-labelledby="result">
        <h2 id="result" tabIndex={-1}>
          {result.title} is {formatRatio(Number(result.ratio.toFixed(1)))} smaller
        </h2>
        <Figures result={result} />
      </section>
      <Save result={result} saving={saving} act={act} />
      <Try tried={tried} act={act} />
      <section aria-labelledby="removed">
        <h2 id="removed">What was removed</h2>
        <div class="pair">
          <LayersPicture layers={result.layers} />
          <Steps steps={result.steps} target={result.ratio} />
        </div>
      </section>
      <div class="buttons">
        <button type="button" onClick={() => act.home()}>Back to the start</button>
      </div>
    </>
  );
}

function Figures({ result }: { readonly result: Result }) {
  return (
    <div class="scroll" role="region" aria-label="Before and after" tabIndex={0}>
      <table>
        <thead>
          <tr>
            <td />
            <th scope="col">Before</th>
            <th scope="col">After</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {result.figures.map(({ what, dense, pruned, change }) => (
            <tr key={what}>
              <th scope="row" class="word">{what}</th>
              <td>{dense}</td>
              <td>{pruned}</td>
              <td>
                <strong>{change}</strong>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="note">
        Perplexity: how many words, so to speak, the model wavers between; less is better.
      </p>
    </div>
  );
}

const GGUF: readonly (readonly [string, SavedAs])[] = [
  ["F16", { form: "gguf", quantize: null }],
  ["8 bits", { form: "gguf", quantize: "q8_0" }],
  ["4 bits", { form: "gguf", quantize: "q4_0" }],
];

function Save(
  props: { readonly result: Result; readonly saving: string | null; readonly act: Controller },
) {
  const { result, saving, act } = props;
  const [precision, setPrecision] = useState(0);
  const bytes = [...result.files.values()].reduce((sum, size) => sum + size, 0);
  const isBusy = saving !== null;
  return (
    <section aria-labelledby="save">
      <h2 id="save">Save it</h2>
      <div class="buttons">
        {canSaveFolder() && (
          <button
            type="button"
            disabled={isBusy}
            onClick={() => act.saveFolder()}
          >
            As a folder
          </button>
        )}
        <button type="button" disabled={isBusy} onClick={() => act.save({ form: "zip" })}>
          As a zip file
        </button>
        <span class="joined">
          <button type="button" disabled={isBusy} onClick={() => act.save(GGUF[precision][1])}>
            As a GGUF file
          </button>
          <select
            aria-label="Precision of the GGUF file"
            value={precision}
            disabled={isBusy}
            onChange={(event) => setPrecision(Number(event.currentTarget.value))}
          >
            {GGUF.map(([name], i) => <option key={name} value={i}>{name}</option>)}
          </select>
        </span>
      </div>
      <p class="note" role="status">
        {saving === null
          ? `The folder has ${formatBytes(bytes)}, in the layout of Hugging Face.`
          : `Saving: ${saving} …`}
      </p>
    </section>
  );
}

function Try(props: { readonly tried: Tried | null; readonly act: Controller }) {
  const { tried, act } = props;
  const [prompt, setPrompt] = useState("The old man looked at the sea and");
  const answer = (title: string, text: string | null) => (
    <div class="answer">
      <h3>{title}</h3>
      <p>
        {text === null ? <span class="note">waits</span> : (
          <>
            {tried!.prompt}
            <b>{text}</b>
          </>
        )}
      </p>
    </div>
  );
  return (
    <section aria-labelledby="try">
      <h2 id="try">Try it</h2>
      <form
        class="prompt"
        onSubmit={(event) => {
          event.preventDefault();
          act.generate(prompt);
        }}
      >
        <label for="prompt">A beginning that both models go on with</label>
        <textarea
          id="prompt"
          rows={2}
          required
          value={prompt}
          onInput={(event) => setPrompt(event.currentTarget.value)}
        />
        <div class="buttons">
          <button type="submit" disabled={tried !== null && !tried.isOver}>Go on</button>
        </div>
      </form>
      {tried && (
        <div class="pair">
          {answer("Before", tried.dense)}
          {answer("After", tried.pruned)}
        </div>
      )}
    </section>
  );
}
