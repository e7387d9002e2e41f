import assert from "node:assert/strict";

/** Files of a zip file by their paths, where none of them is packed (PKWARE's APPNOTE, 4.3). */
export async function zipEntries(path: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const bytes = await Deno.readFile(path);
  const view = new DataView(bytes.buffer);
  const end = bytes.length - 22;
  assert.equal(view.getUint32(end, true), 0x06054b50, "the end of the central directory");
  const entries = new Map<string, Uint8Array>();
  let at = view.getUint32(end + 16, true);
  for (let n = view.getUint16(end + 10, true); n > 0; n--) {
    assert.equal(view.getUint32(at, true), 0x02014b50, "an entry of the central directory");
    assert.equal(view.getUint16(at + 10, true), 0, "it is stored as it is");
    const size = view.getUint32(at + 24, true);
    const [name, extra, comment] = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const local = view.getUint32(at + 42, true);
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const path = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + name));
    entries.set(path, bytes.subarray(start, start + size));
    at += 46 + name + extra + comment;
  }
  return entries;
}
