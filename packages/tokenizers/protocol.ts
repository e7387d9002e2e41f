import type { EngineFiles } from "./engine.ts";

/** What the thread of a tokenizer is asked. */
export type Request =
  | { readonly id: number; readonly open: EngineFiles }
  | { readonly id: number; readonly encode: string; readonly addSpecialTokens: boolean }
  | { readonly id: number; readonly decode: readonly number[] };

/** What it answers. Requests are done in their order. */
export type Answer =
  | { readonly id: number; readonly done: Int32Array | string | null }
  /** The files make no tokenizer, or it fails on a text. */
  | { readonly id: number; readonly problem: string }
  /** The step that begins may take so many milliseconds more than others. */
  | { readonly more: number };
