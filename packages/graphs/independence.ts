import { ModelProtoSchema } from "onnx-buf";
import { fromBinary } from "@bufbuild/protobuf";

/** The entry of a model's metadata in which a graph says it. */
const KEY = "lopper.independent";

/** Along which axes rows of a graph's feeds know nothing of one another. */
export interface Independence {
  /** Names of symbolic sizes, side by side in every feed that has them. */
  readonly axes: readonly string[];
  /** The first of these axes in each feed that has them, by its number. */
  readonly feeds: ReadonlyMap<string, number>;
}

/** What a model says of it in its metadata. */
export function independenceEntries(axes: readonly string[]) {
  return axes.length === 0 ? [] : [{ key: KEY, value: axes.join(" ") }];
}

/** What a graph says of its rows; null for nothing. @see GraphBuilder.independent */
export function independenceOf(onnx: Uint8Array): Independence | null {
  const { graph, metadataProps } = fromBinary(ModelProtoSchema, onnx);
  const axes = metadataProps.find(({ key }) => key === KEY)?.value?.split(" ");
  if (!graph || !axes) return null;
  const feeds = graph.input.flatMap(({ name, type }): [string, number][] => {
    const shape = type?.value.case === "tensorType" ? type.value.value.shape : undefined;
    const axis = shape?.dim.findIndex(({ value }) => value.value === axes[0]) ?? -1;
    return axis < 0 ? [] : [[name, axis]];
  });
  return { axes, feeds: new Map(feeds) };
}
