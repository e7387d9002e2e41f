import type { GgufTensorEntry } from "@lopper/formats";
import { type GgufArchitecture, packedTensor, type WeightRole } from "@lopper/models";

/** What lies in a tensor with others, or by itself. */
interface Packable {
  readonly role: WeightRole;
}

/** The name of the tensor in which a file has a weight with others; null where it has its own. */
export function packedName(
  arch: GgufArchitecture,
  role: WeightRole,
  layer: number,
): string | null {
  const found = "layer" in role ? packedTensor(arch, role) : null;
  return found && `blk.${layer}.${found.name}`;
}

/**
 * The tensors of some weights: those that belong into one, one behind the other by their rows.
 * @param layer of the file.
 * @param entryOf a weight by itself.
 */
export function packed<T extends Packable>(
  weights: readonly T[],
  arch: GgufArchitecture,
  layer: number,
  entryOf: (weight: T) => GgufTensorEntry,
): readonly GgufTensorEntry[] {
  const groups = new Map<string, T[]>();
  for (const weight of weights) {
    const { role } = weight;
    const key = packedName(arch, role, layer) ?? JSON.stringify(role);
    groups.set(key, [...groups.get(key) ?? [], weight]);
  }
  return [...groups.values()].map((group) => {
    const parts = inOrder(group, arch).map(entryOf);
    return parts.length === 1 ? parts[0] : joined(parts);
  });
}

/** Weights of one tensor, as they lie in it. */
function inOrder<T extends Packable>(group: readonly T[], arch: GgufArchitecture): readonly T[] {
  const [{ role }] = group;
  const order = "layer" in role ? packedTensor(arch, role)?.weights : undefined;
  if (!order) return group;
  const placeOf = ({ role }: T) => "layer" in role ? order.indexOf(role.weight) : 0;
  return group.toSorted((a, b) => placeOf(a) - placeOf(b));
}

function joined(parts: readonly GgufTensorEntry[]): GgufTensorEntry {
  const [{ name, type, shape }] = parts;
  const rows = parts.reduce((sum, part) => sum + part.shape[0], 0);
  return {
    name,
    type,
    shape: [rows, ...shape.slice(1)],
    data: async () => {
      const bytes = [];
      for (const part of parts) bytes.push(await part.data());
      const all = new Uint8Array(bytes.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const part of bytes) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
  };
}
