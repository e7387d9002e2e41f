import { type Browser } from "puppeteer-core";

/** Where distributions put Chromium, and the name that CHROMIUM gives. */
const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** It is to speak with nobody. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Milliseconds that a busy machine may take over anything. */
export const PATIENCE = 300_000;

/** Runs `body` with a Chromium of its own; without one, says in a line that `what` is skipped. */
export async function withBrowser(
  what: string,
  body: (browser: Browser) => Promise<void>,
): Promise<void> {
  const named = Deno.env.get("CHROMIUM");
  const executablePath = (named ? [named] : PLACES).find(isFile);
  if (executablePath === undefined) {
    console.log(
      `skipped: ${what} needs Chromium (${
        PLACES.join(", ")
      }, or where the variable CHROMIUM says it is)`,
    );
    return;
  }
  const { launch } = await import("puppeteer-core");
  const userDataDir = await Deno.makeTempDir({ prefix: "lopper-chromium-" });
  const browser = await launch({
    executablePath,
    headless: true,
    userDataDir,
    args: FLAGS,
    timeout: PATIENCE,
    protocolTimeout: PATIENCE,
  });
  try {
    await body(browser);
  } finally {
    await browser.close();
    await Deno.remove(userDataDir, { recursive: true });
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
