import type { Feeds, HostTensor } from "../backend.ts";

/** What the thread of an engine is asked; it answers one after another, in their order. */
export type EngineRequest =
  | { readonly compile: number; readonly onnx: Uint8Array }
  | { readonly run: number; readonly feeds: Feeds }
  | { readonly release: number };

export type Fetches = Readonly<Record<string, HostTensor>>;

export type EngineAnswer =
  | { readonly fetches: Fetches }
  | { readonly unsupported: { readonly op: string; readonly dtype?: string } }
  | { readonly problem: string };
