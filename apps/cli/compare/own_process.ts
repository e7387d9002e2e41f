import { spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { denoFlags, type Permissions } from "../permissions.ts";

/** This program, started once more. */
export interface OwnProcess {
  readonly stdout: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly stderr: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Its code when it has ended, null when it was killed. */
  readonly ended: Promise<number | null>;
  kill(): void;
}

/** Bundled, it stands beside this file. */
const MAIN = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../main.ts" : "./main.js", import.meta.url),
);

/**
 * Starts this program with a command. It may no more than the command needs, where the platform
 * holds it to that.
 */
export function startOwn(args: readonly string[], permissions: Permissions): OwnProcess {
  return "Deno" in globalThis ? inDeno(args, permissions) : inNode(args);
}

/**
 * Deno's `node:child_process` asks for leave to read every variable, which the process inherits
 * unread here.
 */
function inDeno(args: readonly string[], permissions: Permissions): OwnProcess {
  // A binary is the program itself, and gives back what the command does not need.
  const start = Deno.build.standalone ? [] : ["run", "--quiet", ...denoFlags(permissions), MAIN];
  const child = new Deno.Command(Deno.execPath(), {
    args: [...start, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const { stdout, stderr, status } = child;
  const ended = status.then(({ code, signal }) => signal === null ? code : null);
  return { stdout, stderr, ended, kill: () => child.kill("SIGKILL") };
}

function inNode(args: readonly string[]): OwnProcess {
  const child = spawn(process.execPath, [...process.execArgv, MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const bytes = (stream: Readable) =>
    Readable.toWeb(stream) as unknown as ReadableStream<Uint8Array<ArrayBuffer>>;
  return {
    stdout: bytes(child.stdout),
    stderr: bytes(child.stderr),
    ended: once(child, "close").then(([code]) => code),
    kill: () => void child.kill("SIGKILL"),
  };
}
