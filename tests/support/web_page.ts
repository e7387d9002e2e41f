import axe from "axe-core";
import assert from "node:assert/strict";
import type { Page } from "puppeteer-core";
import { HEADERS } from "../../apps/web/policy.ts";
import { answer } from "../../scripts/web/serve_page.ts";
import { PATIENCE } from "./browser.ts";

/** A server of a built page. */
export interface PageServer extends AsyncDisposable {
  readonly url: string;
  /** Paths that were asked for. */
  readonly requests: readonly string[];
}

export function servePage(folder: string, headers = HEADERS): PageServer {
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "localhost", port: 0, onListen() {} }, (request) => {
    requests.push(new URL(request.url).pathname);
    return answer(folder, request, headers);
  });
  let isUp = true;
  return {
    url: `http://localhost:${server.addr.port}/`,
    requests,
    async [Symbol.asyncDispose]() {
      if (isUp) await server.shutdown();
      isUp = false;
    },
  };
}

/** Of each tab, what it complains of: nothing, where all is well. */
export function complaintsOf(page: Page): readonly string[] {
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on(
    "requestfailed",
    (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`),
  );
  return complaints;
}

/** Presses the button of that name. */
export async function press(page: Page, name: string) {
  const button = await page.waitForSelector(`::-p-aria([name="${name}"][role="button"])`, {
    timeout: PATIENCE,
  });
  await button!.evaluate((element) => (element as unknown as { click(): void }).click());
}

/** Waits for the result of a run. @throws with what the page says when it fails. */
export async function waitForResult(page: Page) {
  const found = await page.waitForSelector("#result, .problem", { timeout: PATIENCE });
  const text = await found!.evaluate((element) =>
    (element as unknown as { textContent: string }).textContent
  );
  assert.match(text, /smaller$/);
}

/** Fills in the form about a model that was chosen: values by the ids of its fields. */
export async function fill(page: Page, values: Readonly<Record<string, string>>) {
  await page.waitForSelector("#ratio", { timeout: PATIENCE });
  await page.evaluate((values) => {
    const { document, Event } = globalThis as unknown as {
      document: {
        querySelector(selector: string): { value: string; dispatchEvent(event: unknown): void };
      };
      Event: new (type: string, options: { bubbles: boolean }) => unknown;
    };
    for (const [id, value] of Object.entries(values)) {
      const field = document.querySelector(`#${id}`);
      field.value = value;
      for (const type of ["input", "change"]) {
        field.dispatchEvent(new Event(type, { bubbles: true }));
      }
    }
  }, values);
}

/** Waits for a text anywhere on the page. */
export async function waitForText(page: Page, text: string) {
  await page.waitForFunction(
    (text) =>
      (globalThis as unknown as { document: { body: { textContent: string } } })
        .document.body.textContent.includes(text),
    { timeout: PATIENCE },
    text,
  );
}

const SCREENS = [
  { name: "desktop", width: 1280, height: 900 },
  { name: "telephone", width: 360, height: 740 },
] as const;

/**
 * Looks at what a tab shows in light and dark, on a desk and on a telephone, and keeps pictures.
 */
export async function lookAt(page: Page, what: string, pictures: string) {
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMediaFeatures([
      { name: "prefers-color-scheme", value: scheme },
      { name: "prefers-reduced-motion", value: "reduce" },
    ]);
    for (const { name, width, height } of SCREENS) {
      const at = `${what}, ${scheme}, ${name}`;
      await page.setViewport({ width, height });
      const overflow = await page.evaluate(() => {
        const { scrollWidth, clientWidth } = (globalThis as unknown as {
          document: { documentElement: { scrollWidth: number; clientWidth: number } };
        }).document.documentElement;
        return scrollWidth - clientWidth;
      });
      assert.equal(overflow, 0, `${at}: the page is wider than the screen`);
      assert.deepEqual(await faultsOf(page), [], at);
      const path = `${pictures}/${at.replaceAll(", ", "-").replaceAll(" ", "_")}.png`;
      await page.screenshot({ path, fullPage: true });
    }
  }
}

/** What axe finds wrong. */
async function faultsOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  return await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> };
    };
    const { violations } = await axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  });
}

/** A folder of the origin's own file system, as far as it is read here. */
interface Folder {
  keys(): AsyncIterable<string>;
  getDirectoryHandle(name: string): Promise<Folder>;
  getFileHandle(name: string): Promise<{ getFile(): Promise<Blob> }>;
}

/** The plans of the results in the browser's storage, and the SHA-256 of their weights. */
export async function keptResults(
  page: Page,
): Promise<readonly { readonly plan: string; readonly weights: string }[]> {
  return await page.evaluate(async () => {
    const { navigator } = globalThis as unknown as {
      navigator: { storage: { getDirectory(): Promise<Folder> } };
    };
    let runs = await navigator.storage.getDirectory();
    for (const name of ["lopper", "runs"]) runs = await runs.getDirectoryHandle(name);
    const found: { plan: string; weights: string }[] = [];
    for await (const id of runs.keys()) {
      const result = await (await runs.getDirectoryHandle(id)).getDirectoryHandle("result");
      const file = async (name: string) => await (await result.getFileHandle(name)).getFile();
      const bytes = await (await file("model.safetensors")).arrayBuffer();
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const weights = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
      found.push({ plan: await (await file("lopper_plan.json")).text(), weights });
    }
    return found;
  });
}
