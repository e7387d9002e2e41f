import type { SearchEvent, Step } from "@lopper/search";
// @ts-types="@types/cli-progress"
import { Format, Presets, SingleBar } from "cli-progress";
import { formatPerplexity, formatSeconds } from "./format.ts";

/** Milliseconds between two progress lines of --json. */
const JSON_PROGRESS_INTERVAL = 1000;

/** What a command tells while it works: bars and sentences for people, lines of JSON for machines. */
export interface Reporter {
  /** One fact, for people; machines get it as an event. */
  say(message: string): void;
  search(event: SearchEvent): void;
  /** What the command was for: an object for machines, a text for people. */
  result(data: Record<string, unknown>, text: string): void;
  /** Takes the bar off the screen. */
  stop(): void;
}

export function openReporter(json: boolean): Reporter {
  return json ? new JsonReporter() : new TerminalReporter();
}

class JsonReporter implements Reporter {
  #lastProgress = 0;

  say(message: string) {
    this.#event("note", { message });
  }

  search(event: SearchEvent) {
    const { type, ...data } = event;
    if (type === "progress") {
      if (performance.now() - this.#lastProgress < JSON_PROGRESS_INTERVAL) return;
      this.#lastProgress = performance.now();
    }
    this.#event(type, data);
  }

  result(data: Record<string, unknown>) {
    this.#event("result", data);
  }

  #event(name: string, data: Record<string, unknown>) {
    console.log(JSON.stringify({ event: name, ...data }));
  }

  stop() {}
}

/**
 * Sentences and the bar go to standard error, results to standard output; without a terminal there is no bar, and a run
 * whose output is piped says nothing but its results.
 */
class TerminalReporter implements Reporter {
  readonly #interactive = Deno.stderr.isTerminal();
  #bar: SingleBar | null = null;
  #started: number | null = null;

  say(message: string) {
    if (this.#interactive) this.#above(message);
  }

  search(event: SearchEvent) {
    if (event.type === "warning") {
      this.stop();
      console.error(`warning: ${event.message}`);
    } else if (event.type === "step") {
      if (!event.resumed) this.say(describeStep(event.step));
    } else if (this.#interactive) {
      this.#progress(event);
    }
  }

  result(_data: Record<string, unknown>, text: string) {
    this.stop();
    if (this.#interactive) console.error();
    console.log(text);
  }

  stop() {
    this.#bar?.stop();
    this.#bar = null;
  }

  #above(message: string) {
    this.stop();
    console.error(message);
  }

  #progress({ stage, ratio, done, total }: Extract<SearchEvent, { type: "progress" }>) {
    this.#started ??= performance.now();
    const elapsed = (performance.now() - this.#started) / 1000;
    const left = done > 0 ? formatSeconds(elapsed * (total - done) / done) : "…";
    const payload = { stage: stage.replaceAll("_", " "), ratio: ratio.toFixed(1), left };
    if (!this.#bar) {
      this.#bar = new SingleBar({
        format: (options, params, values) =>
          `${Format.BarFormat(params.progress, options)} ${
            Math.floor(params.progress * 100)
          } % | ${values.stage}, ${values.ratio} % pruned | about ${values.left} left`,
        barsize: 24,
        hideCursor: true,
        clearOnComplete: true,
      }, Presets.shades_classic);
      this.#bar.start(total, done, payload);
    } else {
      this.#bar.setTotal(total);
      this.#bar.update(done, payload);
    }
  }
}

function describeStep({ step, taken, ppl, ratio }: Step): string {
  const what = {
    attention: `attention of layer ${taken.layer} removed`,
    mlp: `MLP of layer ${taken.layer} removed`,
    mlp_channels: `MLP of layer ${taken.layer} cut to ${taken.width} channels`,
    attention_heads: `attention of layer ${taken.layer} cut to ${taken.width} query channels`,
  }[taken.kind];
  return `step ${String(step + 1).padStart(3)}: ${what}, perplexity ${formatPerplexity(ppl)}, ${
    ratio.toFixed(2)
  } % pruned`;
}
