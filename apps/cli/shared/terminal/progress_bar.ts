import { formatSeconds, printableLine } from "@lopper/core";
// @ts-types="@types/cli-progress"
import { Format, Presets, SingleBar } from "cli-progress";

/**
 * A bar on the terminal with what is done and how long the rest will take. It goes when it is
 * stopped.
 */
export class ProgressBar {
  #bar: SingleBar | null = null;
  /** Clock, ms, and work done when the phase on the screen began. */
  #phase: { what: string; started: number; done: number } | null = null;

  /** @param phase whose speed says how long the rest will take. */
  draw(phase: string, title: string, done: number, total: number) {
    const now = performance.now();
    if (this.#phase?.what !== phase) this.#phase = { what: phase, started: now, done };
    const speed = (done - this.#phase.done) / (now - this.#phase.started);
    const left = speed > 0 ? `about ${formatSeconds((total - done) / speed / 1000)} left` : "…";
    const text = printableLine(title);
    if (!this.#bar) {
      this.#bar = new SingleBar({
        format: (options, params, { text, left }) =>
          `${Format.BarFormat(params.progress, options)} ${
            Math.floor(params.progress * 100)
          } % | ${text} | ${left}`,
        barsize: 24,
        // A process that is ended at once would leave it hidden.
        hideCursor: false,
        clearOnComplete: true,
      }, Presets.shades_classic);
      this.#bar.start(total, done, { text, left });
    } else {
      this.#bar.setTotal(total);
      this.#bar.update(done, { text, left });
    }
  }

  stop() {
    this.#bar?.stop();
    this.#bar = null;
  }
}
