import axe from "axe-core";
import assert from "node:assert/strict";
import type { Page } from "puppeteer-core";
import { overlayReport, type ReportRun, runReport } from "@lopper/report";
import { SCORES, tinyRun } from "@lopper/report/testing";
import { readReportRun } from "../../apps/cli/shared/reporting/report_files.ts";
import { inTemporaryFolder, QUICK, runLopper } from "../support/cli.ts";
import { PATIENCE, withBrowser } from "../support/browser.ts";

const SCREENS = [
  { name: "desktop", width: 1280, height: 900 },
  { name: "telephone", width: 390, height: 844 },
] as const;

Deno.test({
  name: "pages of runs in Chromium: nothing is loaded or complained of, axe finds no fault",
  sanitizeOps: false,
  sanitizeResources: false,
  fn: () =>
    withBrowser("this test", (browser) =>
      inTemporaryFolder(async (folder) => {
        const { code, stderr } = await runLopper(["prune", "--out", "p", ...QUICK], folder);
        assert.equal(code, 0, stderr);
        const real = await readReportRun(`${folder}/p`);
        const pages = {
          run: await Deno.readTextFile(`${folder}/p/report.html`),
          overlay: await overlayReport([real, { ...real, name: "q" }, tinyRun()]),
          applied: await runReport({ ...real, history: null }),
          tall: await runReport({ ...tall(tinyRun()), scores: SCORES }),
        };
        let looked = 0;
        for (const [name, text] of Object.entries(pages)) {
          const file = `${folder}/${name}.html`;
          await Deno.writeTextFile(file, text);
          for (const scheme of ["light", "dark"] as const) {
            for (const screen of SCREENS) {
              const page = await browser.newPage();
              await look(page, file, scheme, screen, `${name}, ${scheme}, ${screen.name}`);
              await page.close();
              looked += 1;
            }
          }
        }
        console.log(`looked at ${looked} pages in ${await browser.version()}`);
      })),
});

async function look(
  page: Page,
  file: string,
  scheme: "light" | "dark",
  { width, height }: { readonly width: number; readonly height: number },
  what: string,
) {
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => requests.push(request.url()));
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(`file://${file}`, { waitUntil: "networkidle0", timeout: PATIENCE });
  assert.deepEqual(requests.filter((url) => !url.startsWith("data:")), [`file://${file}`], what);
  assert.deepEqual(complaints, [], what);

  const { overflow, background } = await page.evaluate(() => {
    const { document, getComputedStyle } = globalThis as unknown as {
      document: {
        documentElement: { scrollWidth: number; clientWidth: number };
        body: unknown;
        querySelectorAll(selector: string): Iterable<{ open: boolean }>;
      };
      getComputedStyle(element: unknown): { backgroundColor: string };
    };
    // what is folded away is to be as good
    for (const details of document.querySelectorAll("details")) details.open = true;
    const { scrollWidth, clientWidth } = document.documentElement;
    return {
      overflow: scrollWidth - clientWidth,
      background: getComputedStyle(document.body).backgroundColor,
    };
  });
  assert.equal(overflow, 0, `${what}: the page is wider than the screen`);
  assert.equal(background, scheme === "dark" ? "rgb(20, 24, 29)" : "rgb(255, 255, 255)", what);

  await page.evaluate(axe.source);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  });
  assert.deepEqual(violations, [], what);
}

/** A run of a model with many layers, KV groups and query heads. */
function tall(run: ReportRun): ReportRun {
  const layer = {
    attention: { queryHeads: 32, kvHeads: 8 },
    mlp: { intermediateSize: 11_008 },
  };
  const dense = Array.from({ length: 80 }, () => layer);
  return {
    ...run,
    plan: null,
    record: {
      ...run.record,
      layers: {
        dense,
        pruned: dense.map((shape, i) => i % 5 === 2 ? { ...shape, mlp: null } : shape),
      },
    },
  };
}
