/** The bytes that a text in base64 stands for. @throws {Error} when it is none. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

/** Bytes in base64. */
export function toBase64(bytes: Uint8Array): string {
  // One by one: a call does not take as many arguments.
  let letters = "";
  for (const byte of bytes) letters += String.fromCharCode(byte);
  return btoa(letters);
}
