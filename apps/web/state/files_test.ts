import assert from "node:assert/strict";
import type { Source } from "../tasks/protocol.ts";
import { chosenFiles, droppedSource } from "./files.ts";

/** A file as the chooser of folders hands it over. */
function file(path: string): File {
  const [name] = path.split("/").reverse();
  return Object.defineProperty(new File([path], name), "webkitRelativePath", {
    value: path.includes("/") ? path : "",
  });
}

/** A dropped file, or a folder that hands over one entry at a time. */
function entry(name: string, inside?: readonly FileSystemEntry[]): FileSystemEntry {
  if (!inside) {
    const done = (take: (file: File) => void) => take(file(name));
    return { name, isFile: true, file: done } as unknown as FileSystemEntry;
  }
  const left = [...inside];
  const readEntries = (take: (some: FileSystemEntry[]) => void) => take(left.splice(0, 1));
  return {
    name,
    isFile: false,
    createReader: () => ({ readEntries }),
  } as unknown as FileSystemEntry;
}

function drop(...entries: readonly (FileSystemEntry | null)[]) {
  const items = entries.map((entry) => ({ webkitGetAsEntry: () => entry }));
  return droppedSource({ items: items as unknown as DataTransferItemList });
}

function namesOf(source: Source | null): readonly [string, readonly string[]] | null {
  return source?.kind === "files" ? [source.name, [...source.files.keys()]] : null;
}

Deno.test("files: a folder gives the model its name, and files have their paths from there", async () => {
  const paths = ["smol/config.json", "smol/onnx/model.onnx"];
  const expected = ["smol", ["config.json", "onnx/model.onnx"]];
  assert.deepEqual(namesOf(chosenFiles(paths.map(file))), expected);
  const dropped = entry("smol", [entry("config.json"), entry("onnx", [entry("model.onnx")])]);
  assert.deepEqual(namesOf(await drop(dropped)), expected);
});

Deno.test("files: a GGUF file is a model by itself, and what was dropped with it is not", async () => {
  assert.deepEqual(namesOf(chosenFiles([file("model.gguf")])), ["model.gguf", ["model.gguf"]]);
  const dropped = await drop(entry("notes.txt"), entry("Model.GGUF"), null);
  assert.deepEqual(namesOf(dropped), ["Model.GGUF", ["Model.GGUF"]]);
});

Deno.test("files: files alone are a model without a name, and nothing is none", async () => {
  const files = ["config.json", "model.safetensors"];
  assert.deepEqual(namesOf(chosenFiles(files.map(file))), ["model", files]);
  assert.equal(chosenFiles([]), null);
  assert.equal(await drop(null), null);
});

Deno.test("files: what lies deeper than any model's files is not looked for", async () => {
  const deep = ["a", "b", "c", "d"].reduce((inner, name) => entry(name, [inner]), entry("file"));
  assert.equal(namesOf(await drop(deep)), null);
});
