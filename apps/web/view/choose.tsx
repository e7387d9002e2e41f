import { useRef, useState } from "preact/hooks";
import { chosenFiles, droppedSource } from "../state/files.ts";
import type { Controller } from "../state/controller.ts";

/** Where a model is dropped or chosen. */
export function Choose(props: { readonly act: Controller }) {
  const { act } = props;
  const folder = useRef<HTMLInputElement>(null);
  const file = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const take = (input: HTMLInputElement) => {
    const source = chosenFiles([...input.files ?? []]);
    // The same may be chosen again.
    input.value = "";
    if (source) act.choose(source);
  };
  return (
    <section aria-labelledby="choose">
      <h2 id="choose" tabIndex={-1}>Choose a model</h2>
      <div
        class={isOver ? "drop over" : "drop"}
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={async (event) => {
          event.preventDefault();
          setOver(false);
          const source = await droppedSource(event.dataTransfer!);
          if (source) act.choose(source);
        }}
      >
        <p>Drop a model here: a folder as Hugging Face has them, or a GGUF file.</p>
        <div class="buttons">
          <button type="button" onClick={() => folder.current!.click()}>Choose a folder</button>
          <button type="button" onClick={() => file.current!.click()}>Choose a GGUF file</button>
          <button type="button" onClick={() => act.choose({ kind: "embedded" })}>
            Take the built-in model
          </button>
        </div>
        <input
          ref={folder}
          type="file"
          hidden
          aria-label="Folder of a model"
          {...{ webkitdirectory: true }}
          onChange={(event) => take(event.currentTarget)}
        />
        <input
          ref={file}
          type="file"
          hidden
          aria-label="GGUF file"
          accept=".gguf"
          onChange={(event) => take(event.currentTarget)}
        />
      </div>
      <p class="note">
        Families: Llama, Mistral, Qwen 2 and 3, OLMo 2. The built-in model has 5.5 million
        parameters and takes a few minutes.
      </p>
    </section>
  );
}
