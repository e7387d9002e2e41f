import { BackendUnavailableError } from "@lopper/core";
import { GraphBuilder } from "@lopper/graphs";
import process from "node:process";
import { ATTENTION_OPS } from "./attention_ops.ts";
import { type Backend, type BackendDescription, float32, float32Data } from "./backend.ts";
import { bindingFolder, loaderMessage, missingCudaFiles } from "./cuda_library.ts";
import { ENGINE, ENGINE_VERSION, knowsProvider, ort } from "./node_engine.ts";
import { OrtBackend } from "./ort.ts";

/** Why a provider did not start, if it is one of the expected reasons. */
interface Reason {
  readonly found: string;
  readonly needed: string;
}

/**
 * onnxruntime's CUDA provider, for NVIDIA GPUs. Its libraries are not part of the npm package.
 *
 * Of the two attention operators 1.30.0 has a float32 CUDA kernel for ONNX's Attention only:
 * GroupQueryAttention is there in half precision.
 * @throws {BackendUnavailableError} when the provider, a library that it needs or a device is
 *   missing.
 */
export async function openCudaBackend(): Promise<Backend> {
  if (!knowsProvider("cuda")) throw unknownProvider("cuda", "Linux on x64");
  const missing = missingCudaFiles();
  if (missing.length > 0) {
    throw new BackendUnavailableError(
      "cuda",
      `${missing.join(" and ")} ${missing.length > 1 ? "are" : "is"} not in ${bindingFolder()}`,
      `both files of the CUDA provider there, copied from the PyPI wheel onnxruntime-gpu ${ENGINE_VERSION} (for CUDA 13) ` +
        "or from where npm has installed onnxruntime-node with its scripts (for CUDA 12)",
    );
  }
  keepFloat32();
  const description = describe("cuda", { attentionOp: ATTENTION_OPS.cuda, logSoftmax: true });
  return await open(description, [], cudaReason);
}

function cudaReason(message: string): Reason | undefined {
  if (/Failed to load shared library/.test(message)) {
    return {
      found: `libonnxruntime_providers_cuda.so does not load (${loaderMessage() ?? message})`,
      needed:
        "NVIDIA's driver, and on the library path (LD_LIBRARY_PATH) the libraries of the CUDA version that the " +
        "file was built for, with cuDNN 9",
    };
  }
  const failure = /CUDA failure \d+: [^;]*/.exec(message)?.[0].trim();
  return failure === undefined ? undefined : {
    found: failure,
    needed: "an NVIDIA GPU and a driver as new as the CUDA libraries",
  };
}

/**
 * onnxruntime's WebGPU provider, for every GPU with a Vulkan, Metal or Direct3D 12 driver; it is
 * part of the npm package. Where no Vulkan loader is installed, the provider says so on the
 * terminal, whatever the log level, and then fails.
 *
 * 1.30.0 has no kernel for ONNX's Attention and LogSoftmax. Its GroupQueryAttention is not used:
 * from 32 tokens on it takes a flash-attention shader whose results depend on the device's subgroup
 * size (with SwiftShader's 4 they are wrong from the fifth position on, silently).
 * @throws {BackendUnavailableError} when there is no device.
 */
export async function openWebGpuBackend(): Promise<Backend> {
  const needed = "a GPU with a Vulkan, Metal or Direct3D 12 driver";
  if (!knowsProvider("webgpu")) throw unknownProvider("webgpu", needed);
  const description = describe("webgpu", { attentionOp: ATTENTION_OPS.webgpu, logSoftmax: false });
  return await open(description, ["GroupQueryAttention"], (message) => {
    const found = /Failed to get a WebGPU adapter: [^\n]*/.exec(message)?.[0].trim();
    return found === undefined ? undefined : { found, needed };
  });
}

function unknownProvider(name: string, needed: string) {
  const found = `onnxruntime-node has no such provider on ${process.platform} ${process.arch}`;
  return new BackendUnavailableError(name, found, needed);
}

async function open(
  description: BackendDescription,
  avoid: readonly string[],
  reasonFor: (message: string) => Reason | undefined,
): Promise<Backend> {
  const { name } = description;
  const backend = new OrtBackend(
    ort,
    description,
    {
      executionProviders: [name],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      logSeverityLevel: 4,
    },
    { avoid },
  );
  try {
    await probe(backend);
    return backend;
  } catch (error) {
    await backend[Symbol.asyncDispose]();
    const message = error instanceof Error ? error.message : String(error);
    const { found, needed } = reasonFor(message) ??
      {
        found: message.trim().split("\n")[0],
        needed: "a device that runs a graph of one addition",
      };
    throw new BackendUnavailableError(name, found, needed, { cause: error });
  }
}

/**
 * Loading proves little: only a run shows that there is a device, and that its results come back.
 */
async function probe(backend: Backend) {
  const g = new GraphBuilder("probe");
  const x = g.input("x", "float32", ["N"]);
  g.output("y", g.node("Add", [x, x]), "float32", ["N"]);
  const run = await backend.compile(g.encode());
  const y = float32Data(await run.run({ x: float32(Float32Array.of(1.5, -2), [2]) }), "y");
  if (y[0] !== 3 || y[1] !== -4) {
    throw new Error(`the device computes 1.5 + 1.5 = ${y[0]} and -2 - 2 = ${y[1]}`);
  }
  await run.dispose();
}

function describe(
  name: "cuda" | "webgpu",
  operators: Pick<BackendDescription, "attentionOp" | "logSoftmax">,
): BackendDescription {
  return {
    name,
    engine: ENGINE,
    threads: 1,
    engines: 1,
    residentWeights: true,
    memoryLimitBytes: null,
    ...operators,
  };
}

/**
 * The provider lets cuBLAS round float32 factors to TF32's 10 bits, and onnxruntime-node has no
 * option against it; the libraries' own switch is read when they are loaded. Whoever sets it
 * otherwise gets what they asked for.
 */
function keepFloat32() {
  process.env.NVIDIA_TF32_OVERRIDE ??= "0";
}
