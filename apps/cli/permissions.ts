/**
 * What a command may do on the machine, as Deno grants it. Files and folders may be anywhere: the
 * user names them.
 */
export interface Permissions {
  /** Files are written, not only read. */
  readonly write?: true;
  /** Native code is loaded: the inference engine. */
  readonly ffi?: true;
  /** Data sets are downloaded. */
  readonly net?: true;
  /** Models are, where one of the hub is named: into its cache, before any is opened. */
  readonly hub?: true;
  /** A server of Redis is talked to, from the beginning to the end. */
  readonly queue?: true;
  /** Other programs are started: this one, once for each model. */
  readonly run?: true;
  /** Variables of the environment, which are read, and those of the engine also set. */
  readonly env: readonly string[];
  /** What is asked of the system. */
  readonly sys: readonly string[];
}

/** Where the user stands, when a task was started. */
const PLACE = ["INIT_CWD"];
/** What the native engine is told. */
const ENGINE = ["ORT_DISABLE_TELEMETRY", "NVIDIA_TF32_OVERRIDE"];
/** Where a user's programs keep what can be made anew. */
const CACHE = ["LOPPER_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"];
/** What all programs of Hugging Face read. */
const HUB = [
  "HF_ENDPOINT",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "HF_TOKEN",
  "HUGGINGFACE_HUB_CACHE",
  "XDG_CACHE_HOME",
];
/**
 * What libraries ask for where nobody wants them to log or to do otherwise: they find nothing,
 * instead of ending the program.
 */
const IGNORED = [
  "LOG_STREAM",
  "LOG_TOKENS",
  // Of the queue's libraries.
  "NODE_ENV",
  "NODE_DEBUG",
  "DEBUG",
  "MSGPACKR_NATIVE_ACCELERATION_DISABLED",
];
const MEMORY = "systemMemoryInfo";
/** Who holds a folder's lock. */
const HOST = "hostname";

const evaluation: Permissions = {
  write: true,
  ffi: true,
  net: true,
  hub: true,
  env: [...PLACE, ...ENGINE, ...HUB],
  sys: [MEMORY, "homedir", HOST],
};

/** The least that each command works with; its task in deno.json grants just that. */
export const PERMISSIONS: Readonly<Record<string, Permissions>> = {
  prune: {
    write: true,
    ffi: true,
    hub: true,
    env: distinct([...PLACE, ...ENGINE, ...CACHE, ...HUB]),
    sys: [MEMORY, "homedir", HOST],
  },
  inspect: { hub: true, env: [...PLACE, ...HUB], sys: ["homedir"] },
  generate: { ffi: true, hub: true, env: [...PLACE, ...ENGINE, ...HUB], sys: ["homedir"] },
  export: {
    write: true,
    ffi: true,
    hub: true,
    env: [...PLACE, ...ENGINE, ...HUB],
    sys: ["homedir", HOST],
  },
  evaluate: evaluation,
  compare: { ...evaluation, run: true },
  report: { write: true, env: PLACE, sys: [HOST] },
  push: { write: true, net: true, env: [...PLACE, ...HUB], sys: ["homedir", HOST] },
  worker: {
    ffi: true,
    net: true,
    hub: true,
    queue: true,
    env: [...PLACE, ...ENGINE, ...HUB],
    sys: [MEMORY, "homedir"],
  },
  // What compare starts.
  "measure-speed": { ffi: true, env: [...PLACE, ...ENGINE], sys: [MEMORY] },
};

/** What any command may need. */
export const ALL_PERMISSIONS: Permissions = {
  write: true,
  ffi: true,
  net: true,
  run: true,
  env: distinct(Object.values(PERMISSIONS).flatMap(({ env }) => env)),
  sys: distinct(Object.values(PERMISSIONS).flatMap(({ sys }) => sys)),
};

/** Flags of `deno run`. What is not granted is refused, and nobody is asked. */
export function denoFlags(permissions: Permissions): readonly string[] {
  const { write, ffi, net, run, env, sys } = withDownloads(permissions);
  return [
    "--no-prompt",
    "--allow-read",
    ...(write ? ["--allow-write"] : []),
    ...(ffi ? ["--allow-ffi"] : []),
    ...(net ? ["--allow-net"] : []),
    ...(run ? ["--allow-run"] : []),
    ...(env.length > 0 ? [`--allow-env=${env.join(",")}`] : []),
    `--ignore-env=${IGNORED.join(",")}`,
    ...(sys.length > 0 ? [`--allow-sys=${sys.join(",")}`] : []),
  ];
}

/** What a command needs that downloads a model. */
export function withDownloads({ hub, ...rest }: Permissions): Permissions {
  return hub ? { ...rest, net: true, write: true } : rest;
}

/**
 * Gives back what a command does not need, for the rest of the process, whatever it was started
 * with: without a network it can ask nobody for anything. Node was not given any.
 */
export async function keepOnly({ write, ffi, net, run }: Permissions): Promise<void> {
  if (!("Deno" in globalThis)) return;
  for (const [name, needed] of Object.entries({ write, ffi, net, run })) {
    if (!needed) await Deno.permissions.revoke({ name: name as "write" | "ffi" | "net" | "run" });
  }
}

function distinct(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
}
