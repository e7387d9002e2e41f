import assert from "node:assert/strict";
import { DEMO_MODEL } from "@lopper/demo-model";
import { mockHub } from "@lopper/files/testing";
import { fileURLToPath } from "node:url";
import { done, fails, inTemporaryFolder, QUICK, runLopper } from "../support/cli.ts";

const run = async (command: string, ...args: string[]) =>
  (await new Deno.Command(command, { args, stderr: "null" }).output()).success;

/** A file system of so many megabytes at a folder; null where this user may not make one. */
async function smallDisk(folder: string, megabytes: number) {
  const mount = (options: string) => run("mount", "-t", "tmpfs", "-o", options, "tmpfs", folder);
  const size = `size=${megabytes}m`;
  if (Deno.build.os !== "linux" || !await mount(size).catch(() => false)) return null;
  return {
    remount: (options: string) => run("mount", "-o", `remount,${options}`, folder),
    unmount: () => run("umount", folder),
  };
}

Deno.test("on a full disk a run ends in a sentence, leaves nothing half-written, and goes on when there is room", () =>
  inTemporaryFolder(async (folder) => {
    const at = `${folder}/disk`;
    await Deno.mkdir(at);
    const disk = await smallDisk(at, 4);
    if (disk === null) return console.log("skipped: only root on Linux mounts a small disk");
    try {
      const settings = ["--preset", "blockpruner", "--ratio", "5", ...QUICK];
      const full = /cannot be written: there is no space left on its disk; .* continue with: /;
      await fails(["prune", "--out", "disk/p", ...settings], folder, 1, full);
      const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
      assert.deepEqual(names(`${at}/p`), ["journal.jsonl", "settings.json"]);
      await disk.remount("size=64m");
      await done(["prune", "--out", "disk/p", "--resume"], folder);
      await done(["prune", "--out", "p", ...settings], folder);
      for (const file of ["model.safetensors", "lopper_plan.json", "config.json"]) {
        assert.deepEqual(
          await Deno.readFile(`${at}/p/${file}`),
          await Deno.readFile(`${folder}/p/${file}`),
        );
      }
      await disk.remount("size=12m");
      await fails(["export", "p", "--to", "gguf", "--out", "disk/x"], folder, 1, full);
      assert.deepEqual(names(at), ["p"]);
      await disk.remount("ro");
      const readOnly = /cannot be written: its file system is read-only/;
      await fails(["prune", "--out", "disk/q"], folder, 1, readOnly);
      await fails(["report", "disk/p"], folder, 1, readOnly);
    } finally {
      await disk.unmount();
    }
  }));

Deno.test("on a full disk a download ends in a sentence, and the same command goes on when there is room", () =>
  inTemporaryFolder(async (folder) => {
    const at = `${folder}/disk`;
    await Deno.mkdir(at);
    const disk = await smallDisk(at, 4);
    if (disk === null) return console.log("skipped: only root on Linux mounts a small disk");
    const model = fileURLToPath(DEMO_MODEL);
    const names = [...Deno.readDirSync(model)].map(({ name }) => name);
    const main = Object.fromEntries(
      names.map((name) => [name, Deno.readFileSync(`${model}/${name}`)]),
    );
    await using hub = mockHub({ models: { "org/m": { branches: { main } } } });
    const inspect = () =>
      runLopper(["inspect", "org/m"], folder, { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: at });
    try {
      const full = await inspect();
      assert.equal(full.code, 1);
      assert.match(
        full.stderr,
        /lopper-partial cannot be written: there is no space left on its disk; nothing is lost, .*: the same command$/m,
      );
      await disk.remount("size=64m");
      const ranges: (string | null)[] = [];
      hub.misbehave(({ request, path }) => {
        if (path.startsWith("/models/")) ranges.push(request.headers.get("range"));
        return null;
      });
      const { code, stderr } = await inspect();
      assert.equal(code, 0, stderr);
      assert.match(ranges.join(), /^bytes=[1-9]\d*-$/);
    } finally {
      await disk.unmount();
    }
  }));
