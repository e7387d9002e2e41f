import assert from "node:assert/strict";
import { all, faultsOf, readPage, textOf } from "@lopper/report/testing";
import { inTemporaryFolder, QUICK, runLopper } from "../support/cli.ts";

async function done(args: readonly string[], folder: string) {
  const { code, stderr } = await runLopper(args, folder);
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
}

const page = async (path: string) => readPage(await Deno.readTextFile(path));
const commandsOf = (root: ReturnType<typeof readPage>) =>
  textOf(all(root, "pre")[0]).split(/(?=deno task prune)/).map((line) => line.trim());

/** Does what the commands of a page say, in another folder. */
async function follow(commands: readonly string[], folder: string) {
  await Deno.mkdir(folder);
  for (const command of commands) {
    const words = command.split(" ");
    assert.deepEqual(words.slice(0, 3), ["deno", "task", "prune"]);
    await done(["prune", ...words.slice(3)], folder);
  }
}

async function sameBytes(a: string, b: string) {
  for (const file of ["model.safetensors", "lopper_plan.json"]) {
    assert.deepEqual(await Deno.readFile(`${a}/${file}`), await Deno.readFile(`${b}/${file}`));
  }
}

Deno.test("report: the commands on a page make the same run", () =>
  inTemporaryFolder(async (folder) => {
    await done(["prune", "--out", "s", ...QUICK], folder);
    await done(["report", "s"], folder);
    await follow(commandsOf(await page(`${folder}/s/report.html`)), `${folder}/first`);
    await sameBytes(`${folder}/s`, `${folder}/first/again`);

    // extended
    await done(
      ["prune", "--out", "p", "--preset", "blockpruner", "--ratio", "5", ...QUICK],
      folder,
    );
    await done(["prune", "--out", "p", "--resume", "--ratio", "10"], folder);
    await done(["report", "p"], folder);
    const root = await page(`${folder}/p/report.html`);
    const commands = commandsOf(root);
    assert.equal(commands.length, 2);
    await follow(commands, `${folder}/elsewhere`);
    await sameBytes(`${folder}/p`, `${folder}/elsewhere/again`);

    const plan = `${folder}/p/lopper_plan.json`;
    await done(["prune", "--plan", plan, "--out", "q", ...QUICK], folder);
    await done(["report", "q"], folder);
    const applied = await page(`${folder}/q/report.html`);
    assert.deepEqual(faultsOf(applied), []);
    assert.match(textOf(applied), /applied without a search/);
    await follow(commandsOf(applied), `${folder}/third`);
    await sameBytes(`${folder}/p`, `${folder}/third/again`);

    await done(["prune", "--plan", `${folder}/p`, "--ratio", "5", "--out", "r", ...QUICK], folder);
    await done(["report", "r"], folder);
    await follow(commandsOf(await page(`${folder}/r/report.html`)), `${folder}/fourth`);
    await sameBytes(`${folder}/r`, `${folder}/fourth/again`);
  }));
