import assert from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);

/** The pages that people read, by their paths from the root. */
async function pages(): Promise<readonly string[]> {
  const found = ["README.md", "CONTRIBUTING.md", "packages/demo-model/data/README.md"];
  for (const folder of ["docs", "benchmarks"]) {
    for await (const { name } of Deno.readDir(new URL(folder, ROOT))) {
      if (name.endsWith(".md")) found.push(`${folder}/${name}`);
    }
  }
  return found;
}

/** Where a page leads, without what is on the web. */
function linksOf(page: string): readonly string[] {
  return Array.from(page.matchAll(/\]\(<?([^)\s>]+)/g), ([, link]) => link)
    .filter((link) => !/^[a-z]+:/.test(link));
}

/** The anchors of a page, one for each of its headings, as GitHub makes them. */
function anchorsOf(page: string): readonly string[] {
  return Array.from(
    page.replaceAll(/^```[\s\S]*?^```/gm, "").matchAll(/^#+ (.+)$/gm),
    ([, heading]) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-"),
  );
}

/** What is wrong with a link of the page at `from`; null where it leads somewhere. */
async function faultOf(from: URL, link: string): Promise<string | null> {
  const target = new URL(link, from);
  const anchor = decodeURIComponent(target.hash.slice(1));
  target.hash = "";
  const found = await Deno.stat(target).catch(() => null);
  if (!found) return `${link} is not there`;
  if (anchor === "" || found.isDirectory) return null;
  const anchors = anchorsOf(await Deno.readTextFile(target));
  return anchors.includes(anchor) ? null : `${link} has no such heading`;
}

Deno.test("links: every relative link of a page leads to a file or a heading that is there", async () => {
  const faults: string[] = [];
  let links = 0;
  for (const name of await pages()) {
    const from = new URL(name, ROOT);
    for (const link of linksOf(await Deno.readTextFile(from))) {
      links += 1;
      const fault = await faultOf(from, link);
      if (fault) faults.push(`${name}: ${fault}`);
    }
  }
  assert.deepEqual(faults, []);
  assert.ok(links > 50, `${links} links were found`);
});

Deno.test("links: README leads to every page of docs/", async () => {
  const links = linksOf(await Deno.readTextFile(new URL("README.md", ROOT)));
  const docs = (await pages()).filter((name) => name.startsWith("docs/"));
  assert.deepEqual(docs.filter((name) => !links.includes(name)), []);
});

Deno.test("links: one that leads nowhere is found", async () => {
  const from = new URL("README.md", ROOT);
  const page =
    "[a](docs/nothing.md) [b](docs/runs.md#nothing) ![c](docs/layers.svg) [d](https://deno.com)";
  const faults = await Promise.all(linksOf(page).map((link) => faultOf(from, link)));
  assert.deepEqual(faults, [
    "docs/nothing.md is not there",
    "docs/runs.md#nothing has no such heading",
    null,
  ]);
});
