import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";

/** The server that LOPPER_REDIS_SERVER names, else that of the path. */
const SERVER = Deno.env.get("LOPPER_REDIS_SERVER") ?? "redis-server";

/** Whether there is a Redis server to test with; says what to do where there is none. */
export const HAS_REDIS = await hasRedis();

async function hasRedis(): Promise<boolean> {
  try {
    return (await new Deno.Command(SERVER, { args: ["--version"] }).output()).success;
  } catch {
    console.log(
      `skipped: no ${SERVER} here (apt-get install redis-server, or name one in LOPPER_REDIS_SERVER)`,
    );
    return false;
  }
}

export interface RedisOptions {
  readonly password?: string;
  /** Whether what it holds outlives it. */
  readonly persists?: boolean;
}

/** A Redis server of a test's own, which can be stopped and started again. */
export class TestRedis implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #options: RedisOptions;
  #process: Deno.ChildProcess;

  private constructor(folder: string, port: number, options: RedisOptions) {
    this.#folder = folder;
    this.port = port;
    this.#options = options;
    this.#process = this.#spawn();
  }

  static async start(folder: string, options: RedisOptions = {}): Promise<TestRedis> {
    const redis = new TestRedis(folder, await freePort(), options);
    await redis.#untilReady();
    return redis;
  }

  get url(): string {
    const { password } = this.#options;
    return `redis://${password ? `default:${password}@` : ""}127.0.0.1:${this.port}`;
  }

  /** Kills it; what it does not persist is lost. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
  }

  async startAgain(): Promise<void> {
    this.#process = this.#spawn();
    await this.#untilReady();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #spawn(): Deno.ChildProcess {
    const { password, persists } = this.#options;
    const args = [
      ...["--port", String(this.port), "--bind", "127.0.0.1", "--dir", this.#folder, "--save", ""],
      ...["--appendonly", persists ? "yes" : "no", "--logfile", join(this.#folder, "redis.log")],
      ...["--appendfsync", "always"],
      ...(password ? ["--requirepass", password] : []),
    ];
    return new Deno.Command(SERVER, { args, stdout: "null", stderr: "null" }).spawn();
  }

  async #untilReady(): Promise<void> {
    for (;;) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }
}

/** A way to a server that can be cut: connections are dropped, and none is let through meanwhile. */
export class CutProxy implements AsyncDisposable {
  readonly port: number;
  readonly #server: ReturnType<typeof createServer>;
  readonly #sockets: Set<Socket>;
  readonly #state: { isCut: boolean };

  private constructor(
    server: ReturnType<typeof createServer>,
    port: number,
    sockets: Set<Socket>,
    state: { isCut: boolean },
  ) {
    this.#server = server;
    this.port = port;
    this.#sockets = sockets;
    this.#state = state;
  }

  static async open(target: number): Promise<CutProxy> {
    const sockets = new Set<Socket>(), state = { isCut: false };
    const server = createServer((near) => {
      if (state.isCut) return void near.destroy();
      const far = connect(target, "127.0.0.1");
      for (const [socket, other] of [[near, far], [far, near]]) {
        sockets.add(socket);
        socket.on("error", () => other.destroy());
        socket.on("close", () => {
          sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
    const port = await freePort();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return new CutProxy(server, port, sockets, state);
  }

  cut() {
    this.#state.isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * Lets nothing more through on the connections that there are, and tells neither side; new ones
   * are let through.
   */
  forget() {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  mend() {
    this.#state.isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    })
  );
}
