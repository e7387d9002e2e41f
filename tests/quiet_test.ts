import assert from "node:assert/strict";
import { inTemporaryFolder, runLopper } from "./support/cli.ts";

Deno.test("a model that runs leaves nothing in the user's home and temporary folders", async () => {
  await inTemporaryFolder(async (folder) => {
    const places = { HOME: `${folder}/home`, TMPDIR: `${folder}/tmp` };
    for (const path of Object.values(places)) await Deno.mkdir(path);
    // Deno's own cache is not the program's.
    const { code, stderr } = await runLopper(
      ["generate", "demo", "The ship", "--max-tokens", "1", "--backend", "cpu"],
      folder,
      { ...places, XDG_CACHE_HOME: "", DENO_DIR: await denoFolder() },
    );
    assert.equal(code, 0, stderr);
    for (const path of Object.values(places)) assert.deepEqual([...Deno.readDirSync(path)], []);
  });
});

async function denoFolder(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}
