import assert from "node:assert/strict";
import { decodePart, decodeText } from "./decode_text.ts";

const refuse = (problem: string) => new TypeError(problem);
const read = (bytes: Uint8Array) => decodeText(bytes, refuse);
const utf8 = (text: string) => new TextEncoder().encode(text);

/** What PowerShell's `>` writes, and what other programs do without a mark. */
function utf16(text: string, { big = false, mark = true } = {}): Uint8Array {
  const units = [...mark ? "\ufeff" : "", ...text].join("");
  const view = new DataView(new ArrayBuffer(2 * units.length));
  for (let i = 0; i < units.length; i++) view.setUint16(2 * i, units.charCodeAt(i), !big);
  return new Uint8Array(view.buffer);
}

Deno.test("text: a byte order mark is no part of it, at its start only", () => {
  assert.equal(read(utf8("\ufeffgrün")), "grün");
  assert.equal(read(utf8("a\ufeffb")), "a\ufeffb");
  assert.equal(read(utf8("")), "");
  assert.equal(decodePart(utf8("\ufeffb"), 0, refuse), "b");
  assert.equal(decodePart(utf8("\ufeffb"), 9, refuse), "\ufeffb");
});

Deno.test("text: UTF-16 is named, of either order, with a mark or without", () => {
  const text = "It rained.\r\nÜber all.\r\n";
  for (const big of [false, true]) {
    for (const mark of [false, true]) {
      const named = /^TypeError: it is UTF-16 text and Lopper reads UTF-8; save it as UTF-8/;
      assert.throws(() => read(utf16(text, { big, mark })), named, `${big} ${mark}`);
    }
  }
  assert.throws(() => read(utf16("雨が降った")), /it is UTF-16 text/, "by its mark alone");
});

Deno.test("text: other encodings, and bytes that are no text, are refused", () => {
  assert.throws(() => read(Uint8Array.of(0x63, 0xe9)), /^TypeError: not UTF-8 text$/);
  assert.throws(() => read(utf8("é").subarray(0, 1)), /not UTF-8 text/);
  assert.throws(() => read(new Uint8Array(9)), /not a text: its byte 0 is 0/);
  assert.throws(() => read(utf8("torn by a crash\0\0\0")), /not a text: its byte 15 is 0/);
});
