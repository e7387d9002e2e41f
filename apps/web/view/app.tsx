import { VERSION } from "@lopper/core";
import { useEffect, useRef } from "preact/hooks";
import type { Controller } from "../state/controller.ts";
import type { State } from "../state/state.ts";
import { Choose } from "./choose.tsx";
import { Finished } from "./finished.tsx";
import { Running } from "./running.tsx";
import { Runs } from "./runs.tsx";
import { Settings } from "./settings.tsx";

interface Props {
  readonly state: State;
  readonly act: Controller;
}

/** The page. */
export function App({ state, act }: Props) {
  const { at } = state.view;
  const main = useRef<HTMLElement>(null);
  const shown = useRef(at);
  useEffect(() => {
    // Who goes on by keyboard or ear begins with what is new.
    if (shown.current !== at) main.current?.querySelector("h2")?.focus();
    shown.current = at;
  }, [at]);
  return (
    <>
      <header>
        <h1>Lopper</h1>
        <p>Makes a language model smaller, in this browser tab.</p>
        <p class="private">
          Nothing leaves your computer: the browser lets this page connect to nowhere but where it
          came from, and it sends nothing there.
          {state.isKept && " It works without a network now."}
        </p>
      </header>
      <main ref={main}>
        <div role="alert">
          {state.problem !== null && (
            <p class="problem">
              {state.problem}{" "}
              <button type="button" class="quiet" onClick={() => act.dismiss()}>Dismiss</button>
            </p>
          )}
        </div>
        <Content state={state} act={act} />
      </main>
      <footer class="note">
        Lopper {VERSION} ·{" "}
        <a href="licences.txt" target="_blank" rel="noopener">licences of what is in it</a>
      </footer>
      <p class="aside" aria-live="polite">{state.said}</p>
    </>
  );
}

function Content({ state: { view, runs }, act }: Props) {
  switch (view.at) {
    case "start":
      return (
        <>
          <Runs runs={runs} act={act} />
          <Choose act={act} />
        </>
      );
    case "unable":
      return <p class="problem">{view.reason}</p>;
    case "looking":
      return <p class="note">Looking at {view.name} …</p>;
    case "chosen":
      return <Settings view={view} act={act} />;
    case "running":
      return <Running view={view} act={act} />;
    case "finished":
      return <Finished view={view} act={act} />;
  }
}
