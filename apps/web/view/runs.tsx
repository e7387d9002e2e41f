import { formatBytes, formatRatio } from "@lopper/core";
import type { Controller } from "../state/controller.ts";
import type { RunState, RunSummary } from "../tasks/protocol.ts";

/** The runs that the browser keeps; nothing where there are none. */
export function Runs(
  { runs, act }: { readonly runs: readonly RunSummary[]; readonly act: Controller },
) {
  if (runs.length === 0) return null;
  const taken = runs.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <section aria-labelledby="runs">
      <h2 id="runs" tabIndex={-1}>Your runs</h2>
      <ul class="runs">
        {runs.map((run) => <Run key={run.id} run={run} act={act} />)}
      </ul>
      <p class="note">
        They take {formatBytes(taken)} of this browser’s storage.
      </p>
    </section>
  );
}

function Run(props: { readonly run: RunSummary; readonly act: Controller }) {
  const { run, act } = props;
  const { id, title, target, begun, bytes, state } = run;
  const date = new Date(begun).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
  const name = `${title}, ${formatRatio(target)}`;
  return (
    <li>
      <div>
        <strong>{title}</strong>
        <span class="note">{describe(state, target)}</span>
        <span class="note">{date}, {formatBytes(bytes)}</span>
      </div>
      <div class="buttons">
        {state.kind === "unfinished" && (
          <button
            type="button"
            onClick={() => act.goOn(id)}
            aria-label={`Go on with ${name}`}
          >
            Go on
          </button>
        )}
        {state.kind === "finished" && (
          <button
            type="button"
            onClick={() => act.open(id)}
            aria-label={`Open ${name}`}
          >
            Open
          </button>
        )}
        {state.kind !== "busy" && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              if (confirm(`Delete the run of ${name}, with its result?`)) act.remove(id);
            }}
            aria-label={`Delete ${name}`}
          >
            Delete
          </button>
        )}
      </div>
    </li>
  );
}

function describe(state: RunState, target: number): string {
  switch (state.kind) {
    case "unfinished":
      return state.ratio === 0
        ? `not far yet, ${formatRatio(target)} are to go`
        : `stopped at ${state.ratio.toFixed(1)} of ${formatRatio(target)}`;
    case "finished":
      return `finished, ${state.ratio.toFixed(1)} % smaller`;
    case "busy":
      return "another tab works on it";
    case "damaged":
      return state.problem;
  }
}
