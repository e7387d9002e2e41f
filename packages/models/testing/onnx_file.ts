import { fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { ModelProtoSchema } from "onnx-buf";
import { fileURLToPath } from "node:url";
import { MemoryFolder } from "@lopper/formats";

export type OnnxModelProto = MessageShape<typeof ModelProtoSchema>;

const FIXTURES = fileURLToPath(new URL("../../../tests/fixtures/onnx", import.meta.url));

export function onnxFixture(name: string): string {
  return `${FIXTURES}/${name}`;
}

/** The files of a fixture in memory, by their path from its folder. */
export function fixtureFiles(name: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  const walk = (folder: string) => {
    for (const { name: entry, isDirectory } of Deno.readDirSync(`${onnxFixture(name)}/${folder}`)) {
      const path = folder === "" ? entry : `${folder}/${entry}`;
      if (isDirectory) walk(path);
      else files[path] = Deno.readFileSync(`${onnxFixture(name)}/${path}`);
    }
  };
  walk("");
  return files;
}

/** A fixture whose graph was changed, and files that were replaced. */
export function changedFixture(
  name: string,
  change: (model: OnnxModelProto) => void,
  replaced: Readonly<Record<string, Uint8Array | string>> = {},
): MemoryFolder {
  const files = fixtureFiles(name);
  const path = Object.keys(files).find((file) => file.endsWith(".onnx"))!;
  const model = fromBinary(ModelProtoSchema, files[path]);
  change(model);
  return new MemoryFolder("m", {
    ...files,
    [path]: toBinary(ModelProtoSchema, model),
    ...replaced,
  });
}
