/** The page: it draws what its state says, and leaves the work to workers. */
import { render } from "preact";
import { Controller } from "./state/controller.ts";
import { missingIn } from "./state/missing.ts";
import { App } from "./view/app.tsx";

const place = document.getElementById("app")!;
const act: Controller = new Controller((state) => {
  document.title = titleOf(state);
  render(<App state={state} act={act} />, place);
});

/** What the tab is called: how far a run is can be read there. */
function titleOf({ view }: Controller["state"]): string {
  if (view.at !== "running") return "Lopper";
  return `${(view.steps.at(-1)?.ratio ?? 0).toFixed(1)} % · Lopper`;
}

// What misses its place is not to take the page's.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => event.preventDefault());
const missing = missingIn(globalThis);
if (missing !== null) act.giveUp(missing);
else {
  await act.home();
  await keepPage();
}

/** Keeps the page for use without a network, where the browser can. */
async function keepPage() {
  const kept = await navigator.serviceWorker?.register("service_worker.js").catch(() => null);
  if (!kept) return;
  await navigator.serviceWorker.ready;
  act.kept();
}
