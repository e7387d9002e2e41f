import { formatRatio, formatSeconds } from "@lopper/core";
import type { Controller } from "../state/controller.ts";
import { type Phase, type Running as View, secondsLeft } from "../state/state.ts";
import { LayersPicture } from "./layers.tsx";
import { Steps } from "./steps.tsx";

/** A run that goes on. */
export function Running(props: { readonly view: View; readonly act: Controller }) {
  const { view: { title, target, phase, steps, layers, meaning, notes }, act } = props;
  const gone = steps.at(-1)?.ratio ?? 0;
  return (
    <section aria-labelledby="run">
      <h2 id="run" tabIndex={-1}>Making {title} smaller</h2>
      <p class="figure">
        <strong>{gone.toFixed(1)} %</strong> of {formatRatio(target)} gone
      </p>
      <Progress phase={phase} />
      <div class="buttons">
        <button type="button" onClick={() => act.home()}>Stop</button>
        <p class="note">
          Stop, or close the tab: what was decided is kept in this browser, and the run can go on
          from there.
        </p>
      </div>
      {notes.map((note) => <p key={note} class="note">{note}</p>)}
      <div class="pair">
        {layers && <LayersPicture layers={layers} />}
        <div>
          <Steps steps={steps} target={target} />
          {meaning && steps.length > 0 && <p class="note">{meaning}</p>}
        </div>
      </div>
    </section>
  );
}

function Progress({ phase }: { readonly phase: Phase | null }) {
  const name = phase ? phase.name.charAt(0).toUpperCase() + phase.name.slice(1) : "Getting ready";
  const left = phase && secondsLeft(phase, performance.now());
  return (
    <div class="progress">
      <label for="progress">
        {name}
        {left !== null && <span class="note">, about {formatSeconds(Math.ceil(left))} left</span>}
      </label>
      {phase
        ? <progress id="progress" max={phase.total} value={phase.done} />
        : <progress id="progress" />}
    </div>
  );
}
