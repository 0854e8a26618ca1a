import { parseArgs } from "node:util";
import { startDevServer, type DevServerOptions } from "./index";

const HELP = `Run the example's functions on a mock of Convex, for development and demos

The mock keeps its data in memory and listens on 127.0.0.1 only. The functions read
their settings, such as GAVEL_URL, from the environment of this process.

Usage: npm run dev-server -- [options]

Options:
  --port <port>       Port of the sync server and the page [default: 3210]
  --site-port <port>  Port of the HTTP actions [default: 3211]
  --page <directory>  Serve a built page, for example example/dist
  --verbose           Print a line for each HTTP request
  --help              Print help
`;

// sysexits.h: EX_USAGE.
const USAGE_ERROR = 64;

/** Parses the arguments. Fails with a message for the user. */
export function parseOptions(args: string[]): DevServerOptions | "help" {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: "string", default: "3210" },
      "site-port": { type: "string", default: "3211" },
      page: { type: "string" },
      verbose: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  return {
    port: parsePort("--port", values.port),
    sitePort: parsePort("--site-port", values["site-port"]),
    pageDir: values.page ?? null,
    ...(values.verbose ? { log: (line: string) => console.error(line) } : {}),
  };
}

function parsePort(option: string, text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65535) throw new Error(`${option}: "${text}" is not a port (0 to 65535).`);
  return port;
}

/** Runs the command. Resolves with the exit code when the server has stopped. */
export async function main(args: string[]): Promise<number> {
  let options: DevServerOptions | "help";
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\nRun "npm run dev-server -- --help" for the options.`);
    return USAGE_ERROR;
  }
  if (options === "help") {
    process.stdout.write(HELP);
    return 0;
  }
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  try {
    const server = await startDevServer(options);
    console.log(
      `Mock of Convex for development: ${server.url} (HTTP actions: ${server.siteUrl}). Press Ctrl+C to stop.`,
    );
    await stopped;
    await server.close();
    return 0;
  } catch (error) {
    console.error(explain(error as NodeJS.ErrnoException & { port?: number }));
    return 1;
  }
}

function explain(error: NodeJS.ErrnoException & { port?: number }): string {
  if (error.code === "EADDRINUSE") {
    return `cannot listen on port ${error.port}: it is in use. Choose another with --port or --site-port.`;
  }
  return `cannot start the mock of Convex: ${error.stack ?? error.message}`;
}
